/** Shared syncs of a folder: never fewer than safe, never more than needed. */
import fs from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { withFolder } from '../../core/folder-sync.js'
import { temporaryFolder } from '../fakes/folder.js'

/** Watches every sync of a file handle: when it began, when it ended; `fail` is asked each time. */
async function syncs(fail: (count: number) => Error | undefined = () => undefined) {
  const probe = await open(temporaryFolder())
  const prototype = Object.getPrototypeOf(probe) as FileHandle
  await probe.close()
  const seen: { began: number; ended: number }[] = []
  let clock = 0
  const spy = vi.spyOn(prototype, 'sync').mockImplementation(async () => {
    const one = { began: ++clock, ended: Number.POSITIVE_INFINITY }
    const failure = fail(seen.push(one))
    await sleep(10)
    one.ended = ++clock
    if (failure) throw failure
  })
  onTestFinished(() => spy.mockRestore())
  return { seen, tick: () => ++clock }
}

describe('a folder', () => {
  test('is synced once for all who asked before it began, and again for who came later', async () => {
    const { seen, tick } = await syncs()
    const folder = temporaryFolder()
    const saves = Array.from({ length: 50 }, (_, index) =>
      withFolder(folder, async (sync) => {
        await sleep(index < 20 ? 0 : Math.random() * 50)
        const renamed = tick()
        await sync()
        return { renamed, told: tick() }
      }),
    )
    for (const { renamed, told } of await Promise.all(saves)) {
      expect(seen.some(({ began, ended }) => began > renamed && ended < told)).toBe(true)
    }
    expect(seen.length).toBeGreaterThan(1)
    expect(seen.length).toBeLessThan(20)
  })

  test('whose sync fails is told to all who shared it, and to no later one', async () => {
    const { seen } = await syncs((count) => (count === 1 ? new Error('EIO') : undefined))
    const folder = temporaryFolder()
    const save = () => withFolder(folder, (sync) => sync())
    const first = await Promise.allSettled([save(), save(), save()])
    expect(first.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    await save()
    expect(seen.length).toBe(2)
  })

  test('that cannot be opened stops the work before it begins', async () => {
    const work = vi.fn(async () => undefined)
    await expect(withFolder(join(temporaryFolder(), 'none'), work)).rejects.toMatchObject({ code: 'ENOENT' })
    expect(work).not.toHaveBeenCalled()
  })

  test.runIf(fs.existsSync('/proc/self/fd'))('is closed when the last one has gone, whatever happened', async () => {
    const folder = temporaryFolder()
    const handles = () =>
      fs.readdirSync('/proc/self/fd').filter((name) => {
        try {
          return fs.readlinkSync(`/proc/self/fd/${name}`) === folder
        } catch {
          return false
        }
      }).length
    let during = 0
    const one = () =>
      withFolder(folder, async (sync) => {
        await sync()
        during = Math.max(during, handles())
      })
    await Promise.allSettled([one(), one(), withFolder(folder, () => Promise.reject(new Error('work failed')))])
    expect([during, handles()]).toEqual([1, 0])
  })
})
