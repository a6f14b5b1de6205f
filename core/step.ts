/** One step of an apply: one create, update, removal or rotation, with its secret saved first or at once after it. */
import { randomBytes } from 'node:crypto'
import { ToolkitError } from './errors.js'
import { type Change, type Observed, type Reconciler, subjectOf } from './plan.js'
import type { Kind } from './resources.js'
import { Secret } from './secret.js'
import type { Receipt, SecretSink } from './sink.js'
import { type Item, sinkOf } from './world.js'

export interface Step {
  readonly done: string
  readonly object?: Observed
  readonly receipt?: Receipt
}

/** Sends what one item needs, once. @throws ToolkitError whatever the reconciler and the sink throw */
export async function once(item: Item, reconciler: Reconciler<Kind>): Promise<Step> {
  const { wanted, current, change } = item
  if (change?.action === 'remove' && current) {
    await reconciler.remove(current)
    return { done: 'removed' }
  }
  if (!current) return 'spec' in wanted ? createOne({ ...item, wanted }, reconciler) : { done: 'left' }
  if (change?.action === 'rotate_secret') return rotateOne(item, current, reconciler)
  const lost = reconciler.secret === 'chosen' && current.secret === undefined ? item.saved?.secret : undefined
  if (change) await reconciler.update(current, fieldsOf(change), lost)
  const sink = sinkOf(wanted)
  const receipt = item.saveSecret && sink ? await saveExistingSecret(sink, current, reconciler) : undefined
  const done = change ? (change.action === 'adopt' ? 'took over' : 'updated') : 'saved the secret of'
  // A client whose creating answer was lost is first known here, and others may refer to its id.
  return { done, object: current, ...(receipt ? { receipt } : {}) }
}

async function createOne(item: Item & { wanted: { ensure: 'present' | 'exists' } }, reconciler: Reconciler<Kind>): Promise<Step> {
  const { wanted, saved } = item
  const sink = sinkOf(wanted)
  const isOurs = reconciler.secret === 'chosen' || reconciler.secret === 'initial'
  // A saved secret beside a missing client is used again: a server may lose a create that it acknowledged.
  const secret = sink && isOurs ? (saved?.secret ?? (await pendingSecret(sink))) : undefined
  const created = await reconciler.create(wanted.spec, secret)
  const object: Observed = { id: '', owner: 'us', spec: { ...wanted.spec, ...created.spec } as Observed['spec'] }
  const toSave = created.secret ?? secret
  const receipt = sink && toSave ? await sink.save(toSave, subjectOf(object) ?? '') : undefined
  return { done: 'created', object, ...(receipt ? { receipt } : {}) }
}

/** At every moment one of the two saved secrets works: the old one until the server has the new one, which is pending by then. */
async function rotateOne({ wanted }: Item, current: Observed, reconciler: Reconciler<Kind>): Promise<Step> {
  const sink = sinkOf(wanted)
  const subject = subjectOf(current) ?? ''
  if (reconciler.setSecret === undefined || sink === undefined) {
    const details = { system: 'identity provider', capability: 'rotating a secret', why: 'it has no way to set one' }
    throw new ToolkitError('unsupported', `the secret of ${subject} cannot be rotated here`, details)
  }
  const pending = await sink.readPending()
  // An earlier rotation got as far as the server.
  if (pending && current.secret?.equals(pending)) await sink.save(pending, subject)
  const fresh = await pendingSecret(sink)
  await reconciler.setSecret(current, fresh)
  return { done: 'rotated the secret of', receipt: await sink.save(fresh, subject) }
}

/** The secret that is pending already, else 32 random bytes, saved as pending before anybody hears of them. */
async function pendingSecret(sink: SecretSink): Promise<Secret> {
  const earlier = await sink.readPending()
  if (earlier) return earlier
  const fresh = new Secret(randomBytes(32).toString('base64url'))
  await sink.savePending(fresh)
  return fresh
}

async function saveExistingSecret(sink: SecretSink, current: Observed, reconciler: Reconciler<Kind>): Promise<Receipt> {
  const subject = subjectOf(current) ?? ''
  const secret = reconciler.secret === 'initial' ? await sink.readPending() : current.secret
  if (secret) return sink.save(secret, subject)
  throw new ToolkitError(
    'unsupported',
    `the secret of ${subject} cannot be read back, and ${sink.place} does not hold it`,
    { system: 'identity provider', capability: 'reading a client secret', why: 'the server shows a secret once, at creation' },
    'rotate the secret',
  )
}

function fieldsOf({ fields }: Change): Record<string, unknown> {
  return Object.fromEntries(fields.map(({ field, to }) => [field, to]))
}
