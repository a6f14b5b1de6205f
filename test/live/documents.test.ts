/**
 * The identities files of documents 001 and 004, as they stand but for the host (and a realm of our own), give the documented
 * token files through the built CLI; so do entries of the other providers, each at the strongest stand-in that there is.
 */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, type JWTPayload, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BuiltCli, buildCli, type Ran, type Variables } from '../cli/built.js'
import { type FakeServer, serve } from '../fakes/server.js'
import { describeWithHandbook } from '../handbook.js'
import { type DocumentedFile, type DocumentedIdentity, documentedFiles, type Recorded, recordedExchanges } from './documents.js'
import { makeFolder } from './product.js'
import { keycloak, makeRealm, type Realm } from './rig/keycloak.js'
import { type Ministack, startMinistack } from './rig/ministack.js'
import { type ShapedClient, type ShapedProvider, startShapedProvider } from './shaped-provider.js'

let built: BuiltCli
let folder: Awaited<ReturnType<typeof makeFolder>>
const counts = { files: 0, tokens: 0, fields: 0, verified: 0, compared: 0 }
beforeAll(async () => {
  built = buildCli()
  folder = await makeFolder()
})
afterAll(async () => {
  await built?.remove()
  await folder?.remove()
  console.log(
    `documents: ${counts.files} identities files gave ${counts.tokens} token files with ${counts.fields} documented fields; ` +
      `${counts.verified} tokens verified by their issuer's keys; ${counts.compared} fields of token requests as documented or recorded`,
  )
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0)
})

type TokenFile = Readonly<Record<string, unknown>>
interface Generated {
  readonly ran: Ran
  /** By name; the identities file is not among them. */
  readonly files: Readonly<Record<string, TokenFile>>
}

let runs = 0
/** Runs `credentials generate` on a file of this name and content, its tokens beside it, as in `.oauth-tokens`. */
async function generate(name: string, content: unknown, variables: Variables = {}): Promise<Generated> {
  const home = join(folder.path, `run-${runs++}`)
  const oauthTokens = join(home, '.oauth-tokens')
  await mkdir(oauthTokens, { recursive: true, mode: 0o700 })
  await writeFile(join(oauthTokens, name), JSON.stringify(content, null, 2), { mode: 0o600 })
  const words = ['credentials', 'generate', '--identities-file', join(oauthTokens, name), '--output-dir', oauthTokens]
  const ran = await built.run(words, { MCP_IDP_HOME: home, ...variables })
  const names = (await readdir(oauthTokens)).filter((one) => one !== name)
  const texts = await Promise.all(names.map((one) => readFile(join(oauthTokens, one), 'utf8')))
  for (const one of names) expect((await stat(join(oauthTokens, one))).mode & 0o7777).toBe(0o600)
  counts.files++
  counts.tokens += names.length
  const files = Object.fromEntries(names.map((one, index) => [one, JSON.parse(texts[index] ?? '') as TokenFile]))
  for (const secret of secretsIn(content)) expect([...texts, ran.stdout, ran.stderr].filter((text) => text.includes(secret))).toEqual([])
  return { ran, files }
}

function secretsIn(content: unknown): string[] {
  return [content].flat().flatMap((one) => {
    const { client_secret, private_key } = one as DocumentedIdentity
    return client_secret ?? private_key ?? []
  })
}

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/

/** The file has these fields, those of every documented token file, and times that fit together. */
function expectDocumented(file: TokenFile | undefined, fields: Readonly<Record<string, unknown>>): void {
  const all = {
    access_token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
    token_type: 'Bearer',
    expires_in: expect.any(Number),
    generated_at: expect.stringMatching(ISO),
    expires_at: expect.stringMatching(ISO),
    ...fields,
  }
  expect(file).toMatchObject(all)
  const { generated_at, expires_at, expires_in } = file ?? {}
  expect((Date.parse(String(expires_at)) - Date.parse(String(generated_at))) / 1000).toBeCloseTo(Number(expires_in), 0)
  counts.fields += Object.keys(all).length
}

/** The claims of a file's token, which the server's own keys verify. */
async function verified(file: TokenFile | undefined, jwksUri: string, issuer: string): Promise<JWTPayload> {
  const jwks = createRemoteJWKSet(new URL(jwksUri))
  const { payload } = await jwtVerify(String(file?.['access_token']), jwks, { issuer })
  counts.verified++
  return payload
}

