/**
 * People of a real Keycloak: made with a first password that they must change, seen one by one and by pages, changed in
 * the given fields only, marked where the realm has a place for it.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { Secret } from '../../core/secret.js'
import { type Connected, connectTo, tally } from './connected.js'
import { askToken } from './product.js'
import { makeRealm, type Realm } from './rig/keycloak.js'

interface Raw {
  readonly id: string
  readonly username: string
  readonly attributes?: Readonly<Record<string, readonly string[]>>
  readonly requiredActions?: readonly string[]
  readonly [field: string]: unknown
}

const MARK = 'mcp_gateway_idp'
const PASSWORD = 'A-first-password-of-the-test-1'
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

type Place = 'none' | 'unmanaged' | 'declared' | 'seen only'

/** Gives the mark its place in the user profile of a realm, or takes it away. */
async function setPlace(realm: Realm, place: Place): Promise<void> {
  const { body } = await realm.admin<{ attributes: { name: string }[]; groups: unknown }>('GET', '/users/profile')
  const attributes = body.attributes.filter(({ name }) => name !== MARK)
  const permissions = { view: ['admin'], edit: ['admin'] }
  const changed = {
    none: {},
    unmanaged: { unmanagedAttributePolicy: 'ADMIN_EDIT' },
    declared: { attributes: [...attributes, { name: MARK, permissions }] },
    'seen only': { unmanagedAttributePolicy: 'ADMIN_VIEW' },
  }[place]
  const { status } = await realm.admin('PUT', '/users/profile', { groups: body.groups, attributes, ...changed })
  if (status !== 200) throw new Error(`user profile: ${status}`)
}
async function connect(...wanted: Parameters<typeof connectTo>): Promise<Connected> {
  const connected = await connectTo(...wanted)
  connections.push(connected)
  return connected
}
async function raw(realm: Realm, username: string): Promise<Raw | undefined> {
  const { body } = await realm.admin<Raw[]>('GET', `/users?username=${encodeURIComponent(username)}&exact=true`)
  const id = body[0]?.id
  return id === undefined ? undefined : (await realm.admin<Raw>('GET', `/users/${id}`)).body
}
async function seen(idp: Connected, username: string) {
  const found = (await idp.users.observe([username])).get(username)
  if (found === undefined) throw new Error(`${username} is not there`)
  return found
}

const ALICE = { username: 'alice', email: 'alice@example.com', given_name: 'Alice', family_name: 'Archer', enabled: true }

