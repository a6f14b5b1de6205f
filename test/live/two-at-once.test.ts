/**
 * Several processes make one machine client at the same moment: with one home they take turns, with homes of their own they
 * meet at the server. There is one client afterwards, and no process that says it has a secret has one that does not work.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ERRORS } from '../../core/errors.js'
import { type Front, isWrite, startFront } from './front.js'
import { administrator, askToken, claimsOf, cli, clientOf, makeFolder, type Ran, startCli, type Variables } from './product.js'
import { keycloak, makeRealm, type Realm } from './rig/keycloak.js'

const ROUNDS = 10
const GROUP = 'data-readers'
const MINUTES = 15 * 60_000
/** A lock is free again this soon after its holder was killed, milliseconds. */
const FREE_MS = 10_000
/** Nothing asked for this long, milliseconds: whoever runs still is waiting. */
const QUIET_MS = 1_500

let realm: Realm
let front: Front
let gate: Gate | undefined
/** Takes a request before it is passed on; true when it keeps it. */
let hold: ((asked: { method: string; path: string }) => boolean) | undefined
let lastAsked = 0
const folders: Awaited<ReturnType<typeof makeFolder>>[] = []
const totals = { rounds: 0, overlapped: 0, processes: 0 }

/** Lets nobody past the login until `count` processes are there, each known by its token; then notes when each wrote. */
interface Gate {
  pass(who: string): Promise<void>
  readonly writing: Map<string, { from: number; to: number }>
  conflicts: number
}

function gateFor(count: number): Gate {
  const here = new Set<string>()
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return {
    writing: new Map(),
    conflicts: 0,
    pass(who) {
      here.add(who)
      if (here.size === count) open()
      return opened
    },
  }
}

beforeAll(async () => {
  realm = await makeRealm({ groups: [GROUP] })
  front = await startFront(keycloak().url, (asked, answer, passOn) => {
    lastAsked = performance.now()
    if (hold?.(asked)) return
    if (!gate || !asked.path.startsWith('/admin/')) return passOn(true)
    const { writing } = gate
    const here = gate
    void gate.pass(asked.authorization).then(() => {
      passOn(true)
      if (!isWrite(asked)) return
      const now = performance.now()
      const span = writing.get(asked.authorization) ?? { from: now, to: now }
      writing.set(asked.authorization, span)
      answer.once('close', () => {
        span.to = performance.now()
        if (answer.statusCode === 409) here.conflicts++
      })
    })
  })
})
afterAll(async () => {
  await front?.close()
  await realm?.remove()
  for (const { remove } of folders) await remove()
  const { rounds, overlapped, processes } = totals
  console.log(`two-at-once: ${rounds} rounds of ${processes} processes, ${overlapped} of them overlapped; one client after each`)
  expect(rounds).toBeGreaterThan(0)
  expect(overlapped).toBeGreaterThanOrEqual(rounds / 2)
})

const words = (name: string) => ['setup', 'm2m-app', '--idp', 'keycloak', '--name', name, '--groups', GROUP, '--yes']

/** With patience for a machine where eight processes start at once. */
const settings = (home: string): Variables => ({ ...administrator(realm, home, front.url), MCP_IDP_TIMEOUT: '120' })

async function newHome(): Promise<string> {
  const folder = await makeFolder()
  folders.push(folder)
  return folder.path
}

/** One process a home, all let go at the same moment. */
async function together(name: string, homes: readonly string[]): Promise<{ ran: readonly Ran[]; gate: Gate }> {
  const here = gateFor(homes.length)
  gate = here
  const running = homes.map((home) => startCli(words(name), settings(home)).ended)
  const ran = await Promise.all(running)
  gate = undefined
  totals.rounds++
  totals.processes += homes.length
  return { ran, gate: here }
}

/** `ok`, or the code of a documented error. @throws when the exit status is not that of the code */
function endOf({ exit, stderr }: Ran): string {
  if (exit === 0) return 'ok'
  const code = /^error \((\w+)\)/m.exec(stderr)?.[1] ?? stderr
  expect(Object.keys(ERRORS)).toContain(code)
  expect(code).not.toBe('internal')
  expect(exit).toBe(ERRORS[code as keyof typeof ERRORS].exit)
  return code
}

/** Whether two processes wrote at the same time. */
function wroteAtOnce({ writing }: Gate): boolean {
  const spans = [...writing.values()].toSorted((a, b) => a.from - b.from)
  return spans.some(({ from }, index) => spans.slice(0, index).some((earlier) => earlier.to > from))
}

/** Whether the secret of this home mints a token with the group; false too when there is none. */
async function mints(home: string, name: string): Promise<boolean> {
  const text = await readFile(join(home, 'identities', `agent-${name}.json`), 'utf8').catch(() => undefined)
  if (text === undefined) return false
  const { client_id, client_secret } = JSON.parse(text) as { client_id: string; client_secret: string }
  const { status, access_token } = await askToken(realm, { grant_type: 'client_credentials', client_id, client_secret })
  return status === 200 && String(claimsOf(access_token)['groups']) === GROUP
}

