/** What goes into a frame and what comes out of one: texts of others are data, capped and without characters that hide or steer. */
import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js'
import { invalidInput, type Problem, ToolkitError } from '../core/errors.js'
import { cleanText } from '../core/foreign-text.js'
import { masked } from '../core/secret.js'

/** Caps of one result: items of a list, characters of a text that is ours, bytes in all. */
const MOST_ITEMS = 50
const OUR_TEXT = 8_192
const MOST_BYTES = 65_536
/** Fields that hold text of our own making, which may be long. */
const OUR_FIELDS = new Set(['text', 'redirect_uris', 'steps', 'notes'])

/** A success: structured, and the same as JSON text. @throws ToolkitError unexpected_response over 64 KB */
export function success(result: Record<string, unknown>, profile: string): CallToolResult {
  const truncated: string[] = []
  const structuredContent = capped(result, '', truncated) as Record<string, unknown>
  const text = masked(JSON.stringify(structuredContent))
  if (Buffer.byteLength(text) > MOST_BYTES) {
    throw new ToolkitError(
      'unexpected_response',
      `the result is larger than ${MOST_BYTES} bytes`,
      { system: 'result', reason: 'too_large' },
      'ask for less',
    )
  }
  return {
    content: [{ type: 'text', text }],
    structuredContent: JSON.parse(text) as Record<string, unknown>,
    _meta: { 'mcp-gateway-idp/profile': profile, ...(truncated.length > 0 ? { 'mcp-gateway-idp/truncated': truncated } : {}) },
  }
}

function capped(value: unknown, path: string, truncated: string[]): unknown {
  if (typeof value === 'string') return cleanText(value, OUR_FIELDS.has(path.split('.').at(-1) ?? '') ? OUR_TEXT : undefined)
  if (Array.isArray(value)) {
    if (value.length > MOST_ITEMS) truncated.push(`${path}: first ${MOST_ITEMS} of ${value.length}`)
    return value.slice(0, MOST_ITEMS).map((one) => capped(one, path, truncated))
  }
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, capped(inner, path === '' ? key : `${path}.${key}`, truncated)]),
  )
}

/** A failure that the caller can act on: code, message, next step. The next step is never cut: it may be a command line. */
export function failure({ code, message, hint }: ToolkitError): CallToolResult {
  const said = cleanText(`${code}: ${message}`, OUR_TEXT)
  const next = hint === undefined ? '' : `\nnext: ${cleanText(hint, MOST_BYTES)}`
  return { isError: true, content: [{ type: 'text', text: masked(said + next) }] }
}

/**
 * An argument with invisible characters would show a person another plan, and print another command, than what is written.
 * @throws ToolkitError invalid_input with the place of each
 */
export function refuseHidden(input: Readonly<Record<string, unknown>>): void {
  const problems = hiddenIn(input, '')
  if (problems.length > 0) throw invalidInput('the input', problems)
}

function hiddenIn(value: unknown, path: string): Problem[] {
  if (typeof value === 'string')
    return cleanText(value, value.length) === value ? [] : [{ path: path.slice(0, 200), expected: 'no control or invisible characters' }]
  if (Array.isArray(value)) return value.flatMap((one, index) => hiddenIn(one, `${path}[${index}]`))
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => hiddenIn(inner, path === '' ? key : `${path}.${key}`))
}
