/** The commands of `mcp-idp`: finds the operation of a command line, and gets out of the way. Loads no schema library for --help and --version. */
import { Command, CommanderError } from 'commander'
import { ERRORS } from '../core/errors.js'
import { CATALOG, type CatalogRow } from '../toolkit/catalog.js'
import { addCompletion } from './completions.js'
import { addCredentials } from './credentials-command.js'
import { addGenerateCreds } from './generate-creds-command.js'
import { addMcp } from './mcp-command.js'
import { addStart } from './start-command.js'
import { readEnvFile, usageError, withoutValue } from './usage.js'
import { version } from './version.js'

function createProgram(json: boolean): Command {
  const program = new Command('mcp-idp')
    .description('Sets up identity providers for an MCP gateway: clients for IDEs and machines, registry records, tokens.')
    .version(version)
    .option('--home <folder>', 'folder with profile, identities and tokens (else MCP_IDP_HOME, else the configuration folder)')
    .option('--json', 'print one JSON document')
    .option('--debug', 'print the stack of a defect')
    .option('--ca-file <path>', 'certificate authorities (PEM) to trust besides the well-known ones')
    .option('--env-file <path>', 'read environment variables from a file first; those that are set stay')
    .exitOverride()
    // With --json the one document on stdout tells it all.
    .configureOutput({ outputError: (text, write) => write(withoutValue(text)), ...(json ? { writeErr: () => undefined } : {}) })
    .showHelpAfterError('(add --help for the options and examples)')
    .hook('preAction', (_program, command) => {
      const { envFile } = command.optsWithGlobals<{ envFile?: string }>()
      if (envFile !== undefined) readEnvFile(envFile)
    })
    .addHelpText(
      'after',
      '\nExamples:\n  mcp-idp start --once\n  mcp-idp setup ide-client --idp keycloak --plan\n  mcp-idp m2m list --json',
    )
  addStart(program)
  addMcp(program, version)
  addGenerateCreds(program)
  addCredentials(program)
  addCompletion(program)
  return program
}

/** First words that hold commands below them. */
const GROUPS: Readonly<Record<string, string>> = {
  setup: 'Set up clients at an identity provider',
  m2m: 'Machine clients in the registry',
  servers: 'MCP servers in the registry',
}

/** The command of a row, with its parents made on the way. */
function commandOf(program: Command, { command, title }: CatalogRow): Command {
  return command.reduce<Command>((parent, word, index) => {
    const existing = parent.commands.find((one) => one.name() === word)
    if (existing) return existing
    return parent
      .command(word)
      .description(index === command.length - 1 ? title : (GROUPS[word] ?? word))
      .exitOverride()
  }, program)
}

/** The row that the words of a command line name; values of global flags are passed over. */
function namedRow(argv: readonly string[]): CatalogRow | undefined {
  const valued = new Set(['--home', '--env-file', '--ca-file'])
  const words = argv.filter((word, index) => !word.startsWith('-') && !valued.has(argv[index - 1] ?? ''))
  return CATALOG.find(({ command }) => command.every((word, index) => words[index] === word))
}

/** Runs a command line, and returns its exit status. */
export async function run(argv: readonly string[]): Promise<number> {
  // What stands behind -- is another program's.
  const own = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv
  const [json, debug] = [own.includes('--json'), own.includes('--debug')]
  const program = createProgram(json)
  for (const row of CATALOG) commandOf(program, row)
  const row = namedRow(own)
  let exit = 0
  try {
    if (row) {
      const { attachOperation } = await import('./operation-command.js')
      await attachOperation(commandOf(program, row), row, (code) => {
        exit = code
      })
    }
    await program.parseAsync([...argv], { from: 'user' })
    return process.exitCode === undefined ? exit : Number(process.exitCode)
  } catch (error) {
    const isUsage = error instanceof CommanderError
    if (isUsage && error.exitCode === 0) return 0
    if (isUsage && !json) return ERRORS.invalid_input.exit
    const { reportFailure } = await import('./run.js')
    return reportFailure(isUsage ? usageError(error) : error, { json, debug })
  }
}
