/** One operation of the catalogue as a command: flags from its schema, plan and yes for changes. */
import type { Command } from 'commander'
import { quotePosix } from '../ide/quote.js'
import type { CatalogRow } from '../toolkit/catalog.js'
import { commandLine, type Flag, flagsOf, flagValue } from '../toolkit/command-line.js'
import { type Globals, runOperation } from './run.js'

export async function attachOperation(command: Command, row: CatalogRow, done: (exit: number) => void): Promise<void> {
  const operation = await row.load()
  const flags = flagsOf(operation)
  command.description(operation.summary)
  for (const field of operation.positionals ?? []) {
    const flag = flags.find((one) => one.field === field)
    // A plan file says what is left out here.
    if (flag) command.argument(flag.required && !operation.changes ? `<${flag.name}>` : `[${flag.name}]`, flag.help)
  }
  for (const flag of flags.filter(({ positional }) => !positional)) {
    if (flag.form === 'switch') command.option(usage(flag), help(flag))
    else command.option(usage(flag), help(flag), collect)
  }
  if (operation.changes)
    command
      .option('--plan', 'show what would change, change nothing')
      .option('--plan-out <file>', 'the same, and save the plan for --plan-in')
      .option('--plan-in <file>', 'carry out a saved plan, if it is still the same')
      .option('--yes', 'agree to the plan without being asked')
  if ('secret_file' in operation.output.shape) command.option('--show-secret', 'also print the secret, on a terminal only')
  const isWatchable = row.name === 'generate_credentials'
  if (isWatchable) command.option('--watch', 'keep running and refresh each token before it expires; Ctrl-C ends it')
  const examples = [
    ...operation.examples.map((input) => `  ${shellLines(commandLine(row.command, operation, input))}`),
    ...(isWatchable ? [`  ${shellLines(['mcp-idp', ...row.command, '--watch'])}`] : []),
  ]
  command.addHelpText('after', `\nExamples:\n${examples.join('\n')}`)
  command.action(async (...given: unknown[]) => {
    const positional = given.slice(0, -2)
    const input = { ...positionalInput(operation.positionals ?? [], flags, positional), ...flagInput(flags, command.opts()) }
    const globals = command.optsWithGlobals<Globals & { watch?: boolean }>()
    if (isWatchable && globals.watch) {
      const { watchCredentials } = await import('./watch-command.js')
      return done(await watchCredentials(input, globals))
    }
    done(await runOperation(row, operation, input, globals))
  })
}

/** One command over as many lines as 80 columns need; pasted, it is one command. */
function shellLines(argv: readonly string[]): string {
  const words = argv.map((word, index) => (index === 0 ? quotePosix([word]) : quotePosix(['-', word]).slice(2)))
  const [first = '', ...rest] = words
  const lines = rest.reduce<string[]>(
    ([...done], word) => {
      const last = done.pop() ?? ''
      return last.length + word.length < 74 ? [...done, `${last} ${word}`] : [...done, last, `    ${word}`]
    },
    [first],
  )
  return lines.join(' \\\n')
}

function usage({ name, form }: Flag): string {
  if (form === 'switch') return `--${name}`
  const value = { text: 'text', number: 'number', truth: 'true|false', list: 'a,b', repeated: 'text' }[form]
  return `--${name} <${value}>`
}

function help({ help: text, choices, form, required }: Flag): string {
  const parts = [text, choices ? `(${choices.join(', ')})` : '', form === 'repeated' ? '(repeatable)' : '', required ? '(required)' : '']
  return parts.filter((part) => part !== '' && !(part.startsWith('(') && text.includes(part.slice(1, -1)))).join(' ')
}

/** commander hands every occurrence here. */
function collect(value: string, earlier: unknown): unknown {
  return [...(Array.isArray(earlier) ? earlier : []), value]
}

function flagInput(flags: readonly Flag[], options: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    flags.flatMap((flag) => {
      const given = options[camelCase(flag.name)]
      if (given === true) return [[flag.field, true]]
      return Array.isArray(given) && given.length > 0 ? [[flag.field, flagValue(flag, given.map(String))]] : []
    }),
  )
}

function positionalInput(fields: readonly string[], flags: readonly Flag[], values: readonly unknown[]): Record<string, unknown> {
  return Object.fromEntries(
    fields.flatMap((field, index) => {
      const flag = flags.find((one) => one.field === field)
      const value = values[index]
      return flag && typeof value === 'string' ? [[field, flagValue(flag, [value])]] : []
    }),
  )
}

function camelCase(name: string): string {
  return name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}
