/** Entra's certificate credential: MSAL's request as a loopback TLS server sees it, and what becomes of the answers. */
import { execFile } from 'node:child_process'
import { createHash, X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { importX509, type JWTVerifyResult, jwtVerify } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Secret } from '../../../core/secret.js'
import { createMinter, type Identity } from '../../../idp/tokens.js'
import { selfSigned } from '../../fakes/certificate.js'
import { doorTo, failureOf, type TestDoor } from '../../fakes/door.js'
import { temporaryFolder } from '../../fakes/folder.js'
import { answerJson, type FakeServer, serve } from '../../fakes/server.js'

const TENANT = '6e6ee81b-6bf3-495d-a7fc-d363a551f765'
const CLIENT = '0d6f3f1c-6e0c-4b1a-9b0a-3b7f3d1f2c55'
const SCOPE = 'api://1bd17ba1-aad3-447f-be0b-26f8f9ee859f/.default'
const GOOD = { token_type: 'Bearer', expires_in: 3599, ext_expires_in: 3599, access_token: 'a-token' }

const tls = selfSigned('IP:127.0.0.1')
const own = selfSigned('DNS:agent.example.com', 'rsa')
const pem = own.cert + own.key

let server: FakeServer
let door: TestDoor
let answers: { status: number; body: unknown }[] = []
beforeAll(async () => {
  server = await serve((_request, response) => {
    const { status, body } = answers.shift() ?? { status: 404, body: {} }
    answerJson(response, status, body)
  }, tls)
  door = doorTo([server.origin], { ca: tls.cert, patienceMs: 5_000, isRead: ({ method }) => method === 'POST' && 'once' })
})
afterAll(async () => {
  await door?.close()
  await server?.close()
})
let before = 0
beforeEach(() => {
  before = server.requests.length
})

function mint(certificate = pem, ...next: { status: number; body: unknown }[]) {
  answers = next
  const identity: Identity = {
    ...{ identity_name: 'agent', auth_provider: 'entra', client_id: CLIENT, scope: SCOPE },
    fields: { tenant_id: TENANT, login_url: server.origin },
  }
  return createMinter(() => door).mint(identity, { client_certificate: new Secret(certificate) })
}
const asked = () => server.requests.slice(before)
const formOf = (index: number) => new URLSearchParams(asked()[index]?.body)

function verified(assertion: string): Promise<JWTVerifyResult> {
  const audience = `${server.origin}/${TENANT}/oauth2/v2.0/token`
  // MSAL rounds the time up.
  const expected = { audience, issuer: CLIENT, subject: CLIENT, clockTolerance: 1 }
  return importX509(own.cert, 'PS256').then((key) => jwtVerify(assertion, key, expected))
}

