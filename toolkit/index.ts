/**
 * The library: every operation of the catalogue as a method, with the same schemas, plan and errors as the CLI.
 * @example
 * const toolkit = await openToolkit({ approve: async (plan) => { console.log(renderPlan(plan).join('\n')); return true } })
 * const { client_id } = await toolkit.run('setup_ide_client', { idp: 'keycloak' })
 */
import type { Plan } from '../core/converge.js'
import { ToolkitError } from '../core/errors.js'
import { catalogRow, type OperationName } from './catalog.js'
import { createContext, type ToolkitContext } from './context.js'
import { type Environment, homeFolder, openHome } from './home.js'

export { type Outcome, objectKey, type Plan, renderPlan, type Target } from '../core/converge.js'
export { ERRORS, type ErrorCode, type ErrorDetails, isToolkitError, type Problem, ToolkitError } from '../core/errors.js'
export type { Change, ManualStep, Wanted } from '../core/plan.js'
export { Secret } from '../core/secret.js'
export { secretFile } from '../core/secret-file.js'
export { type Capabilities, IDPS } from '../idp/index.js'
export * as recipes from '../setup/recipes.js'
export { CATALOG, type CatalogRow, type OperationName } from './catalog.js'
export { createContext, type ToolkitContext } from './context.js'

export interface ToolkitOptions {
  /** Where settings come from besides the profile; nothing by default. */
  readonly env?: Environment
  /** Home folder; else `MCP_IDP_HOME` of `env`, else the user's configuration folder. */
  readonly home?: string
  /** Asked before anything is written; absent means no. */
  readonly approve?: (plan: Plan) => Promise<boolean>
  /** Stop every change after its plan. */
  readonly planOnly?: boolean
  readonly progress?: (line: string) => void
  readonly signal?: AbortSignal
}

export interface Toolkit {
  /** Runs one operation. @throws ToolkitError */
  run(name: OperationName, input?: Record<string, unknown>): Promise<Record<string, unknown>>
  /** For targets of your own: `context.converge`. */
  readonly context: ToolkitContext
  close(): Promise<void>
}

/** @throws ToolkitError invalid_input for a profile that is not valid or not ours */
export async function openToolkit(options: ToolkitOptions = {}): Promise<Toolkit> {
  const env = options.env ?? {}
  const context = createContext({
    ...(await openHome(homeFolder(options.home, env), env)),
    approve: options.approve ?? (async () => false),
    ...(options.planOnly ? { planOnly: true } : {}),
    ...(options.progress ? { progress: options.progress } : {}),
    ...(options.signal ? { signal: options.signal } : {}),
  })
  return {
    context,
    async run(name, input = {}) {
      const row = catalogRow(name)
      if (row === undefined) throw new ToolkitError('not_found', `there is no operation ${name}`, { kind: 'operation', key: name })
      return (await row.load()).run(input, context)
    },
    close: () => context.close(),
  }
}