describe('a person', () => {
  let realm: Realm
  let idp: Connected
  beforeAll(async () => {
    realm = await freshRealm({ groups: ['everybody', 'data'] })
    await setPlace(realm, 'unmanaged')
    const { body } = await realm.admin<{ id: string; name: string }[]>('GET', '/groups')
    const [everybody, data] = ['everybody', 'data'].map((name) => body.find((group) => group.name === name)?.id)
    await realm.admin('PUT', `/default-groups/${everybody}`)
    await realm.admin('POST', `/groups/${data}/children`, { name: 'raw' })
    idp = await connect(realm)
  })

  test('is what was wanted, in nested groups and in those that everybody is in, with one request a group', async () => {
    expect(await idp.users.observe(['alice'])).toEqual(new Map())
    const create = () => idp.users.create({ ...ALICE, groups: ['data/raw', 'data'] }, new Secret(PASSWORD))
    const made = tally(await idp.requests(() => idp.write(create)))
    expect(made).toMatchObject({ 'POST /users': 1, 'PUT /users/{id}/groups/{id}': 2 })
    expect(made['GET /users/{id}/groups']).toBeUndefined()
    const { spec, owner } = await seen(idp, 'alice')
    expect(owner).toBe('us')
    expect({ ...spec, groups: spec.groups?.toSorted() }).toEqual({ ...ALICE, groups: ['data', 'data/raw', 'everybody'] })
  })

  test('gets in only by changing the first password', async () => {
    expect(await raw(realm, 'alice')).toMatchObject({ requiredActions: ['UPDATE_PASSWORD'], emailVerified: false })
    const { status, body } = await directGrant(realm, 'alice', PASSWORD)
    expect({ status, body }).toEqual({ status: 400, body: { error: 'invalid_grant', error_description: 'Account is not fully set up' } })
    expect((await directGrant(realm, 'alice', `${PASSWORD}x`)).body).toMatchObject({ error_description: 'Invalid user credentials' })
    // The oracle: the same grant lets somebody in whose password is not a temporary one.
    const alice = await raw(realm, 'alice')
    await realm.admin('PUT', `/users/${alice?.id}/reset-password`, { type: 'password', value: `${PASSWORD}-2`, temporary: false })
    const form = { client_id: 'admin-cli', grant_type: 'password', username: 'alice', password: `${PASSWORD}-2` }
    expect((await askToken(realm, form)).status).toBe(200)
  })

  test('is made without a password when none is given', async () => {
    await idp.write(() => idp.users.create({ username: 'carol', enabled: false }))
    const carol = await raw(realm, 'carol')
    expect(carol).toMatchObject({ requiredActions: [], enabled: false, attributes: { [MARK]: ['default'] } })
    expect((await realm.admin('GET', `/users/${carol?.id}/credentials`)).body).toEqual([])
    expect((await seen(idp, 'carol')).spec).toEqual({ username: 'carol', enabled: false, groups: ['everybody'] })
  })

  test('is changed in the given fields, and keeps twenty foreign attributes', async () => {
    const before = await raw(realm, 'alice')
    const foreign = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`foreign-${index}`, [`value-${index}`, 'two']]))
    await realm.admin('PUT', `/users/${before?.id}`, { ...before, emailVerified: true, attributes: { ...before?.attributes, ...foreign } })
    await idp.write(async () => idp.users.update(await seen(idp, 'alice'), { family_name: 'Baker', enabled: false }))
    const after = await raw(realm, 'alice')
    expect(after).toEqual({
      ...before,
      lastName: 'Baker',
      enabled: false,
      emailVerified: true,
      attributes: { ...foreign, [MARK]: ['default'] },
    })
  })

  test('with another address is asked to show that it is theirs', async () => {
    await idp.write(async () => idp.users.update(await seen(idp, 'alice'), { email: 'new@example.com' }))
    expect(await raw(realm, 'alice')).toMatchObject({ email: 'new@example.com', emailVerified: false, firstName: 'Alice' })
  })

  test('is put into exactly the groups of an update, and into none when one is missing', async () => {
    await idp.write(async () => idp.users.update(await seen(idp, 'alice'), { groups: ['data'] }))
    expect((await seen(idp, 'alice')).spec.groups).toEqual(['data'])
    const update = async () => idp.users.update(await seen(idp, 'alice'), { groups: ['data/raw', 'gone'] })
    await expect(idp.write(update)).rejects.toMatchObject({ code: 'not_found', details: { kind: 'group', key: 'gone' } })
    expect((await seen(idp, 'alice')).spec.groups).toEqual(['data'])
  })

  test('cannot have the address of another, who is not told on', async () => {
    const taken = 'dave@example.com'
    await idp.write(() => idp.users.create({ username: 'dave', email: taken, enabled: true }))
    const twice: (() => Promise<unknown>)[] = [
      () => idp.users.create({ username: 'erin', email: taken, enabled: true }),
      async () => idp.users.update(await seen(idp, 'carol'), { email: taken }),
    ]
    for (const write of twice) {
      const error: unknown = await idp.write(write).catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 'conflict', message: expect.stringContaining('email') })
      expect(JSON.stringify(error) + String(error)).not.toContain(taken)
    }
  })

  test('of a taken name is a conflict', async () => {
    const create = () => idp.users.create({ username: 'dave', enabled: true })
    await expect(idp.write(create)).rejects.toMatchObject({ code: 'conflict', details: { kind: 'user', key: 'dave' } })
  })

  test('that the realm refuses is told by field, every field at once', async () => {
    const create = () => idp.users.create({ username: 'x', email: 'nowhere', enabled: true })
    const error: unknown = await idp.write(create).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'invalid_input' })
    const { problems } = (error as { details: { problems: { path: string }[] } }).details
    expect(problems.map(({ path }) => path).toSorted()).toEqual(['email', 'username'])
  })

  test('whose first password is against the policy is told so, without the password', async () => {
    await realm.admin('PUT', '', { passwordPolicy: 'length(60)' })
    const create = () => idp.users.create({ username: 'frank', enabled: true }, new Secret(PASSWORD))
    const error: unknown = await idp.write(create).catch((thrown: unknown) => thrown)
    await realm.admin('PUT', '', { passwordPolicy: '' })
    expect(error).toMatchObject({ code: 'invalid_input', details: { problems: [{ path: 'password' }] } })
    expect(JSON.stringify(error) + String(error)).not.toContain(PASSWORD)
  })

  test('is removed by name', async () => {
    await idp.write(async () => idp.users.remove(await seen(idp, 'dave')))
    expect(await raw(realm, 'dave')).toBeUndefined()
    expect(await idp.users.observe(['dave', 'carol'])).toHaveProperty('size', 1)
  })
})

