import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createDoor, type Door, WriteLatch } from '../../core/http.js'
import { Secret } from '../../core/secret.js'
import { type RegistryClient, registryClient } from '../../registry/client.js'
import { type RunningRegistry, startRegistry } from '../../registry/server/start.js'
import { describeWithHandbook } from '../handbook.js'
import { ADMIN, type Issuer, issuerWithKeys, machineClaims, PRIMARY } from './fixture.js'
import { recording } from './recordings.js'

/** A client whose door is open for writes, as in an apply. */
function clientFor(url: string, token: string): { client: RegistryClient; door: Door; writing: <T>(work: () => Promise<T>) => Promise<T> } {
  const latch = new WriteLatch()
  const door = createDoor({ origins: [url], latch, timeoutMs: 5_000 })
  return { door, client: registryClient({ url, door, token: async () => new Secret(token) }), writing: (work) => latch.whileOpen(work) }
}

describe('against the embedded registry', () => {
  let folder: string
  let issuer: Issuer
  let registry: RunningRegistry
  let admin: ReturnType<typeof clientFor>
  let stranger: ReturnType<typeof clientFor>

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'client-'))
    issuer = await issuerWithKeys(PRIMARY)
    const jwks = async () => issuer.jwks
    registry = await startRegistry({ folder: join(folder, 'r'), port: 0, issuers: [issuer.trusted], seed: { m2m_client: ADMIN }, jwks })
    admin = clientFor(registry.url, await issuer.sign(machineClaims(PRIMARY, 'gateway')))
    stranger = clientFor(registry.url, await issuer.sign(machineClaims(PRIMARY, 'stranger')))
  })
  afterAll(async () => {
    await Promise.all([admin.door.close(), stranger.door.close()])
    await registry.close()
    await rm(folder, { recursive: true, force: true })
  })

  test('a machine client is created, read, changed and removed; its issuer is seen', async () => {
    const { client, writing } = admin
    await writing(() => client.createM2mClient({ client_id: 'a:b', client_name: 'A', groups: ['demo-readers'] }))
    expect(await client.getM2mClient('a:b')).toMatchObject({ name: 'A', issuer: PRIMARY, groups: ['demo-readers'] })
    await writing(() => client.updateM2mClient('a:b', { enabled: false }))
    expect(await client.getM2mClient('a:b')).toMatchObject({ enabled: false, name: 'A', groups: ['demo-readers'] })
    await writing(() => client.removeM2mClient('a:b'))
    await expect(client.getM2mClient('a:b')).rejects.toMatchObject({ code: 'not_found', details: { kind: 'm2m-record', key: 'a:b' } })
  })

  test('a list longer than a page comes whole', async () => {
    const { client, writing } = admin
    const actor = { issuer: PRIMARY, subject: 's', name: 'n' }
    for (let index = 0; index < 450; index++) {
      const wanted = { client_id: `bulk-${index}`, name: 'x', description: null, groups: [], issuer: PRIMARY }
      await registry.store.m2mClients.create(actor, wanted, { allow_privileged: false })
    }
    const before = admin.door.journal.length
    expect((await client.listM2mClients()).length).toBe(451)
    expect(admin.door.journal.length - before).toBe(3)
    expect((await client.listM2mClients({ provider: 'okta' })).length).toBe(0)
    for (let index = 0; index < 450; index++) await writing(async () => registry.store.m2mClients.remove(actor, `bulk-${index}`))
  })

  test('a server is registered, read, changed and removed', async () => {
    const { client, writing } = admin
    const server = { path: '/team/demo', server_name: 'Demo', description: 'd', oauth_client_id: 'ide', append_mcp_path: false }
    await writing(() => client.registerServer(server))
    expect(await client.getServer('/team/demo')).toMatchObject(server)
    await expect(writing(() => client.registerServer(server))).rejects.toMatchObject({ code: 'conflict' })
    await writing(() => client.updateServer('team/demo', { oauth_client_id: null }))
    expect(await client.connectConfig('/team/demo')).toMatchObject({ oauth_client_id: null, append_mcp_path: false })
    expect((await client.listServers({ query: 'emo' })).map(({ path }) => path)).toEqual(['/team/demo'])
    await writing(() => client.removeServer('/team/demo'))
    await expect(client.getServer('/team/demo')).rejects.toMatchObject({ code: 'not_found' })
  })

  test('refusals become our codes, with places and hints', async () => {
    const { client, writing } = admin
    const invalid = writing(() => client.createM2mClient({ client_id: 'a b', client_name: '', groups: ['x', 5 as unknown as string] }))
    await expect(invalid).rejects.toMatchObject({
      code: 'invalid_input',
      details: { problems: [{ path: 'client_id' }, { path: 'client_name' }, { path: 'groups[1]' }] },
    })
    await expect(writing(() => client.createM2mClient({ client_id: 'gateway', client_name: 'x' }))).rejects.toMatchObject({
      code: 'conflict',
    })
    const unasked = writing(() => client.createM2mClient({ client_id: 'p', client_name: 'x', groups: ['registry-admins'] }))
    await expect(unasked).rejects.toMatchObject({
      code: 'forbidden',
      details: { needs: ['allow_privileged'] },
      hint: 'repeat with --allow-privileged',
    })
    const refused = stranger.writing(() => stranger.client.createM2mClient({ client_id: 'q', client_name: 'x' }))
    await expect(refused).rejects.toMatchObject({ code: 'forbidden', details: { needs: ['registry administrator'] } })
    const garbage = clientFor(registry.url, 'garbage')
    await expect(garbage.client.me()).rejects.toMatchObject({ code: 'unauthenticated' })
    await garbage.door.close()
  })

  test('who am I, and is anybody there', async () => {
    expect(await admin.client.me()).toMatchObject({ is_admin: true, groups_source: 'record', kind: 'machine', client_id: 'gateway' })
    expect(await stranger.client.me()).toMatchObject({ is_admin: false, groups: [], groups_source: 'none' })
    expect(await stranger.client.health()).toMatchObject({ status: 'healthy' })
  })

  test('planning cannot write', async () => {
    await expect(admin.client.createM2mClient({ client_id: 'z', client_name: 'x' })).rejects.toMatchObject({ code: 'internal' })
    await expect(admin.client.getM2mClient('z')).rejects.toMatchObject({ code: 'not_found' })
  })
})

