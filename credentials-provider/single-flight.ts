/** One at a time across processes: whoever waits looks again, and goes without a turn when another's work will do. */
import { setTimeout as sleep } from 'node:timers/promises'
import { ToolkitError } from '../core/errors.js'

/** Takes a named lock that the kernel frees when its holder dies; undefined while somebody else has it. */
export type TryLock = (name: string) => Promise<(() => void) | undefined>

/** Between two looks, growing: a hundred that wait must not keep the machine from the one that works. */
const FIRST_STEP_MS = 25
const MOST_STEP_MS = 200
/** Longer than a request with all its tries takes: a minute of patience and ten seconds for the last one. */
const WAIT_MS = 120_000

/**
 * The result that is there already, else the one of `work`, which one process at a time does. When it fails, that is told by
 * whoever did it: another may have a better credential, so each of those that wait does it once itself, in turn.
 * @throws ToolkitError unavailable after two minutes of waiting for another process, and whatever `work` throws
 */
export async function singleFlight<T>(
  name: string,
  { tryLock, there, work, signal }: { tryLock: TryLock; there: () => Promise<T | undefined>; work: () => Promise<T>; signal?: AbortSignal },
): Promise<T> {
  const until = performance.now() + WAIT_MS
  for (let step = FIRST_STEP_MS; ; step = Math.min(step * 1.5, MOST_STEP_MS)) {
    signal?.throwIfAborted()
    const release = await tryLock(name)
    try {
      const found = await there()
      if (found !== undefined) return found
      if (release) return await work()
    } finally {
      release?.()
    }
    if (performance.now() > until) {
      throw new ToolkitError('unavailable', `another run is minting ${name}`, { system: name, reason: 'locked' }, 'wait until it has ended')
    }
    await sleep(step * (1 + Math.random()), undefined, signal ? { signal } : {}).catch(() => undefined)
  }
}
