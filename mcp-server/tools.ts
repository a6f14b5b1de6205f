/** Operations as MCP tools: pure data made from the catalogue. What is listed depends on flags alone. */
import type { Tool } from '@modelcontextprotocol/sdk/types.js'
import { z } from 'zod'
import { invalidInput } from '../core/errors.js'
import { type Operation, SAFETY, type Safety } from '../core/operation.js'
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
