/**
 * Killed in the middle of thirty objects, ourselves or the server, and run again: everything is there once, every secret
 * is the one that was saved, and a run after that writes nothing. Nobody's memory of what was done is believed.
 */
import type { ChildProcess } from 'node:child_process'
import { readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { OWNER_MARK } from '../../core/vocabulary.js'
import { openToolkit } from '../../toolkit/index.js'
import { type Asked, isWrite, startFront } from './front.js'
import { expectMixed, markedRealm } from './mixed-proof.js'
import { administrator, clientOf, makeFolder, type Ran, type Running, start, type Variables } from './product.js'
import { chance } from './rig/chance.js'
import { keycloak, type Realm } from './rig/keycloak.js'
import { type StartedKeycloak, startKeycloak } from './rig/server.js'
import { MIXED, mixedTarget } from './thirty-machines.js'

const RUNS = 20
/** Acknowledged writes after which we are killed, at most; a whole apply has about 80. */
const LAST = 29
const MINUTE = 60_000
/** By default Keycloak's database keeps what was committed this long before it reaches the disk, or a little longer. */
const ON_DISK_MS = 3_000

const random = chance()
const counts = { kills: 0, mended: 0, quiet: 0, secrets: 0, pending: 0, temporary: 0 }

const begin = (variables: Variables) => start(process.execPath, ['--import', 'tsx', 'test/live/thirty-machines.ts', 'mixed'], variables)

/** Passes everything on and calls `acknowledged` for each write whose good answer was delivered. */
function delivering(acknowledged: (asked: Asked, location: string | undefined) => void): Parameters<typeof startFront>[1] {
  return (asked, answer, passOn) => {
    if (isWrite(asked)) {
      answer.once('finish', () => {
        if (answer.statusCode < 300) acknowledged(asked, answer.getHeader('location')?.toString())
      })
    }
    passOn(true)
  }
}

/** One more run, in this process and as if two minutes later: nothing to do, by the server's count and by the door's. */
async function expectQuiet(realm: Realm, home: string, variables: Variables): Promise<void> {
  const { temporary } = await leftIn(home)
  const earlier = new Date(Date.now() - 2 * MINUTE)
  // Younger ones may be of a run under way.
  await Promise.all(temporary.map((file) => utimes(join(home, file), earlier, earlier)))
  const before = await realm.writes()
  const toolkit = await openToolkit({ env: variables, approve: async () => true })
  try {
    const { changes } = await toolkit.context.converge(await mixedTarget(toolkit.context))
    expect(changes).toEqual([])
    expect(toolkit.context.requests.length).toBeGreaterThan(5)
    expect(toolkit.context.requests.filter((one) => one.class === 'write')).toEqual([])
  } finally {
    await toolkit.close()
  }
  expect(await realm.writes()).toBe(before)
  counts.quiet++
}

/** What a killed run left beside its files. */
async function leftIn(home: string): Promise<{ pending: number; temporary: readonly string[] }> {
  const files = await readdir(home, { recursive: true })
  return { pending: files.filter((file) => file.endsWith('.pending')).length, temporary: files.filter((file) => file.endsWith('.tmp')) }
}

test(
  'the proof sees a stranger with our mark, a secret that is not the saved one, and a file left behind',
  async () => {
    const realm = await markedRealm()
    const home = await makeFolder()
    try {
      expectConverged(await begin(administrator(realm, home.path)).ended)
      await expectMixed(realm, home.path)
      const left = join(home.path, 'identities', 'agent-machine-0.json.pending')
      await writeFile(left, '')
      await expect(expectMixed(realm, home.path)).rejects.toThrow()
      await rm(left)
      await expectMixed(realm, home.path)
      const stranger = await realm.admin('POST', '/clients', { clientId: 'stranger', attributes: { [OWNER_MARK]: 'default' } })
      await expect(expectMixed(realm, home.path)).rejects.toThrow()
      await realm.admin('DELETE', `/clients/${stranger.id}`)
      await expectMixed(realm, home.path)
      const { id } = await clientOf(realm, 'machine-7')
      await realm.admin('POST', `/clients/${id}/client-secret`)
      await expect(expectMixed(realm, home.path)).rejects.toThrow('machine-7')
    } finally {
      await realm.remove()
      await home.remove()
    }
  },
  3 * MINUTE,
)

describe('a kill -9 of ours', () => {
  // One in each of twenty equal parts.
  const moments = Array.from({ length: RUNS }, (_, index) => 1 + Math.floor(((index + random.next()) * LAST) / RUNS))
  beforeAll(() => {
    console.log(`kill-keycloak: seed ${random.seed}, killed after so many acknowledged writes: ${moments.join(', ')}`)
    expect(moments.length).toBe(RUNS)
  })

  test.each(moments.map((k, index) => ({ k, index })))(
    'after $k acknowledged writes is mended by the next run (run $index)',
    async ({ k }) => {
      const realm = await markedRealm()
      const home = await makeFolder()
      let victim: ChildProcess | undefined
      let acknowledged = 0
      const front = await startFront(
        keycloak().url,
        delivering(() => {
          acknowledged++
          if (acknowledged === k) victim?.kill('SIGKILL')
        }),
      )
      try {
        const variables = administrator(realm, home.path, front.url)
        const running = begin(variables)
        victim = running.child
        expect((await running.ended).exit).toBeNull()
        expect(acknowledged).toBeGreaterThanOrEqual(k)
        const left = await leftIn(home.path)
        counts.kills++
        counts.pending += left.pending
        counts.temporary += left.temporary.length
        victim = undefined

        expectConverged(await begin(variables).ended)
        counts.mended++
        await expectQuiet(realm, home.path, variables)
        counts.secrets += await expectMixed(realm, home.path)
      } finally {
        await front.close()
        await realm.remove()
        await home.remove()
      }
    },
    3 * MINUTE,
  )
})

function expectConverged({ exit, stdout, stderr }: Ran): void {
  expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' })
  expect(stdout).toMatch(/^converged: \d+ changes$/m)
}

describe('a kill -9 of the server, which loses what it acknowledged', () => {
  let server: StartedKeycloak
  const lost: number[] = []
  const ends: string[] = []
  beforeAll(async () => {
    server = await startKeycloak()
  }, 5 * MINUTE)
  afterAll(async () => {
    await server?.stop()
    console.log(
      `kill-keycloak: ${lost.length} kills of the server, acknowledged writes that it lost: ${lost.join(', ')}; we: ${ends.join(', ')}`,
    )
    expect(lost.length).toBeGreaterThan(0)
  }, MINUTE)

  test.each([10, 20])(
    'after %i acknowledged writes: we wait for it and converge, or say that it is away and the next run converges',
    async (k) => {
      const realm = await markedRealm(server.server)
      const home = await makeFolder()
      await sleep(ON_DISK_MS)
      const acknowledged: { asked: Asked; location: string | undefined }[] = []
      let isAway = false
      let killed = () => {}
      const whenKilled = new Promise<void>((resolve) => {
        killed = resolve
      })
      const pass = delivering((asked, location) => {
        acknowledged.push({ asked, location })
        if (acknowledged.length !== k) return
        isAway = true
        process.kill(server.pid, 'SIGKILL')
        killed()
      })
      // Until what was lost is counted, nobody may write it again.
      const front = await startFront(server.server.url, (asked, answer, passOn) =>
        isAway ? answer.destroy() : pass(asked, answer, passOn),
      )
      try {
        const { adminUser, adminPassword } = server.server
        const variables = {
          ...administrator(realm, home.path, front.url),
          KEYCLOAK_ADMIN: adminUser,
          KEYCLOAK_ADMIN_PASSWORD: adminPassword,
        }
        const running = begin(variables)
        await orEnded(whenKilled, running)
        server = await startKeycloak(server)
        const gone = await Promise.all(acknowledged.map((write) => isLost(realm, write)))
        lost.push(gone.filter(Boolean).length)
        isAway = false

        const first = await running.ended
        ends.push(first.exit === 0 ? 'waited and converged' : `ended with ${/error \((\w+)\)/.exec(first.stderr)?.[1] ?? first.stderr}`)
        if (first.exit !== 0) {
          expect(first).toMatchObject({ exit: 5, stderr: expect.stringContaining('error (unavailable)') })
          expectConverged(await begin(variables).ended)
        }
        await expectQuiet(realm, home.path, variables)
        counts.secrets += await expectMixed(realm, home.path)
      } finally {
        await front.close()
        await realm.remove()
        await home.remove()
      }
    },
    4 * MINUTE,
  )
})

/** @throws Error with what it said when the process ends first */
async function orEnded(event: Promise<void>, { ended }: Running): Promise<void> {
  await Promise.race([
    event,
    ended.then((ran) => {
      throw new Error(`it ended before: ${JSON.stringify(ran)}`)
    }),
  ])
}

/** Whether what an acknowledged write made is not there: the object at its location, or a membership. */
async function isLost(realm: Realm, { asked, location }: { asked: Asked; location: string | undefined }): Promise<boolean> {
  const below = (url: string) => new URL(url, realm.issuer).pathname.split(`/admin/realms/${realm.realm}`)[1] ?? ''
  if (location !== undefined) return (await realm.admin('GET', below(location))).status === 404
  const membership = /^(\/users\/[^/]+\/groups)\/([^/]+)$/.exec(below(asked.path))
  if (!membership) return false
  const { body } = await realm.admin<{ id: string }[] | object>('GET', membership[1] ?? '')
  return !(Array.isArray(body) && body.some(({ id }) => id === membership[2]))
}

afterAll(() => {
  const { kills, mended, quiet, secrets, pending, temporary } = counts
  console.log(
    `kill-keycloak: ${kills} kills of ours left ${pending} pending and ${temporary} temporary files, ${mended} mended by the next run; ` +
      `${quiet} runs after that with 0 writes; 0 duplicates, 0 orphans, ${secrets} secrets that work, 0 lost`,
  )
  expect(kills).toBe(RUNS)
  expect(quiet).toBeGreaterThanOrEqual(RUNS)
  expect(secrets).toBe(quiet * (MIXED.machines.length + 2))
})
