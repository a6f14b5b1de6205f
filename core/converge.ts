/**
 * Plan, ask, apply, verify: the only way anything changes. Observation is live each time and decides everything;
 * a run that was cut off anywhere is mended by running again.
 */
import { type ApplyOptions, apply } from './apply.js'
import { isToolkitError, ToolkitError } from './errors.js'
import type { WriteLatch } from './http.js'
import { type Change, fingerprint, inOrder, type ManualStep, type Observed, type Reconcilers, renderChange } from './plan.js'
import type { Receipt } from './sink.js'
import { observe, reconcilerFor, type Target, type World } from './world.js'

export { objectKey, type Target } from './world.js'

export interface Plan {
  readonly changes: readonly Change[]
  readonly manual: readonly ManualStep[]
  /** What is locked while it is carried out: issuer and tenant. */
  readonly tenants: readonly string[]
}

export interface Outcome extends Plan {
  readonly applied: boolean
  readonly receipts: readonly Receipt[]
  /** What the last observation saw, by `objectKey`; before an apply the objects that are to be created are absent. */
  readonly objects: ReadonlyMap<string, Observed>
}

export interface ConvergeOptions extends ApplyOptions {
  readonly latch: WriteLatch
  /** True to stop after the plan, which `onPlan` is shown. */
  readonly planOnly?: boolean
  readonly onPlan?: (plan: Plan) => void
  /** The person's answer; false is `declined`. */
  readonly approve: (plan: Plan) => Promise<boolean>
  readonly lock: <T>(tenants: readonly string[], work: () => Promise<T>) => Promise<T>
}

/**
 * @throws ToolkitError declined; conflict when the world moved between plan and apply; not_converged when something
 * still differs afterwards; whatever observing and writing throw
 */
export async function converge(target: Target, options: ConvergeOptions): Promise<Outcome> {
  const before = await observe(target)
  const manual = target.manual ?? []
  const plan: Plan = { changes: inOrder(before.changes), manual, tenants: target.tenants }
  const unchanged = { ...plan, applied: false, receipts: [], objects: before.objects }
  if (plan.changes.length === 0) return unchanged
  await checkRights(plan, target.reconcilers)
  if (options.planOnly) {
    options.onPlan?.(plan)
    return unchanged
  }
  if (!(await options.approve(plan))) {
    throw new ToolkitError('declined', 'nobody said yes; nothing was changed', { plan: renderPlan(plan) })
  }
  return options.lock(target.tenants, async () => {
    const fresh = await observe(target).catch((error: unknown) => {
      throw isVerdict(error) ? movedWorld([error.message]) : error
    })
    // Somebody else made it so while we waited for them: two who want the same do not refuse each other.
    if (fresh.changes.length === 0) return { ...plan, changes: [], applied: false, receipts: [], objects: fresh.objects }
    refuseMovedWorld(plan, fresh)
    const receipts = await options.latch.whileOpen(() => apply(target, fresh, options))
    const after = await observe(target)
    // A rotation is wanted once and never "there".
    const left = after.changes.filter(({ action }) => action !== 'rotate_secret')
    if (left.length > 0) {
      const remaining = left.flatMap(renderChange)
      throw new ToolkitError(
        'not_converged',
        ['after the change this still differs:', ...remaining].join('\n'),
        { remaining },
        'run it again',
      )
    }
    return { ...plan, applied: true, receipts, objects: after.objects }
  })
}

/** A plan as lines; manual steps are numbered at the end. */
export function renderPlan({ changes, manual }: Pick<Plan, 'changes' | 'manual'>): string[] {
  const steps = manual.flatMap(({ title, steps }, index) => [`${index + 1}. by hand: ${title}`, ...steps.map((step) => `    ${step}`)])
  return [...changes.flatMap(renderChange), ...steps]
}

async function checkRights({ changes }: Plan, reconcilers: Reconcilers): Promise<void> {
  const kinds = [...new Set(changes.map(({ kind }) => kind))]
  await Promise.all(kinds.map((kind) => reconcilerFor(reconcilers, kind).checkWrite?.()))
}

function refuseMovedWorld(plan: Plan, fresh: World): void {
  const approved = new Set(plan.changes.map(fingerprint))
  const now = new Set(fresh.changes.map(fingerprint))
  const unknown = inOrder(fresh.changes).filter((change) => !approved.has(fingerprint(change)))
  const gone = plan.changes.filter((change) => !now.has(fingerprint(change)))
  const moved = [...unknown, ...gone].flatMap(renderChange)
  if (moved.length > 0) throw movedWorld(moved)
}

/** What is found wrong with a world for which a plan was approved a moment ago. */
function isVerdict(error: unknown): error is ToolkitError {
  return isToolkitError(error) && ['conflict', 'owned_elsewhere', 'not_found', 'ambiguous'].includes(error.code)
}

function movedWorld(moved: readonly string[]): ToolkitError<'conflict'> {
  return new ToolkitError(
    'conflict',
    ['something changed after the plan was shown; nothing was written:', ...moved].join('\n'),
    { kind: 'plan', key: 'moved', moved },
    'look at the new plan',
  )
}
