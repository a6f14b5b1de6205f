/**
 * A machine client from nothing to a registry that knows it: client and group at Keycloak, secret in a file, record in the
 * registry, a token that both accept. And the kill switch: a record that is off confers nothing, whatever the token carries.
 */
import { chmod, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { IDPS } from '../../idp/index.js'
import { type RunningRegistry, startRegistry } from '../../registry/server/start.js'
import { administrator, askToken, type Changed, claimsOf, cli, cliJson, makeFolder, type Variables } from './product.js'
import { makeRealm, type Realm } from './rig/keycloak.js'

const GROUP = 'demo-readers'
const ADMIN = 'gateway-admin'
const AGENT = 'reporting-agent'
const BARE = 'bare-agent'
const bareSecret = 'a secret that only this test knows'
const SETUP = ['setup', 'm2m-app', '--idp', 'keycloak', '--name', AGENT, '--groups', GROUP]

let realm: Realm
let home: Awaited<ReturnType<typeof makeFolder>>
let registry: RunningRegistry
/** Requests that the registry served and that may write. */
let registryWrites = 0
const counts = { enriched: 0, switchedOff: 0, quiet: 0 }

beforeAll(async () => {
  home = await makeFolder()
  await chmod(home.path, 0o700)
  realm = await makeRealm({ groups: ['registry-admins', GROUP] })
  // Tokens outlive the test, also on a busy machine.
  await realm.admin('PUT', '', { accessTokenLifespan: 1800 })
  registry = await startRegistry({
    folder: join(home.path, 'registry'),
    port: 0,
    issuers: [{ name: 'keycloak', issuer: realm.issuer, rules: IDPS.keycloak.capabilities.token }],
    onRequest: ({ method }) => {
      if (method !== 'GET') registryWrites++
    },
  })
})
afterAll(async () => {
  await registry?.close()
  await realm?.remove()
  await home?.remove()
  const { enriched, switchedOff, quiet } = counts
  console.log(`keycloak-m2m: ${enriched} machines with groups, ${switchedOff} switched off, ${quiet} second run with 0 writes`)
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0)
})

const atKeycloak = (): Variables => administrator(realm, home.path)
const atBoth = (): Variables => ({ ...atKeycloak(), REGISTRY_URL: registry.url, REGISTRY_TOKEN_FILE: tokenFile(ADMIN) })
const tokenFile = (name: string) => join(home.path, '.oauth-tokens', `agent-${name}-token.json`)
const secretFile = (name: string) => join(home.path, 'identities', `agent-${name}.json`)

async function mintedToken(name: string): Promise<string> {
  const text = await readFile(tokenFile(name), 'utf8')
  return (JSON.parse(text) as { access_token: string }).access_token
}

/** Who the registry takes the bearer for. */
async function me(token: string): Promise<Record<string, unknown>> {
  const response = await fetch(`${registry.url}/api/auth/me`, { headers: { authorization: `Bearer ${token}` } })
  expect(response.status).toBe(200)
  return (await response.json()) as Record<string, unknown>
}

const NOTHING = { groups: [], groups_source: 'none', accessible_servers: [], is_admin: false }

describe('an administrator of the registry', () => {
  test('needs a flag of its own', async () => {
    const words = ['setup', 'm2m-app', '--idp', 'keycloak', '--name', ADMIN, '--groups', 'registry-admins', '--yes']
    const before = await realm.writes()
    expect(await cli(words, atKeycloak())).toMatchObject({ exit: 2, stderr: expect.stringContaining('--allow-privileged') })
    expect(await realm.writes()).toBe(before)
    expect(await cli([...words, '--allow-privileged'], atKeycloak())).toMatchObject({ exit: 0 })
  })

  test('is one by its token alone, without a record', async () => {
    expect(await cli(['credentials', 'generate'], atKeycloak())).toMatchObject({ exit: 0 })
    expect(await me(await mintedToken(ADMIN))).toMatchObject({ is_admin: true, groups: ['registry-admins'], groups_source: 'token' })
  })
})