describe('a machine with a certificate', () => {
  test('gets its token by one request, whose assertion its certificate verifies', async () => {
    const { token } = await mint(pem, { status: 200, body: GOOD })
    expect({ ...token, access_token: token.access_token.reveal() }).toEqual({
      ...{ access_token: 'a-token', token_type: 'Bearer', expires_in: 3599 },
    })
    expect(asked().map(({ method, path }) => `${method} ${path.split('?', 1)[0]}`)).toEqual([`POST /${TENANT}/oauth2/v2.0/token`])
    expect(Object.fromEntries(formOf(0))).toMatchObject({
      client_id: CLIENT,
      grant_type: 'client_credentials',
      scope: SCOPE,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    })
    expect(asked()[0]?.body).not.toContain('client_secret')
    const { protectedHeader, payload } = await verified(formOf(0).get('client_assertion') ?? '')
    const thumbprint = createHash('sha256').update(new X509Certificate(own.cert).raw).digest('base64url')
    expect(protectedHeader).toMatchObject({ alg: 'PS256', 'x5t#S256': thumbprint })
    expect((payload.exp ?? 0) - (payload.nbf ?? 0)).toBe(600)
  })

  test('is as patient as every other, with an assertion of its own for each try', async () => {
    const busy = { status: 503, body: { error: 'temporarily_unavailable' } }
    const { token } = await mint(pem, busy, { status: 200, body: GOOD })
    expect(token.expires_in).toBe(3599)
    const assertions = await Promise.all([0, 1].map((index) => verified(formOf(index).get('client_assertion') ?? '')))
    expect(new Set(assertions.map(({ payload }) => payload.jti)).size).toBe(2)
  })

  test.for<[string, { status: number; body: unknown }, object]>([
    ['a refusal', { status: 401, body: { error: 'invalid_client', error_description: 'AADSTS700027' } }, { code: 'token_refused' }],
    ['a token of another type', { status: 200, body: { ...GOOD, token_type: 'pop' } }, { details: { reason: 'token_type' } }],
    ['a text for its lifetime', { status: 200, body: { ...GOOD, expires_in: '3599' } }, { details: { reason: 'expires_in_not_number' } }],
    ['something else', { status: 200, body: { hello: 'world' } }, { details: { reason: 'token_type' } }],
  ])('is told of %s as every other', async ([, answer, told]) => {
    const failure = await failureOf(mint(pem, answer))
    expect(failure).toMatchObject(told)
    expect(JSON.stringify([failure.message, failure.details])).not.toContain('AADSTS')
    expect(asked()).toHaveLength(1)
  })

  test('that cannot be reached is told so', async () => {
    const closed = await serve(() => {}, tls)
    await closed.close()
    const away = doorTo([closed.origin], { ca: tls.cert, isRead: () => 'once' })
    const identity: Identity = {
      ...{ identity_name: 'agent', auth_provider: 'entra', client_id: CLIENT, scope: SCOPE },
      fields: { tenant_id: TENANT, login_url: closed.origin },
    }
    try {
      const minted = createMinter(() => away).mint(identity, { client_certificate: new Secret(pem) })
      expect(await failureOf(minted)).toMatchObject({ code: 'unavailable' })
    } finally {
      await away.close()
    }
  })

  test.for<[string, string]>([
    ['the certificate alone', own.cert],
    ['the key alone', own.key],
    ['another certificate’s key', own.cert + tls.key],
    ['a key that is no RSA key', tls.cert + tls.key],
    ['something else', 'a secret text that is no PEM'],
  ])('is refused with %s, before anything is sent and without a word of it', async ([, text]) => {
    const failure = await failureOf(mint(text, { status: 200, body: GOOD }))
    expect(failure).toMatchObject({ code: 'invalid_input', details: { problems: [{ path: 'client_certificate' }] } })
    expect(JSON.stringify(failure)).not.toContain(text.slice(-40, -10))
    expect(asked()).toEqual([])
  })
})

describe('MSAL', () => {
  const root = resolve(import.meta.dirname, '../../..')
  /** Packages that a process loads for one token request with this credential, which nobody answers. */
  async function loaded(credential: string): Promise<string[]> {
    const folder = temporaryFolder()
    const hooks = `export async function load(url, context, next) { console.log(url); return next(url, context) }`
    writeFileSync(join(folder, 'hooks.mjs'), hooks)
    writeFileSync(join(folder, 'register.mjs'), `import { register } from 'node:module'\nregister('./hooks.mjs', import.meta.url)\n`)
    writeFileSync(
      join(folder, 'mint.mts'),
      `import { createMinter } from ${JSON.stringify(pathToFileURL(join(root, 'idp/tokens.ts')).href)}
import { Secret } from ${JSON.stringify(pathToFileURL(join(root, 'core/secret.ts')).href)}
const identity = { identity_name: 'a', auth_provider: 'entra', client_id: 'c', scope: 's/.default', fields: { tenant_id: 't' } }
const door = { patiently: (_url, attempt) => attempt(), fetch: async () => Response.json({ error: 'no' }, { status: 400 }) }
const pem = ${JSON.stringify(own.cert)} + ${JSON.stringify(own.key)}
await createMinter(() => door).mint(identity, { ${credential} }).catch(({ code }) => console.log('ended', code))`,
    )
    const tsx = pathToFileURL(join(root, 'node_modules/tsx/dist/loader.mjs')).href
    const words = ['--import', tsx, '--import', pathToFileURL(join(folder, 'register.mjs')).href, join(folder, 'mint.mts')]
    const { stdout } = await promisify(execFile)(process.execPath, words, { cwd: root, timeout: 50_000 })
    expect(stdout).toContain('ended token_refused')
    return [...new Set([...stdout.matchAll(/node_modules\/((?:@[^/\s]+\/)?[^/\s]+)/g)].flatMap(([, name]) => name ?? []))]
  }
  test('is loaded for a certificate', async () => {
    expect(await loaded('client_certificate: new Secret(pem)')).toContain('@azure/msal-node')
  })
  test('is not loaded for a secret', async () => {
    const packages = await loaded(`client_secret: new Secret('a secret of the client')`)
    expect(packages).toContain('oauth4webapi')
    expect(packages.filter((name) => name.startsWith('@azure/'))).toEqual([])
  })
})