/** A request's form is these fields and no others. */
function expectForm(form: Readonly<Record<string, string>> | undefined, fields: Readonly<Record<string, string>>): void {
  expect(form).toEqual(fields)
  counts.compared += Object.keys(fields).length
}

const identitiesOf = ({ content }: DocumentedFile): readonly DocumentedIdentity[] => [content].flat()
const isKeycloak = ({ content }: DocumentedFile) => !Array.isArray(content)

async function makeMachine({ admin }: Realm, { client_id, client_secret }: DocumentedIdentity): Promise<void> {
  const kind = { publicClient: false, standardFlowEnabled: false, serviceAccountsEnabled: true }
  expect(await admin('POST', '/clients', { ...kind, clientId: client_id, secret: client_secret })).toMatchObject({ status: 201 })
}

describeWithHandbook('agent-my-ai-agent.json at a real Keycloak', () => {
  const files = documentedFiles('001').filter(isKeycloak)
  let realm: Realm
  beforeAll(async () => {
    realm = await makeRealm()
    const [documented] = files.flatMap(identitiesOf)
    const client = { clientId: documented?.['client_id'], secret: documented?.['client_secret'], serviceAccountsEnabled: true }
    expect(await realm.admin('POST', '/clients', { ...client, publicClient: false, standardFlowEnabled: false })).toMatchObject({
      status: 201,
    })
  })
  afterAll(() => realm?.remove())

  test('the document shows it twice', () => {
    expect(files).toHaveLength(2)
  })
  test.for(files)('gives agent-my-ai-agent-token.json', async ({ content }) => {
    const { url } = keycloak()
    const at = { keycloak_url: url, keycloak_realm: realm.realm }
    const { ran, files: tokens } = await generate('agent-my-ai-agent.json', { ...content, ...at })
    expect(ran).toMatchObject({ exit: 0 })
    expect(Object.keys(tokens)).toEqual(['agent-my-ai-agent-token.json'])
    const file = tokens['agent-my-ai-agent-token.json']
    const metadata = { generated_by: 'mcp-idp', script_version: expect.any(String), token_format: 'JWT', auth_method: 'client_credentials' }
    const own = { agent_name: 'agent-my-ai-agent', provider: 'keycloak', client_id: 'my-ai-agent', scope: expect.any(String), metadata }
    expectDocumented(file, { ...at, ...own })
    const claims = await verified(file, `${realm.issuer}/protocol/openid-connect/certs`, realm.issuer)
    expect(claims['azp']).toBe('my-ai-agent')
  })
})

/** `api://<app id>/.default`: the audience of a v2.0 token is that app's id. */
const appOf = (scope: string) => /^api:\/\/([\w-]+)\/\.default$/.exec(scope)?.[1]

function startEntra(tenant: string, clients: readonly DocumentedIdentity[]): Promise<ShapedProvider> {
  return startShapedProvider({
    ...{ tokenPath: `/${tenant}/oauth2/v2.0/token`, issuerPath: `/${tenant}/v2.0`, lifetime: 3599 },
    clients: clients.map(({ client_id = '', client_secret = '' }) => ({ client_id, client_secret })),
    grant(form) {
      const scope = form.get('scope') ?? ''
      const audience = appOf(scope)
      return audience === undefined ? undefined : { audience, scope }
    },
  })
}

describeWithHandbook('entra-identities.json at oidc-provider in the shape of Entra', () => {
  const files = [...documentedFiles('001'), ...documentedFiles('004')].filter((one) => !isKeycloak(one))
  test('the documents show it four times, with five identities', () => {
    expect([files.length, files.flatMap(identitiesOf).length]).toEqual([4, 5])
  })
  test.for(files)('of document $document gives a file for each identity', async (file) => {
    const identities = identitiesOf(file)
    const tenant = identities[0]?.['tenant_id'] ?? ''
    const provider = await startEntra(tenant, identities)
    try {
      const { ran, files: tokens } = await generate('entra-identities.json', file.content, { ENTRA_LOGIN_BASE_URL: provider.url })
      expect(ran).toMatchObject({ exit: 0 })
      expect(Object.keys(tokens).toSorted()).toEqual(identities.map((one) => `${one['identity_name']}.json`).toSorted())
      for (const { identity_name = '', client_secret = '', tenant_id, client_id = '', scope = '' } of identities) {
        const token = tokens[`${identity_name}.json`]
        expectDocumented(token, { identity_name, provider: 'entra', tenant_id, client_id, scope, expires_in: 3599 })
        expect(await verified(token, provider.jwksUri, provider.issuer)).toMatchObject({ aud: appOf(scope), client_id })
        const asked = provider.asked.filter(({ form }) => form['client_id'] === client_id)
        expect(asked).toMatchObject([{ path: `/${tenant_id}/oauth2/v2.0/token`, authorization: undefined }])
        // The four fields of the documents' own curl.
        expectForm(asked[0]?.form, { client_id, client_secret, scope, grant_type: 'client_credentials' })
      }
    } finally {
      await provider.close()
    }
  })
})

