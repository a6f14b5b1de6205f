/** Many identities at once: so many at a time an issuer, no issuer waiting for another, each one's end told as it comes. */
import { isToolkitError } from '../core/errors.js'
import { stopped } from '../core/http-failure.js'
import type { IdentityEntry } from './identities.js'
import type { IdentityState } from './identity-state.js'
import { keepFresh, type Minted, type Minting, mintToFile, requestOf } from './mint.js'

/** Saved tokens looked at at once: a few, since the disk is one. */
const LOOKING = 8
/** Reasons of `unavailable` that say a time has passed in silence. */
const UNANSWERED: ReadonlySet<string> = new Set(['deadline', 'UND_ERR_CONNECT_TIMEOUT'])

export interface Batch extends Minting {
  /** Requests at once to one issuer. */
  readonly concurrency: number
  onState(state: IdentityState): void
}

export interface Failure {
  readonly identity_name: string
  readonly error: unknown
}

/** Never throws for an identity: what failed is told with its cause, in the order of the identities. */
export async function mintAll(entries: readonly IdentityEntry[], batch: Batch): Promise<{ minted: Minted[]; failed: Failure[] }> {
  const ends = new Map<IdentityEntry, Minted | Failure>()
  const told: Told = (entry, end) => {
    ends.set(entry, end)
    batch.onState(stateOf(entry, end))
  }
  const queues = new Map<string, IdentityEntry[]>()
  await inLanes(entries, LOOKING, async (entry) => {
    const end = await endOf(entry, batch, () => keepFresh(entry, batch))
    if (end) return told(entry, end)
    const { issuer } = requestOf(entry)
    const queue = queues.get(issuer) ?? []
    queues.set(issuer, queue)
    queue.push(entry)
    batch.onState({ state: 'due', identity_name: entry.identity.identity_name, issuer })
  })
  await Promise.all([...queues].map(([issuer, queue]) => mintQueue(issuer, queue, batch, told)))
  const all = entries.flatMap((entry) => ends.get(entry) ?? [])
  return { minted: all.filter((end) => 'receipt' in end), failed: all.filter((end) => 'error' in end) }
}

type Told = (entry: IdentityEntry, end: Minted | Failure) => void

/** The identities of one issuer. Once it is silent, nobody else waits for it. */
async function mintQueue(issuer: string, queue: readonly IdentityEntry[], batch: Batch, told: Told): Promise<void> {
  let underWay = 0
  let answeredAt = 0
  let unanswered = 0
  let silence: unknown
  await inLanes(queue, batch.concurrency, async (entry) => {
    const { identity_name } = entry.identity
    if (batch.signal?.aborted) return told(entry, { identity_name, error: stopped(issuer) })
    if (silence !== undefined) return told(entry, { identity_name, error: silence })
    batch.onState({ state: 'minting', identity_name, issuer })
    const began = performance.now()
    underWay += 1
    const end = await endOf(entry, batch, () => mintToFile(entry, batch))
    underWay -= 1
    if (isAnswer(end)) {
      answeredAt = performance.now()
      unanswered = 0
    } else if ('error' in end && isUnanswered(end.error)) {
      unanswered += 1
      // One identity alone may be the server's trouble; not when another one waits, or waited, in vain as well.
      if (began > answeredAt && (underWay > 0 || unanswered > 1)) silence = end.error
    }
    told(entry, end)
  })
}

async function inLanes<T>(items: readonly T[], lanes: number, work: (item: T) => Promise<void>): Promise<void> {
  const left = items.values()
  const lane = async () => {
    for (const item of left) await work(item)
  }
  await Promise.all(Array.from({ length: Math.min(lanes, items.length) }, lane))
}

async function endOf<T extends Minted | undefined>(entry: IdentityEntry, { signal }: Batch, work: () => Promise<T>): Promise<T | Failure> {
  try {
    return await work()
  } catch (error) {
    const isStopped = signal?.aborted === true && !isToolkitError(error)
    return { identity_name: entry.identity.identity_name, error: isStopped ? stopped(requestOf(entry).issuer) : error }
  }
}

function stateOf(entry: IdentityEntry, end: Minted | Failure): IdentityState {
  const { identity_name } = entry.identity
  const { issuer } = requestOf(entry)
  if ('error' in end) return { state: 'failed', identity_name, issuer, ...causeOf(end.error) }
  const { saved_to, expires_at = '' } = end.receipt
  return { state: end.reused ? 'kept' : 'minted', identity_name, issuer, saved_to, expires_at }
}

/** Code, words and next step of a failure, for people; a defect of ours tells nothing more. */
export function causeOf(error: unknown): { code: string; cause: string; hint?: string } {
  if (!isToolkitError(error)) return { code: 'internal', cause: 'a defect of this tool' }
  const { code, message, hint } = error
  return { code, cause: message, ...(hint === undefined ? {} : { hint }) }
}

/** Whether the issuer said something, be it no. */
function isAnswer(end: Minted | Failure): boolean {
  if (!('error' in end)) return true
  const { error } = end
  if (isToolkitError(error, 'unavailable')) return error.details.status !== undefined
  return isToolkitError(error) && error.code !== 'invalid_input' && error.code !== 'internal'
}

/** Whether it let its time pass. */
function isUnanswered(error: unknown): boolean {
  return isToolkitError(error, 'unavailable') && UNANSWERED.has(error.details.reason)
}
