/**
 * Tokens of two real issuers at one registry: those of people and machines are accepted, forgeries of them are not, and the
 * groups of a record go to the machine that it was written for and to nobody else.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { JWK } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningProvider, startEmbeddedProvider } from '../../idp/embedded/server.js'
import { IDPS } from '../../idp/index.js'
import { type RunningRegistry, startRegistry } from '../../registry/server/start.js'
import { TOKEN_MUTATIONS } from '../registry/token-mutations.js'
import { accessToken, administrator, askToken, claimsOf, clientOf, cliJson, makeFolder, type Variables } from './product.js'
import { makeRealm, type Realm } from './rig/keycloak.js'
import { exchange, loginByForm } from './rig/login.js'

const GROUP = 'demo-readers'
const IDE = 'mcp-gateway-ide'
const REDIRECT = 'http://localhost:50123/callback'
const grace = { username: 'grace', password: 'correct horse 1', groups: [GROUP] }
/** In no group. */
const nemo = { username: 'nemo', password: 'correct horse 2' }

let realm: Realm
let home: Awaited<ReturnType<typeof makeFolder>>
let embedded: RunningProvider
let registry: RunningRegistry
let collector: Server
/** Requests to URLs that only a token named. */
let collected = 0
const counts = { accepted: 0, refused: 0, cells: 0, enriched: 0, switchedOff: 0 }

beforeAll(async () => {
  home = await makeFolder()
  collector = createServer((_request, response) => {
    collected += 1
    response.end('{}')
  })
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve))
  realm = await makeRealm({ groups: [GROUP], people: [grace, nemo] })
  // Tokens outlive the test, also on a busy machine.
  await realm.admin('PUT', '', { accessTokenLifespan: 1800 })
  embedded = await startEmbeddedProvider({
    folder: join(home.path, 'provider'),
    port: 0,
    seed: {
      groups: ['registry-admins', GROUP],
      people: [{ username: 'ada', name: 'Ada Demo', email: 'ada@demo.example', groups: [GROUP] }],
      machine: { client_name: 'gateway' },
    },
  })
  registry = await startRegistry({
    folder: join(home.path, 'registry'),
    port: 0,
    issuers: [
      { name: 'keycloak', issuer: realm.issuer, rules: IDPS.keycloak.capabilities.token },
      { name: 'embedded', issuer: embedded.issuer, rules: IDPS.embedded.capabilities.token },
    ],
    seed: { m2m_client: { client_id: embedded.machine.client_id, name: 'gateway', issuer: embedded.issuer } },
  })
  const { client_id, client_secret } = embedded.machine
  const identity = {
    identity_name: 'gateway',
    auth_provider: 'embedded',
    issuer: embedded.issuer,
    client_id,
    client_secret: client_secret.reveal(),
  }
  await mkdir(join(home.path, 'gateway'), { mode: 0o700 })
  await writeFile(join(home.path, 'gateway/gateway.json'), JSON.stringify(identity), { mode: 0o600 })
})
afterAll(async () => {
  await registry?.close()
  await embedded?.close()
  await realm?.remove()
  await new Promise((resolve) => collector?.close(resolve))
  await home?.remove()
  const { accepted, refused, cells, enriched, switchedOff } = counts
  console.log(
    `tokens: ${accepted} valid tokens accepted, ${refused} forgeries refused, 0 accepted, ${collected} requests caused by one; ${cells} cells of issuer, kind, record and groups, ${enriched} enriched; ${switchedOff} switched off`,
  )
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0)
})

const settings = (): Variables => ({
  ...administrator(realm, home.path),
  EMBEDDED_ISSUER: embedded.issuer,
  EMBEDDED_INITIAL_ACCESS_TOKEN: embedded.initialAccessToken.reveal(),
  EMBEDDED_ADMIN_TOKEN: embedded.adminToken.reveal(),
  REGISTRY_URL: registry.url,
  REGISTRY_IDENTITY_FILE: 'gateway/gateway.json',
})
const cli = (...words: string[]) => cliJson(words, settings())

interface Me {
  readonly groups: readonly string[]
  readonly groups_source: string
  readonly enabled: boolean
  readonly [field: string]: unknown
}

async function me(token: string): Promise<{ status: number; body: Me }> {
  const response = await fetch(`${registry.url}/api/auth/me`, { headers: { authorization: `Bearer ${token}` } })
  return { status: response.status, body: (await response.json()) as Me }
}

