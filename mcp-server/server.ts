/** The MCP server over any transport: lists tools, calls operations, tells failures. */
import { Server } from '@modelcontextprotocol/sdk/server/index.js'
import { CallToolRequestSchema, type CallToolResult, ErrorCode, ListToolsRequestSchema, McpError } from '@modelcontextprotocol/sdk/types.js'
import { isToolkitError, ToolkitError } from '../core/errors.js'
import { catalogRow } from '../toolkit/catalog.js'
import { createContext, type Surroundings } from '../toolkit/context.js'
import { approvalFor } from './approval.js'
import { failure, refuseHidden, success } from './results.js'
import { type ListedTool, listTools, type ToolFlags } from './tools.js'

export interface ServerOptions extends ToolFlags {
  readonly version: string
  /** How long a person may take to answer, milliseconds. */
  readonly elicitationTimeoutMs: number
  /** Read anew for each call, so that a changed profile counts. */
  surroundings(): Promise<Omit<Surroundings, 'approve' | 'signal'>>
}

const INSTRUCTIONS = [
  'Administers the identity side of an MCP gateway: OAuth clients, groups, registry records, connect configurations, tokens to files.',
  'Look before you change: list and get first. A change shows its plan to a person, who decides; when a tool answers `declined`, show the person the command it names and wait.',
  'Secrets and tokens are never returned, only where they were saved.',
].join(' ')

export async function createMcpServer(options: ServerOptions): Promise<Server> {
  const tools = await listTools(options)
  const server = new Server(
    { name: 'mcp-gateway-idp', title: 'MCP gateway identity', version: options.version },
    { capabilities: { tools: {} }, instructions: INSTRUCTIONS },
  )
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: tools.map(({ tool }) => tool) }))
  server.setRequestHandler(CallToolRequestSchema, ({ params }, { signal }) => {
    const listed = tools.find(({ row }) => row.name === params.name)
    if (listed) return call(listed, params.arguments ?? {}, { server, options, signal })
    const row = catalogRow(params.name)
    if (row === undefined) throw new McpError(ErrorCode.InvalidParams, `unknown tool: ${params.name.slice(0, 64)}`)
    return failure(
      new ToolkitError(
        'declined',
        `${row.name} is not allowed here`,
        {},
        `a person can start the server with --toolsets ${row.toolset}${row.safety === 'read' ? '' : ` --allow ${row.safety}`}`,
      ),
    )
  })
  return server
}

async function call(
  listed: ListedTool,
  input: Record<string, unknown>,
  { server, options, signal }: { server: Server; options: ServerOptions; signal: AbortSignal },
): Promise<CallToolResult> {
  let close = async (): Promise<void> => undefined
  try {
    refuseHidden(input)
    const surroundings = await options.surroundings()
    const asking = { server, timeoutMs: options.elicitationTimeoutMs, signal, home: surroundings.home }
    const approve = approvalFor(listed, input, asking)
    const context = createContext({ ...surroundings, approve, signal, isAssistant: true })
    close = context.close
    return success(await listed.operation.run(input, context), surroundings.profile)
  } catch (error) {
    return failure(isToolkitError(error) ? error : new ToolkitError('internal', 'a defect of this tool', {}))
  } finally {
    await close().catch(() => undefined)
  }
}
