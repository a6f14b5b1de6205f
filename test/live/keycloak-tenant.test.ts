/**
 * The realm itself at a real Keycloak: made from nothing by a service account that may make realms and nothing else,
 * adopted with everything of others kept, and what reads alone tell of each role's rights.
 */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Wanted } from '../../core/plan.js'
import type { Resources } from '../../core/resources.js'
import { RIGHTS, type Right } from '../../core/rights.js'
import { keycloakCapabilities } from '../../idp/keycloak/capabilities.js'
import { memorySink } from '../fakes/memory-sink.js'
import { timeline } from '../fakes/timeline.js'
import { askToken, clientOf, type Variables } from './product.js'
import { makeRealm, type Realm } from './rig/keycloak.js'
import { type ConnectedTenant, connectTenant, serviceAccount } from './tenant.js'

const MARK = 'mcp_gateway_idp'
const spec = (name: string): Resources['tenant'] => ({
  name,
  enabled: true,
  access_token_lifetime: 420,
  session_idle_lifetime: 1500,
  session_lifetime: 30_000,
  brute_force_protection: true,
  login_failures: 6,
  self_registration: false,
})

const realms: Realm[] = []
const connections: ConnectedTenant[] = []
const counts = { made: 0, adopted: 0, cells: 0 }
/** What goes away beside the realms. */
const removals: (() => Promise<unknown>)[] = []
afterAll(async () => {
  await Promise.all(connections.map((one) => one.close()))
  for (const remove of removals) await remove()
  await Promise.all(realms.map((realm) => realm.remove()))
  console.log(`keycloak-tenant: ${counts.made} objects of a new realm, ${counts.adopted} adoptions, ${counts.cells} rights told`)
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0)
})

/** A realm in which there is nothing. */
let base: Realm
beforeAll(async () => {
  base = await freshRealm()
})

async function freshRealm(...wanted: Parameters<typeof makeRealm>): Promise<Realm> {
  const realm = await makeRealm(...wanted)
  realms.push(realm)
  return realm
}
async function connect(...wanted: Parameters<typeof connectTenant>): Promise<ConnectedTenant> {
  const connected = await connectTenant(...wanted)
  connections.push(connected)
  return connected
}
/** The name of a realm that is not there, with a way to look at it once it is. Making a realm costs seconds. */
function missingRealm(): Realm {
  const realm = `rig-${randomBytes(5).toString('hex')}`
  const issuer = base.issuer.replace(base.realm, realm)
  const admin: Realm['admin'] = (method, path, body) => base.admin(method, `/../${realm}${path}`, body)
  removals.push(() => admin('DELETE', ''))
  return { ...base, realm, issuer, admin }
}
async function inMaster(realm: Realm, roles: readonly string[]): Promise<Variables> {
  const client_id = `rig-${randomBytes(5).toString('hex')}`
  const variables = await serviceAccount(realm, client_id, roles, 'master')
  removals.push(async () => {
    const { body } = await realm.admin<{ id: string }[]>('GET', `/../master/clients?clientId=${client_id}`)
    await realm.admin('DELETE', `/../master/clients/${body[0]?.id}`)
  })
  return variables
}
type Whole = Readonly<Record<string, unknown>> & { readonly attributes: Readonly<Record<string, string>> }
const whole = async (realm: Realm) => (await realm.admin<Whole>('GET', '')).body
interface Profile {
  readonly attributes: readonly { readonly name: string; readonly permissions?: object }[]
}
const profileOf = async (realm: Realm) => (await realm.admin<Profile>('GET', '/users/profile')).body
const writesIn = ({ journal }: ConnectedTenant) => journal.filter((entry) => entry.class === 'write').length

