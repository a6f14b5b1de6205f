/**
 * Plan, ask, apply, verify: the only way anything changes. Observation is live each time and decides everything;
 * a run that was cut off anywhere is mended by running again.
 */
import { randomBytes } from 'node:crypto'
import { isToolkitError, ToolkitError } from './errors.js'
import type { WriteLatch } from './http.js'
import {
  type Change,
  type Created,
  changeFor,
  type FieldChange,
  fingerprint,
  inOrder,
  keyText,
  type ManualStep,
  type Observed,
  type Reconciler,
  type Reconcilers,
  renderChange,
  type Wanted,
} from './plan.js'
import { isRef, type Kind, ORDER, type Ref } from './resources.js'
import { Secret } from './secret.js'
import type { Receipt, SecretSink } from './sink.js'

/** What an operation wants to be true, and who can make it so. */
export interface Target {
  readonly wanted: readonly Wanted[]
  readonly reconcilers: Reconcilers
  readonly manual?: readonly ManualStep[]
  /** Names of what is locked during the apply, one per issuer and tenant. */
  readonly tenants: readonly string[]
}

export interface Plan {
  readonly changes: readonly Change[]
  readonly manual: readonly ManualStep[]
}

export interface Outcome extends Plan {
  readonly applied: boolean
  readonly receipts: readonly Receipt[]
  /** What the last observation saw, by `objectKey`; before an apply the objects that are to be created are absent. */
  readonly objects: ReadonlyMap<string, Observed>
}

export interface ConvergeOptions {
  readonly latch: WriteLatch
  /** True to stop after the plan, which `onPlan` is shown. */
  readonly planOnly?: boolean
  readonly onPlan?: (plan: Plan) => void
  /** The person's answer; false is `declined`. */
  readonly approve: (plan: Plan) => Promise<boolean>
  readonly lock: <T>(tenants: readonly string[], work: () => Promise<T>) => Promise<T>
  /** One finished step in words. */
  readonly progress?: (line: string) => void
  readonly signal?: AbortSignal
}

/** Requests under way at once within one kind: more gains nothing on a Keycloak of two cores (measured). */
const CONCURRENCY = 4

/**
 * @throws ToolkitError declined; conflict when the world moved between plan and apply; not_converged when something
 * still differs afterwards; whatever observing and writing throw
 */
