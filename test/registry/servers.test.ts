import { afterEach, beforeEach, expect, test } from 'vitest'
import { PRIMARY, personClaims, registryInMemory, SECOND } from './fixture.js'

let registry: Awaited<ReturnType<typeof registryInMemory>>
const DEMO = { name: 'Demo', description: 'A server', path: '/demo', proxy_pass_url: 'http://127.0.0.1:9/' }

beforeEach(async () => {
  registry = await registryInMemory({ ide: { client_id: 'global-ide', callback_port: 0 } })
})
afterEach(() => registry.close())

const register = (form: Record<string, string>, as?: string | null) =>
  registry.call('POST', '/api/servers/register', { form, ...(as === undefined ? {} : { as }) })

test('a registered server is read back under its path, also with several segments', async () => {
  const answer = await register({ ...DEMO, path: 'team/a/demo', tags: 'a, b,', oauth_client_id: 'login', append_mcp_path: 'false' })
  expect([answer.status, answer.json]).toEqual([
    201,
    { path: '/team/a/demo', name: 'Demo', message: "Service 'Demo' registered successfully at path '/team/a/demo'" },
  ])
  const { json } = await registry.call('GET', '/api/servers/team/a/demo')
  expect(json).toMatchObject({
    path: '/team/a/demo',
    tags: ['a', 'b'],
    oauth_client_id: 'login',
    append_mcp_path: false,
    proxy_pass_url: DEMO.proxy_pass_url,
  })
  expect((await registry.call('GET', '/api/servers//team/a/demo/connect-config')).json.oauth_client_id).toBe('login')
})

test('registering again replaces unless overwrite is false; the id stays', async () => {
  await register(DEMO)
  const first = (await registry.call('GET', '/api/servers/demo')).json
  expect((await register({ ...DEMO, description: 'new' })).status).toBe(201)
  const second = (await registry.call('GET', '/api/servers/demo')).json
  expect([second.id, second.description]).toEqual([first.id, 'new'])
  const refused = await register({ ...DEMO, overwrite: 'false' })
  expect(refused.status).toBe(409)
  expect(refused.json).toMatchObject({
    error: 'Service registration failed',
    reason: "A service with path '/demo' already exists with version v1.0.0",
  })
})

test('missing fields are named, an empty one counts as missing', async () => {
  const { status, json } = await register({ name: 'x', path: '' })
  expect(status).toBe(422)
  expect(json.detail.map(({ type, loc }: { type: string; loc: unknown }) => [type, loc])).toEqual([
    ['missing', ['body', 'description']],
    ['missing', ['body', 'path']],
  ])
})

test('bad paths, URLs and client ids are refused before anything is stored', async () => {
  for (const change of [
    { path: '/../x' },
    { path: '/a b' },
    { path: '/x/connect-config' },
    { proxy_pass_url: 'file:///etc/passwd' },
    { oauth_client_id: 'a b' },
  ]) {
    expect((await register({ ...DEMO, ...change })).status, JSON.stringify(change)).toBe(422)
  }
  expect((await registry.call('GET', '/api/servers')).json.total_count).toBe(0)
})

test('credentials of servers are refused, not silently dropped', async () => {
  const { status, json } = await register({ ...DEMO, auth_credential: 'tok-1' })
  expect([status, json.reason]).toEqual([400, 'the embedded registry stores no credentials of servers; leave auth_credential out'])
  expect((await register({ ...DEMO, deployment: 'zzz' })).json).toEqual({ detail: "deployment must be 'remote' or 'local'" })
})

test('PATCH changes the given fields only, null clears, unknown keys are 422 and an empty body 400', async () => {
  await register({ ...DEMO, oauth_client_id: 'login', append_mcp_path: 'true' })
  const path = '/api/servers/demo'
  const patched = await registry.call('PATCH', path, { json: { description: 'z' } })
  expect(patched.json).toMatchObject({ description: 'z', oauth_client_id: 'login', append_mcp_path: true, server_name: 'Demo' })
  expect(patched.headers.get('etag')).toMatch(/^W\/"\d+"$/)
  const cleared = await registry.call('PATCH', path, { json: { oauth_client_id: null, append_mcp_path: null } })
  expect(cleared.json).toMatchObject({ oauth_client_id: null, append_mcp_path: null, description: 'z' })
  expect((await registry.call('PATCH', path, { json: {} })).json).toEqual({ detail: 'Empty patch body' })
  const readOnly = await registry.call('PATCH', path, { json: { id: 'x' } })
  expect(readOnly.json).toEqual({
    detail: [{ type: 'extra_forbidden', loc: ['body', 'id'], msg: 'Extra inputs are not permitted', input: 'x' }],
  })
  expect((await registry.call('PATCH', '/api/servers/nope', { json: { description: 'z' } })).json).toEqual({
    detail: "Server not found at path '/nope'",
  })
})

test('connect config: the own client id, else the global one, empty counts as unset, port 0 is null, all keys present', async () => {
  await register({ ...DEMO, oauth_client_id: 'own' })
  await register({ ...DEMO, path: '/empty', oauth_client_id: '' })
  const own = await registry.call('GET', '/api/servers/demo/connect-config')
  expect(own.json).toEqual({
    path: '/demo',
    server_name: 'Demo',
    auth_scheme: 'none',
    auth_header_name: null,
    custom_headers: [],
    oauth_client_id: 'own',
    oauth_callback_port: null,
    append_mcp_path: null,
    decrypt_failures: 0,
    connect_scope: null,
    egress_auth_mode: null,
  })
  expect((await registry.call('GET', '/api/servers/empty/connect-config')).json.oauth_client_id).toBe('global-ide')
  expect((await registry.call('GET', '/api/servers/nope/connect-config')).json).toEqual({ detail: 'Service path not found' })
})

