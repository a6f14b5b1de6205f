/** Single flight: one does the work, the others take what it left; a failure is told to whoever made it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import { singleFlight, type TryLock } from '../../credentials-provider/single-flight.js'
import { tryLock } from '../../toolkit/lock.js'
import { temporaryFolder } from '../fakes/folder.js'

/** The real locks, in a home of the test's own. */
function locks(): TryLock {
  const home = temporaryFolder()
  return (name) => tryLock(home, name)
}

describe('many at once', () => {
  test('get the result of the one that did the work', async () => {
    const lock = locks()
    let [done, works] = ['', 0]
    const ask = () =>
      singleFlight('token', {
        tryLock: lock,
        there: async () => done || undefined,
        work: async () => {
          works++
          await sleep(50)
          done = 'minted'
          return done
        },
      })
    expect(await Promise.all(Array.from({ length: 20 }, ask))).toEqual(Array.from({ length: 20 }, () => 'minted'))
    expect(works).toBe(1)
  })

  test('each try once when the work fails, one after the other, and each is told', async () => {
    const lock = locks()
    let [works, atOnce, most] = [0, 0, 0]
    const ask = () =>
      singleFlight('token', {
        tryLock: lock,
        there: async () => undefined,
        work: async () => {
          most = Math.max(most, ++atOnce)
          await sleep(5)
          atOnce--
          throw new Error(`refused ${++works}`)
        },
      })
    const ends = await Promise.allSettled(Array.from({ length: 10 }, ask))
    const reasons = ends.map((end) => (end.status === 'rejected' ? String(end.reason) : 'it ended well'))
    expect(new Set(reasons).size).toBe(10)
    expect([works, most]).toEqual([10, 1])
  })

  test('of other names do not wait', async () => {
    const lock = locks()
    const inside = singleFlight('one', {
      tryLock: lock,
      there: async () => undefined,
      work: () => singleFlight('two', { tryLock: lock, there: async () => undefined, work: async () => 'two' }),
    })
    expect(await inside).toBe('two')
  })
})

test('what is there already is taken without a turn, also while another has it', async () => {
  const lock = locks()
  const release = await lock('token')
  const work = vi.fn(async () => 'minted')
  expect(await singleFlight('token', { tryLock: lock, there: async () => 'fresh', work })).toBe('fresh')
  expect(work).not.toHaveBeenCalled()
  release?.()
})

test('the lock is free again after a look that fails', async () => {
  const lock = locks()
  const there = () => Promise.reject(new Error('unreadable'))
  await expect(singleFlight('token', { tryLock: lock, there, work: async () => 'minted' })).rejects.toThrow('unreadable')
  const release = await lock('token')
  expect(release).toBeDefined()
  release?.()
})

describe('whoever waits', () => {
  const held = { tryLock: async () => undefined, there: async () => undefined, work: async () => 'minted' }

  test('can be stopped at once', async () => {
    const started = performance.now()
    await expect(singleFlight('token', { ...held, signal: AbortSignal.timeout(50) })).rejects.toThrow()
    expect(performance.now() - started).toBeLessThan(2_000)
  })

  test('gives up after two minutes, says why, and has not kept the machine busy', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    try {
      let looks = 0
      const there = async () => {
        looks++
        vi.advanceTimersByTime(30_000)
        return undefined
      }
      const failure = await singleFlight('token', { ...held, there }).catch((error: unknown) => error)
      expect(failure).toMatchObject({ code: 'unavailable', details: { reason: 'locked' }, hint: 'wait until it has ended' })
      expect(looks).toBe(5)
    } finally {
      vi.useRealTimers()
    }
  })
})
