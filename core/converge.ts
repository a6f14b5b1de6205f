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
    const { receipts, after } = await applyAndLook(target, plan, fresh, options)
    const left = after.changes.filter(isNotRotation)
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

/**
 * Applies and looks, and does so once more where that is all agreed to: a server that was killed may have lost what it
 * acknowledged, which shows as something made a moment ago that is not found, or only at the end.
 */
async function applyAndLook(
  target: Target,
  plan: Plan,
  fresh: World,
  options: ConvergeOptions,
): Promise<{ receipts: Receipt[]; after: World }> {
  const receipts = new Map<string, Receipt>()
  const pass = (world: World) => options.latch.whileOpen(() => apply(target, world, options, receipts))
  const mayRepeat = plan.changes.every(isNotRotation)
  let failure: unknown
  await pass(fresh).catch((error: unknown) => {
    if (!mayRepeat || !isToolkitError(error, 'not_found')) throw error
    failure = error
  })
  let after = await observe(target)
  if (mayRepeat && after.changes.length > 0 && isAgreed(after.changes, plan)) {
    await pass(after)
    after = await observe(target)
  } else if (failure !== undefined) throw failure
  return { receipts: [...receipts.values()], after }
}

/** A rotation is wanted once and never "there". */
function isNotRotation({ action }: Change): boolean {
  return action !== 'rotate_secret'
}

/**
 * Whether the plan already gives every one of these fields its value: an object that it creates may be there by half. To
 * take something over was agreed to for whatever shows up as nobody's: a tenant that becomes ours may show its people so.
 */
function isAgreed(changes: readonly Change[], plan: Plan): boolean {
  const valuesOf = ({ kind, key, fields }: Change) =>
    fields.map(({ field, to }) => fingerprint({ action: 'update', kind, key, fields: [{ field, to }] }))
  const agreed = new Set(plan.changes.flatMap(valuesOf))
  return changes.every((change) => change.action !== 'remove' && valuesOf(change).every((value) => agreed.has(value)))
}

/** A plan as lines; manual steps are numbered at the end. */
export function renderPlan({ changes, manual }: Pick<Plan, 'changes' | 'manual'>): string[] {
  const steps = manual.flatMap(({ title, steps }, index) => [`${index + 1}. by hand: ${title}`, ...steps.map((step) => `    ${step}`)])
  return [...changes.flatMap(renderChange), ...steps]
}

async function checkRights({ changes }: Plan, reconcilers: Reconcilers): Promise<void> {
  // A secret that is only saved again is written to our own file.
  const sent = changes.filter(({ action }) => action !== 'save_secret')
  const kinds = [...new Set(sent.map(({ kind }) => kind))]
  await Promise.all(kinds.map((kind) => reconcilerFor(reconcilers, kind).checkWrite?.(sent.filter((one) => one.kind === kind))))
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