export async function converge(target: Target, options: ConvergeOptions): Promise<Outcome> {
  const before = await observe(target)
  const manual = target.manual ?? []
  const plan: Plan = { changes: inOrder(before.changes), manual }
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
    const fresh = await observe(target)
    refuseMovedWorld(plan, fresh)
    const receipts = await options.latch.whileOpen(() => apply(target, fresh, options))
    const after = await observe(target)
    if (after.changes.length > 0) {
      const remaining = after.changes.flatMap(renderChange)
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
export function renderPlan({ changes, manual }: Plan): string[] {
  const steps = manual.flatMap(({ title, steps }, index) => [`${index + 1}. by hand: ${title}`, ...steps.map((step) => `    ${step}`)])
  return [...changes.flatMap(renderChange), ...steps]
}

/** Where an object is found in `Outcome.objects`. */
export function objectKey(kind: Kind, key: string | Ref): string {
  return `${kind} ${keyText(key)}`
}

/** One wanted object beside what is there. `wanted` has every reference resolved that can be. */
interface Item {
  readonly name: string
  readonly wanted: Wanted
  readonly current: Observed | undefined
  readonly saved: Awaited<ReturnType<SecretSink['read']>>
  readonly change: Change | undefined
  readonly saveSecret: boolean
}
interface World {
  readonly items: readonly Item[]
  readonly changes: readonly Change[]
  readonly objects: ReadonlyMap<string, Observed>
}

async function observe(target: Target): Promise<World> {
  const objects = new Map<string, Observed>()
  const refers = (wanted: Wanted) => isRef(wanted.key)
  await observeInto(
    objects,
    target,
    target.wanted.filter((wanted) => !refers(wanted)),
  )
  await observeInto(objects, target, target.wanted.filter(refers))
  const items = await Promise.all(
    target.wanted.map((wanted) => compare(resolved(wanted, objects), objectKey(wanted.kind, wanted.key), objects)),
  )
  const changes = items.flatMap(({ change, saveSecret, wanted }) => [
    ...(change ? [change] : []),
    ...(saveSecret ? [secretChange(wanted)] : []),
  ])
  return { items, changes, objects }
}

/** One `observe` a kind, kinds side by side. */
async function observeInto(objects: Map<string, Observed>, target: Target, wanted: readonly Wanted[]): Promise<void> {
  await Promise.all(
    ORDER.map(async (kind) => {
      const ofKind = wanted.filter((one) => one.kind === kind)
      if (ofKind.length === 0) return
      const keyed = ofKind.flatMap((one) => {
        const { key } = resolved(one, objects)
        return isRef(key) ? [] : [{ key, name: objectKey(kind, one.key) }]
      })
      if (keyed.length === 0) return
      const seen = await reconcilerFor(target.reconcilers, kind).observe(keyed.map(({ key }) => key))
      for (const { key, name } of keyed) {
        const found = seen.get(key)
        if (found) objects.set(name, found)
      }
    }),
  )
}

async function compare(wanted: Wanted, name: string, objects: ReadonlyMap<string, Observed>): Promise<Item> {
  const current = objects.get(name)
  const plain = changeFor(wanted, current)
  const sink = sinkOf(wanted)
  if (!sink) return { name, wanted, current, saved: undefined, change: plain, saveSecret: false }
  const saved = await sink.read()
  refuseOtherClient(saved?.client_id, wanted, current, sink)
  const change = plain?.action === 'create' ? { ...plain, fields: [...plain.fields, secretField(sink)] } : plain
  const pending = current && saved ? await sink.readPending() : undefined
  return { name, wanted, current, saved, change, saveSecret: current !== undefined && (saved === undefined || pending !== undefined) }
}

function refuseOtherClient(saved: string | undefined, wanted: Wanted, current: Observed | undefined, sink: SecretSink): void {
  const chosen = 'spec' in wanted && 'client_id' in wanted.spec ? wanted.spec.client_id : undefined
  const actual = current && 'client_id' in current.spec ? current.spec.client_id : chosen
  if (saved === undefined || typeof actual !== 'string' || saved === actual) return
  throw new ToolkitError(
    'conflict',
    `${sink.place} holds the secret of client ${saved}, not of ${actual}`,
    { kind: wanted.kind, key: keyText(wanted.key) },
    'name another --secret-file, or move the old one away',
  )
}

const secretField = (sink: SecretSink): FieldChange => ({ field: 'secret_file', from: null, to: sink.place })

function secretChange(wanted: Wanted): Change {
  const sink = sinkOf(wanted)
  const fields = sink ? [secretField(sink)] : []
  return { action: 'save_secret', kind: wanted.kind, key: keyText(wanted.key), fields }
}

function sinkOf(wanted: Wanted): SecretSink | undefined {
  return wanted.ensure === 'present' ? wanted.sink : undefined
}

/** References whose object is known become its id; the others stay. */
function resolved(wanted: Wanted, objects: ReadonlyMap<string, Observed>): Wanted {
  const resolve = (value: unknown): unknown => {
    if (!isRef(value)) return value
    const found = objects.get(objectKey(value.from.kind, value.from.key))
    return found && 'client_id' in found.spec && typeof found.spec.client_id === 'string' ? found.spec.client_id : value
  }
  const spec =
    'spec' in wanted ? { spec: Object.fromEntries(Object.entries(wanted.spec).map(([field, value]) => [field, resolve(value)])) } : {}
  return { ...wanted, ...spec, key: resolve(wanted.key) } as Wanted
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
  if (moved.length === 0) return
  throw new ToolkitError(
    'conflict',
    ['something changed after the plan was shown; nothing was written:', ...moved].join('\n'),
    { kind: 'plan', key: 'moved', moved },
    'look at the new plan',
  )
}

async function apply(target: Target, world: World, options: ConvergeOptions): Promise<Receipt[]> {
  const receipts: Receipt[] = []
  const objects = new Map(world.objects)
  const work = inOrder(
    world.items.flatMap((item) => (item.change || item.saveSecret ? [{ item, ...(item.change ?? secretChange(item.wanted)) }] : [])),
  )
  const batches = ORDER.map((kind) => work.filter((one) => one.kind === kind && one.action !== 'remove'))
  const removals = [...ORDER].reverse().map((kind) => work.filter((one) => one.kind === kind && one.action === 'remove'))
  for (const batch of [...batches, ...removals]) {
    await inPool(batch, async ({ item }) => {
      options.signal?.throwIfAborted()
      const wanted = resolved(item.wanted, objects)
      const step = await applyOne({ ...item, wanted }, reconcilerFor(target.reconcilers, wanted.kind))
      if (step.receipt) receipts.push(step.receipt)
      if (step.object) objects.set(item.name, step.object)
      options.progress?.(`${step.done} ${wanted.kind} ${keyText(wanted.key)}`)
    })
  }
  return receipts
}

interface Step {
  readonly done: string
  readonly object?: Observed
  readonly receipt?: Receipt
}

async function applyOne(item: Item, reconciler: Reconciler<Kind>): Promise<Step> {
  const { wanted, current, change } = item
  if (change?.action === 'remove' && current) {
    await reconciler.remove(current)
    return { done: 'removed' }
  }
  if (!('spec' in wanted)) return { done: 'left' }
  if (!current) return createOne({ ...item, wanted }, reconciler)
  if (wanted.ensure !== 'present') return { done: 'left' }
  if (change) await reconciler.update(current, Object.fromEntries(change.fields.map(({ field, to }) => [field, to])))
  const receipt = item.saveSecret && wanted.sink ? await saveExistingSecret(wanted.sink, current, reconciler) : undefined
  return { done: change ? 'updated' : 'saved the secret of', ...(receipt ? { receipt } : {}) }
}

async function createOne(item: Item & { wanted: { ensure: 'present' | 'exists' } }, reconciler: Reconciler<Kind>): Promise<Step> {
  const { wanted } = item
  const sink = sinkOf(wanted)
  const secret = sink && reconciler.secret === 'chosen' ? await chosenSecret(item, sink) : undefined
  let created: Created<Kind>
  try {
    created = await reconciler.create(wanted.spec, secret)
  } catch (error) {
    return createdAfterAll(error, item, reconciler, secret)
  }
  const object: Observed = { id: '', owner: 'us', spec: { ...wanted.spec, ...created.spec } as Observed['spec'] }
  const toSave = created.secret ?? secret
  const receipt = sink && toSave ? await sink.save(toSave, clientIdOf(object)) : undefined
  return { done: 'created', object, ...(receipt ? { receipt } : {}) }
}

/** A saved secret beside a missing client is used again, so is a pending one; else 32 random bytes, pending first. */
async function chosenSecret({ saved }: Item, sink: SecretSink): Promise<Secret> {
  const earlier = saved?.secret ?? (await sink.readPending())
  if (earlier) return earlier
  const fresh = new Secret(randomBytes(32).toString('base64url'))
  await sink.savePending(fresh)
  return fresh
}

/** The answer was lost or somebody was faster: look, do not repeat. */
async function createdAfterAll(
  error: unknown,
  item: Item & { wanted: { ensure: 'present' | 'exists' } },
  reconciler: Reconciler<Kind>,
  secret?: Secret,
): Promise<Step> {
  if (!isToolkitError(error, 'conflict') && !isToolkitError(error, 'unavailable')) throw error
  const { wanted } = item
  if (isRef(wanted.key)) throw error
  const object = (await reconciler.observe([wanted.key])).get(wanted.key)
  if (object === undefined || (wanted.ensure === 'present' && object.owner !== 'us')) throw error
  const sink = sinkOf(wanted)
  if (!sink) return { done: 'found', object }
  const actual = (await reconciler.readSecret?.(object)) ?? secret
  if (!actual) throw error
  return { done: 'found', object, receipt: await sink.save(actual, clientIdOf(object)) }
}

async function saveExistingSecret(sink: SecretSink, current: Observed, reconciler: Reconciler<Kind>): Promise<Receipt> {
  const secret = await reconciler.readSecret?.(current)
  if (secret) return sink.save(secret, clientIdOf(current))
  throw new ToolkitError(
    'unsupported',
    `the secret of ${clientIdOf(current)} cannot be read back, and ${sink.place} does not hold it`,
    { system: 'identity provider', capability: 'reading a client secret', why: 'the server shows a secret once, at creation' },
    'rotate the secret',
  )
}

function clientIdOf({ spec }: Observed): string {
  return 'client_id' in spec && typeof spec.client_id === 'string' ? spec.client_id : ''
}

function reconcilerFor(reconcilers: Reconcilers, kind: Kind): Reconciler<Kind> {
  const reconciler = reconcilers[kind]
  if (reconciler) return reconciler as unknown as Reconciler<Kind>
  throw new ToolkitError('unsupported', `${kind} cannot be managed here`, {
    system: 'identity provider',
    capability: kind,
    why: 'no reconciler',
  })
}

/** Runs `work` over the items, a few at once; the first failure stops new ones and is thrown after the running ones ended. */
async function inPool<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items]
  const failures: unknown[] = []
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined && failures.length === 0; item = queue.shift()) {
      await work(item).catch((error: unknown) => failures.push(error))
    }
  }
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, items.length) }, worker))
  if (failures.length > 0) throw failures[0]
}
