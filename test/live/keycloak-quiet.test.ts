/**
 * What is as it should be is left alone: 16 objects made in one go, and a second go that writes nothing and asks little.
 * Writes are counted by Keycloak's own admin events, which see an unchanged PUT too.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Wanted } from '../../core/plan.js'
import { IDPS, openToolkit, recipes, secretFile, type Toolkit } from '../../toolkit/index.js'
import { administrator, clientOf, makeFolder } from './product.js'
import { makeRealm, type Realm } from './rig/keycloak.js'

const GROUPS = Array.from({ length: 5 }, (_, index) => `team-${index}`)
const MACHINES = Array.from({ length: 10 }, (_, index) => `machine-${index}`)
const OBJECTS = GROUPS.length + MACHINES.length + 1
/** GETs of a second run; one list a kind, and one request a group for its members. */
const MOST_READS = 12
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

/** Each machine is in two groups, each group has four machines. */
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

test('16 objects are made in one go, and a second go finds nothing to do', async () => {
  const first = await toolkit()
  const made = await converge(first)
  await first.close()
  expect(made).toMatchObject({ applied: true })
  expect(made.changes.map(({ action }) => action)).toEqual(Array(OBJECTS).fill('create'))
  expect(made.receipts).toHaveLength(MACHINES.length)
  for (const { saved_to } of made.receipts) expect((await stat(saved_to)).mode & 0o777).toBe(0o600)

  const before = await realm.writes()
  expect(before).toBeGreaterThanOrEqual(OBJECTS)
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
  console.log(`keycloak-quiet: ${OBJECTS} objects made with ${before} writes; second run 0 writes, ${reads.length} reads and 1 token`)
})

test('no object is there twice, and every membership is the one wanted', async () => {
  const clients = await realm.admin<{ id: string; clientId: string }[]>('GET', '/clients?max=1000')
  const groups = await realm.admin<{ name: string }[]>('GET', '/groups?max=1000')
  const ours = clients.body.filter(({ clientId }) => [...MACHINES, recipes.IDE_CLIENT_ID].includes(clientId))
  expect(ours.map(({ clientId }) => clientId).toSorted()).toEqual([...MACHINES, recipes.IDE_CLIENT_ID].toSorted())
  expect(groups.body.map(({ name }) => name).toSorted()).toEqual(GROUPS.toSorted())
  for (const [index, name] of MACHINES.entries()) {
    const id = ours.find(({ clientId }) => clientId === name)?.id
    const account = await realm.admin<{ id: string }>('GET', `/clients/${id}/service-account-user`)
    const memberships = await realm.admin<{ name: string }[]>('GET', `/users/${account.body.id}/groups`)
    expect(memberships.body.map((group) => group.name).toSorted()).toEqual(groupsOf(index).toSorted())
  }
})