describe('a machine client', () => {
  test('is made with its secret in a file that only its owner reads, and never printed', async () => {
    const { exit, stdout, stderr } = await cli([...SETUP, '--yes'], atBoth())
    expect({ exit, stderr }).toMatchObject({ exit: 0 })
    const file = secretFile(AGENT)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    const identity = JSON.parse(await readFile(file, 'utf8')) as Record<string, string>
    expect(identity).toMatchObject({ identity_name: AGENT, auth_provider: 'keycloak', client_id: AGENT, keycloak_realm: realm.realm })
    const { client_secret = '' } = identity
    expect(client_secret.length).toBeGreaterThanOrEqual(43)
    expect(stdout + stderr).not.toContain(client_secret)
  })

  test('has a record in the registry', async () => {
    const { client } = await cliJson(['m2m', 'get', AGENT], atBoth())
    expect(client).toMatchObject({ client_id: AGENT, groups: [GROUP], enabled: true, provider: 'manual' })
  })

  test('gets a token with its groups for the gateway and for nobody else', async () => {
    expect(await cli(['credentials', 'generate'], atBoth())).toMatchObject({ exit: 0 })
    expect((await stat(tokenFile(AGENT))).mode & 0o777).toBe(0o600)
    const { groups, aud, azp, realm_access, resource_access } = claimsOf(await mintedToken(AGENT))
    expect({ groups, audience: [aud].flat(), azp }).toEqual({ groups: [GROUP], audience: ['mcp-gateway'], azp: AGENT })
    expect({ realm_access, resource_access }).toEqual({ realm_access: undefined, resource_access: undefined })
  })

  test('is known to the registry with its groups and servers', async () => {
    expect(await me(await mintedToken(AGENT))).toMatchObject({
      ...{ client_id: AGENT, kind: 'machine', groups: [GROUP], groups_source: 'token', accessible_servers: ['/demo'], is_admin: false },
    })
    counts.enriched++
  })
})

describe('a machine client whose tokens carry no groups', () => {
  let token: string
  test('confers nothing while nothing is recorded', async () => {
    await makeBareClient()
    token = (await askToken(realm, { grant_type: 'client_credentials', client_id: BARE, client_secret: bareSecret })).access_token
    expect(claimsOf(token)).not.toHaveProperty('groups')
    expect(await me(token)).toMatchObject(NOTHING)
  })

  test('has the groups of its record from the next request on', async () => {
    const words = ['m2m', 'register', '--client-id', BARE, '--client-name', 'Bare agent', '--groups', GROUP, '--yes']
    expect(await cli(words, atBoth())).toMatchObject({ exit: 0 })
    expect(await me(token)).toMatchObject({ groups: [GROUP], groups_source: 'record', accessible_servers: ['/demo'] })
    counts.enriched++
  })
})

describe('a record that is switched off', () => {
  test.each([AGENT, BARE])('takes every group from %s, also those in its token', async (client_id) => {
    const token =
      client_id === AGENT
        ? await mintedToken(AGENT)
        : (await askToken(realm, { grant_type: 'client_credentials', client_id, client_secret: bareSecret })).access_token
    expect(await me(token)).toMatchObject({ groups: [GROUP], enabled: true })
    expect(await cli(['m2m', 'update', client_id, '--enabled', 'false', '--yes'], atBoth())).toMatchObject({ exit: 0 })
    expect(await me(token)).toMatchObject({ ...NOTHING, enabled: false })
    counts.switchedOff++
  })

  test('stays off when the same setup runs again, which writes nothing anywhere', async () => {
    const before = { realm: await realm.writes(), registry: registryWrites, secret: await readFile(secretFile(AGENT), 'utf8') }
    const { applied, changes } = await cliJson<Changed>([...SETUP, '--yes'], atBoth())
    expect({ applied, changes }).toEqual({ applied: false, changes: [] })
    expect({ realm: await realm.writes(), registry: registryWrites, secret: await readFile(secretFile(AGENT), 'utf8') }).toEqual(before)
    expect(before.registry).toBeGreaterThan(0)
    const { client } = await cliJson(['m2m', 'get', AGENT], atBoth())
    expect(client).toMatchObject({ enabled: false, groups: [GROUP] })
    expect(await me(await mintedToken(AGENT))).toMatchObject(NOTHING)
    counts.quiet++
  })
})

/** Made behind the product's back, with the gateway's audience and without groups. */
async function makeBareClient(): Promise<void> {
  const config = { 'included.custom.audience': 'mcp-gateway', 'access.token.claim': 'true' }
  const made = await realm.admin('POST', '/clients', {
    clientId: BARE,
    secret: bareSecret,
    publicClient: false,
    standardFlowEnabled: false,
    serviceAccountsEnabled: true,
    fullScopeAllowed: false,
    protocolMappers: [{ name: 'audience', protocol: 'openid-connect', protocolMapper: 'oidc-audience-mapper', config }],
  })
  expect(made.status).toBe(201)
}
