/** `mcp-idp start`: declared here without cost, done in `start.ts`. */
import type { Command } from 'commander'

export function addStart(program: Command): void {
  program
    .command('start')
    .description('Run the whole main job on this machine: identity provider, registry and a demo MCP server, set up and ready to log in to')
    .option('--once', 'set everything up, show it, then stop')
    .option('--port <number>', 'port of the registry (7860, then the one used before)')
    .option('--issuer-port <number>', 'port of the identity provider (8888, then the one used before)')
    .addHelpText('after', '\nExamples:\n  mcp-idp start --home ./demo\n  mcp-idp start --once --port 0 --issuer-port 0')
    .action(async (_options: unknown, command: Command) => {
      const { start } = await import('./start.js')
      process.exitCode = await start(command.optsWithGlobals())
    })
}
