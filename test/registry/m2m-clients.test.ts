import { afterEach, beforeEach, expect, test } from 'vitest'
import { PRIMARY, registryInMemory, SECOND } from './fixture.js'

let registry: Awaited<ReturnType<typeof registryInMemory>>
const PATH = '/api/iam/m2m-clients'

beforeEach(async () => {
  registry = await registryInMemory({ ide: { client_id: 'ide-client' } })
})
afterEach(() => registry.close())

test('a created record is what is read back, in the documented keys and order', async () => {
  const created = await registry.call('POST', PATH, { json: { client_id: 'a.b:c_D-9', client_name: 'A', groups: ['x', 'y', 'x'] } })
  expect(created.status).toBe(201)
  expect(Object.keys(created.json)).toEqual([
    'client_id',
    'name',
    'description',
    'groups',
    'enabled',
    'provider',
    'created_at',
    'updated_at',
    'idp_app_id',
    'created_by',
  ])
  expect(created.json).toMatchObject({
    groups: ['x', 'y', 'x'],
    enabled: true,
    provider: 'manual',
    idp_app_id: null,
    created_by: 'service-account-gateway',
  })
  expect(created.json.created_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  expect((await registry.call('GET', `${PATH}/a.b%3Ac_D-9`)).json).toEqual(created.json)
})

test('the list is sorted by client id, whatever the order of creation', async () => {
  for (const client_id of ['m', 'b', 'z', 'a']) await registry.call('POST', PATH, { json: { client_id, client_name: client_id } })
  const { json } = await registry.call('GET', `${PATH}?limit=3&skip=1`)
  expect(json).toMatchObject({ total: 5, limit: 3, skip: 1 })
  expect(json.items.map(({ client_id }: { client_id: string }) => client_id)).toEqual(['b', 'gateway', 'm'])
})

test('a client id that ends in a newline is refused', async () => {
  const { status, json } = await registry.call('POST', PATH, { json: { client_id: 'nl-1\n', client_name: 'x' } })
  expect(status).toBe(422)
  expect(json.detail[0]).toMatchObject({ type: 'value_error', loc: ['body', 'client_id'] })
})

for (const field of ['client_name', 'groups', 'enabled', 'issuer']) {
  test(`PATCH with null for ${field} is 422, names the field and changes nothing`, async () => {
    const before = await registry.call('GET', `${PATH}/gateway`)
    const { status, json } = await registry.call('PATCH', `${PATH}/gateway`, { json: { [field]: null } })
    expect(status).toBe(422)
    expect(json.detail.map(({ loc }: { loc: unknown }) => loc)).toEqual([['body', field]])
    expect((await registry.call('GET', `${PATH}/gateway`)).json).toEqual(before.json)
  })
}

test('a record of a sync is neither changed nor deleted, and the texts say so', async () => {
  await registry.plantSynced('synced')
  const patched = await registry.call('PATCH', `${PATH}/synced`, { json: {} })
  expect([patched.status, patched.json.detail]).toEqual([
    403,
    'M2M client synced was registered by IdP sync and cannot be modified via this API',
  ])
  const deleted = await registry.call('DELETE', `${PATH}/synced`)
  expect([deleted.status, deleted.json.detail]).toEqual([
    403,
    'M2M client synced was registered by IdP sync and cannot be deleted via this API',
  ])
})

test('the store itself refuses to change a record of a sync', async () => {
  await registry.plantSynced('synced')
  const actor = { issuer: PRIMARY, subject: 's', name: 'n' }
  const change = registry.store.m2mClients.update(actor, 'synced', { groups: ['x'] }, { allow_privileged: true })
  await expect(change).rejects.toMatchObject({ code: 'owned_elsewhere' })
  await expect(registry.store.m2mClients.remove(actor, 'synced')).rejects.toMatchObject({ code: 'owned_elsewhere' })
})

test('login clients and user-generated cannot be registered as machine clients', async () => {
  const form = { name: 'S', description: 'd', path: '/s', oauth_client_id: 'login-of-s' }
  expect((await registry.call('POST', '/api/servers/register', { form })).status).toBe(201)
  for (const client_id of ['ide-client', 'login-of-s', 'user-generated']) {
    const { status, json } = await registry.call('POST', PATH, { json: { client_id, client_name: 'x' } })
    expect(status, client_id).toBe(409)
    expect(json.detail).toContain('cannot be registered as an M2M client')
  }
})

test('a group that confers administration needs allow_privileged=true, on create, on change and on revival', async () => {
  const json = { client_id: 'p', client_name: 'P', groups: ['registry-admins'] }
  const refused = await registry.call('POST', PATH, { json })
  expect(refused.status).toBe(403)
  expect(refused.json.detail).toContain('allow_privileged=true')
  expect((await registry.call('GET', `${PATH}/p`)).status).toBe(404)

  expect((await registry.call('POST', PATH, { json: { ...json, groups: [] } })).status).toBe(201)
  expect((await registry.call('PATCH', `${PATH}/p`, { json: { groups: json.groups } })).status).toBe(403)
  expect((await registry.call('PATCH', `${PATH}/p?allow_privileged=true`, { json: { groups: json.groups } })).status).toBe(200)
  expect((await registry.call('PATCH', `${PATH}/p`, { json: { enabled: false } })).status).toBe(200)
  expect((await registry.call('PATCH', `${PATH}/p`, { json: { enabled: true } })).status).toBe(403)
  expect((await registry.call('PATCH', `${PATH}/p`, { json: { client_name: 'renamed' } })).status).toBe(200)
})

test('a privileged grant is audited as such', async () => {
  await registry.call('POST', `${PATH}?allow_privileged=true`, { json: { client_id: 'p', client_name: 'P', groups: ['registry-admins'] } })
  await registry.call('POST', PATH, { json: { client_id: 'q', client_name: 'Q', groups: ['demo-readers'] } })
  const rows = (await registry.store.audit()).map(({ resource, privileged }) => [resource, privileged])
  expect(rows).toEqual([
    ['m2m_client:gateway', true],
    ['m2m_client:p', true],
    ['m2m_client:q', false],
  ])
})

test('the issuer is the primary one unless given, must be trusted, and is answered only when asked for', async () => {
  const first = await registry.call('POST', `${PATH}?include=issuer`, { json: { client_id: 'one', client_name: 'x' } })
  expect(first.json.issuer).toBe(PRIMARY)
  const second = await registry.call('POST', PATH, { json: { client_id: 'two', client_name: 'x', issuer: SECOND } })
  expect(second.status).toBe(201)
  expect(second.json).not.toHaveProperty('issuer')
  expect((await registry.call('GET', `${PATH}/two?include=issuer`)).json.issuer).toBe(SECOND)
  const foreign = await registry.call('POST', PATH, { json: { client_id: 'three', client_name: 'x', issuer: 'https://evil.example' } })
  expect(foreign.status).toBe(422)
  expect(foreign.json.detail[0].loc).toEqual(['body', 'issuer'])
})

test('an empty PATCH writes nothing: neither the time nor an audit row changes', async () => {
  const before = await registry.call('GET', `${PATH}/gateway`)
  const rows = (await registry.store.audit()).length
  const { status, json } = await registry.call('PATCH', `${PATH}/gateway`, { json: {} })
  expect([status, json]).toEqual([200, before.json])
  expect((await registry.store.audit()).length).toBe(rows)
})

test('checks come in this order: authentication, JSON, fields, administrator, existence', async () => {
  const { nobody } = registry.tokens
  const statuses = [
    await registry.call('PATCH', `${PATH}/nope`, { as: null, json: '{' }),
    await registry.call('PATCH', `${PATH}/nope`, { as: nobody, json: '{' }),
    await registry.call('PATCH', `${PATH}/nope`, { as: nobody, json: { enabled: 'maybe' } }),
    await registry.call('PATCH', `${PATH}/nope`, { as: nobody, json: {} }),
    await registry.call('PATCH', `${PATH}/nope`, { json: {} }),
  ].map(({ status }) => status)
  expect(statuses).toEqual([401, 422, 422, 403, 404])
})

test('of 20 creates of one id at once exactly one wins', async () => {
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => registry.call('POST', PATH, { json: { client_id: 'race', client_name: 'x' } })),
  )
  expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(19).fill(409)])
})
