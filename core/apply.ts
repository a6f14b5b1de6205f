/** Carries out an approved plan: creates and updates in dependency order, removals in reverse, secrets saved before anything else can fail. */
import { setTimeout as sleep } from 'node:timers/promises'
import { isToolkitError } from './errors.js'
import { type Change, depthOf, inOrder, keyText, type Observed, type Reconciler } from './plan.js'
import { type ClientKind, isRef, type Kind } from './resources.js'
import type { Receipt } from './sink.js'
import { once, type Step } from './step.js'
import { compare, type Item, reconcilerFor, resolved, secretChange, sinkOf, type Target, type World } from './world.js'

/** One finished step of an apply. */
export interface StepDone {
  readonly done: string
  readonly kind: Kind
  readonly key: string
  /** This is the how-manieth of how many. */
  readonly count: number
  readonly total: number
}

/** `created group data-readers (3 of 12)` */
export function stepText({ done, kind, key, count, total }: StepDone): string {
  return `${done} ${kind} ${key} (${count} of ${total})`
}

export interface ApplyOptions {
  readonly onStep?: (step: StepDone) => void
  readonly signal?: AbortSignal
  /** How long one object is tried for while its server is busy or away, milliseconds. */
  readonly patienceMs?: number
}

/** Requests under way at once within one kind: more gains nothing on a Keycloak of two cores (measured). */
const CONCURRENCY = 8
const PATIENCE_MS = 60_000
const PAUSE_MS = { first: 100, longest: 5_000 }

interface Work {
  readonly item: Item
  readonly kind: Kind
  readonly key: string
  readonly action: Change['action']
}

/** `receipts`, by place, gets one for each secret that was saved, also when the apply then fails. */
export async function apply(target: Target, world: World, options: ApplyOptions, receipts: Map<string, Receipt>): Promise<void> {
  const objects = new Map(world.objects)
  const work = inOrder(
    world.items.flatMap((item): Work[] => {
      const change = item.change ?? (item.saveSecret ? secretChange(item.wanted) : undefined)
      return change ? [{ item, kind: change.kind, key: change.key, action: change.action }] : []
    }),
  )
  let count = 0
  for (const batch of batches(work)) {
    await inPool(batch, async ({ item, kind }) => {
      options.signal?.throwIfAborted()
      const wanted = resolved(item.wanted, objects)
      const step = await carryOut({ ...item, wanted }, reconcilerFor(target.reconcilers, kind), options)
      if (step.receipt) receipts.set(step.receipt.saved_to, step.receipt)
      if (step.object) objects.set(item.name, step.object)
      count += 1
      options.onStep?.({ done: step.done, kind, key: keyText(wanted.key), count, total: work.length })
    })
  }
}

/** No client needs another one, of whatever kind. */
const CLIENTS: readonly Kind[] = ['public-client', 'web-client', 'machine-client'] satisfies readonly ClientKind[]

/** What may be under way at once: one kind at one depth, clients of all kinds, and not both making and removing. */
function batches(work: readonly Work[]): Work[][] {
  const found = new Map<string, Work[]>()
  for (const one of work) {
    const name = `${CLIENTS.includes(one.kind) ? 'client' : one.kind} ${one.action === 'remove'} ${depthOf(one.key)}`
    const batch = found.get(name) ?? []
    batch.push(one)
    found.set(name, batch)
  }
  return [...found.values()]
}

/**
 * One object, until it is as wanted. After a lost answer, or when somebody was faster, nothing is sent again before a look
 * at what is there.
 */
async function carryOut(item: Item, reconciler: Reconciler<Kind>, options: ApplyOptions): Promise<Step> {
  const until = performance.now() + (options.patienceMs ?? PATIENCE_MS)
  let current = item
  for (let pause = PAUSE_MS.first; ; pause = Math.min(2 * pause, PAUSE_MS.longest)) {
    try {
      return await once(current, reconciler)
    } catch (error) {
      const again = await lookAgain(error, current, reconciler)
      if (again.change === undefined && !again.saveSecret) {
        return again.current ? { done: 'found', object: again.current } : { done: 'removed' }
      }
      const isSame = again.change?.action === current.change?.action
      if (isSame && (performance.now() + pause > until || options.signal?.aborted === true)) throw error
      if (isSame) await sleep(pause, undefined, options.signal ? { signal: options.signal } : {})
      current = again
    }
  }
}

/** @throws the error itself where looking cannot help */
async function lookAgain(error: unknown, item: Item, reconciler: Reconciler<Kind>): Promise<Item> {
  const { wanted, name, change } = item
  const wasTaken = isToolkitError(error, 'conflict') && change?.action === 'create'
  const isGone = isToolkitError(error, 'not_found') && change?.action === 'remove'
  const isLost = isToolkitError(error, 'rate_limited') || (isToolkitError(error, 'unavailable') && error.details.reason !== 'stopped')
  if (isRef(wanted.key) || !(wasTaken || isGone || isLost)) throw error
  const seen = (await reconciler.observe([wanted.key])).get(wanted.key)
  if (wasTaken && (seen === undefined || (seen.owner !== 'us' && wanted.ensure === 'present'))) {
    // The pending secret is of a client that never was.
    await sinkOf(wanted)?.discardPending()
    throw error
  }
  const again = await compare(wanted, name, seen, reconciler)
  const isRotated = again.change?.action === 'rotate_secret' && (await hasPendingSecret(again, seen))
  return isRotated ? { ...again, change: undefined, saveSecret: true } : again
}

async function hasPendingSecret({ wanted }: Item, seen: Observed | undefined): Promise<boolean> {
  const pending = await sinkOf(wanted)?.readPending()
  return pending !== undefined && seen?.secret?.equals(pending) === true
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