const AUDIENCE = 'https://gateway.example.com/mcp'
function startAuth0(client: ShapedClient): Promise<ShapedProvider> {
  return startShapedProvider({
    ...{ tokenPath: '/oauth/token', issuerPath: '/', lifetime: 86_400, clients: [client] },
    grant: (form) => (form.get('audience') === AUDIENCE ? { audience: AUDIENCE, scope: '' } : undefined),
  })
}

describe('an entry of Auth0 at oidc-provider in its shape', () => {
  const audience = AUDIENCE
  const client = { client_id: 'aBcD1234', client_secret: 'a-secret-of-the-machine-at-auth0' }
  let provider: ShapedProvider
  beforeAll(async () => {
    provider = await startAuth0(client)
  })
  afterAll(() => provider?.close())

  test('gives its file, for its audience', async () => {
    const entry = { identity_name: 'my-ai-agent', auth_provider: 'auth0', auth0_domain: provider.url, audience, ...client }
    const { ran, files } = await generate('identities.json', [entry])
    expect(ran).toMatchObject({ exit: 0 })
    const { client_id } = client
    const file = files['my-ai-agent.json']
    expectDocumented(file, { identity_name: 'my-ai-agent', provider: 'auth0', client_id, audience, issuer: `${provider.url}/` })
    expect(await verified(file, provider.jwksUri, provider.issuer)).toMatchObject({ aud: audience, client_id, iss: `${provider.url}/` })
    expect(provider.asked).toMatchObject([{ path: '/oauth/token', authorization: undefined }])
    expectForm(provider.asked[0]?.form, { ...client, audience, grant_type: 'client_credentials' })
  })
})

const REGION = 'us-east-1'
const cognitoIssuer = (pool: unknown) => `https://cognito-idp.${REGION}.amazonaws.com/${pool}`

/** A user pool with a domain, a scope and a machine, as an entry. */
async function userPoolAt({ url, cognito }: Ministack): Promise<DocumentedIdentity> {
  const UserPoolId = String((await cognito('CreateUserPool', { PoolName: 'gateway' }))['UserPool']?.['Id'])
  await cognito('CreateUserPoolDomain', { UserPoolId, Domain: 'gateway' })
  const Scopes = [{ ScopeName: 'invoke', ScopeDescription: 'invoke' }]
  await cognito('CreateResourceServer', { UserPoolId, Identifier: 'mcp-gateway', Name: 'gateway', Scopes })
  const { UserPoolClient: made } = await cognito('CreateUserPoolClient', {
    ...{ UserPoolId, ClientName: 'my-ai-agent', GenerateSecret: true, AllowedOAuthFlows: ['client_credentials'] },
    ...{ AllowedOAuthFlowsUserPoolClient: true, AllowedOAuthScopes: ['mcp-gateway/invoke'] },
  })
  const client = { client_id: String(made?.['ClientId']), client_secret: String(made?.['ClientSecret']) }
  return { identity_name: 'my-ai-agent', auth_provider: 'cognito', region: REGION, user_pool_id: UserPoolId, ...client, endpoint: url }
}

