/**
 * A network that loses one request in twenty before the server hears of it, and one answer in twenty after it has acted:
 * five hundred objects are made once each, and a run without faults then finds nothing to do.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { passwordFile } from '../../core/password-file.js'
import { places } from '../../setup/context.js'
import { isToolkitError, openToolkit, recipes, type ToolkitContext } from '../../toolkit/index.js'
import { type Front, isWrite, startFront } from './front.js'
import { administrator, askToken, makeFolder } from './product.js'
import { chance } from './rig/chance.js'
import { keycloak, makeRealm, type Realm } from './rig/keycloak.js'
import { machineClients } from './thirty-machines.js'

const named = (what: string, count: number) => Array.from({ length: count }, (_, index) => `${what}-${index}`)
const MACHINES = named('machine', 480)
const GROUPS = named('team', 10)
const PEOPLE = named('person', 10)
const OBJECTS = MACHINES.length + GROUPS.length + PEOPLE.length
const LOST_BEFORE = 0.05
const LOST_AFTER = 0.05
const MOST_RUNS = 4
/** Secrets that are shown to mint; all are compared with the server's. */
const MINTED = 20
const MINUTES = 15 * 60_000

const random = chance()
const counts = { runs: 0, requests: 0, writes: 0, before: 0, after: 0, createsLost: 0 }
let isFaulty = true
let realm: Realm
let home: Awaited<ReturnType<typeof makeFolder>>
let front: Front
beforeAll(async () => {
  home = await makeFolder()
  realm = await makeRealm({})
  front = await startFront(keycloak().url, (asked, answer, passOn) => {
    if (!isFaulty) return passOn(true)
    counts.requests++
    if (isWrite(asked)) counts.writes++
    const drawn = random.next()
    if (drawn >= LOST_BEFORE + LOST_AFTER) return passOn(true)
    if (drawn < LOST_BEFORE) {
      counts.before++
      answer.destroy()
      return
    }
    counts.after++
    if (isWrite(asked)) counts.createsLost++
    answer.once('swallowed', () => answer.destroy())
    passOn(false)
  })
  console.log(`lost-answers: seed ${random.seed}`)
})
afterAll(async () => {
  await front?.close()
  await realm?.remove()
  await home?.remove()
})

async function run() {
  const toolkit = await openToolkit({ env: administrator(realm, home.path, front.url), approve: async () => true })
  try {
    const outcome = await toolkit.context.converge(await target(toolkit.context))
    return { ...outcome, requests: [...toolkit.context.requests] }
  } finally {
    await toolkit.close()
  }
}

async function target(context: ToolkitContext) {
  const { reconcilers, lock, identityFacts, issuer } = await context.tenant('keycloak')
  const people = PEOPLE.map((username) =>
    recipes.person({ username, sink: passwordFile(places.person(context, username), { username, issuer }) }),
  )
  const machines = machineClients(context, { names: MACHINES, groups: [], identityFacts })
  return { wanted: [...recipes.namedGroups(GROUPS, true), ...people, ...machines], reconcilers, tenants: [lock] }
}

test(
  '500 objects are made through it, each once, with the secrets that were saved',
  async () => {
    const said: string[] = []
    for (let isDone = false; !isDone; ) {
      counts.runs++
      try {
        await run()
        isDone = true
      } catch (error) {
        // Only what a person is told to run again for.
        if (!isToolkitError(error, 'unavailable') || counts.runs === MOST_RUNS) throw error
        said.push(error.message)
      }
    }
    const { runs, requests, writes, before, after, createsLost } = counts
    console.log(
      `lost-answers: ${requests} requests, ${writes} of them writes; ${before} lost before the server, ${after} after it acted (${createsLost} writes); ` +
        `${runs} runs (${runs - 1} repeats${said.length > 0 ? `: ${said.join('; ')}` : ''})`,
    )
    expect(requests).toBeGreaterThan(OBJECTS)
    expect(Math.min(before, after, createsLost)).toBeGreaterThan(0)

    const list = async <Row>(path: string) => (await realm.admin<Row[]>('GET', `${path}?max=1000`)).body
    const clients = await list<{ clientId: string; secret?: string }>('/clients')
    const machines = clients.filter(({ clientId }) => clientId.startsWith('machine-'))
    expect(machines.map(({ clientId }) => clientId).toSorted()).toEqual(MACHINES.toSorted())
    expect((await list<{ name: string }>('/groups')).map(({ name }) => name).toSorted()).toEqual(GROUPS.toSorted())
    expect((await list<{ username: string }>('/users')).map(({ username }) => username).toSorted()).toEqual(PEOPLE.toSorted())
    const saved = await Promise.all(
      MACHINES.map(async (name) => {
        const text = await readFile(join(home.path, 'identities', `agent-${name}.json`), 'utf8')
        return JSON.parse(text) as { client_id: string; client_secret: string }
      }),
    )
    const secretOf = new Map(machines.map(({ clientId, secret }) => [clientId, secret]))
    expect(saved.filter(({ client_id, client_secret }) => secretOf.get(client_id) !== client_secret)).toEqual([])
    for (const { client_id, client_secret } of saved.slice(-MINTED)) {
      const { status } = await askToken(realm, { grant_type: 'client_credentials', client_id, client_secret })
      expect({ client_id, status }).toEqual({ client_id, status: 200 })
    }
    console.log(
      `lost-answers: ${machines.length + GROUPS.length + PEOPLE.length} of ${OBJECTS} objects, 0 duplicates, ${saved.length} saved secrets are the server's`,
    )
  },
  MINUTES,
)

test(
  'a run without faults then writes nothing',
  async () => {
    isFaulty = false
    const before = await realm.writes()
    expect(before).toBeGreaterThanOrEqual(OBJECTS)
    const { changes, requests } = await run()
    expect(changes).toEqual([])
    expect(requests.filter((one) => one.class === 'write')).toEqual([])
    expect(await realm.writes()).toBe(before)
    console.log(`lost-answers: ${before} writes in all; a run without faults: ${requests.length} requests, 0 writes`)
  },
  MINUTES,
)
