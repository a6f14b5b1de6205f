/** Operations as MCP tools: pure data made from the catalogue. What is listed depends on flags alone. */
import type { CallToolResult, Tool } from '@modelcontextprotocol/sdk/types.js'
import { z } from 'zod'
import { invalidInput, ToolkitError } from '../core/errors.js'
import { cleanText } from '../core/foreign-text.js'
import { type Operation, SAFETY, type Safety } from '../core/operation.js'
import { masked } from '../core/secret.js'
import { CATALOG, type CatalogRow, TOOLSETS, type Toolset } from '../toolkit/catalog.js'
import type { ToolkitContext } from '../toolkit/context.js'

export interface ToolFlags {
  /** Classes besides `read`. */
  readonly allow: readonly Safety[]
  readonly toolsets: readonly Toolset[]
}

export interface ListedTool {
  readonly row: CatalogRow
  readonly operation: Operation<ToolkitContext>
  readonly tool: Tool
}

const ALLOWABLE = ['issue', 'write', 'destructive'] as const

/** `--allow` and `--toolsets` as typed. @throws ToolkitError invalid_input with every unknown word */
export function toolFlags(allow: string, toolsets: string): ToolFlags {
  const classes = listed(allow)
  const sets = listed(toolsets)
  const problems = [
    ...classes
      .filter((word) => !ALLOWABLE.some((one) => one === word))
      .map((found) => ({ path: '--allow', expected: `of ${ALLOWABLE.join(', ')}`, found })),
    ...sets
      .filter((word) => word !== 'all' && !TOOLSETS.some((one) => one === word))
      .map((found) => ({ path: '--toolsets', expected: `of ${TOOLSETS.join(', ')} or all`, found })),
  ]
  if (problems.length > 0) throw invalidInput('the command line', problems)
  return {
    allow: ALLOWABLE.filter((one) => classes.includes(one)),
    toolsets: sets.includes('all') ? TOOLSETS : TOOLSETS.filter((one) => sets.includes(one)),
  }
}

function listed(words: string): string[] {
  return words
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
}

/** The tools that these flags admit, in the order of the catalogue. */
export async function listTools({ allow, toolsets }: ToolFlags): Promise<ListedTool[]> {
  const rows: readonly CatalogRow[] = CATALOG
  const admitted = rows.filter(({ safety, toolset }) => toolsets.includes(toolset) && (safety === 'read' || allow.includes(safety)))
  return Promise.all(
    admitted.map(async (row) => {
      const operation = await row.load()
      return { row, operation, tool: definition(row, operation) }
    }),
  )
}

function definition({ name, title, safety }: CatalogRow, { summary, input, output }: Operation<ToolkitContext>): Tool {
  return {
    name,
    title,
    description: summary,
    inputSchema: schemaOf(input, 'input') as Tool['inputSchema'],
    outputSchema: schemaOf(output, 'output') as Tool['outputSchema'],
    annotations: { title, ...SAFETY[safety] },
  }
}

function schemaOf(schema: z.ZodObject, io: 'input' | 'output'): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' })
  return { ...rest, type: 'object' }
}

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
  if (text.length > MOST_BYTES) {
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

/** A failure that the caller can act on: code, message, next step. */
export function failure({ code, message, hint }: ToolkitError): CallToolResult {
  const lines = [`${code}: ${message}`, ...(hint === undefined ? [] : [`next: ${hint}`])]
  return { isError: true, content: [{ type: 'text', text: masked(cleanText(lines.join('\n'), OUR_TEXT)) }] }
}
