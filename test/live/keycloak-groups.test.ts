/**
 * Groups at every depth of a real Keycloak: made, seen, changed and removed by their paths; groups whose names look like
 * paths left alone; and what memberships cost in requests.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { converge } from '../../core/converge.js'
import type { Wanted } from '../../core/plan.js'
import { Secret } from '../../core/secret.js'
import { type Connected, connectTo, tally } from './connected.js'
import { makeRealm, type Realm } from './rig/keycloak.js'

interface Raw {
  readonly id: string
  readonly name: string
  readonly description?: string
  readonly attributes?: Readonly<Record<string, readonly string[]>>
}

const realms: Realm[] = []
const connections: Connected[] = []
afterAll(async () => {
  await Promise.all(connections.map((one) => one.close()))
  await Promise.all(realms.map((one) => one.remove()))
})

async function freshRealm(wanted: Parameters<typeof makeRealm>[0] = {}): Promise<Realm> {
  const realm = await makeRealm(wanted)
  realms.push(realm)
  return realm
}
async function connect(...wanted: Parameters<typeof connectTo>): Promise<Connected> {
  const connected = await connectTo(...wanted)
  connections.push(connected)
  return connected
}
const raw = async (realm: Realm, id: string) => (await realm.admin<Raw>('GET', `/groups/${id}`)).body
const makeGroup = async (realm: Realm, name: string, parent?: string) => {
  const { id = '', status } = await realm.admin('POST', parent === undefined ? '/groups' : `/groups/${parent}/children`, { name })
  if (status !== 201) throw new Error(`group ${name}: ${status}`)
  return id
}

describe('a tree of three levels', () => {
  const TREE = ['engineering', 'engineering/platform', 'engineering/platform/on-call']
  let realm: Realm
  let idp: Connected
  beforeAll(async () => {
    realm = await freshRealm()
    idp = await connect(realm)
  })

  test('is made in one go, each group inside the one made a moment before', async () => {
    expect(await idp.groups.observe(TREE)).toEqual(new Map())
    await idp.write(async () => {
      for (const name of TREE) await idp.groups.create({ name, description: `Here is ${name}` })
    })
    const seen = await idp.groups.observe(TREE)
    expect([...seen.keys()]).toEqual(TREE)
    for (const [name, { spec, owner }] of seen)
      expect({ spec, owner }).toEqual({ spec: { name, description: `Here is ${name}` }, owner: 'us' })
    expect(await idp.groups.owned?.()).toEqual(TREE)
  })

  test('tells what would go away with each group', async () => {
    const seen = await idp.groups.observe(TREE)
    expect([...seen.values()].map(({ holds }) => holds)).toEqual([TREE.slice(1), TREE.slice(2), undefined])
  })

  test('a group is not made inside one that is not there', async () => {
    const create = () => idp.groups.create({ name: 'engineering/nowhere/child' })
    await expect(idp.write(create)).rejects.toMatchObject({ code: 'not_found', details: { kind: 'group', key: 'engineering/nowhere' } })
  })

  test('a change of the description leaves every foreign attribute', async () => {
    const current = (await idp.groups.observe(TREE)).get('engineering/platform')
    if (current === undefined) throw new Error('the group is not there')
    const before = await raw(realm, current.id)
    const foreign = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`foreign-${index}`, ['one', 'two']]))
    await realm.admin('PUT', `/groups/${current.id}`, { ...before, attributes: { ...before.attributes, ...foreign } })
    await idp.write(() => idp.groups.update(current, { description: 'Changed' }))
    const after = await raw(realm, current.id)
    expect(after).toMatchObject({ name: 'platform', description: 'Changed', attributes: foreign })
    expect((await idp.groups.observe(TREE)).get('engineering/platform')?.owner).toBe('us')
  })

  test('a group of nobody becomes ours with its description and attributes kept', async () => {
    const { id = '' } = await realm.admin('POST', '/groups', { name: 'theirs', description: 'Old', attributes: { cost: ['7'] } })
    const found = (await idp.groups.observe(['theirs'])).get('theirs')
    expect(found?.owner).toBe('nobody')
    if (found) await idp.write(() => idp.groups.update(found, {}))
    expect(await raw(realm, id)).toMatchObject({ description: 'Old', attributes: { cost: ['7'], mcp_gateway_idp: ['default'] } })
    const other = await connect(realm, { profile: 'other' })
    expect((await other.groups.observe(['theirs'])).get('theirs')?.owner).toEqual({ other: 'profile default' })
    expect(await other.groups.owned?.()).toEqual([])
  })

  test('names that differ in case are two groups', async () => {
    await makeGroup(realm, 'Engineering')
    const seen = await idp.groups.observe(['engineering', 'Engineering', 'ENGINEERING'])
    expect([...seen].map(([key, { owner }]) => [key, owner])).toEqual(
      expect.arrayContaining([
        ['engineering', 'us'],
        ['Engineering', 'nobody'],
      ]),
    )
    expect(seen.size).toBe(2)
  })

  test('is removed leaf first', async () => {
    for (const name of TREE.toReversed()) {
      const current = (await idp.groups.observe([name])).get(name)
      expect(current).toBeDefined()
      expect(current?.holds).toBeUndefined()
      if (current) await idp.write(() => idp.groups.remove(current))
    }
    expect(await idp.groups.observe(TREE)).toEqual(new Map())
  })
})

describe('a group of somebody else whose name holds a slash', () => {
  let realm: Realm
  let idp: Connected
  let twin: string
  beforeAll(async () => {
    realm = await freshRealm()
    idp = await connect(realm)
    twin = await makeGroup(realm, 'data/raw')
    await makeGroup(realm, 'inside', twin)
    const data = await makeGroup(realm, 'data')
    await makeGroup(realm, 'deep/er', data)
  })

  test('is not taken for the group of that path', async () => {
    expect(await idp.groups.observe(['data/raw', 'data/raw/inside', 'data/deep/er', `//data|raw|${twin}`])).toEqual(new Map())
    await idp.write(() => idp.groups.create({ name: 'data/raw' }))
    const seen = (await idp.groups.observe(['data/raw'])).get('data/raw')
    expect(seen).toMatchObject({ owner: 'us' })
    expect(seen?.id).not.toBe(twin)
    expect(await raw(realm, twin)).toMatchObject({ name: 'data/raw', attributes: {} })
  })

  test('has a path of its own, and is told where it would go away with another', async () => {
    const paths = (await idp.directory.groups()).map(({ path }) => path)
    expect(new Set(paths).size).toBe(paths.length)
    expect(paths).toContain(`//data|raw|${twin}`)
    expect(paths).toContain(`//data|raw|${twin}/inside`)
    const holds = (await idp.groups.observe(['data'])).get('data')?.holds
    expect(holds?.toSorted()).toEqual([expect.stringMatching(/^data\/\/\/deep\|er\|[0-9a-f-]{36}$/), 'data/raw'])
  })

  test('is not where a member of the other one goes', async () => {
    const { id: user = '' } = await realm.admin('POST', '/users', { username: 'bob', enabled: true })
    await realm.admin('PUT', `/users/${user}/groups/${twin}`)
    await idp.write(() => idp.memberships.add(user, ['data/raw'], 'bob'))
    const seen = await idp.memberships.ofUsers([{ id: user, username: 'bob' }])
    expect(seen.get('bob')?.toSorted()).toEqual([`//data|raw|${twin}`, 'data/raw'])
    await idp.write(() => idp.memberships.set(user, ['data/raw'], 'bob'))
    const { body } = await realm.admin<Raw[]>('GET', `/users/${user}/groups`)
    expect(body).toHaveLength(1)
    expect(body[0]?.id).not.toBe(twin)
  })
})

describe('pages', () => {
  let realm: Realm
  let idp: Connected
  beforeAll(async () => {
    realm = await freshRealm({ groups: ['parent'], adminEvents: false })
    idp = await connect(realm)
  })

  // One realm that grows; names are sorted by the server, so the wanted one is the very last.
  test.for([0, 1, 199, 200, 201])(
    'the last of %i top-level groups, of as many inside one, and of as many members is found',
    async (count) => {
      const names = ['zz', ...Array.from({ length: 200 }, (_, index) => `a-${index}`)].slice(0, count)
      const there = new Set((await idp.directory.groups()).map(({ path }) => path))
      const fresh = names.filter((name) => !there.has(name))
      const parent = (await idp.directory.groups()).find(({ path }) => path === 'parent')
      for (const name of fresh) {
        await makeGroup(realm, name)
        await makeGroup(realm, name, parent?.id)
      }
      const users = fresh.map((name) => ({ username: `user-${name}`, enabled: true, groups: ['/parent'] }))
      expect((await realm.admin('POST', '/partialImport', { ifResourceExists: 'FAIL', users })).status).toBe(200)

      const seen = await idp.groups.observe(['zz', 'parent', 'parent/zz'])
      expect([...seen.keys()].toSorted()).toEqual(count === 0 ? ['parent'] : ['parent', 'parent/zz', 'zz'])
      expect(seen.get('parent')?.holds ?? []).toHaveLength(count)
      const members = parent ? await idp.directory.members(parent) : undefined
      expect(members).toHaveLength(count)
      if (count > 0) expect(members).toContain('user-zz')
    },
  )
})

describe('who may not see groups', () => {
  let realm: Realm
  beforeAll(async () => {
    realm = await freshRealm()
  })

  test('is told apart from who sees that there are none', async () => {
    const idp = await connect(realm, { serviceAccount: await makeAccount(realm, ['view-users']) })
    expect(await idp.groups.observe(['seen'])).toEqual(new Map())
    expect(await idp.users.observe(['bob'])).toEqual(new Map())
  })

  test('is told so, whatever the lists and the realm look like', async () => {
    await makeGroup(realm, 'seen')
    for (const roles of [
      ['query-groups', 'query-users'],
      ['query-groups', 'query-users', 'view-realm'],
    ]) {
      const idp = await connect(realm, { serviceAccount: await makeAccount(realm, roles) })
      await expect(idp.groups.observe(['seen'])).rejects.toMatchObject({ code: 'forbidden', details: { needs: ['manage-users'] } })
      await expect(idp.users.observe(['bob'])).rejects.toMatchObject({ code: 'forbidden', details: { needs: ['manage-users'] } })
    }
  })
})

async function makeAccount(realm: Realm, roles: readonly string[]) {
  const serviceAccount = { client_id: `admin-${roles.join('-')}`, client_secret: 'a-secret-of-the-test-only' }
  const { id = '' } = await realm.admin('POST', '/clients', {
    clientId: serviceAccount.client_id,
    secret: serviceAccount.client_secret,
    publicClient: false,
    serviceAccountsEnabled: true,
    fullScopeAllowed: true,
  })
  const { body: account } = await realm.admin<{ id: string }>('GET', `/clients/${id}/service-account-user`)
  const { body: holders } = await realm.admin<{ id: string }[]>('GET', '/clients?clientId=realm-management')
  const holder = holders[0]?.id ?? ''
  for (const role of roles) {
    const { body } = await realm.admin('GET', `/clients/${holder}/roles/${role}`)
    await realm.admin('POST', `/users/${account.id}/role-mappings/clients/${holder}`, [body])
  }
  return serviceAccount
}

describe('twenty machines in two groups each', () => {
  const MACHINES = Array.from({ length: 20 }, (_, index) => `machine-${index}`)
  const GROUPS = ['teams', 'teams/a', 'teams/b', 'teams/b/c']
  const groupsOf = (index: number) => [GROUPS[index % 4] ?? '', GROUPS[(index + 1) % 4] ?? '']
  let realm: Realm
  let idp: Connected
  beforeAll(async () => {
    realm = await freshRealm({ groups: ['everybody'] })
    const { body } = await realm.admin<Raw[]>('GET', '/groups')
    await realm.admin('PUT', `/default-groups/${body[0]?.id}`)
    idp = await connect(realm)
  })
  const wanted: Wanted[] = [
    ...GROUPS.map((name): Wanted<'group'> => ({ kind: 'group', key: name, ensure: 'present', spec: { name } })),
    ...MACHINES.map((name, index): Wanted<'machine-client'> => {
      const spec = { client_id: name, client_name: name, enabled: true, grant_types: ['client_credentials'], groups: groupsOf(index) }
      return { kind: 'machine-client', key: name, ensure: 'present', spec: { ...spec, token_endpoint_auth_method: 'client_secret_basic' } }
    }),
  ]
  const run = () =>
    converge(
      { wanted, reconcilers: { group: idp.groups, 'machine-client': idp.machines }, tenants: [] },
      { latch: idp.latch, approve: async () => true, lock: (_, work) => work() },
    )

  test('cost one create, one look at the account and two memberships each, and no more than a few requests beside', async () => {
    const requests = tally(await idp.requests(run))
    console.log('first apply', requests)
    const { 'POST /clients': creates, 'GET /clients/{id}/service-account-user': accounts, ...rest } = requests
    const { 'PUT /users/{id}/groups/{id}': added, 'DELETE /users/{id}/groups/{id}': removed, ...others } = rest
    expect({ creates, accounts, added }).toEqual({ creates: 20, accounts: 20, added: 40 })
    // Each account begins in the realm's default group, which is not wanted.
    expect(removed).toBe(20)
    expect(others['GET /default-groups']).toBe(1)
    const few = Object.values(others).reduce((sum, count) => sum + count, 0)
    console.log(`keycloak-groups: 20 machines in 2 groups each: 20 creates, 20 accounts, 40 additions, and ${few} requests beside`)
    expect(few).toBeLessThanOrEqual(40)
  })

  test('are each in exactly their groups', async () => {
    for (const [index, name] of MACHINES.entries()) {
      const { body } = await realm.admin<{ id: string }[]>('GET', `/users?username=service-account-${name}&exact=true`)
      const groups = await realm.admin<{ path: string }[]>('GET', `/users/${body[0]?.id}/groups`)
      expect(groups.body.map(({ path }) => path.slice(1)).toSorted()).toEqual(groupsOf(index).toSorted())
    }
  })

  test('cost a second time one page of clients, one of each level of groups and one of each group’s members', async () => {
    const requests = tally(await idp.requests(run))
    expect(requests).toEqual({
      'GET /clients': 1,
      // Two kinds look at the groups, at the same time as a rule; two groups have others inside.
      'GET /groups': expect.toSatisfy((count: number) => count <= 2),
      'GET /groups/{id}/children': expect.toSatisfy((count: number) => count <= 4),
      'GET /groups/{id}/members': GROUPS.length + 1,
    })
  })
})

test('a machine is put in nested groups although nobody may see the default groups, and moved between them', async () => {
  const realm = await freshRealm({ groups: ['everybody'] })
  const { body } = await realm.admin<Raw[]>('GET', '/groups')
  await realm.admin('PUT', `/default-groups/${body[0]?.id}`)
  const child = await makeGroup(realm, 'child', await makeGroup(realm, 'top'))
  await makeGroup(realm, 'grandchild', child)
  const idp = await connect(realm, { serviceAccount: await makeAccount(realm, ['manage-users', 'manage-clients']) })
  const spec = { client_id: 'Mixed', client_name: 'Mixed', enabled: true, grant_types: ['client_credentials'] }
  const machine = { ...spec, token_endpoint_auth_method: 'client_secret_basic', groups: ['top', 'top/child/grandchild'] }
  const made = tally(await idp.requests(() => idp.write(() => idp.machines.create(machine, new Secret('a-secret-that-we-chose')))))
  expect(made).toMatchObject({ 'GET /default-groups': 1, 'GET /users/{id}/groups': 1 })
  const seen = (await idp.machines.observe(['Mixed'])).get('Mixed')
  expect(seen?.spec.groups?.toSorted()).toEqual(machine.groups)
  if (seen) await idp.write(() => idp.machines.update(seen, { groups: ['top/child'] }))
  expect((await idp.machines.observe(['Mixed'])).get('Mixed')?.spec.groups).toEqual(['top/child'])
  if (seen) {
    const update = () => idp.machines.update(seen, { groups: ['top', 'gone'] })
    await expect(idp.write(update)).rejects.toMatchObject({ code: 'not_found', details: { kind: 'group', key: 'gone' } })
  }
  expect((await idp.machines.observe(['Mixed'])).get('Mixed')?.spec.groups).toEqual(['top/child'])
})
