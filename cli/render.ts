/** Results as text for people: short, aligned, nothing that is not in the result. */
import type { CatalogRow } from '../toolkit/catalog.js'

type Result = Readonly<Record<string, unknown>>

/** A result of any operation, for a terminal of so many columns: what changed first, then its fields. */
export function renderResult({ title }: CatalogRow, result: Result, planned: boolean, width = Number.POSITIVE_INFINITY): string {
  const { changes, applied, manual_steps, receipts, ...fields } = result
  // A plan was just shown whole; a change that was made is told by its fields.
  const lines = Array.isArray(changes) && !planned ? changes.map(changeLine) : []
  const head = Array.isArray(changes) ? [headline(changes.length, applied === true, planned), ...lines] : [`${title}:`]
  return [...head, ...receiptLines(receipts), ...fieldLines(fields, width), ...manualLines(manual_steps)].join('\n')
}

function headline(count: number, applied: boolean, planned: boolean): string {
  if (count === 0) return '0 changes: everything is as it should be'
  const changes = `${count} ${count === 1 ? 'change' : 'changes'}`
  return applied ? `${changes} made` : planned ? `${changes} planned, nothing was written` : changes
}

function changeLine(change: unknown): string {
  const { action, kind, key, fields } = change as { action: string; kind: string; key: string; fields: string[] }
  // Of what is new every field is; the plan showed them.
  return `  ${action} ${kind} ${key}${action === 'update' ? `: ${fields.join(', ')}` : ''}`
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

function fieldLines(fields: Result, width: number): string[] {
  return Object.entries(fields).flatMap(([name, value]) => fieldLine(name, value, width))
}

function fieldLine(name: string, value: unknown, width: number): string[] {
  if (value === null || value === undefined) return []
  if (Array.isArray(value)) {
    if (value.length === 0) return [`${name}: (none)`]
    if (value.every(isReceived)) return [`${name}:`, ...value.flatMap(receivedLines)]
    if (value.every((one) => typeof one === 'object')) return [`${name}:`, ...rowsLines(value as Result[], width)]
    return [`${name}:`, ...value.map((one) => `  ${one}`)]
  }
  if (typeof value === 'object') return [`${name}:`, ...Object.entries(value).map(([key, inner]) => `  ${key}: ${plain(inner)}`)]
  return textLines(name, String(value))
}

/** What was saved somewhere for an identity. */
interface Received {
  readonly identity_name: string
  readonly reused: boolean
  readonly receipt: { readonly saved_to: string; readonly mode: string; readonly expires_at?: string }
}

function isReceived(row: unknown): row is Received {
  return typeof row === 'object' && row !== null && 'receipt' in row && 'reused' in row
}

/** Two lines each: a path has the second one to itself, so that it can be copied. */
function receivedLines({ identity_name, reused, receipt: { saved_to, mode, expires_at } }: Received): string[] {
  return [`  ${identity_name}: ${reused ? 'kept' : 'minted'}, expires ${expires_at ?? 'unknown'}`, `    ${saved_to} (${mode})`]
}

function textLines(name: string, text: string): string[] {
  return text.includes('\n') ? [`${name}:`, ...text.split('\n').map((line) => `  ${line}`)] : [`${name}: ${text}`]
}

/** A table where it fits, else one block a row. */
function rowsLines(rows: readonly Result[], width: number): string[] {
  const lines = table(rows)
  const isFlat = rows.every((row) => Object.values(row).every((value) => !plain(value).includes('\n')))
  if (isFlat && lines.every((line) => line.length <= width)) return lines
  return rows.flatMap((row) => {
    const [[, head] = ['', ''], ...others] = Object.entries(row)
    return [`  ${plain(head)}`, ...others.flatMap(([name, value]) => textLines(name, plain(value)).map((line) => `    ${line}`))]
  })
}

/** Lines of a plan folded at spaces, what follows set in; a word is never cut. */
export function folded(lines: readonly string[], width = Number.POSITIVE_INFINITY): string {
  return lines.map((line) => fold(line, width)).join('\n')
}

function fold(line: string, width: number): string {
  const indent = `${/^ */.exec(line)?.[0] ?? ''}    `
  const [first = '', ...rest] = line.split(/(?<=\S) (?=\S)/)
  return rest
    .reduce<string[]>(
      ([...done], word) => {
        const last = done.pop() ?? ''
        const longer = `${last} ${word}`
        return longer.length <= width ? [...done, longer] : [...done, last, indent + word]
      },
      [first],
    )
    .join('\n')
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
