/** Many identities at once: so many at a time an issuer, no issuer waiting for another, each one's end told as it comes. */
import { isToolkitError, ToolkitError } from '../core/errors.js'
import type { IdentityEntry } from './identities.js'
import type { IdentityState } from './identity-state.js'
import { keepFresh, type Minted, type Minting, mintToFile, requestOf } from './mint.js'

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
  const told = (entry: IdentityEntry, end: Minted | Failure) => {
    ends.set(entry, end)
    batch.onState(stateOf(entry, end))
  }
  const due: IdentityEntry[] = []
  for (const entry of entries) {
    const end = await endOf(entry, () => keepFresh(entry, batch))
    if (end) told(entry, end)
    else due.push(entry)
  }
  const queues = new Map<string, IdentityEntry[]>()
  for (const entry of due) {
    const { issuer } = requestOf(entry)
    queues.set(issuer, [...(queues.get(issuer) ?? []), entry])
    batch.onState({ state: 'due', identity_name: entry.identity.identity_name, issuer })
  }
  await Promise.all([...queues].map(([issuer, queue]) => mintQueue(issuer, queue, batch, told)))
  const all = entries.flatMap((entry) => ends.get(entry) ?? [])
  return { minted: all.filter((end) => 'receipt' in end), failed: all.filter((end) => 'error' in end) }
}

/** The identities of one issuer. Once it has let a deadline pass without ever answering, nobody else waits for it. */
async function mintQueue(
  issuer: string,
  queue: readonly IdentityEntry[],
  batch: Batch,
  told: (entry: IdentityEntry, end: Minted | Failure) => void,
): Promise<void> {
  const left = [...queue]
  let hasAnswered = false
  let silence: unknown
  const work = async (): Promise<void> => {
    for (let entry = left.shift(); entry; entry = left.shift()) {
      const { identity_name } = entry.identity
      const current = entry
      if (silence !== undefined && !hasAnswered) {
        told(entry, { identity_name, error: silence })
        continue
      }
      batch.onState({ state: 'minting', identity_name, issuer })
      const end = await endOf(current, async () => {
        batch.signal?.throwIfAborted()
        return mintToFile(current, batch)
      })
      if (end === undefined) continue
      if ('error' in end && isDeadline(end.error)) silence = end.error
      else hasAnswered = true
      told(entry, end)
    }
  }
  await Promise.all(Array.from({ length: Math.min(batch.concurrency, queue.length) }, work))
}

async function endOf(entry: IdentityEntry, work: () => Promise<Minted | undefined>): Promise<Minted | Failure | undefined> {
  try {
    return await work()
  } catch (error) {
    return { identity_name: entry.identity.identity_name, error }
  }
}

function stateOf(entry: IdentityEntry, end: Minted | Failure): IdentityState {
  const { identity_name } = entry.identity
  const { issuer } = requestOf(entry)
  if ('error' in end) return { state: 'failed', identity_name, issuer, ...causeOf(end.error) }
  const { saved_to, expires_at = '' } = end.receipt
  return { state: end.reused ? 'kept' : 'minted', identity_name, issuer, saved_to, expires_at }
}

/** Code and words of a failure, for people; a defect of ours tells nothing more. */
export function causeOf(error: unknown): { code: string; cause: string } {
  return isToolkitError(error) ? { code: error.code, cause: error.message } : { code: 'internal', cause: 'a defect of this tool' }
}

function isDeadline(error: unknown): boolean {
  return error instanceof ToolkitError && isToolkitError(error, 'unavailable') && error.details.reason === 'deadline'
}
