/** What is there beside what is wanted: one bulk observation a kind, references resolved, secrets' places looked at. */
import { ToolkitError } from './errors.js'
import {
  type Change,
  changeFor,
  clientIdOf,
  type FieldChange,
  keyText,
  type ManualStep,
  type Observed,
  type Reconciler,
  type Reconcilers,
  subjectOf,
  type Wanted,
} from './plan.js'
import { isRef, type Kind, ORDER, type Ref } from './resources.js'
import type { Secret } from './secret.js'
import type { SecretSink } from './sink.js'

/** What an operation wants to be true, and who can make it so. */
export interface Target {
  readonly wanted: readonly Wanted[]
  readonly reconcilers: Reconcilers
  readonly manual?: readonly ManualStep[]
  /** Names of what is locked during the apply, one per issuer and tenant. */
  readonly tenants: readonly string[]
}

/** Where an object is found in `Outcome.objects`. */
export function objectKey(kind: Kind, key: string | Ref): string {
  return `${kind} ${keyText(key)}`
}

/** One wanted object beside what is there. `wanted` has every reference resolved that can be. */
export interface Item {
  readonly name: string
  readonly wanted: Wanted
  readonly current: Observed | undefined
  readonly saved: Awaited<ReturnType<SecretSink['read']>>
  readonly change: Change | undefined
  readonly saveSecret: boolean
}
export interface World {
  readonly items: readonly Item[]
  readonly changes: readonly Change[]
  readonly objects: ReadonlyMap<string, Observed>
}

export async function observe(target: Target): Promise<World> {
  const objects = new Map<string, Observed>()
  const refers = (wanted: Wanted) => isRef(wanted.key)
  await observeInto(
    objects,
    target,
    target.wanted.filter((wanted) => !refers(wanted)),
  )
  await observeInto(objects, target, target.wanted.filter(refers))
  const items = await Promise.all(
    target.wanted.map((wanted) => {
      const name = objectKey(wanted.kind, wanted.key)
      return compare(resolved(wanted, objects), name, objects.get(name), reconcilerFor(target.reconcilers, wanted.kind))
    }),
  )
  refuseToTakeOthersAlong(items)
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

/** @throws ToolkitError what `changeFor` throws; conflict when the file holds another client's secret */
export async function compare(wanted: Wanted, name: string, current: Observed | undefined, reconciler: Reconciler<Kind>): Promise<Item> {
  const plain = changeFor(wanted, current)
  const sink = sinkOf(wanted)
  if (!sink) return { name, wanted, current, saved: undefined, change: plain, saveSecret: false }
  const saved = await sink.read()
  refuseOtherSubject(saved?.subject, wanted, current, sink)
  const setsSecret = plain?.action === 'create' || plain?.action === 'rotate_secret'
  const change = plain && setsSecret ? { ...plain, fields: [...plain.fields, secretField(sink)] } : plain
  const saveSecret = !setsSecret && current !== undefined && (await isSecretDue(saved?.secret, current, sink, reconciler))
  return { name, wanted, current, saved, change, saveSecret }
}

/** Whether the file lacks what the object has: nothing saved, a copy left pending, or the secret of another day. */
async function isSecretDue(saved: Secret | undefined, current: Observed, sink: SecretSink, reconciler: Reconciler<Kind>): Promise<boolean> {
  const isPending = (await sink.readPending()) !== undefined
  if (reconciler.secret === 'initial') return saved === undefined && isPending
  return isPending || saved === undefined || (current.secret !== undefined && !current.secret.equals(saved))
}

function refuseOtherSubject(saved: string | undefined, wanted: Wanted, current: Observed | undefined, sink: SecretSink): void {
  const chosen = 'spec' in wanted ? subjectOf(wanted) : undefined
  const actual = current ? subjectOf(current) : chosen
  if (saved === undefined || actual === undefined || saved === actual) return
  throw new ToolkitError(
    'conflict',
    `${sink.place} holds the secret of ${saved}, not of ${actual}`,
    { kind: wanted.kind, key: keyText(wanted.key) },
    'name another --secret-file, or move the old one away',
  )
}

/** An object that others are inside of is not removed from around them. */
function refuseToTakeOthersAlong(items: readonly Item[]): void {
  const removed = new Set(items.flatMap(({ change, name }) => (change?.action === 'remove' ? [name] : [])))
  for (const { wanted, current, change } of items) {
    if (change?.action !== 'remove') continue
    const others = (current?.holds ?? []).filter((key) => !removed.has(objectKey(wanted.kind, key)))
    if (others.length === 0) continue
    const key = keyText(wanted.key)
    throw new ToolkitError(
      'conflict',
      `${wanted.kind} ${key} cannot be removed: inside of it are ${others.slice(0, 5).join(', ')}${others.length > 5 ? ' and more' : ''}`,
      { kind: wanted.kind, key },
      'name them too, or move them away first',
    )
  }
}

const secretField = (sink: SecretSink): FieldChange => ({ field: 'secret_file', from: null, to: sink.place })

export function secretChange(wanted: Wanted): Change {
  const sink = sinkOf(wanted)
  const fields = sink ? [secretField(sink)] : []
  return { action: 'save_secret', kind: wanted.kind, key: keyText(wanted.key), fields }
}

export function sinkOf(wanted: Wanted): SecretSink | undefined {
  return wanted.ensure === 'present' || wanted.ensure === 'rotated' ? wanted.sink : undefined
}

/** References whose object is known become its id; the others stay. */
export function resolved(wanted: Wanted, objects: ReadonlyMap<string, Observed>): Wanted {
  const resolve = (value: unknown): unknown => {
    if (!isRef(value)) return value
    return clientIdOf(objects.get(objectKey(value.from.kind, value.from.key))) ?? value
  }
  const spec =
    'spec' in wanted ? { spec: Object.fromEntries(Object.entries(wanted.spec).map(([field, value]) => [field, resolve(value)])) } : {}
  return { ...wanted, ...spec, key: resolve(wanted.key) } as Wanted
}

export function reconcilerFor(reconcilers: Reconcilers, kind: Kind): Reconciler<Kind> {
  const reconciler = reconcilers[kind]
  if (reconciler) return reconciler as unknown as Reconciler<Kind>
  throw new ToolkitError('unsupported', `${kind} cannot be managed here`, {
    system: 'identity provider',
    capability: kind,
    why: 'no reconciler',
  })
}
