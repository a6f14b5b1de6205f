/**
 * The bootstrap of a realm that does not go through at once: somebody made the realm by hand, the run was killed, the server
 * was away. Run again, or waited for, it comes to the same end, and then there is nothing left to do.
 */
import type { ChildProcess } from 'node:child_process'
import { readdir, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { isWrite, type Misbehaviour, startFront } from './front.js'
import { administrator, type Changed, cli, cliJson, makeFolder, startCli, type Variables } from './product.js'
import { keycloak, makeRealm, type Realm, unmadeRealm } from './rig/keycloak.js'

const INIT = ['setup', 'init', '--idp', 'keycloak']
const AWAY_MS = 30_000
const MINUTE = 60_000
const counts = { adopted: 0, kills: 0, waits: 0, quiet: 0 }
afterAll(() => {
  const { adopted, kills, waits, quiet } = counts
  console.log(`bootstrap: ${adopted} realm adopted, ${kills} kills mended, ${waits} servers waited for, then ${quiet} runs with 0 writes`)
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0)
})

/** A home of its own, and an end for the realm whatever happens. */
async function within(realm: Realm, work: (home: string) => Promise<void>): Promise<void> {
  const home = await makeFolder()
  try {
    await work(home.path)
  } finally {
    await realm.remove()
    await home.remove()
  }
}

/** A run with nothing to do, and a check that finds nothing; the server counts the writes. */
async function expectDone(realm: Realm, variables: Variables): Promise<void> {
  await realm.admin('PUT', '', { adminEventsEnabled: true })
  await realm.admin('DELETE', '/admin-events')
  expect(await cliJson<Changed>([...INIT, '--yes'], variables)).toMatchObject({
    ...{ applied: false, changes: [], verified: { how: 'a minted token', findings: [] } },
  })
  expect(await realm.writes()).toBe(0)
  expect(await cliJson(['check', '--idp', 'keycloak'], variables)).toMatchObject({ findings: [] })
  counts.quiet++
}

test('a realm that somebody else made is left alone, until --adopt says that it is meant', async () => {
  const realm = await makeRealm()
  await within(realm, async (home) => {
    const variables = administrator(realm, home)
    const refused = await cli([...INIT, '--yes'], variables)
    expect(refused).toMatchObject({ exit: 3, stdout: '', stderr: expect.stringMatching(/error \(conflict\): tenant .*\nnext: .*--adopt/) })
    expect(await realm.writes()).toBe(0)
    expect(await readdir(home)).toEqual([])
    const { changes } = await cliJson<Changed>([...INIT, '--adopt', '--yes'], variables)
    expect(changes[0]).toMatchObject({ action: 'adopt', kind: 'tenant', key: realm.realm })
    expect(changes.slice(1).map(({ action }) => action)).toEqual(changes.slice(1).map(() => 'create'))
    await expectDone(realm, variables)
    counts.adopted++
  })
})

test.each([1, 2, 6])('killed after %i acknowledged writes, the next run takes up where it was', { timeout: 3 * MINUTE }, async (last) => {
  const realm = unmadeRealm()
  let victim: ChildProcess | undefined
  let acknowledged = 0
  const front = await startFront(keycloak().url, (asked, answer, passOn) => {
    if (isWrite(asked)) {
      answer.once('finish', () => {
        if (answer.statusCode < 300 && ++acknowledged === last) victim?.kill('SIGKILL')
      })
    }
    passOn(true)
  })
  try {
    await within(realm, async (home) => {
      const variables = administrator(realm, home, front.url)
      const running = startCli([...INIT, '--yes'], variables)
      victim = running.child
      expect((await running.ended).exit).toBeNull()
      expect(acknowledged).toBeGreaterThanOrEqual(last)
      expect((await realm.admin('GET', '')).status).toBe(200)
      victim = undefined
      await age(home)
      expect(await cli([...INIT, '--yes'], variables)).toMatchObject({ exit: 0 })
      const files = await readdir(home, { recursive: true })
      expect(files.filter((file) => /\.(?:tmp|pending)$/.test(file))).toEqual([])
      await expectDone(realm, variables)
      counts.kills++
    })
  } finally {
    await front.close()
  }
})

/** What the killed run left looks two minutes old, as it does when a person runs it again. */
async function age(home: string): Promise<void> {
  const before = new Date(Date.now() - 2 * MINUTE)
  const left = (await readdir(home, { recursive: true })).filter((file) => file.endsWith('.tmp'))
  await Promise.all(left.map((file) => utimes(join(home, file), before, before)))
}

describe.concurrent('a server that answers 503 for 30 s', () => {
  /** Away from the moment on at which so many writes were acknowledged. */
  const awayAfter = (writes: number): { misbehave: Misbehaviour; refused(): number } => {
    let acknowledged = 0
    let refused = 0
    let until = writes === 0 ? Date.now() + AWAY_MS : 0
    return {
      refused: () => refused,
      misbehave(asked, answer, passOn) {
        if (Date.now() < until) {
          refused++
          answer.writeHead(503).end()
          return
        }
        if (isWrite(asked))
          answer.once('finish', () => {
            if (answer.statusCode < 300 && ++acknowledged === writes) until = Date.now() + AWAY_MS
          })
        passOn(true)
      },
    }
  }

  test.each([
    ['before it answers anything', 0],
    ['between two writes', 3],
  ])('%s is waited for, which is told, and it goes through', { timeout: 3 * MINUTE }, async (_, writes) => {
    const realm = unmadeRealm()
    const away = awayAfter(writes)
    const front = await startFront(keycloak().url, away.misbehave)
    try {
      await within(realm, async (home) => {
        const variables = administrator(realm, home, front.url)
        const { exit, stderr, ms } = await cli([...INIT, '--yes'], variables)
        expect({ exit, stderr }).toMatchObject({ exit: 0 })
        expect(ms).toBeGreaterThan(AWAY_MS)
        expect(away.refused()).toBeGreaterThan(3)
        expect(stderr.match(/answers 503; waiting \(\d+ s of 60 s\)/g)?.length).toBeGreaterThan(3)
        await expectDone(realm, variables)
        counts.waits++
      })
    } finally {
      await front.close()
    }
  })
})
