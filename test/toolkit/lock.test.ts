/** The lock of a tenant: one holder at a time over all processes, freed when its holder ends in any way. */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { tryLock, withLocks } from '../../toolkit/lock.js'
import { at, runChild } from '../fakes/child.js'
import { temporaryFolder } from '../fakes/folder.js'

/** Pairs of "in" and "out" in a log; throws where somebody entered before the last one had left. */
function visits(log: readonly string[]): number {
  for (let index = 0; index < log.length; index += 2) {
    expect(log[index]).toMatch(/^in /)
    expect(log[index + 1]).toBe(log[index]?.replace('in', 'out'))
  }
  return log.length / 2
}

describe('one holder at a time', () => {
  test('in one process', async () => {
    const home = temporaryFolder()
    const log: string[] = []
    const visit = (name: string) =>
      withLocks(home, ['tenant'], async () => {
        log.push(`in ${name}`)
        await sleep(5)
        log.push(`out ${name}`)
      })
    await Promise.all(['a', 'b', 'c', 'd'].map(visit))
    expect(visits(log)).toBe(4)
  })

  test('in two processes', async () => {
    const home = temporaryFolder()
    const log = join(home, 'log')
    const code = `
      import { appendFileSync } from 'node:fs'
      import { setTimeout as sleep } from 'node:timers/promises'
      const { withLocks } = await import(${at('toolkit/lock.ts')})
      for (let count = 0; count < 5; count++) {
        await withLocks(${JSON.stringify(home)}, ['tenant'], async () => {
          appendFileSync(${JSON.stringify(log)}, 'in ' + process.pid + '\\n')
          await sleep(15)
          appendFileSync(${JSON.stringify(log)}, 'out ' + process.pid + '\\n')
        })
        await sleep(1)
      }
    `
    const ended = await Promise.all([runChild(code).ended, runChild(code).ended])
    expect(ended.map(({ status, stderr }) => [status, stderr])).toEqual([
      [0, ''],
      [0, ''],
    ])
    const lines = readFileSync(log, 'utf8').trim().split('\n')
    expect(visits(lines)).toBe(10)
    expect(new Set(lines.map((line) => line.split(' ')[1])).size).toBe(2)
  })

  test('other tenants do not wait', async () => {
    const home = temporaryFolder()
    await withLocks(home, ['one'], () => withLocks(home, ['two'], async () => undefined))
  })

  test('a tenant named twice is locked once', async () => {
    const home = temporaryFolder()
    expect(await withLocks(home, ['one', 'one'], async () => 'done')).toBe('done')
  })

  test('two runs that name the same tenants in another order do not wait for each other for ever', async () => {
    const home = temporaryFolder()
    const run = (tenants: string[]) => withLocks(home, tenants, () => sleep(5, tenants.join()))
    const results = await Promise.all([run(['a', 'b']), run(['b', 'a']), run(['a', 'b']), run(['b', 'a'])])
    expect(results).toEqual(['a,b', 'b,a', 'a,b', 'b,a'])
  })

  test('a run without tenants needs no lock', async () => {
    expect(await withLocks('/nonexistent/home', [], async () => 'done')).toBe('done')
  })
})

describe('a lock is freed', () => {
  test('when its work fails', async () => {
    const home = temporaryFolder()
    await expect(withLocks(home, ['tenant'], () => Promise.reject(new Error('work failed')))).rejects.toThrow('work failed')
    expect(await withLocks(home, ['tenant'], async () => 'again')).toBe('again')
  })

  test('when its holder is killed', async () => {
    const home = temporaryFolder()
    const holder = runChild(`
      const { withLocks } = await import(${at('toolkit/lock.ts')})
      await withLocks(${JSON.stringify(home)}, ['tenant'], async () => {
        console.log('held')
        await new Promise((resolve) => setTimeout(resolve, 60_000))
      })
    `)
    await holder.printed('held')
    let entered = false
    const waiting = withLocks(home, ['tenant'], async () => {
      entered = true
    })
    await sleep(200)
    expect(entered).toBe(false)
    holder.process.kill('SIGKILL')
    await waiting
    expect(entered).toBe(true)
  })

  test('and one that waits can be stopped', async () => {
    const home = temporaryFolder()
    await withLocks(home, ['tenant'], async () => {
      const stop = AbortSignal.timeout(100)
      await expect(withLocks(home, ['tenant'], async () => 'entered', stop)).rejects.toThrow()
    })
  })
})

describe('a lock that is tried', () => {
  test('is had by one at a time, in one process too, and again once it is freed', async () => {
    const home = temporaryFolder()
    const first = await tryLock(home, 'token')
    expect(first).toBeDefined()
    expect(await tryLock(home, 'token')).toBeUndefined()
    const other = await tryLock(home, 'another token')
    expect(other).toBeDefined()
    first?.()
    const second = await tryLock(home, 'token')
    expect(second).toBeDefined()
    // The one that failed in between took nothing with it: the other is still held.
    expect(await tryLock(home, 'another token')).toBeUndefined()
    second?.()
    other?.()
  })

  test('says what is in the way when its file cannot be opened', async () => {
    const home = temporaryFolder()
    const release = await tryLock(home, 'token')
    release?.()
    const [file = ''] = readdirSync(join(home, 'locks'))
    const other = temporaryFolder()
    mkdirSync(join(other, 'locks', file), { recursive: true })
    await expect(tryLock(other, 'token')).rejects.toMatchObject({
      code: 'unavailable',
      hint: `see that ${join(other, 'locks', file)} can be read and written`,
    })
  })
})
