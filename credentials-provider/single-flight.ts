/** One at a time across processes: whoever waits looks again, and goes without a turn when another's work will do. */
import { setTimeout as sleep } from 'node:timers/promises'
import { ToolkitError } from '../core/errors.js'

/** Takes a named lock that the kernel frees when its holder dies; undefined while somebody else has it. */
export type TryLock = (name: string) => Promise<(() => void) | undefined>

const STEP_MS = 25
/** Longer than any request with all its tries may take. */
const WAIT_MS = 120_000

/**
 * The result that is there already, else the one of `work`, which one process at a time does.
 * @throws ToolkitError unavailable after two minutes of waiting for another process, and whatever `work` throws
 */
export async function singleFlight<T>(
  name: string,
  { tryLock, there, work, signal }: { tryLock: TryLock; there: () => Promise<T | undefined>; work: () => Promise<T>; signal?: AbortSignal },
): Promise<T> {
  const until = performance.now() + WAIT_MS
  for (;;) {
    const release = await tryLock(name)
    try {
      const found = await there()
      if (found !== undefined) return found
      if (release) return await work()
    } finally {
      release?.()
    }
    signal?.throwIfAborted()
    if (performance.now() > until) {
      throw new ToolkitError('unavailable', `another run is minting ${name}`, { system: name, reason: 'locked' }, 'wait until it has ended')
    }
    await sleep(STEP_MS * (1 + Math.random()))
  }
}