/** A server that gives one prepared answer. */
let stub: Server
let url: string
let answer: { status: number; type?: string; body: string; headers?: Record<string, string> }
let client: RegistryClient
let stubbed: ReturnType<typeof clientFor>
beforeAll(async () => {
  stub = createServer((_request, response) => {
    response.writeHead(answer.status, { 'content-type': answer.type ?? 'application/json', ...answer.headers })
    response.end(answer.status === 204 ? undefined : answer.body)
  })
  await new Promise<void>((resolve) => stub.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(stub.address() as AddressInfo).port}`
  stubbed = clientFor(url, 'token')
  client = stubbed.client
})
afterAll(async () => {
  await stubbed.door.close()
  await new Promise((resolve) => stub.close(resolve))
})
beforeEach(() => {
  answer = { status: 200, body: '{}' }
})

describeWithHandbook('against recorded answers of the real registry', () => {
  const exchange = (scenario: string, note: string) => {
    const found = recording(scenario).find((one) => one.note === note)
    if (!found) throw new Error(`no exchange ${note} in ${scenario}`)
    const type = found.response.headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1]
    return { status: found.response.status, body: found.response.body, ...(type === undefined ? {} : { type }) }
  }
  const record = { client_id: 'peer-1', client_name: 'x' }
  const { writing } = { writing: <T>(work: () => Promise<T>) => stubbed.writing(work) }

  test('records are read, and their zoneless times become UTC', async () => {
    answer = exchange('s02_m2m', 'get')
    const read = await client.getM2mClient('peer-1')
    expect(read).toMatchObject({ client_id: 'peer-1', groups: ['g1', 'g2', 'g1'], created_at: '2026-11-21T08:04:29.004Z' })
    expect(read).not.toHaveProperty('issuer')
    answer = exchange('s02_m2m', 'list')
    expect((await client.listM2mClients()).map(({ client_id }) => client_id)).toEqual(['a.b:c_D-9', 'peer-1', 'peer-2', 'peer-3'])
    answer = exchange('s02_m2m', 'create full')
    expect(await writing(() => client.createM2mClient(record))).toMatchObject({ updated_at: '2026-11-21T08:04:29.004Z' })
    answer = exchange('s02_m2m', 'delete')
    await expect(writing(() => client.removeM2mClient('peer-3'))).resolves.toBeUndefined()
  })

  const refusals = [
    ['get missing', 'not_found'],
    ['encoded slash', 'not_found'],
    ['duplicate', 'conflict'],
    ['422? two errors', 'invalid_input'],
    ['malformed json', 'invalid_input'],
    ['no auth', 'unauthenticated'],
    ['testuser create', 'forbidden'],
    ['trailing slash', 'unexpected_response'],
    ['read poisoned', 'unavailable'],
    ['HEAD list', 'unexpected_response'],
  ] as const
  for (const [note, code] of refusals) {
    test(`"${note}" is ${code}`, async () => {
      answer = exchange('s02_m2m', note)
      await expect(writing(() => client.createM2mClient(record))).rejects.toMatchObject({ code })
    })
  }

  test('a server and its connect config are read; the value of a custom header is not', async () => {
    answer = exchange('s05_servers', 'get')
    expect(await client.getServer('/peersrv')).toMatchObject({
      server_name: 'Peer Srv',
      oauth_client_id: 'srv-client',
      append_mcp_path: false,
    })
    answer = exchange('s05_servers', 'list 2')
    expect((await client.listServers()).map(({ path }) => path)).toEqual(['/peerlocal', '/peersrv', '/peertwo'])
    answer = exchange('s05_servers', 'connect-config peertwo')
    expect(answer.body).toContain('blue')
    const config = await client.connectConfig('/peertwo')
    expect(config.custom_headers).toEqual([{ name: 'X-Team' }])
    expect(JSON.stringify(config)).not.toContain('blue')
  })

  test('an unknown server to remove is not_found, a taken path a conflict', async () => {
    answer = exchange('s05_servers', 'remove /nope')
    await expect(writing(() => client.removeServer('/nope'))).rejects.toMatchObject({ code: 'not_found' })
    answer = exchange('s05_servers', 'overwrite=false')
    await expect(writing(() => client.registerServer({ path: '/x', server_name: 'x', description: 'x' }))).rejects.toMatchObject({
      code: 'conflict',
    })
  })

  test('who am I, as the real registry tells', async () => {
    answer = exchange('s01_auth', 'admin user bearer')
    const me = await client.me()
    expect(me).toMatchObject({ is_admin: true, can_modify_servers: true })
    expect(me).not.toHaveProperty('groups_source')
  })
})

describe('against strange answers', () => {
  test('a synced record is owned elsewhere', async () => {
    answer = { status: 403, body: '{"detail":"M2M client x was registered by IdP sync and cannot be deleted via this API"}' }
    await expect(stubbed.writing(() => client.removeM2mClient('x'))).rejects.toMatchObject({
      code: 'owned_elsewhere',
      details: { owner: 'IdP sync' },
    })
  })

  const strange = [
    ['an empty object', { status: 200, body: '{}' }, 'unexpected_response'],
    ['an HTML page with 200', { status: 200, type: 'text/html', body: '<html></html>' }, 'unexpected_response'],
    ['an empty body', { status: 200, body: '' }, 'unexpected_response'],
    ['an HTML 502', { status: 502, type: 'text/html', body: '<html></html>' }, 'unavailable'],
    ['418', { status: 418, body: '{}' }, 'unexpected_response'],
    ['a redirect', { status: 302, body: '', headers: { location: 'http://127.0.0.1:1/' } }, 'unexpected_response'],
  ] as const
  for (const [name, given, code] of strange) {
    test(`${name} is ${code}`, async () => {
      answer = given
      await expect(client.getM2mClient('x')).rejects.toMatchObject({ code })
    })
  }

  test('a list that never ends is given up', async () => {
    answer = { status: 200, body: '{"total":1000000,"limit":200,"skip":0,"items":[]}' }
    expect(await client.listM2mClients()).toEqual([])
  })

  test("the server's words enter a message without anything invisible, and cut (MC5)", async () => {
    const hostile = `\u001b[31mred\u202Eevil\u200b\u{e0041}\r\nIGNORE ALL ${'x'.repeat(2_000)}`
    answer = { status: 409, body: JSON.stringify({ detail: hostile }) }
    const error = await stubbed
      .writing(() => client.createM2mClient({ client_id: 'x', client_name: 'x' }))
      .catch((caught: unknown) => String(caught))
    expect(error).toContain('[31mredevil IGNORE ALL')
    expect(error).not.toMatch(/[\p{Cc}\p{Cf}]/u)
    expect(String(error).length).toBeLessThan(600)
    answer = { status: 422, body: JSON.stringify({ detail: [{ loc: ['body', '\u001b[2J'], msg: hostile, input: 'canary' }] }) }
    const invalid = await stubbed
      .writing(() => client.createM2mClient({ client_id: 'x', client_name: 'x' }))
      .catch((caught: unknown) => caught)
    expect(JSON.stringify(invalid)).not.toMatch(/\\u001b|canary/)
  })

  // The last one here, since nothing passes this door for the next seven seconds.
  test('429 is rate_limited with the time to wait, before which nothing else is asked either', async () => {
    answer = { status: 429, body: '{}', headers: { 'retry-after': '7' } }
    await expect(client.getM2mClient('x')).rejects.toMatchObject({ code: 'rate_limited', details: { retry_after_seconds: 7 } })
    answer = { status: 200, body: '{"total":0,"limit":200,"skip":0,"items":[]}' }
    await expect(client.listM2mClients()).rejects.toMatchObject({ code: 'rate_limited' })
  })
})