describe('a realm that is missing', () => {
  let realm: Realm
  let idp: ConnectedTenant
  let wanted: Wanted[]
  beforeAll(async () => {
    realm = missingRealm()
    idp = await connect(realm, { bootstrap: true, variables: await inMaster(realm, ['create-realm']) })
    const client = { enabled: true, full_scope: false, groups_claim: 'groups', audience: 'mcp-gateway' }
    wanted = [
      { kind: 'tenant', key: realm.realm, ensure: 'present', spec: spec(realm.realm) },
      { kind: 'group', key: 'demo-readers', ensure: 'present', spec: { name: 'demo-readers' } },
      {
        kind: 'public-client',
        key: 'ide',
        ensure: 'present',
        spec: {
          ...client,
          client_id: 'ide',
          client_name: 'IDE',
          redirect_uris: ['http://127.0.0.1/callback', 'http://localhost/callback'],
          grant_types: ['authorization_code', 'refresh_token'],
          token_endpoint_auth_method: 'none',
          pkce: 'S256',
          web_origins: [],
        },
      },
      {
        kind: 'web-client',
        key: 'web',
        ensure: 'present',
        spec: {
          ...client,
          client_id: 'web',
          client_name: 'Web',
          redirect_uris: ['https://gateway.example.com/oauth2/callback/keycloak'],
          grant_types: ['authorization_code', 'refresh_token'],
          token_endpoint_auth_method: 'client_secret_basic',
          web_origins: [],
        },
        sink: memorySink(timeline(), 'memory/web.json'),
      },
      {
        kind: 'machine-client',
        key: 'Machine',
        ensure: 'present',
        spec: {
          ...client,
          client_id: 'Machine',
          client_name: 'Machine',
          redirect_uris: [],
          grant_types: ['client_credentials'],
          token_endpoint_auth_method: 'client_secret_basic',
          groups: ['demo-readers'],
        },
        sink: memorySink(timeline(), 'memory/machine.json'),
      },
    ]
  })

  test('is not found, unless it may be made', async () => {
    await expect(connectTenant(realm)).rejects.toMatchObject({ code: 'not_found', details: { kind: 'realm', key: realm.realm } })
    expect(idp.tenant.name).toBe(realm.realm)
    expect(idp.tenant.issuer).toBe(realm.issuer)
  })

  test('holds nothing, of any kind', async () => {
    for (const { kind, key } of wanted) expect([kind, await idp.of(kind).observe([String(key)])]).toEqual([kind, new Map()])
    expect(await idp.of('web-client').owned?.()).toEqual([])
  })

  test('may be made by who has create-realm, who may do everything in it then', async () => {
    const held = await idp.tenant.rights()
    expect(held).toEqual(Object.fromEntries(Object.keys(RIGHTS).map((right) => [right, 'yes'])))
  })

  test('is made with everything in it, in one go, and is what was wanted', async () => {
    const { changes } = await idp.run(wanted)
    expect(changes.map(({ action, kind }) => `${action} ${kind}`)).toEqual(wanted.map(({ kind }) => `create ${kind}`))
    counts.made += changes.length
    expect((await idp.of('tenant').observe([realm.realm])).get(realm.realm)).toMatchObject({ owner: 'us', spec: spec(realm.realm) })
    const { issuer } = (await (await fetch(`${realm.issuer}/.well-known/openid-configuration`)).json()) as { issuer: string }
    expect(idp.tenant.issuer).toBe(issuer)
  })

  test('needs nothing the second time', async () => {
    const before = writesIn(idp)
    expect((await idp.run(wanted)).changes).toEqual([])
    expect(writesIn(idp)).toBe(before)
    expect(before).toBeGreaterThan(wanted.length)
  })

  test('has a place for our mark in the profile of people, beside what every realm has', async () => {
    const [ours, plain] = [await profileOf(realm), await profileOf(base)]
    const [place, ...others] = ours.attributes.filter(({ name }) => name === MARK)
    expect(others).toEqual([])
    expect(place).toMatchObject({ permissions: { view: ['admin'], edit: ['admin'] } })
    expect({ ...ours, attributes: ours.attributes.filter(({ name }) => name !== MARK) }).toEqual(plain)
  })

  test('still tells all rights to who made it, whose old token names none of its roles', async () => {
    expect(await idp.tenant.rights()).toMatchObject({ 'clients:write': 'yes', 'users:write': 'yes', 'tenant:read': 'yes' })
  })

  test('tells the registry where it is', () => {
    const url = realm.issuer.replace(`/realms/${realm.realm}`, '')
    expect(idp.tenant.registrySettings).toEqual({ AUTH_PROVIDER: 'keycloak', KEYCLOAK_URL: url, KEYCLOAK_REALM: realm.realm })
  })
})

