/** `mcp-idp credentials get|exec|serve`: declared here without cost. They hand tokens out, so they are commands only and never MCP tools. */
import { type Command, Option } from 'commander'
import { FORMATS, VARIABLE } from '../credentials-provider/formats.js'

const IDENTITIES_FILE = [
  '--identities-file <path>',
  'an identity, or an array of them (default: all files of identities/ in the home folder)',
] as const
const OUTPUT_DIR = ['--output-dir <folder>', 'folder of the token files (default: .oauth-tokens in the home folder)'] as const
const IDENTITY = ['<identity>', 'name of the identity'] as const

/** Words of the commands, for completions. */
export const CREDENTIALS_WORDS = ['get', 'exec', 'serve'] as const

export function addCredentials(program: Command): void {
  const credentials = program.command('credentials').description('Tokens for agents: into files, or handed out')
  credentials
    .command('get')
    .summary('Print a fresh token')
    .description('Print a fresh access token of one identity: the saved one, else a new one')
    .argument(...IDENTITY)
    .addOption(new Option('--format <format>', 'what to print').choices(FORMATS).default('raw', 'raw; json with --json'))
    .option('--header <name>', 'name of the header, for --format headers', 'Authorization')
    .option(...IDENTITIES_FILE)
    .option(...OUTPUT_DIR)
    .option('--no-save', 'keep a new token out of every file')
    .addHelpText(
      'after',
      '\nAsks the token agent first when MCP_IDP_AGENT names its socket\nand no flag names files.' +
        '\n\nExamples:\n  mcp-idp credentials get reporter\n  mcp-idp credentials get reporter --format headers --header X-Authorization',
    )
    .action(async (name: string, _options: unknown, command: Command) => {
      const { getCredential } = await import('./credentials-get.js')
      const isDefault = command.getOptionValueSource('format') === 'default'
      const options = command.optsWithGlobals()
      process.exitCode = await getCredential(name, {
        ...options,
        format: isDefault && options['json'] === true ? 'json' : options['format'],
      })
    })
  credentials
    .command('exec')
    .summary('Run a program with a token')
    .description('Run a program with a fresh access token in its environment, and in no file')
    .argument(...IDENTITY)
    .argument('<command...>', 'program and arguments, after --; no shell reads them')
    .option('--env-var <name>', 'name of the variable', VARIABLE)
    .option(...IDENTITIES_FILE)
    .option(...OUTPUT_DIR)
    .addHelpText('after', '\nExample:\n  mcp-idp credentials exec reporter --env-var TOKEN -- python agent.py --once')
    .action(async (name: string, words: string[], _options: unknown, command: Command) => {
      const { execWithCredential } = await import('./credentials-exec.js')
      process.exitCode = await execWithCredential(name, words, command.optsWithGlobals())
    })
  credentials
    .command('serve')
    .summary('Answer asks for tokens')
    .description('Answer on a Unix socket with fresh tokens that are kept in memory alone, until it is stopped')
    .option('--socket <path>', 'where to listen (default: agent.sock in the home folder)')
    .option(...IDENTITIES_FILE)
    .addHelpText('after', '\nExample:\n  mcp-idp credentials serve --socket ~/.cache/mcp-idp.sock')
    .action(async (_options: unknown, command: Command) => {
      const { serveCredentials } = await import('./credentials-serve.js')
      process.exitCode = await serveCredentials(command.optsWithGlobals())
    })
}
