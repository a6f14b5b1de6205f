/** Carries out an approved plan: creates and updates in dependency order, removals in reverse, secrets saved before anything else can fail. */
import { randomBytes } from 'node:crypto'
import { isToolkitError, ToolkitError } from './errors.js'
import { type Change, type Created, changeFor, clientIdOf, inOrder, keyText, type Observed, type Reconciler } from './plan.js'
import { isRef, type Kind, ORDER } from './resources.js'
import { Secret } from './secret.js'
import type { Receipt, SecretSink } from './sink.js'
import { type Item, reconcilerFor, resolved, secretChange, sinkOf, type Target, type World } from './world.js'

export interface ApplyOptions {
  /** One finished step in words. */
  readonly progress?: (line: string) => void
  readonly signal?: AbortSignal
}

/** Requests under way at once within one kind: more gains nothing on a Keycloak of two cores (measured). */
const CONCURRENCY = 4

export async function apply(target: Target, world: World, options: ApplyOptions): Promise<Receipt[]> {
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
  if (change) await reconciler.update(current, fieldsOf(change))
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
  const receipt = sink && toSave ? await sink.save(toSave, clientIdOf(object) ?? '') : undefined
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
  const actual = sink && ((await reconciler.readSecret?.(object)) ?? secret)
  if (sink && !actual) throw error
  const receipt = sink && actual ? await sink.save(actual, clientIdOf(object) ?? '') : undefined
  // A create may take more than one request, and the lost answer need not be the last one's.
  const rest = isToolkitError(error, 'unavailable') ? changeFor(wanted, object) : undefined
  if (rest?.action === 'update') await reconciler.update(object, fieldsOf(rest))
  return { done: 'found', object, ...(receipt ? { receipt } : {}) }
}

function fieldsOf({ fields }: Change): Record<string, unknown> {
  return Object.fromEntries(fields.map(({ field, to }) => [field, to]))
}

async function saveExistingSecret(sink: SecretSink, current: Observed, reconciler: Reconciler<Kind>): Promise<Receipt> {
  const secret = await reconciler.readSecret?.(current)
  if (secret) return sink.save(secret, clientIdOf(current) ?? '')
  throw new ToolkitError(
    'unsupported',
    `the secret of ${clientIdOf(current)} cannot be read back, and ${sink.place} does not hold it`,
    { system: 'identity provider', capability: 'reading a client secret', why: 'the server shows a secret once, at creation' },
    'rotate the secret',
  )
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