describe('a realm that cannot be made', () => {
  test('is told before the question, and by the server’s own refusal, with the role that is needed', async () => {
    const missing = missingRealm()
    const account = await serviceAccount(base, 'all-there', ['realm-admin'])
    const needed = { code: 'forbidden', details: { needs: ['create-realm'] }, hint: expect.stringContaining('master') }
    for (const variables of [account, await inMaster(base, [])]) {
      const idp = await connect(missing, { bootstrap: true, variables })
      expect(await idp.tenant.rights()).toMatchObject({ 'tenant:create': 'no', 'clients:write': 'unknown' })
      const wanted: Wanted<'tenant'> = { kind: 'tenant', key: missing.realm, ensure: 'present', spec: spec(missing.realm) }
      await expect(idp.run([wanted])).rejects.toMatchObject(needed)
      await expect(idp.write(() => idp.of('tenant').create(spec(missing.realm)))).rejects.toMatchObject(needed)
      expect(writesIn(idp)).toBe(1)
    }
  })

  test('another realm than the one we are connected to is unsupported, and so is removing one', async () => {
    const idp = await connect(base)
    await expect(idp.of('tenant').observe([base.realm, 'other'])).rejects.toMatchObject({ code: 'unsupported' })
    const [current] = (await idp.of('tenant').observe([base.realm])).values()
    if (current === undefined) throw new Error('no realm')
    await expect(idp.write(() => idp.of('tenant').remove(current))).rejects.toMatchObject({ code: 'unsupported' })
    expect((await base.admin('GET', '')).status).toBe(200)
    expect(idp.of('tenant').owned).toBeUndefined()
  })
})

describe('Keycloak', () => {
  test('keeps the fields that a PUT of a realm leaves out, and replaces its attributes as a whole', async () => {
    await base.admin('PUT', '', { attributes: { first: 'one' }, failureFactor: 7 })
    const before = await whole(base)
    await base.admin('PUT', '', { accessTokenLifespan: 999 })
    expect(await whole(base)).toEqual({ ...before, accessTokenLifespan: 999 })
    await base.admin('PUT', '', { attributes: { second: 'two' } })
    const { attributes, ...rest } = await whole(base)
    expect(attributes).toMatchObject({ second: 'two' })
    expect(attributes).not.toHaveProperty('first')
    expect(rest).toMatchObject({ accessTokenLifespan: 999, failureFactor: 7 })
  })
})