describe('user names', () => {
  let realm: Realm
  let idp: Connected
  beforeAll(async () => {
    realm = await freshRealm()
    await realm.admin('POST', '/users', { username: 'Bob', email: 'Bob@Example.com', enabled: true })
    await realm.admin('POST', '/clients', { clientId: 'Agent', publicClient: false, serviceAccountsEnabled: true })
    idp = await connect(realm)
  })

  test('are in lower case, as the server keeps them; another spelling is told, not guessed', async () => {
    expect((await seen(idp, 'bob')).spec).toMatchObject({ username: 'bob', email: 'bob@example.com' })
    const told = { code: 'invalid_input', details: { problems: [{ path: 'username', found: 'Bob' }] } }
    await expect(idp.users.observe(['Bob'])).rejects.toMatchObject(told)
    await expect(idp.write(() => idp.users.create({ username: 'Bob', enabled: true }))).rejects.toMatchObject(told)
    const create = () => idp.users.create({ username: 'carol', email: 'Carol@example.com', enabled: true })
    await expect(idp.write(create)).rejects.toMatchObject({ details: { problems: [{ path: 'email' }] } })
    expect(await raw(realm, 'carol')).toBeUndefined()
  })

  test('of service accounts are no names of people', async () => {
    expect((await raw(realm, 'service-account-agent'))?.username).toBe('service-account-agent')
    const told = { code: 'invalid_input', details: { problems: [{ path: 'username', found: 'service-account-agent' }] } }
    await expect(idp.users.observe(['service-account-agent'])).rejects.toMatchObject(told)
    const everybody = await idp.directory.people(['bob', ...Array.from({ length: 30 }, (_, index) => `nobody-${index}`)])
    expect(everybody.map(({ username }) => username)).toEqual(['bob'])
  })
})

