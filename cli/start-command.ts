/** `mcp-idp start`: declared here without cost, done in `start.ts`. */
import type { Command } from 'commander'

export function addStart(program: Command): void {
  program
    .command('start')
    .description('Run the whole main job on this machine: identity provider, registry and a demo MCP server, set up and ready to log in to')
    .option('--once', 'set everything up, show it, then stop')
    .option('--port <number>', 'port of the registry (the one used before, else 7860; 0 lets the system choose one)')
    .option('--issuer-port <number>', 'port of the identity provider, which stays with a home (8888; 0 lets the system choose one)')
    .addHelpText('after', '\nExamples:\n  mcp-idp start --home ./demo\n  mcp-idp start --once --port 0 --issuer-port 0')
    .action(async (_options: unknown, command: Command) => {
      const { start } = await import('./start.js')
      process.exitCode = await start(command.optsWithGlobals())
    })
}
