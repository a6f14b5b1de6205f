/** Runs one operation for a person or a script: plan shown, yes asked for, result rendered, failure told with its exit status. */
import { resolve } from 'node:path'
import { type Plan, renderPlan } from '../core/converge.js'
import { ERRORS, EXIT_INTERRUPTED, invalidInput, isToolkitError, ToolkitError } from '../core/errors.js'
import type { Operation } from '../core/operation.js'
import { type PlanFile, readPlanFile, refuseOtherPlan, savePlanFile } from '../core/plan-file.js'
import { masked } from '../core/secret.js'
import { quotePosix } from '../ide/quote.js'
import type { CatalogRow } from '../toolkit/catalog.js'
import { commandLine } from '../toolkit/command-line.js'
import { createContext, type ToolkitContext } from '../toolkit/context.js'
import { homeFolder, openHome } from '../toolkit/home.js'
import { askForYes, isSomebodyHere } from './agreement.js'
import { stepTeller } from './progress.js'
import { folded, renderResult } from './render.js'
import { requireTerminal, showSecret } from './show-secret.js'

export interface Globals {
  readonly home?: string
  readonly json?: boolean
  readonly debug?: boolean
  readonly envFile?: string
  readonly caFile?: string
  readonly plan?: boolean
  readonly yes?: boolean
  readonly showSecret?: boolean
  readonly planOut?: string
  readonly planIn?: string
}

export async function runOperation(
  row: CatalogRow,
  operation: Operation<ToolkitContext>,
  given: Record<string, unknown>,
  globals: Globals,
): Promise<number> {
  const stop = stopAtInterrupt()
  const steps = stepTeller(globals.json === true)
  let context: ToolkitContext | undefined
  try {
    if (globals.showSecret) requireTerminal()
    const { input, saved } = await inputOf(row, given, globals)
    const planOnly = globals.plan === true || globals.planOut !== undefined
    let planned: Plan = { changes: [], manual: [], tenants: [] }
    context = createContext({
      ...(await openHome(homeFolder(globals.home, process.env), environmentOf(globals))),
      planOnly,
      onPlan: (plan) => {
        planned = plan
        if (!globals.json) print(folded(renderPlan(plan), process.stdout.columns))
      },
      signal: stop.signal,
      progress: steps.note,
      onStep: steps.step,
      onIdentity: steps.identity,
      approve: async (plan) => {
        if (saved) refuseOtherPlan(saved, plan)
        return approve(plan, globals, () =>
          quotePosix(commandLine(row.command, operation, saved ? {} : input, [...whereAgain(globals), '--yes'])),
        )
      },
    })
    const result = await operation.run(input, context)
    steps.end()
    if (globals.planOut !== undefined) {
      const { saved_to, mode } = await savePlanFile(resolve(globals.planOut), { operation: row.name, input }, planned, new Date())
      steps.note(`saved the plan in ${saved_to} (${mode}); it is carried out by --plan-in within a day`)
    }
    print(globals.json ? JSON.stringify(result, null, 2) : renderResult(row, result, planOnly, process.stdout.columns))
    if (globals.showSecret && !planOnly) await showSecret(String(result['secret_file']))
    return 0
  } catch (error) {
    // What is drawn over itself would take the error with it.
    steps.end()
    if (stop.signal.aborted) {
      say('stopped; run it again, it takes up where it was')
      return EXIT_INTERRUPTED
    }
    return reportFailure(error, globals)
  } finally {
    steps.end()
    stop.end()
    await context?.close().catch(() => undefined)
  }
}

/** The environment, with what flags say of it. */
export function environmentOf({ caFile }: Globals): Readonly<Record<string, string | undefined>> {
  return caFile === undefined ? process.env : { ...process.env, MCP_IDP_CA_FILE: resolve(caFile) }
}

/** What was typed, or what a plan file asks for. @throws ToolkitError invalid_input when both say something */
async function inputOf(
  row: CatalogRow,
  given: Record<string, unknown>,
  { planIn, planOut, plan }: Globals,
): Promise<{ input: Record<string, unknown>; saved?: PlanFile }> {
  if (planIn === undefined) return { input: given }
  const also = [...Object.keys(given), ...(planOut === undefined ? [] : ['plan_out']), ...(plan ? ['plan'] : [])]
  if (also.length > 0) {
    throw invalidInput(
      'the command line',
      also.map((name) => ({ path: `--${name.replaceAll('_', '-')}`, expected: 'nothing beside --plan-in: the plan file says it' })),
    )
  }
  const saved = await readPlanFile(resolve(planIn), row.name, new Date())
  return { input: saved.input, saved }
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

/** Resolves at once when it has happened already, which no listener would hear of. */
export function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true })))
}

/** Where the command was told to look, so that the same one typed again means the same world and the same plan. */
function whereAgain({ home, envFile, caFile, planIn }: Globals): string[] {
  const places = { '--home': home, '--env-file': envFile, '--ca-file': caFile, '--plan-in': planIn }
  return Object.entries(places).flatMap(([flag, path]) => (path === undefined ? [] : [flag, resolve(path)]))
}

async function approve(plan: Plan, { yes, json }: Globals, again: () => string): Promise<boolean> {
  const lines = renderPlan(plan)
  if (!json || !yes) say(folded(lines, process.stderr.columns))
  if (yes) return true
  if (!isSomebodyHere()) {
    const command = again()
    throw new ToolkitError(
      'declined',
      'nobody is here to say yes; nothing was changed',
      { command, plan: lines },
      `look at the plan, then run: ${command}`,
    )
  }
  return askForYes()
}