async function savedToken(file: string): Promise<string> {
  return (JSON.parse(await readFile(join(home.path, '.oauth-tokens', file), 'utf8')) as { access_token: string }).access_token
}

/** Ada at the embedded provider, as an IDE logs her in: all that the token endpoint gave. */
async function adaLogsIn(client_id: string): Promise<Record<string, string>> {
  const passwords = JSON.parse(await readFile(embedded.files.people, 'utf8')) as Record<string, string>
  const login = { client_id, redirect_uri: REDIRECT, username: 'ada', password: passwords['ada'] ?? '', pkce: 'S256' } as const
  const result = await loginByForm({ authorizationEndpoint: `${embedded.issuer}/auth`, ...login })
  if (!('code' in result)) throw new Error(`no code: ${JSON.stringify(result).slice(0, 300)}`)
  const { code, verifier } = result
  const { status, body } = await exchange({ tokenEndpoint: `${embedded.issuer}/token`, code, verifier, redirect_uri: REDIRECT, client_id })
  if (status !== 200) throw new Error(`no token: ${JSON.stringify(body)}`)
  return body as Record<string, string>
}

/** The public key that signed a token, by the issuer's own key set. */
async function publicKeyOf(token: string, jwks_uri: string): Promise<KeyObject> {
  const { kid } = JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as { kid: string }
  const { keys } = (await (await fetch(jwks_uri)).json()) as { keys: (JWK & { kid: string })[] }
  const key = keys.find((one) => one.kid === kid)
  if (!key) throw new Error(`no key ${kid} at ${jwks_uri}`)
  return createPublicKey({ key: key as never, format: 'jwk' })
}

/** What the embedded provider would have signed: its own key, its own header, other claims. */
async function signedByEmbedded(token: string, change: Record<string, unknown>): Promise<string> {
  const { keys } = JSON.parse(await readFile(join(home.path, 'provider/jwks.json'), 'utf8')) as { keys: JWK[] }
  const [header = '', payload = ''] = token.split('.')
  const claims = { ...JSON.parse(Buffer.from(payload, 'base64url').toString()), ...change } as Record<string, unknown>
  const input = `${header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`
  return `${input}.${sign('sha256', Buffer.from(input), createPrivateKey({ key: keys[0] as never, format: 'jwk' })).toString('base64url')}`
}

/** Client id of the embedded machine; its record confers GROUP. */
let embeddedMachine = ''
const valid: Record<'keycloak person' | 'keycloak machine' | 'embedded person' | 'embedded machine', string> = {
  'keycloak person': '',
  'keycloak machine': '',
  'embedded person': '',
  'embedded machine': '',
}
/** Tokens of the issuers that are no access tokens for us. */
const others: Record<string, string> = {}

test('the CLI makes a client for people and one for machines at both providers, and mints', async () => {
  await cli('setup', 'ide-client', '--idp', 'keycloak', '--yes')
  const ide = await cli('setup', 'ide-client', '--idp', 'embedded', '--yes')
  await cli('setup', 'm2m-app', '--idp', 'keycloak', '--name', 'kc-agent', '--groups', GROUP, '--yes')
  const machine = await cli('setup', 'm2m-app', '--idp', 'embedded', '--name', 'em-agent', '--groups', GROUP, '--yes')
  embeddedMachine = String(machine['client_id'])
  await cli('credentials', 'generate')
  valid['keycloak machine'] = await savedToken('agent-kc-agent-token.json')
  valid['embedded machine'] = await savedToken('em-agent.json')
  valid['keycloak person'] = await accessToken(realm, { client_id: IDE, redirect_uri: REDIRECT, ...grace })
  const ada = await adaLogsIn(String(ide['client_id']))
  valid['embedded person'] = ada['access_token'] ?? ''
  others['an ID token of the embedded provider'] = ada['id_token'] ?? ''
  others['a refresh token of the embedded provider'] = ada['refresh_token'] ?? ''
  const direct = await askToken(realm, {
    grant_type: 'password',
    client_id: 'admin-cli',
    username: grace.username,
    password: grace.password,
  })
  others['an access token of Keycloak for another service'] = direct.access_token
})

