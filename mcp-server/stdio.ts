/** MCP over stdio: nothing but protocol on stdout. */
import { Console } from 'node:console'
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js'
import { invalidInput } from '../core/errors.js'
import { homeFolder, openHome } from '../toolkit/home.js'
import { createMcpServer } from './server.js'
import { toolFlags } from './tools.js'

export interface StdioOptions {
  readonly home?: string
  readonly allow: string
  readonly toolsets: string
  /** Seconds, as typed. */
  readonly elicitationTimeout: string
  readonly version: string
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Serves until stdin ends. @throws ToolkitError invalid_input for unknown words in the flags */
export async function serveStdio({ home: homeFlag, allow, toolsets, elicitationTimeout, version, env }: StdioOptions): Promise<void> {
  const seconds = Number(elicitationTimeout)
  if (!(seconds > 0 && seconds <= 3600))
    throw invalidInput('the command line', [{ path: '--elicitation-timeout', expected: 'seconds, 1 to 3600', found: elicitationTimeout }])
  const flags = toolFlags(allow, toolsets)
  globalThis.console = new Console(process.stderr, process.stderr)
  const server = await createMcpServer({
    ...flags,
    version,
    elicitationTimeoutMs: seconds * 1000,
    surroundings: () => openHome(homeFolder(homeFlag, env), env),
  })
  const ended = new Promise<void>((resolve) => {
    server.onclose = resolve
    process.stdin.once('end', resolve)
  })
  await server.connect(new StdioServerTransport())
  await ended
  await server.close()
}
