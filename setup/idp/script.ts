/** What every setup script shares: environment in, plan and progress on stderr, next settings on stdout ready to source. */
import { argv, chalk, echo } from 'zx'
import { askForYes, isSomebodyHere } from '../../cli/agreement.js'
import { renderPlan } from '../../core/converge.js'
import { ERRORS, EXIT_INTERRUPTED, invalidInput, isToolkitError, ToolkitError } from '../../core/errors.js'
import { masked } from '../../core/secret.js'
import { quotePosix } from '../../ide/quote.js'
import { catalogRow, type OperationName } from '../../toolkit/catalog.js'
import { createContext } from '../../toolkit/context.js'
import { homeFolder, openHome } from '../../toolkit/home.js'

export interface Script {
  readonly operation: OperationName
  /** Fields of the result that are printed as variables, by the variable's name; `next_settings` are printed always. */
  readonly prints?: Readonly<Record<string, string>>
  /** Shown by --help. */
  readonly usage: string
  /** Defaults of this script for variables that are unset. */
  readonly defaults: Readonly<Record<string, string>>
  input(variable: (name: string) => string | undefined): Record<string, unknown>
}

const FLAGS = ['_', 'help', 'plan', 'yes']

const say = (text: string): void => void process.stderr.write(`${masked(text)}\n`)

/** Runs the script; running it is the yes to its plan unless it destroys something, `--plan` stops at it. */
export async function runScript({ operation: name, prints = {}, usage, defaults, input }: Script): Promise<void> {
  if (argv['help'] === true) return echo(usage)
  const unknown = Object.keys(argv).filter((flag) => !FLAGS.includes(flag))
  if (unknown.length > 0 || argv._.length > 0) {
    // A misspelt --plan must not run for real.
    const words = [...unknown.map((flag) => `--${flag}`), ...argv._]
    process.exitCode = report(
      invalidInput(
        'the command line',
        words.map((path) => ({ path, expected: 'a flag that --help shows' })),
      ),
    )
    return
  }
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  try {
    process.exitCode = await runOnce({ name, prints, input }, { ...defaults, ...nonEmpty(process.env) }, stop.signal)
  } catch (error) {
    process.exitCode = stop.signal.aborted ? EXIT_INTERRUPTED : report(error)
  }
}

async function runOnce(
  { name, prints, input }: { name: OperationName; prints: Readonly<Record<string, string>>; input: Script['input'] },
  env: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<number> {
  const outputs = (result: Readonly<Record<string, unknown>>): Record<string, string> => ({
    ...((result['next_settings'] ?? {}) as Record<string, string>),
    ...Object.fromEntries(
      Object.entries(prints).flatMap(([variable, field]) => (result[field] ? [[variable, String(result[field])]] : [])),
    ),
  })
  const row = catalogRow(name)
  if (row === undefined) throw new ToolkitError('internal', `no operation ${name}`, {})
  const planOnly = argv['plan'] === true
  const context = createContext({
    ...(await openHome(homeFolder(undefined, env), env)),
    planOnly,
    signal,
    progress: say,
    onPlan: (plan) => say(renderPlan(plan).join('\n')),
    approve: async (plan) => {
      say(renderPlan(plan).join('\n'))
      return row.safety !== 'destructive' || agreed()
    },
  })
  try {
    const operation = await row.load()
    const result = await operation.run(
      input((variable) => env[variable]),
      context,
    )
    const changes = Array.isArray(result['changes']) ? result['changes'].length : 0
    say(planOnly ? chalk.yellow(`${changes} changes planned, nothing was written`) : chalk.green(`${changes} changes made`))
    if (planOnly) return 0
    for (const [setting, value] of Object.entries(outputs(result))) echo(`${setting}=${quotePosix([value])}`)
    return 0
  } finally {
    await context.close()
  }
}

/** What ends something is asked for, or agreed to with `--yes`. */
async function agreed(): Promise<boolean> {
  if (argv['yes'] === true) return true
  if (isSomebodyHere()) return askForYes()
  throw new ToolkitError('declined', 'nobody is here to say yes; nothing was changed', {}, 'look at the plan, then run it with --yes')
}

function nonEmpty(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(Object.entries(env).flatMap(([name, value]) => (value ? [[name, value]] : [])))
}

function report(error: unknown): number {
  const failure = isToolkitError(error) ? error : new ToolkitError('internal', 'a defect of this script', {})
  say(chalk.red(`error (${failure.code}): ${failure.message}`))
  if (failure.hint !== undefined) say(`next: ${failure.hint}`)
  return ERRORS[failure.code].exit
}

/** A comma or space separated variable as a list; undefined when unset, so that the operation's default holds. */
export function listVariable(value: string | undefined): string[] | undefined {
  return value?.split(/[\s,]+/).filter((one) => one !== '')
}