function tally(ends: readonly string[]): string {
  return [...new Set(ends)].map((end) => `${ends.filter((one) => one === end).length} ${end}`).join(', ')
}

describe('on one machine, with one home', () => {
  test.each([2, 4, 8])(
    '%i at once: they take turns, and there is one client with a secret that works',
    async (count) => {
      const home = await newHome()
      const ends: string[] = []
      let overlapped = 0
      for (let round = 0; round < ROUNDS; round++) {
        const name = `one-home-${count}-${round}`
        const { ran, gate } = await together(name, Array(count).fill(home))
        const now = ran.map(endOf)
        expect({ now, said: ran.map(({ stderr }) => stderr) }).toMatchObject({ now: expect.arrayContaining(['ok']) })
        // Each planned the client, so each looked before the one that wrote did so, and then had to wait for it.
        const planned = ran.filter(({ stderr }) => stderr.includes(`+ machine-client ${name}`)).length
        if (planned > 1) overlapped++
        // The lock: one writes, and nobody after it.
        expect(gate.writing.size).toBe(1)
        await clientOf(realm, name)
        expect(await mints(home, name)).toBe(true)
        ends.push(...now)
      }
      totals.overlapped += overlapped
      console.log(`two-at-once: one home, ${count} processes, ${ROUNDS} rounds: ${tally(ends)}; ${overlapped} rounds overlapped`)
      expect(overlapped).toBeGreaterThanOrEqual(ROUNDS / 2)
    },
    MINUTES,
  )
})

describe('on several machines, each with a home of its own', () => {
  test.each([2, 4])(
    '%i at once: one client, and whoever has a secret that does not work has said so',
    async (count) => {
      const homes = await Promise.all(Array.from({ length: count }, newHome))
      const ends: string[] = []
      let overlapped = 0
      let refused = 0
      for (let round = 0; round < ROUNDS; round++) {
        const name = `own-homes-${count}-${round}`
        const { ran, gate } = await together(name, homes)
        await clientOf(realm, name)
        if (wroteAtOnce(gate) || gate.conflicts > 0) overlapped++
        refused += gate.conflicts
        for (const [index, home] of homes.entries()) {
          const one = ran[index]
          if (!one) throw new Error('a process that never ran')
          const end = endOf(one)
          ends.push(end)
          const works = await mints(home, name)
          expect({ end, works: works || end !== 'ok', stderr: one.stderr }).toMatchObject({ works: true })
          if (works) continue
          // Told to run it again, it gets there.
          expect(await cli(words(name), settings(home))).toMatchObject({ exit: 0 })
          expect(await mints(home, name)).toBe(true)
        }
        await clientOf(realm, name)
      }
      totals.overlapped += overlapped
      console.log(
        `two-at-once: own homes, ${count} processes, ${ROUNDS} rounds: ${tally(ends)}; ${overlapped} rounds overlapped, ${refused} creates refused with 409`,
      )
      expect(overlapped).toBeGreaterThanOrEqual(ROUNDS / 2)
    },
    MINUTES,
  )
})

describe('a kill -9 of the one that holds the lock', () => {
  test(
    'lets the next one proceed within 10 s, and the killed one’s work is mended by its next run',
    async () => {
      const home = await newHome()
      const reached = new Promise<void>((resolve) => {
        hold = ({ method, path }) => {
          const isCreate = method === 'POST' && /\/clients\/?$/.test(path)
          if (isCreate) resolve()
          return isCreate
        }
      })
      const holder = startCli(words('holder'), settings(home))
      await reached
      hold = undefined
      const next = startCli(words('next'), settings(home))
      lastAsked = Number.POSITIVE_INFINITY
      let isEnded = false
      void next.ended.then(() => {
        isEnded = true
      })
      while (performance.now() - lastAsked < QUIET_MS || lastAsked === Number.POSITIVE_INFINITY) await sleep(50)
      // It has planned, and writes nothing while another holds the lock.
      expect(isEnded).toBe(false)
      const waited = lastAsked
      holder.child.kill('SIGKILL')
      const killed = performance.now()
      while (lastAsked === waited) {
        expect(performance.now() - killed).toBeLessThan(FREE_MS)
        await sleep(10)
      }
      const ms = Math.round(lastAsked - killed)
      console.log(`two-at-once: holder killed, the next went on after ${ms} ms`)
      expect(await next.ended).toMatchObject({ exit: 0 })
      expect((await holder.ended).exit).toBeNull()
      expect(await cli(words('holder'), settings(home))).toMatchObject({ exit: 0 })
      for (const name of ['holder', 'next']) {
        await clientOf(realm, name)
        expect(await mints(home, name)).toBe(true)
      }
    },
    MINUTES,
  )
})