describe('an entry of Cognito at ministack', () => {
  let ministack: Ministack
  let entry: DocumentedIdentity
  beforeAll(async () => {
    ministack = await startMinistack()
    entry = await userPoolAt(ministack)
  })
  afterAll(() => ministack?.stop())

  test.for([[{ scope: 'mcp-gateway/invoke' }], [{}]])('with %j gives its file', async ([scope]) => {
    const { ran, files } = await generate('identities.json', [{ ...entry, ...scope }])
    expect(ran).toMatchObject({ exit: 0 })
    const { client_id, user_pool_id } = entry
    const issuer = cognitoIssuer(user_pool_id)
    const file = files['my-ai-agent.json']
    expectDocumented(file, { identity_name: 'my-ai-agent', provider: 'cognito', client_id, issuer, user_pool_id, ...scope })
    const claims = await verified(file, `${ministack.url}/${user_pool_id}/.well-known/jwks.json`, issuer)
    expect(claims).toMatchObject({ client_id, token_use: 'access', scope: 'mcp-gateway/invoke' })
  })
  test('with a wrong secret is refused, and no file is made', async () => {
    const { ran, files } = await generate('identities.json', [{ ...entry, client_secret: 'not-the-secret-of-this-client' }])
    expect([ran.exit, Object.keys(files)]).toEqual([4, []])
    expect(ran.stderr).toContain('invalid_client')
  })
})

describeWithHandbook('an entry of Okta with a key of its own, against what was recorded', () => {
  const WITHOUT_DPOP = 'TestDPoPBackwardCompatibility.test_private_key_auth_without_dpop'
  const exchanges = recordedExchanges(WITHOUT_DPOP)
  const granted = recordedExchanges('TestDPoPIntegration.test_dpop_token_acquisition').find(({ response }) => response.status.code === 200)
  const [recorded] = exchanges
  const recordedBody = recorded?.request.body ?? {}
  const recordedClaims = decodeJwt(recordedBody['client_assertion'] ?? '')
  let publicKey: KeyObject
  let entry: (origin: string) => DocumentedIdentity
  beforeAll(() => {
    const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
    publicKey = pair.publicKey
    const private_key = JSON.stringify({ ...pair.privateKey.export({ format: 'jwk' }), kid: 'a-key-id' })
    entry = (okta_domain) => ({
      ...{ identity_name: 'my-ai-agent', auth_provider: 'okta', client_id: String(recordedClaims.sub), okta_domain, private_key },
      scope: recordedBody['scope'] ?? '',
    })
  })

  /** Runs against a server that gives this answer. */
  async function answered(
    { response }: Pick<Recorded, 'response'>,
    change = (text: string) => text,
  ): Promise<Generated & { readonly server: FakeServer }> {
    const server = await serve((_request, answer) =>
      answer.writeHead(response.status.code, { 'content-type': 'application/json' }).end(change(response.body.string)),
    )
    try {
      return { ...(await generate('identities.json', [entry(server.origin)])), server }
    } finally {
      await server.close()
    }
  }

  test('there is one exchange without DPoP, and one that ends with a token', () => {
    expect(exchanges).toHaveLength(1)
    expect(granted).toBeDefined()
  })

  test('sends what was recorded, field by field, signed with its key', async () => {
    const { server } = await answered(recorded ?? fail())
    expect(server.requests).toHaveLength(1)
    const [asked] = server.requests
    const uri = new URL(recorded?.request.uri ?? '')
    expect([asked?.method, asked?.path]).toEqual([recorded?.request.method, uri.pathname])
    expect(asked?.headers['authorization']).toBeUndefined()
    const { client_assertion = '', ...form } = Object.fromEntries(new URLSearchParams(asked?.body))
    const { client_assertion: theirs = '', ...recordedForm } = recordedBody
    // The client id beside the assertion is optional (RFC 7521 section 4.2), and the one thing that was not recorded.
    expectForm(form, { ...recordedForm, client_id: String(recordedClaims.sub) })

    const audience = `${server.origin}${uri.pathname}`
    expect(recordedClaims.aud).toBe(recorded?.request.uri)
    const { payload, protectedHeader } = await jwtVerify(client_assertion, publicKey, { audience })
    expect(protectedHeader.alg).toBe(decodeProtectedHeader(theirs).alg)
    expect(protectedHeader.kid).toBe('a-key-id')
    for (const [name, value] of Object.entries(recordedClaims)) {
      expect(typeof payload[name], name).toBe(typeof value)
      counts.compared++
    }
    expect([payload.iss, payload.sub]).toEqual([recordedClaims.iss, recordedClaims.sub])
    // Okta takes an hour at most; a request needs no more than a minute.
    expect(Number(payload.exp) - Number(payload.iat)).toBeLessThanOrEqual(Number(recordedClaims.exp) - Number(recordedClaims.iat))
  })

  test('is told what the recorded refusal means: the app demands DPoP', async () => {
    const { ran, files } = await answered(recorded ?? fail())
    expect([ran.exit, Object.keys(files)]).toEqual([4, []])
    expect(ran.stderr).toMatch(/demands DPoP.*not supported/)
    expect(ran.stderr).not.toContain('proof JWT header is missing')
  })

  test('gets no file for the recorded token, which is bound to a key', async () => {
    const { ran, files } = await answered(granted ?? fail())
    expect([ran.exit, Object.keys(files)]).toEqual([5, []])
    expect(ran.stderr).toMatch(/DPoP.*not supported/)
  })

  test('gets its file for the recorded answer once its token_type, and nothing else, is Bearer', async () => {
    const { ran, files, server } = await answered(granted ?? fail(), (text) => text.replace('"token_type":"DPoP"', '"token_type":"Bearer"'))
    expect(ran).toMatchObject({ exit: 0 })
    const said = JSON.parse(granted?.response.body.string ?? '{}') as Readonly<Record<string, unknown>>
    const { access_token, expires_in, scope } = said
    const { client_id } = entry('')
    const file = files['my-ai-agent.json']
    expectDocumented(file, {
      identity_name: 'my-ai-agent',
      provider: 'okta',
      client_id,
      issuer: server.origin,
      access_token,
      expires_in,
      scope,
    })
  })
})

