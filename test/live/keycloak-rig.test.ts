/** The rig proves itself: what the other live tests take for granted about Keycloak, realms, logins and counted writes. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { keycloak, makeRealm, type Realm } from './rig/keycloak.js'
import { exchange, loginByForm } from './rig/login.js'

const alice = { username: 'alice', password: 'correct horse 1', groups: ['data', 'ops'] }
const redirect_uri = 'http://127.0.0.1:53421/callback'
const client = {
  clientId: 'ide',
  publicClient: true,
  standardFlowEnabled: true,
  redirectUris: ['http://127.0.0.1/callback'],
  attributes: { 'pkce.code.challenge.method': 'S256' },
}

let realm: Realm
let clientUuid: string
beforeAll(async () => {
  realm = await makeRealm({ groups: ['data', 'ops'], people: [alice], adminEvents: true })
})
afterAll(() => realm?.remove())

const login = (changes: Partial<Parameters<typeof loginByForm>[0]> = {}) =>
  loginByForm({
    authorizationEndpoint: `${realm.issuer}/protocol/openid-connect/auth`,
    client_id: client.clientId,
    redirect_uri,
    username: alice.username,
    password: alice.password,
    pkce: 'S256',
    ...changes,
  })

describe('the realm', () => {
  test('is served under its issuer by the pinned Keycloak', async () => {
    const { version } = keycloak()
    expect(['26.7.4', 'unknown']).toContain(version)
    const metadata = (await (await fetch(`${realm.issuer}/.well-known/openid-configuration`)).json()) as Record<string, unknown>
    expect(metadata).toMatchObject({ issuer: realm.issuer, authorization_endpoint: `${realm.issuer}/protocol/openid-connect/auth` })
  })

  test('has the groups and people it was asked for, and no writes yet', async () => {
    const groups = await realm.admin<{ name: string }[]>('GET', '/groups')
    expect(groups.body.map(({ name }) => name).sort()).toEqual(['data', 'ops'])
    const users = await realm.admin<{ id: string }[]>('GET', '/users?username=alice&exact=true')
    const memberships = await realm.admin<{ name: string }[]>('GET', `/users/${users.body[0]?.id}/groups`)
    expect(memberships.body.map(({ name }) => name).sort()).toEqual(['data', 'ops'])
    expect(await realm.writes()).toBe(0)
  })
})

describe('counted writes', () => {
  test('a create counts as one', async () => {
    const before = await realm.writes()
    const created = await realm.admin('POST', '/clients', client)
    expect(created.status).toBe(201)
    clientUuid = created.id ?? ''
    expect(clientUuid).toMatch(/^[0-9a-f-]{36}$/)
    expect(await realm.writes()).toBe(before + 1)
  })

  test('an unchanged PUT counts too, so nothing hides behind equality', async () => {
    const { body } = await realm.admin('GET', `/clients/${clientUuid}`)
    const before = await realm.writes()
    expect((await realm.admin('PUT', `/clients/${clientUuid}`, body)).status).toBe(204)
    expect(await realm.writes()).toBe(before + 1)
  })

  test('reads and refused writes do not count', async () => {
    const before = await realm.writes()
    expect((await realm.admin('GET', '/clients?max=5')).status).toBe(200)
    expect((await realm.admin('POST', '/clients', client)).status).toBe(409)
    expect(await realm.writes()).toBe(before)
  })
})

describe('a login by form', () => {
  test('ends with a code that buys a token for the person who logged in', async () => {
    const result = await login()
    if (!('code' in result)) throw new Error(`no code: ${JSON.stringify(result).slice(0, 300)}`)
    expect(result.iss).toBe(realm.issuer)
    const tokens = await exchange({
      tokenEndpoint: `${realm.issuer}/protocol/openid-connect/token`,
      code: result.code,
      verifier: result.verifier,
      redirect_uri,
      client_id: client.clientId,
    })
    expect(tokens.status).toBe(200)
    const [, payload = ''] = String(tokens.body['access_token']).split('.')
    expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toMatchObject({
      iss: realm.issuer,
      azp: client.clientId,
      preferred_username: alice.username,
    })
  })

  test('a code is worth nothing with another verifier', async () => {
    const result = await login()
    if (!('code' in result)) throw new Error('no code')
    const tokenEndpoint = `${realm.issuer}/protocol/openid-connect/token`
    const refused = await exchange({ tokenEndpoint, code: result.code, verifier: 'x'.repeat(43), redirect_uri, client_id: client.clientId })
    expect(refused).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
  })

  test('a wrong password shows the form again and yields no code', async () => {
    const result = await login({ password: 'not it' })
    expect(result).toMatchObject({ status: 200, page: expect.stringContaining('Invalid username or password') })
  })

  test.for(['none', 'plain'] as const)('pkce %s is refused at the redirect URI when the client asks for S256', async (pkce) => {
    expect(await login({ pkce })).toMatchObject({
      error: 'invalid_request',
      error_description: expect.stringMatching(/code.challenge.method/),
    })
  })

  test('an unregistered redirect URI gets a page with status 400, never a redirect', async () => {
    const result = await login({ redirect_uri: 'http://localhost:53421/callback' })
    expect(result).toMatchObject({ status: 400, page: expect.stringContaining('Invalid parameter: redirect_uri') })
  })
})
