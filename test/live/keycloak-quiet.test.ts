/**
 * What is as it should be is left alone: 121 objects made in one go, and a second go that writes nothing and asks little.
 * Writes are counted by Keycloak's own admin events, which see an unchanged PUT too.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Wanted } from '../../core/plan.js'
import { IDPS, openToolkit, recipes, secretFile, type Toolkit } from '../../toolkit/index.js'
import { administrator, clientOf, makeFolder } from './product.js'
import { makeRealm, type Realm } from './rig/keycloak.js'

const GROUPS = Array.from({ length: 20 }, (_, index) => `team-${index}`)
const MACHINES = Array.from({ length: 100 }, (_, index) => `machine-${index}`)
const OBJECTS = GROUPS.length + MACHINES.length + 1
/** Writes of a first run: a create an object, and two memberships a machine. */
const WRITES = OBJECTS + 2 * MACHINES.length
/** GETs of a second run; one list a kind, and one request a group for its members. */
const MOST_READS = 30
const REDIRECTS = ['http://localhost/callback', 'http://127.0.0.1/callback']

let realm: Realm
let home: Awaited<ReturnType<typeof makeFolder>>
beforeAll(async () => {
  home = await makeFolder()
  realm = await makeRealm({})
})
afterAll(async () => {
  await realm?.remove()
  await home?.remove()
})

const toolkit = () => openToolkit({ env: administrator(realm, home.path), home: home.path, approve: async () => true })

/** Each machine is in two groups, each group has ten machines. */
const groupsOf = (index: number) => [`team-${index % GROUPS.length}`, `team-${(index + 1) % GROUPS.length}`]

async function converge({ context }: Toolkit) {
  const { capabilities } = IDPS.keycloak
  const { reconcilers, lock, identityFacts } = await context.tenant('keycloak')
  const wanted: Wanted[] = [
    ...recipes.namedGroups(GROUPS, true),
    recipes.ideClient(capabilities, { client_id: recipes.IDE_CLIENT_ID, client_name: recipes.IDE_CLIENT_NAME, redirect_uris: REDIRECTS }),
    ...MACHINES.map((client_name, index) => {
      const sink = secretFile(join(home.path, 'identities', `agent-${client_name}.json`), identityFacts(client_name))
      return recipes.machineClient(capabilities, { client_name, groups: groupsOf(index), sink })
    }),
  ]
  return context.converge({ wanted, reconcilers, tenants: [lock] })
}

test('121 objects are made in one go, and a second go finds nothing to do', async () => {
  const first = await toolkit()
  const made = await converge(first)
  const making = first.context.requests.length
  await first.close()
  expect(made).toMatchObject({ applied: true })
  expect(made.changes.map(({ action }) => action)).toEqual(Array(OBJECTS).fill('create'))
  expect(made.receipts).toHaveLength(MACHINES.length)
  for (const { saved_to } of made.receipts) expect((await stat(saved_to)).mode & 0o777).toBe(0o600)

  const before = await realm.writes()
  expect(before).toBe(WRITES)
  const second = await toolkit()
  const again = await converge(second)
  const requests = [...second.context.requests]
  await second.close()
  expect(again).toMatchObject({ applied: false, changes: [], receipts: [] })
  expect(await realm.writes()).toBe(before)
  expect(requests.filter((one) => one.class === 'write')).toEqual([])
  const reads = requests.filter(({ method }) => method === 'GET')
  expect(reads.length).toBeGreaterThan(0)
  expect(reads.length).toBeLessThanOrEqual(MOST_READS)
  expect(requests.length - reads.length).toBe(1)

  // The oracle: a write that changes nothing would have been seen.
  const ide = await clientOf(realm, recipes.IDE_CLIENT_ID)
  await realm.admin('PUT', `/clients/${ide.id}`, ide)
  expect(await realm.writes()).toBe(before + 1)
  console.log(
    `keycloak-quiet: ${OBJECTS} objects made with ${before} writes (${making} requests in all); ` +
      `second run 0 writes, ${reads.length} reads (at most ${MOST_READS}) and 1 token`,
  )
})

test('no object is there twice, and every membership is the one wanted', async () => {
  const clients = await realm.admin<{ id: string; clientId: string }[]>('GET', '/clients?max=1000')
  const groups = await realm.admin<{ id: string; name: string }[]>('GET', '/groups?max=1000')
  const ours = clients.body.filter(({ clientId }) => [...MACHINES, recipes.IDE_CLIENT_ID].includes(clientId))
  expect(ours.map(({ clientId }) => clientId).toSorted()).toEqual([...MACHINES, recipes.IDE_CLIENT_ID].toSorted())
  expect(groups.body.map(({ name }) => name).toSorted()).toEqual(GROUPS.toSorted())
  const inside = await Promise.all(
    groups.body.map(async ({ id, name }) => {
      const { body } = await realm.admin<{ username: string }[]>('GET', `/groups/${id}/members?max=1000`)
      return body.map(({ username }) => `${username} in ${name}`)
    }),
  )
  const wanted = MACHINES.flatMap((name, index) => groupsOf(index).map((group) => `service-account-${name} in ${group}`))
  expect(inside.flat().toSorted()).toEqual(wanted.toSorted())
})
