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
  type Wanted,
} from './plan.js'
import { isRef, type Kind, ORDER, type Ref } from './resources.js'
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
  refuseOtherClient(saved?.subject, wanted, current, sink)
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

export function secretChange(wanted: Wanted): Change {
  const sink = sinkOf(wanted)
  const fields = sink ? [secretField(sink)] : []
  return { action: 'save_secret', kind: wanted.kind, key: keyText(wanted.key), fields }
}

export function sinkOf(wanted: Wanted): SecretSink | undefined {
  return wanted.ensure === 'present' ? wanted.sink : undefined
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
