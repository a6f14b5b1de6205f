/** Results as text for people: short, aligned, nothing that is not in the result. */
import type { CatalogRow } from '../toolkit/catalog.js'

type Result = Readonly<Record<string, unknown>>

/** A result of any operation: what changed first, then its fields. */
export function renderResult({ title }: CatalogRow, result: Result, planned: boolean): string {
  const { changes, applied, manual_steps, receipts, ...fields } = result
  // A plan was just shown whole; a change that was made is told by its fields.
  const lines = Array.isArray(changes) && !planned ? changes.map(changeLine) : []
  const head = Array.isArray(changes) ? [headline(changes.length, applied === true, planned), ...lines] : [`${title}:`]
  return [...head, ...receiptLines(receipts), ...fieldLines(fields), ...manualLines(manual_steps)].join('\n')
}

function headline(count: number, applied: boolean, planned: boolean): string {
  if (count === 0) return '0 changes: everything is as it should be'
  const changes = `${count} ${count === 1 ? 'change' : 'changes'}`
  return applied ? `${changes} made` : planned ? `${changes} planned, nothing was written` : changes
}

function changeLine(change: unknown): string {
  const { action, kind, key, fields } = change as { action: string; kind: string; key: string; fields: string[] }
  return `  ${action} ${kind} ${key}${fields.length > 0 ? `: ${fields.join(', ')}` : ''}`
}

function receiptLines(receipts: unknown): string[] {
  if (!Array.isArray(receipts)) return []
  return receipts.map(({ saved_to, mode }: { saved_to: string; mode: string }) => `  saved ${saved_to} (${mode})`)
}

function manualLines(steps: unknown): string[] {
  if (!Array.isArray(steps) || steps.length === 0) return []
  return [
    'by hand:',
    ...steps.flatMap(({ title, steps: lines }: { title: string; steps: string[] }, index) => [
      `  ${index + 1}. ${title}`,
      ...lines.map((line) => `     ${line}`),
    ]),
  ]
}

function fieldLines(fields: Result): string[] {
  return Object.entries(fields).flatMap(([name, value]) => fieldLine(name, value))
}

function fieldLine(name: string, value: unknown): string[] {
  if (value === null || value === undefined) return []
  if (Array.isArray(value)) {
    if (value.length === 0) return [`${name}: (none)`]
    if (value.every((one) => typeof one === 'object')) return [`${name}:`, ...table(value as Result[])]
    return [`${name}:`, ...value.map((one) => `  ${one}`)]
  }
  if (typeof value === 'object') return [`${name}:`, ...Object.entries(value).map(([key, inner]) => `  ${key}: ${plain(inner)}`)]
  const text = String(value)
  return text.includes('\n') ? [`${name}:`, ...text.split('\n').map((line) => `  ${line}`)] : [`${name}: ${text}`]
}

function table(rows: readonly Result[]): string[] {
  const columns = Object.keys(rows[0] ?? {})
  const cells = [columns, ...rows.map((row) => columns.map((column) => plain(row[column])))]
  const widths = columns.map((_, index) => Math.max(...cells.map((row) => (row[index] ?? '').length)))
  return cells.map((row) => `  ${row.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join('  ')}`.trimEnd())
}

function plain(value: unknown): string {
  if (Array.isArray(value)) return value.map(plain).join(',') || '-'
  if (typeof value === 'object' && value !== null) return Object.values(value).map(plain).join(' ')
  return value === null || value === undefined || value === '' ? '-' : String(value)
}