describe('accepted', () => {
  test.each([
    ['keycloak person', { kind: 'person', username: 'grace', groups: [GROUP], groups_source: 'token' }],
    ['keycloak machine', { kind: 'machine', client_id: 'kc-agent', groups: [GROUP], groups_source: 'token' }],
    ['embedded person', { kind: 'person', username: 'ada', groups: [GROUP], groups_source: 'token' }],
    ['embedded machine', { kind: 'machine', groups: [GROUP], groups_source: 'record' }],
  ] as const)('a token of the %s', async (who, expected) => {
    const issuer = who.startsWith('keycloak') ? realm.issuer : embedded.issuer
    expect(await me(valid[who])).toMatchObject({ status: 200, body: { ...expected, issuer } })
    counts.accepted += 1
  })
})

describe('refused', () => {
  test.each(['keycloak machine', 'keycloak person', 'embedded machine', 'embedded person'] as const)(
    'every forgery of a token of the %s that can be made without the issuer’s key, by name',
    async (who) => {
      const token = valid[who]
      const uri = who.startsWith('keycloak') ? `${realm.issuer}/protocol/openid-connect/certs` : `${embedded.issuer}/jwks`
      const material = {
        token,
        publicKey: await publicKeyOf(token, uri),
        collector: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`,
      }
      const accepted: string[] = []
      let made = 0
      for (const { name, forge } of TOKEN_MUTATIONS.filter(({ needs }) => needs === 'nothing')) {
        const forged = forge(material)
        // A header that is that way already makes no forgery.
        if (forged === token) continue
        made += 1
        const { status } = await me(forged)
        if (status !== 401) accepted.push(`${name}: ${status}`)
      }
      expect(accepted).toEqual([])
      expect(made).toBeGreaterThanOrEqual(40)
      counts.refused += made
      expect((await me(token)).status).toBe(200)
      expect(collected).toBe(0)
    },
  )

  test('what is no access token for this gateway: ID and refresh tokens, tokens for others, each with a good signature', async () => {
    const cases = {
      ...others,
      'a token of the embedded provider with the name of Keycloak': await signedByEmbedded(valid['embedded person'], { iss: realm.issuer }),
      'a token for another audience': await signedByEmbedded(valid['embedded person'], { aud: 'another-service' }),
      'an expired token': await signedByEmbedded(valid['embedded person'], { iat: 1_700_000_000, exp: 1_700_000_300 }),
    }
    for (const [name, token] of Object.entries(cases)) {
      expect(token.length, name).toBeGreaterThan(20)
      expect((await me(token)).status, name).toBe(401)
      counts.refused += 1
    }
  })
})

describe('a record that is off', () => {
  test.each([
    ['takes the groups that a token itself carries', 'keycloak machine', (): string => 'kc-agent', 'token'],
    ['gives none to a token without', 'embedded machine', (): string => embeddedMachine, 'record'],
  ] as const)('%s, on the next request, and back', async (_, who, client, source) => {
    const on = { groups: [GROUP], groups_source: source, enabled: true }
    expect((await me(valid[who])).body).toMatchObject(on)
    await cli('m2m', 'update', client(), '--enabled', 'false', '--yes')
    expect((await me(valid[who])).body).toMatchObject({
      groups: [],
      groups_source: 'none',
      enabled: false,
      is_admin: false,
      accessible_servers: [],
    })
    await cli('m2m', 'update', client(), '--enabled', 'true', '--yes')
    expect((await me(valid[who])).body).toMatchObject(on)
    counts.switchedOff += 1
  })
})

/** 2 issuers x 2 kinds x 3 records x tokens with and without groups: one client id, known at both issuers (JW4). */
describe('one client id at two issuers', () => {
  type Shape = 'machine, without groups' | 'machine, with groups' | 'person, without groups' | 'person, with groups'
  const tokens: Record<'keycloak' | 'embedded', Partial<Record<Shape, string>>> = { keycloak: {}, embedded: {} }

  test('has tokens of every shape', async () => {
    // At Keycloak the client takes the id that the embedded provider has issued.
    await cli('m2m', 'delete', embeddedMachine, '--yes')
    await cli('setup', 'm2m-app', '--idp', 'keycloak', '--name', embeddedMachine, '--secret-file', join(home.path, 'twin.json'), '--yes')
    await cli('m2m', 'delete', embeddedMachine, '--yes')
    const { client_secret } = JSON.parse(await readFile(join(home.path, 'twin.json'), 'utf8')) as { client_secret: string }
    const twin = await clientOf(realm, embeddedMachine)
    await realm.admin('PUT', `/clients/${twin.id}`, { ...twin, directAccessGrantsEnabled: true })
    const ask = async (form: Record<string, string>): Promise<string> => {
      const { status, access_token } = await askToken(realm, { client_id: embeddedMachine, client_secret, ...form })
      expect(status).toBe(200)
      return access_token
    }
    tokens.keycloak['machine, without groups'] = await ask({ grant_type: 'client_credentials' })
    const groups = await realm.admin<{ id: string; name: string }[]>('GET', '/groups')
    const account = await realm.admin<{ id: string }>('GET', `/clients/${twin.id}/service-account-user`)
    const joined = await realm.admin('PUT', `/users/${account.body.id}/groups/${groups.body.find(({ name }) => name === GROUP)?.id}`, {})
    expect(joined.status).toBe(204)
    tokens.keycloak['machine, with groups'] = await ask({ grant_type: 'client_credentials' })
    tokens.keycloak['person, with groups'] = await ask({ grant_type: 'password', username: grace.username, password: grace.password })
    tokens.keycloak['person, without groups'] = await ask({ grant_type: 'password', username: nemo.username, password: nemo.password })
    const [machine, person] = [valid['embedded machine'], valid['embedded person']]
    tokens.embedded['machine, without groups'] = machine
    tokens.embedded['machine, with groups'] = await signedByEmbedded(machine, { groups: [GROUP] })
    tokens.embedded['person, with groups'] = await signedByEmbedded(person, { client_id: embeddedMachine })
    tokens.embedded['person, without groups'] = await signedByEmbedded(person, { client_id: embeddedMachine, groups: [] })
    for (const [issuer, byShape] of Object.entries(tokens)) {
      for (const [shape, token] of Object.entries(byShape)) {
        const { groups: carried = [], azp, client_id } = claimsOf(token) as { groups?: string[]; azp?: string; client_id?: string }
        expect([azp ?? client_id, carried.length > 0], `${issuer}, ${shape}`).toEqual([embeddedMachine, shape.endsWith('with groups')])
        const { body } = await me(token)
        expect([body['kind'], body['client_id']], `${issuer}, ${shape}`).toEqual([shape.split(',')[0], embeddedMachine])
      }
    }
  })

  const RECORDS = ['missing', 'enabled', 'disabled'] as const
  test.each(['keycloak', 'embedded'] as const)(
    'whose record is of %s: only that issuer’s machine without groups gets the record’s',
    async (owner) => {
      const issuer = owner === 'keycloak' ? realm.issuer : embedded.issuer
      for (const record of RECORDS) {
        if (record === 'enabled')
          await cli(
            'm2m',
            'register',
            '--client-id',
            embeddedMachine,
            '--client-name',
            'Twin',
            '--groups',
            'from-record',
            '--issuer',
            issuer,
            '--yes',
          )
        if (record === 'disabled') await cli('m2m', 'update', embeddedMachine, '--enabled', 'false', '--yes')
        for (const [from, byShape] of Object.entries(tokens)) {
          for (const [shape, token] of Object.entries(byShape)) {
            const isOwn = from === owner && record !== 'missing'
            const isEnriched = isOwn && record === 'enabled' && shape === 'machine, without groups'
            const isOff = isOwn && record === 'disabled'
            const own = shape.endsWith('with groups') ? [GROUP] : []
            const groups = isOff ? [] : isEnriched ? ['from-record'] : own
            const { body } = await me(token)
            const told = { groups: body.groups, groups_source: body.groups_source, enabled: body.enabled }
            const groups_source = isEnriched ? 'record' : groups.length > 0 ? 'token' : 'none'
            expect(told, `${from}, ${shape}, ${record} record of ${owner}`).toEqual({ groups, groups_source, enabled: !isOff })
            counts.cells += 1
            counts.enriched += isEnriched ? 1 : 0
          }
        }
      }
      await cli('m2m', 'delete', embeddedMachine, '--yes')
    },
  )

  test('was seen in 24 cells for each owner of the record, with one enriched in each', () => {
    expect([counts.cells, counts.enriched]).toEqual([48, 2])
  })
})
