/** Runs one operation for a person or a script: plan shown, yes asked for, result rendered, failure told with its exit status. */
import { resolve } from 'node:path'
import { type Plan, renderPlan } from '../core/converge.js'
import { ERRORS, EXIT_INTERRUPTED, isToolkitError, ToolkitError } from '../core/errors.js'
import type { Operation } from '../core/operation.js'
import { masked } from '../core/secret.js'
import { quotePosix } from '../ide/quote.js'
import type { CatalogRow } from '../toolkit/catalog.js'
import { commandLine } from '../toolkit/command-line.js'
import { createContext, type ToolkitContext } from '../toolkit/context.js'
import { homeFolder, openHome } from '../toolkit/home.js'
import { folded, renderResult } from './render.js'
import { requireTerminal, showSecret } from './show-secret.js'

export interface Globals {
  readonly home?: string
  readonly json?: boolean
  readonly debug?: boolean
  readonly envFile?: string
  readonly plan?: boolean
  readonly yes?: boolean
  readonly showSecret?: boolean
}

export async function runOperation(
  row: CatalogRow,
  operation: Operation<ToolkitContext>,
  input: Record<string, unknown>,
  globals: Globals,
): Promise<number> {
  const stop = stopAtInterrupt()
  let context: ToolkitContext | undefined
  try {
    if (globals.showSecret) requireTerminal()
    context = createContext({
      ...(await openHome(homeFolder(globals.home, process.env), process.env)),
      planOnly: globals.plan === true,
      onPlan: (plan) => {
        if (!globals.json) print(folded(renderPlan(plan), process.stdout.columns))
      },
      signal: stop.signal,
      progress: (line) => say(line),
      approve: (plan) =>
        approve(plan, globals, () => quotePosix(commandLine(row.command, operation, input, [...whereAgain(globals), '--yes']))),
    })
    const result = await operation.run(input, context)
    print(globals.json ? JSON.stringify(result, null, 2) : renderResult(row, result, globals.plan === true, process.stdout.columns))
    if (globals.showSecret && !globals.plan) await showSecret(String(result['secret_file']))
    return 0
  } catch (error) {
    if (stop.signal.aborted) {
      say('stopped; run it again, it takes up where it was')
      return EXIT_INTERRUPTED
    }
    return reportFailure(error, globals)
  } finally {
    stop.end()
    await context?.close().catch(() => undefined)
  }
}

/** stdout, with whatever secret slipped through masked. */
export function print(text: string): void {
  process.stdout.write(`${masked(text)}\n`)
}

/** stderr: progress, plans, questions, errors. */
export function say(text: string): void {
  process.stderr.write(`${masked(text)}\n`)
}

/** Tells the failure and returns its exit status. */
export function reportFailure(error: unknown, { json, debug }: Pick<Globals, 'json' | 'debug'>): number {
  const failure = isToolkitError(error) ? error : defect(error)
  const { code, message, hint, details } = failure
  if (json) print(JSON.stringify({ error: { code, message, ...(hint === undefined ? {} : { hint }), details } }, null, 2))
  else say([`error (${code}): ${message}`, ...(hint === undefined ? [] : [`next: ${hint}`])].join('\n'))
  if (debug && error instanceof Error) say(error.stack ?? '')
  return ERRORS[code].exit
}

function defect(error: unknown): ToolkitError {
  const name = error instanceof Error ? error.name : typeof error
  return new ToolkitError('internal', `a defect of this tool (${name})`, {}, 'run it again with --debug and report what it prints')
}

/** First Ctrl-C ends requests and lets the run finish cleanly, a second one ends the process. */
export function stopAtInterrupt(): { signal: AbortSignal; end(): void } {
  const controller = new AbortController()
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(EXIT_INTERRUPTED)
    controller.abort()
  }
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal)
  return { signal: controller.signal, end: () => void process.off('SIGINT', onSignal).off('SIGTERM', onSignal) }
}

/** Where the command was told to look, so that the same one typed again means the same world. */
function whereAgain({ home, envFile }: Globals): string[] {
  return [...(home === undefined ? [] : ['--home', resolve(home)]), ...(envFile === undefined ? [] : ['--env-file', resolve(envFile)])]
}

async function approve(plan: Plan, { yes, json }: Globals, again: () => string): Promise<boolean> {
  const lines = renderPlan(plan)
  if (!json || !yes) say(folded(lines, process.stderr.columns))
  if (yes) return true
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    const command = again()
    throw new ToolkitError(
      'declined',
      'nobody is here to say yes; nothing was changed',
      { command, plan: lines },
      `look at the plan, then run: ${command}`,
    )
  }
  const { confirm, isCancel } = await import('@clack/prompts')
  const answer = await confirm({ message: 'Do this?', initialValue: false, output: process.stderr })
  return !isCancel(answer) && answer
}