test('a reader of /demo sees that server alone, without its upstream URL', async () => {
  await register(DEMO)
  await register({ ...DEMO, name: 'Secret', path: '/secret' })
  const as = registry.tokens.reader
  const { json } = await registry.call('GET', '/api/servers', { as })
  expect(json.servers.map(({ path, proxy_pass_url }: { path: string; proxy_pass_url: unknown }) => [path, proxy_pass_url])).toEqual([
    ['/demo', null],
  ])
  expect(json.total_count).toBe(1)
  expect((await registry.call('GET', '/api/servers/demo', { as })).json).not.toHaveProperty('proxy_pass_url')
  expect((await registry.call('GET', '/api/servers/demo/connect-config', { as })).status).toBe(200)
  for (const path of ['/api/servers/secret', '/api/servers/secret/connect-config']) {
    expect((await registry.call('GET', path, { as })).json).toEqual({ detail: 'You do not have access to this server' })
  }
})

test('who lacks the right neither registers, changes nor removes', async () => {
  await register(DEMO)
  const as = registry.tokens.reader
  expect((await register(DEMO, as)).json).toEqual({ detail: 'You do not have permission to register new services' })
  const patched = await registry.call('PATCH', '/api/servers/demo', { as, json: { description: 'z' } })
  expect([patched.status, patched.json.detail]).toEqual([403, 'You do not have permission to modify_service for Demo'])
  const removed = await registry.call('POST', '/api/servers/remove', { as, form: { path: '/demo' } })
  expect([removed.status, removed.json.detail]).toEqual([403, 'You do not have permission to delete_service for Demo'])
})

test("a server is its owner's by issuer and subject: a namesake with the same right may not change it", async () => {
  await registry.plantScope({
    ...{ name: 'editors', description: '', group_mappings: ['editors'], server_access: [] },
    ui_permissions: { register_service: ['Demo'], modify_service: ['Demo'], delete_service: ['Demo'] },
  })
  const owner = await registry.primary.sign(personClaims(PRIMARY, 'ide', 'grace', ['editors']))
  const namesakes = [
    await registry.primary.sign({ ...personClaims(PRIMARY, 'ide', 'grace', ['editors']), sub: 'someone-else' }),
    await registry.second.sign(personClaims(SECOND, 'ide', 'grace', ['editors'])),
  ]
  expect((await register(DEMO, owner)).status).toBe(201)
  for (const as of namesakes) {
    expect((await registry.call('PATCH', '/api/servers/demo', { as, json: { description: 'z' } })).status).toBe(403)
    expect((await register(DEMO, as)).status).toBe(403)
    expect((await registry.call('POST', '/api/servers/remove', { as, form: { path: '/demo' } })).status).toBe(403)
  }
  expect((await registry.call('PATCH', '/api/servers/demo', { as: owner, json: { description: 'z' } })).status).toBe(200)
  expect((await registry.store.audit()).at(-1)?.actor).toEqual({ issuer: PRIMARY, subject: 'id-of-grace', name: 'grace' })
})

test('a machine client cannot be made a login client', async () => {
  const { status, json } = await register({ ...DEMO, oauth_client_id: 'gateway' })
  expect([status, json.detail]).toEqual([409, 'gateway is registered as an M2M client and cannot be a login client'])
  await register(DEMO)
  expect((await registry.call('PATCH', '/api/servers/demo', { json: { oauth_client_id: 'gateway' } })).status).toBe(409)
})

test('the list is paged, searched and sorted by path', async () => {
  for (const path of ['/c', '/a', '/b']) await register({ ...DEMO, name: `Server ${path}`, path })
  const page = (await registry.call('GET', '/api/servers?limit=2&offset=0')).json
  expect([page.servers.map(({ path }: { path: string }) => path), page.total_count, page.has_next]).toEqual([['/a', '/b'], 3, true])
  expect((await registry.call('GET', '/api/servers?limit=2&offset=2')).json).toMatchObject({ has_next: false, servers: [{ path: '/c' }] })
  expect((await registry.call('GET', '/api/servers?query=server%20/B')).json.total_count).toBe(1)
  expect((await registry.call('GET', '/api/servers?status=Bogus')).json).toEqual({
    detail: "Invalid status 'bogus'. Must be one of: active, beta, deprecated, draft",
  })
  expect((await registry.call('GET', '/api/servers?status=draft')).json.total_count).toBe(0)
})

test('removing is by path; a second time it is 404 in the documented shape', async () => {
  await register(DEMO)
  const form = { path: '/demo' }
  expect((await registry.call('POST', '/api/servers/remove', { form })).json).toEqual({
    message: 'Service removed successfully',
    path: '/demo',
  })
  const again = await registry.call('POST', '/api/servers/remove', { form })
  expect([again.status, again.json]).toEqual([
    404,
    {
      error: 'Service not found',
      reason: "No service registered at path '/demo'",
      suggestion: 'Check the service path and ensure it is registered',
    },
  ])
})