describe('one identities.json for all', () => {
  const APP = '1bd17ba1-aad3-447f-be0b-26f8f9ee859f'
  const machine = { client_id: 'my-ai-agent', client_secret: 'the-secret-of-my-ai-agent-0123456789' }
  const closing: (() => Promise<void>)[] = []
  afterAll(() => Promise.all(closing.map((close) => close())))

  test('gives a file for each of five providers in one run; an Entra entry without a scope asks for the gateway’s app', async () => {
    const realm = await makeRealm()
    closing.push(realm.remove)
    await makeMachine(realm, machine)
    const [entra, auth0, ministack] = await Promise.all([startEntra('a-tenant', [machine]), startAuth0(machine), startMinistack()])
    closing.push(entra.close, auth0.close, ministack.stop)
    const { ran, files } = await generate(
      'identities.json',
      [
        { identity_name: 'one', auth_provider: 'keycloak', keycloak_url: keycloak().url, keycloak_realm: realm.realm, ...machine },
        { identity_name: 'two', auth_provider: 'oidc', issuer: realm.issuer, ...machine },
        { identity_name: 'three', auth_provider: 'entra', tenant_id: 'a-tenant', login_url: entra.url, ...machine },
        { identity_name: 'four', auth_provider: 'auth0', auth0_domain: auth0.url, audience: AUDIENCE, ...machine },
        { ...(await userPoolAt(ministack)), identity_name: 'five' },
      ],
      { ENTRA_CLIENT_ID: APP },
    )
    expect(ran).toMatchObject({ exit: 0 })
    const providers = Object.entries(files).map(([name, { provider }]) => [name, provider])
    expect(Object.fromEntries(providers)).toEqual({
      ...{ 'agent-one-token.json': 'keycloak', 'two.json': 'oidc', 'three.json': 'entra', 'four.json': 'auth0', 'five.json': 'cognito' },
    })
    for (const file of Object.values(files)) expectDocumented(file, {})
    expect(files['three.json']).toMatchObject({ scope: `api://${APP}/.default` })
    expect(await verified(files['three.json'], entra.jwksUri, entra.issuer)).toMatchObject({ aud: APP })
  })

  test('with an Entra entry without a scope, and nothing that says the gateway’s app, is refused whole with its place', async () => {
    const entry = { identity_name: 'three', auth_provider: 'entra', tenant_id: 'a-tenant', ...machine }
    const { ran, files } = await generate('identities.json', [entry])
    expect([ran.exit, Object.keys(files)]).toEqual([2, []])
    expect(ran.stderr).toMatch(/identities\.json:\d+:\d+ scope/)
  })
})

function fail(): never {
  throw new Error('nothing was recorded')
}
