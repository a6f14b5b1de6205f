/** `mcp-idp mcp`: the operations as MCP tools over stdio. */
import type { Command } from 'commander'

export function addMcp(program: Command, version: string): void {
  program
    .command('mcp')
    .description('Serve the operations as MCP tools over stdio; read-only unless classes are allowed')
    .option('--allow <classes>', 'safety classes besides read: issue,write,destructive', '')
    .option('--toolsets <names>', 'toolsets: core,m2m,ide,tokens or all', 'core')
    .option('--elicitation-timeout <seconds>', 'how long a person may take to answer', '300')
    .addHelpText('after', '\nExample:\n  mcp-idp mcp --toolsets all --allow issue,write')
    .action(async (_options: unknown, command: Command) => {
      const { serveStdio } = await import('../mcp-server/stdio.js')
      await serveStdio({ ...command.optsWithGlobals(), version, env: process.env })
    })
}
