import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, request, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { embeddedCapabilities } from '../../idp/embedded/capabilities.js'
import type { ServedRequest } from '../../registry/server/app.js'
import { type RunningRegistry, startRegistry } from '../../registry/server/start.js'
import { ADMIN, type Issuer, issuerWithKeys, machineClaims } from './fixture.js'

let parent: string
let idp: Server
let asked: string[] = []
let issuer: Issuer
let registry: RunningRegistry
const served: ServedRequest[] = []

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), 'start-'))
  idp = createServer((message, response) => {
    asked.push(message.url ?? '')
    const metadata = { issuer: issuer.issuer, token_endpoint: `${issuer.issuer}/token`, jwks_uri: `${issuer.issuer}/keys` }
    response.setHeader('content-type', message.url?.endsWith('/keys') ? 'application/jwk-set+json' : 'application/json')
    response.end(JSON.stringify(message.url?.endsWith('/keys') ? issuer.jwks : metadata))
  })
  await new Promise<void>((resolve) => idp.listen(0, '127.0.0.1', resolve))
  issuer = await issuerWithKeys(`http://127.0.0.1:${(idp.address() as AddressInfo).port}/realms/x`)
  registry = await startRegistry({
    folder: join(parent, 'registry'),
    port: 0,
    issuers: [issuer.trusted],
    seed: { m2m_client: { ...ADMIN, issuer: issuer.issuer } },
    onRequest: (entry) => served.push(entry),
    mount: (app, { authenticate }) => app.get('/demo/mcp', async (c) => c.json({ groups: (await authenticate(c.req.raw.headers)).groups })),
  })
})
afterAll(async () => {
  await registry.close()
  await new Promise((resolve) => idp.close(resolve))
  await rm(parent, { recursive: true, force: true })
})

const bearer = async () => ({ authorization: `Bearer ${await issuer.sign(machineClaims(issuer.issuer, 'gateway'))}` })

test("keys come from the issuer's own metadata, once for many requests", async () => {
  asked = []
  const headers = await bearer()
  const answers = await Promise.all(Array.from({ length: 20 }, () => fetch(`${registry.url}/api/auth/me`, { headers })))
  expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200))
  expect(await answers[0]?.json()).toMatchObject({ is_admin: true, groups: ['registry-admins'], groups_source: 'record', kind: 'machine' })
  expect(asked).toEqual(['/realms/x/.well-known/openid-configuration', '/realms/x/keys'])
})

test('a mounted route shares the port and can tell who calls', async () => {
  const answer = await fetch(`${registry.url}/demo/mcp`, { headers: await bearer() })
  expect(await answer.json()).toEqual({ groups: ['registry-admins'] })
  const refused = await fetch(`${registry.url}/demo/mcp`)
  expect(refused.status).toBe(401)
  expect(refused.headers.get('www-authenticate')).toContain('resource_metadata=')
})

test('the log of requests has no token, no body and no query', async () => {
  const headers = await bearer()
  await fetch(`${registry.url}/api/iam/m2m-clients?include=issuer`, { headers })
  await fetch(`${registry.url}/api/iam/m2m-clients/nope`, {
    method: 'PATCH',
    headers: { ...headers, 'content-type': 'application/json' },
    body: '{"client_name":"canary"}',
  })
  expect(served.at(-1)).toMatchObject({ method: 'PATCH', path: '/api/iam/m2m-clients/nope', status: 404, error: 'not_found' })
  const text = JSON.stringify(served)
  for (const secret of [headers.authorization.slice(7, 40), 'canary', 'include=']) expect(text).not.toContain(secret)
})

test('a taken port is an error that names --port, and leaves nothing open', async () => {
  const port = Number(new URL(registry.url).port)
  const second = startRegistry({ folder: join(parent, 'second'), port, issuers: [issuer.trusted] })
  await expect(second).rejects.toMatchObject({ code: 'invalid_input', details: { problems: [{ path: '--port', found: String(port) }] } })
})

test('the embedded provider is never trusted off loopback', async () => {
  const issuers = [issuer.trusted, { name: 'embedded', issuer: 'http://127.0.0.1:1', rules: embeddedCapabilities.token }]
  const open = startRegistry({ folder: join(parent, 'open'), port: 0, host: '0.0.0.0', issuers })
  await expect(open).rejects.toMatchObject({ code: 'invalid_input', details: { problems: [{ path: '--host' }] } })
})

test('a name rebound to this address is misdirected', async () => {
  const status = await new Promise((resolve, reject) => {
    const { port } = new URL(registry.url)
    request({ host: '127.0.0.1', port, path: '/health', headers: { host: `evil.example:${port}` } }, ({ statusCode, resume }) =>
      resolve(statusCode ?? resume),
    )
      .on('error', reject)
      .end()
  })
  expect(status).toBe(421)
})

test('a chunked body over 1 MB is cut off', async () => {
  const headers = { ...(await bearer()), 'content-type': 'application/json' }
  const chunks = new ReadableStream({
    start(controller) {
      for (let index = 0; index < 20; index++) controller.enqueue(new Uint8Array(100_000).fill(97))
      controller.close()
    },
  })
  const answer = await fetch(`${registry.url}/api/iam/m2m-clients`, {
    method: 'POST',
    headers,
    body: chunks,
    duplex: 'half',
  } as RequestInit)
  expect(answer.status).toBe(413)
})

test('headers over 32 KiB are refused', async () => {
  const answer = await fetch(`${registry.url}/health`, { headers: { 'x-large': 'a'.repeat(40_000) } })
  expect(answer.status).toBe(431)
})

test('close ends at once although a connection is kept open, and may be repeated', async () => {
  const own = await startRegistry({ folder: join(parent, 'third'), port: 0, issuers: [issuer.trusted] })
  const socket = connect(Number(new URL(own.url).port), '127.0.0.1')
  socket.on('error', () => undefined)
  await new Promise((resolve) => socket.once('connect', resolve))
  const started = performance.now()
  await Promise.all([own.close(), own.close()])
  expect(performance.now() - started).toBeLessThan(1_000)
  await expect(fetch(`${own.url}/health`)).rejects.toThrow()
})