describe('a realm that is there', () => {
  let realm: Realm
  let idp: ConnectedTenant
  const wanted = (adopt: boolean): Wanted<'tenant'> => ({
    kind: 'tenant',
    key: realm.realm,
    ensure: 'present',
    spec: spec(realm.realm),
    adopt,
  })
  beforeAll(async () => {
    realm = await freshRealm()
    await realm.admin('PUT', '', {
      displayName: 'Somebody else’s',
      smtpServer: { host: 'mail.example.com', from: 'idp@example.com' },
      attributes: { 'somebody.else': 'yes' },
      registrationAllowed: true,
    })
    const profile = await profileOf(realm)
    const theirs = { name: 'shoe_size', permissions: { view: ['admin', 'user'], edit: ['admin'] } }
    await realm.admin('PUT', '/users/profile', { ...profile, attributes: [...profile.attributes, theirs] })
    idp = await connect(realm)
  })

  test('is left alone while it carries no mark and nobody says adopt', async () => {
    const before = await realm.writes()
    await expect(idp.run([wanted(false)])).rejects.toMatchObject({ code: 'conflict' })
    expect(await realm.writes()).toBe(before)
  })

  test('is adopted with our fields and marks, and everything of others as it was', async () => {
    const [before, profile] = [await whole(realm), await profileOf(realm)]
    const { changes } = await idp.run([wanted(true)])
    expect(changes).toMatchObject([{ action: 'adopt', kind: 'tenant' }])
    expect(await whole(realm)).toEqual({
      ...before,
      accessTokenLifespan: 420,
      ssoSessionIdleTimeout: 1500,
      ssoSessionMaxLifespan: 30_000,
      bruteForceProtected: true,
      failureFactor: 6,
      registrationAllowed: false,
      attributes: { ...before.attributes, [MARK]: 'default' },
    })
    const after = await profileOf(realm)
    expect({ ...after, attributes: after.attributes.filter(({ name }) => name !== MARK) }).toEqual(profile)
    expect(after.attributes.filter(({ name }) => name === MARK)).toHaveLength(1)
    counts.adopted++
    expect((await idp.run([wanted(false)])).changes).toEqual([])
  })

  test.each([
    ['enabled', { enabled: false }],
    ['access_token_lifetime', { accessTokenLifespan: 60 }],
    ['session_idle_lifetime', { ssoSessionIdleTimeout: 61 }],
    ['session_lifetime', { ssoSessionMaxLifespan: 62 }],
    ['brute_force_protection', { bruteForceProtected: false }],
    ['login_failures', { failureFactor: 63 }],
    ['self_registration', { registrationAllowed: true }],
  ])('drift of %s is seen alone and mended alone', async (field, edit) => {
    const before = await whole(realm)
    expect((await realm.admin('PUT', '', edit)).status).toBe(204)
    const { changes } = await idp.run([wanted(false)])
    expect(changes.map(({ action, fields }) => [action, fields.map((one) => one.field)])).toEqual([['update', [field]]])
    expect(await whole(realm)).toEqual(before)
  })

  test('of another profile belongs to that profile', async () => {
    const other = await connect(realm, { profile: 'other' })
    await expect(other.run([wanted(true)])).rejects.toMatchObject({ code: 'owned_elsewhere', details: { owner: 'profile default' } })
  })

  test('whose making was cut off is finished by the next run', async () => {
    const half = await freshRealm()
    await half.admin('PUT', '', { enabled: false, attributes: { [MARK]: 'default' } })
    const other = await connect(half, { bootstrap: true })
    await other.run([{ kind: 'tenant', key: half.realm, ensure: 'present', spec: spec(half.realm) }])
    expect((await profileOf(half)).attributes.map(({ name }) => name)).toContain(MARK)
    expect(await whole(half)).toMatchObject({ enabled: true })
  })

  test('is not read from the few fields that a smaller role is shown', async () => {
    const few = await connect(realm, { variables: await serviceAccount(realm, 'few-fields', ['manage-clients']) })
    await expect(few.of('tenant').observe([realm.realm])).rejects.toMatchObject({ code: 'forbidden', details: { needs: ['view-realm'] } })
  })
})