describe('the mark', () => {
  let realm: Realm
  beforeAll(async () => {
    realm = await freshRealm()
  })
  afterEach(async () => {
    const { body } = await realm.admin<Raw[]>('GET', '/users')
    for (const { id } of body) await realm.admin('DELETE', `/users/${id}`)
  })

  test.for(['unmanaged', 'declared'] as const)(
    'has a place where attributes are %s: a person of nobody is taken over whole, and ours are listed',
    async (place) => {
      await setPlace(realm, place)
      const idp = await connect(realm)
      const cost = place === 'unmanaged' ? { attributes: { cost: ['7', '8'] } } : {}
      const theirs = { email: 'theirs@example.com', emailVerified: true, firstName: 'The', lastName: 'Irs', enabled: true, ...cost }
      await realm.admin('POST', '/users', { username: 'theirs', requiredActions: ['UPDATE_PROFILE'], ...theirs })
      const before = await raw(realm, 'theirs')
      expect(before).toMatchObject(theirs)
      await idp.write(() => idp.users.create({ username: 'ours', enabled: true }))
      const found = await idp.users.observe(['ours', 'theirs'])
      expect(found.get('ours')?.owner).toBe('us')
      expect(found.get('theirs')?.owner).toBe('nobody')
      expect(await idp.users.owned?.()).toEqual(['ours'])

      await idp.write(async () => idp.users.update(await seen(idp, 'theirs'), { given_name: 'Changed' }))
      const after = { ...before, firstName: 'Changed', attributes: { ...before?.attributes, [MARK]: ['default'] } }
      expect(await raw(realm, 'theirs')).toEqual(after)
      expect((await idp.users.owned?.())?.toSorted()).toEqual(['ours', 'theirs'])

      // The server does not mind the case of a searched value; a profile of another case is another owner all the same.
      const other = await connect(realm, { profile: 'DEFAULT' })
      expect((await seen(other, 'ours')).owner).toEqual({ other: 'profile default' })
      expect(await other.users.owned?.()).toEqual([])
    },
  )

  test.for(['none', 'seen only'] as const)('has no place (%s): who is named is ours, and nobody is listed', async (place) => {
    await setPlace(realm, place)
    const idp = await connect(realm)
    await realm.admin('POST', '/users', { username: 'theirs', enabled: true })
    await idp.write(() => idp.users.create({ username: 'ours', enabled: true }))
    const found = await idp.users.observe(['ours', 'theirs'])
    expect([...found.values()].map(({ owner }) => owner)).toEqual(['us', 'us'])
    expect((await raw(realm, 'ours'))?.attributes).toBeUndefined()
    expect(await idp.users.owned?.()).toEqual([])
  })

  test('has its place looked up once in a run', async () => {
    const idp = await connect(realm)
    const requests = await idp.requests(() =>
      idp.write(async () => {
        for (const name of ['one', 'two', 'three']) await idp.users.create({ username: `user-${name}`, enabled: true })
        await idp.users.observe(['user-one', 'user-two'])
      }),
    )
    expect(tally(requests)).toMatchObject({ 'GET /users/profile': 1, 'POST /users': 3 })
  })
})

describe('many people', () => {
  let realm: Realm
  let idp: Connected
  beforeAll(async () => {
    realm = await freshRealm({ adminEvents: false })
    idp = await connect(realm)
  })

  // One realm that grows; names are sorted by the server, so the wanted one is the very last.
  test.for([0, 1, 199, 200, 201])('the last of %i is found, by name and by pages', async (count) => {
    const names = ['zz-last', ...Array.from({ length: 200 }, (_, index) => `user-${index}`)].slice(0, count)
    const there = await realm.admin<Raw[]>('GET', '/users?max=1000')
    const fresh = names.filter((name) => !there.body.some(({ username }) => username === name))
    const users = fresh.map((username) => ({ username, enabled: true }))
    expect((await realm.admin('POST', '/partialImport', { ifResourceExists: 'FAIL', users })).status).toBe(200)

    const wanted = count === 0 ? [] : ['zz-last']
    expect([...(await idp.users.observe(['zz-last'])).keys()]).toEqual(wanted)
    const strangers = Array.from({ length: 40 }, (_, index) => `stranger-${index}`)
    let found: readonly string[] = []
    const requests = tally(
      await idp.requests(async () => {
        found = [...(await idp.users.observe([...strangers, 'zz-last'])).keys()]
      }),
    )
    expect(found).toEqual(wanted)
    expect(requests['GET /users']).toBe(count < 200 ? 1 : 2)
    if (count > 40) expect(await idp.directory.people(names)).toHaveLength(count)
    console.log(`keycloak-people: the last of ${count} among 41 names, in ${JSON.stringify(requests)}`)
  })
})

async function directGrant({ issuer }: Realm, username: string, password: string): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`${issuer}/protocol/openid-connect/token`, {
    method: 'POST',
    body: new URLSearchParams({ client_id: 'admin-cli', grant_type: 'password', username, password }),
    signal: AbortSignal.timeout(30_000),
  })
  return { status: response.status, body: await response.json() }
}