describe('rights', () => {
  const ALL = Object.keys(RIGHTS) as Right[]
  const IN_REALM = ALL.filter((right) => right !== 'tenant:create')
  /** Roles of one account, and the rights that they give. */
  const ROWS: readonly { roles: readonly string[]; held: readonly Right[] }[] = [
    { roles: [], held: [] },
    { roles: ['query-clients', 'query-groups', 'query-users'], held: [] },
    { roles: ['query-clients', 'query-groups', 'query-users', 'view-realm'], held: ['tenant:read'] },
    { roles: ['create-client'], held: [] },
    { roles: ['view-clients'], held: ['clients:read'] },
    { roles: ['manage-clients'], held: ['clients:read', 'clients:write'] },
    { roles: ['view-users'], held: ['groups:read', 'users:read'] },
    { roles: ['manage-users'], held: ['groups:read', 'groups:write', 'users:read', 'users:write'] },
    { roles: ['view-clients', 'view-users'], held: ['clients:read', 'groups:read', 'users:read', 'tokens:evaluate'] },
    { roles: ['view-realm'], held: ['tenant:read'] },
    { roles: ['manage-realm'], held: ['tenant:read', 'tenant:write'] },
    { roles: ['realm-admin'], held: IN_REALM },
  ]
  let realm: Realm
  const named = (row: (typeof ROWS)[number]) => [row.roles.join(' + ') || 'nothing', row] as const
  const accountOf = (row: (typeof ROWS)[number]) => `account-${ROWS.indexOf(row)}`
  beforeAll(async () => {
    realm = await freshRealm({
      groups: ['demo-readers'],
      people: [{ username: 'ann', password: 'a password of ann', groups: ['demo-readers'] }],
    })
  })

  test.each(ROWS.map(named))('of a service account with %s are told by its token, and are those that the server grants', async (_, row) => {
    const variables = await serviceAccount(realm, accountOf(row), row.roles)
    const idp = await connect(realm, { variables })
    expect(await idp.tenant.rights()).toEqual(Object.fromEntries(ALL.map((right) => [right, row.held.includes(right) ? 'yes' : 'no'])))
    counts.cells += ALL.length
    expect(writesIn(idp)).toBe(0)
    const granted = await grantedTo(accountOf(row))
    expect(granted).toEqual(IN_REALM.filter((right) => row.held.includes(right)))
  })

  test.each(ROWS.map(named))('of a person with %s, whose token tells nothing, are told by what is shown', async (_, row) => {
    // Who sees the whole realm sees the same of it with and without the right to write it.
    const untold: readonly string[] = row.held.includes('tenant:read') ? ['tenant:write'] : []
    const idp = await connect(realm, { variables: await person(`person-${ROWS.indexOf(row)}`, row.roles) })
    const wanted = ALL.map((right) => [right, untold.includes(right) ? 'unknown' : row.held.includes(right) ? 'yes' : 'no'])
    expect(await idp.tenant.rights()).toEqual(Object.fromEntries(wanted))
    counts.cells += ALL.length
  })

  test('of the administrator of master are all, also in a realm without groups and people', async () => {
    const idp = await connect(base)
    expect(await idp.tenant.rights()).toEqual(Object.fromEntries(ALL.map((right) => [right, 'yes'])))
  })

  /** What the server lets this account do, tried out: the rights whose request succeeds and shows or changes something. */
  async function grantedTo(account: string): Promise<string[]> {
    const { access_token } = await askToken(realm, {
      grant_type: 'client_credentials',
      client_id: account,
      client_secret: `the secret of ${account}`,
    })
    const [ann] = (await realm.admin<{ id: string }[]>('GET', '/users?username=ann')).body
    const { id } = await clientOf(realm, account)
    const TRIES: Readonly<Record<Exclude<Right, 'tenant:create'>, readonly [string, string, object?]>> = {
      'clients:read': ['GET', '/clients?max=1'],
      'clients:write': ['POST', '/clients', { clientId: `made-by-${account}` }],
      'groups:read': ['GET', '/groups?max=1'],
      'groups:write': ['POST', '/groups', { name: `made-by-${account}` }],
      'users:read': ['GET', '/users?max=1'],
      'users:write': ['POST', '/users', { username: `made-by-${account}` }],
      'tenant:read': ['GET', ''],
      'tenant:write': ['PUT', '', { displayName: account }],
      'tokens:evaluate': ['GET', `/clients/${id}/evaluate-scopes/generate-example-access-token?scope=openid&userId=${ann?.id}`],
    }
    const granted: string[] = []
    for (const [right, [method, path, body]] of Object.entries(TRIES)) {
      const response = await fetch(`${realm.issuer.replace('/realms/', '/admin/realms/')}${path}`, {
        method,
        headers: { authorization: `Bearer ${access_token}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(30_000),
      })
      const text = await response.text()
      const isEmpty = text === '[]' || (right === 'tenant:read' && !text.includes('accessTokenLifespan'))
      if (response.ok && !isEmpty) granted.push(right)
    }
    return granted
  }

  /** Somebody who logs in with a password through admin-cli. */
  async function person(username: string, roles: readonly string[]): Promise<Variables> {
    const password = `the password of ${username}`
    const names = { firstName: username, lastName: 'Rig', email: `${username}@example.com`, emailVerified: true }
    const { id } = await realm.admin('POST', '/users', {
      username,
      enabled: true,
      ...names,
      credentials: [{ type: 'password', value: password }],
    })
    const holder = await clientOf(realm, 'realm-management')
    const found = await Promise.all(roles.map((role) => realm.admin('GET', `/clients/${holder.id}/roles/${role}`)))
    const mapped = await realm.admin(
      'POST',
      `/users/${id}/role-mappings/clients/${holder.id}`,
      found.map(({ body }) => body),
    )
    expect(mapped.status).toBe(204)
    return { KEYCLOAK_ADMIN_REALM: realm.realm, KEYCLOAK_ADMIN: username, KEYCLOAK_ADMIN_PASSWORD: password }
  }

  test('a role of the table is one that Keycloak has', async () => {
    const { id } = await clientOf(realm, 'realm-management')
    const { body } = await realm.admin<{ name: string }[]>('GET', `/clients/${id}/roles`)
    const known = ['create-realm', ...body.map(({ name }) => name)]
    for (const role of Object.values(keycloakCapabilities.rights).flat()) expect(known).toContain(role)
  })
})
