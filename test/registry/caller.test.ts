import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { adminGroups, allows, isAdmin, reaches } from '../../registry/server/auth/permissions.js'
import { SEED_SCOPES } from '../../registry/server/store/scopes.js'
import { machineClaims, PRIMARY, personClaims, registryInMemory, SECOND } from './fixture.js'

let registry: Awaited<ReturnType<typeof registryInMemory>>
beforeAll(async () => {
  registry = await registryInMemory()
  await registry.plantSynced('enabled', { groups: ['demo-readers'] })
  await registry.plantSynced('disabled', { groups: ['demo-readers'], enabled: false })
})
afterAll(() => registry.close())

/** 2 issuers × 2 kinds × 3 records × 2 tokens: who is enriched, who keeps the token's groups, who has none (JW4). */
describe('groups of a caller', () => {
  for (const issuer of [PRIMARY, SECOND]) {
    for (const kind of ['machine', 'person'] as const) {
      for (const record of ['enabled', 'disabled', 'missing']) {
        for (const groups of [[], ['from-token']]) {
          const recordApplies = issuer === PRIMARY && record !== 'missing'
          const killed = recordApplies && record === 'disabled'
          const enriched = recordApplies && record === 'enabled' && kind === 'machine' && groups.length === 0
          const expected = killed ? [] : groups.length > 0 ? groups : enriched ? ['demo-readers'] : []
          const title = `${kind}, ${issuer === PRIMARY ? "the record's issuer" : 'another issuer'}, ${record} record, token with ${groups.length} groups`
          test(`${title}: ${expected.join() || 'none'}`, async () => {
            const claims = kind === 'machine' ? machineClaims(issuer, record, groups) : personClaims(issuer, record, 'ada', groups)
            const signer = issuer === PRIMARY ? registry.primary : registry.second
            const { json } = await registry.call('GET', '/api/auth/me', { as: await signer.sign(claims) })
            expect(json.groups).toEqual(expected)
            expect(json.groups_source).toBe(expected.length === 0 ? 'none' : enriched ? 'record' : 'token')
            expect(json.enabled).toBe(!killed)
          })
        }
      }
    }
  }

  test('exactly one of the 24 cells is enriched', async () => {
    let enriched = 0
    for (const issuer of [PRIMARY, SECOND]) {
      const signer = issuer === PRIMARY ? registry.primary : registry.second
      for (const record of ['enabled', 'disabled', 'missing']) {
        for (const groups of [[], ['from-token']]) {
          for (const claims of [machineClaims(issuer, record, groups), personClaims(issuer, record, 'ada', groups)]) {
            const { json } = await registry.call('GET', '/api/auth/me', { as: await signer.sign(claims) })
            enriched += json.groups_source === 'record' ? 1 : 0
          }
        }
      }
    }
    expect(enriched).toBe(1)
  })
})

test('the kill switch acts on the next request of the same token, in both directions', async () => {
  const own = await registryInMemory()
  const path = '/api/iam/m2m-clients/worker'
  await own.call('POST', '/api/iam/m2m-clients', { json: { client_id: 'worker', client_name: 'W', groups: ['demo-readers'] } })
  const bare = await own.primary.sign(machineClaims(PRIMARY, 'worker'))
  const carrying = await own.primary.sign(machineClaims(PRIMARY, 'worker', ['registry-admins']))
  const groupsOf = async (as: string) => (await own.call('GET', '/api/auth/me', { as })).json.groups
  expect([await groupsOf(bare), await groupsOf(carrying)]).toEqual([['demo-readers'], ['registry-admins']])
  await own.call('PATCH', path, { json: { enabled: false } })
  expect([await groupsOf(bare), await groupsOf(carrying)]).toEqual([[], []])
  await own.call('PATCH', path, { json: { enabled: true } })
  expect(await groupsOf(bare)).toEqual(['demo-readers'])
  await own.call('DELETE', path)
  expect(await groupsOf(bare)).toEqual([])
  await own.close()
})

test('X-Authorization wins over Authorization, also when it is wrong', async () => {
  const { admin } = registry.tokens
  const good = await registry.call('GET', '/api/auth/me', { as: 'garbage', headers: { 'x-authorization': `Bearer ${admin}` } })
  const bad = await registry.call('GET', '/api/auth/me', { as: admin, headers: { 'x-authorization': 'Bearer garbage' } })
  expect([good.status, bad.status]).toEqual([200, 401])
})

test('identity headers of a gateway are not believed', async () => {
  const headers = { 'x-user': 'admin', 'x-username': 'admin', 'x-groups': 'registry-admins', 'x-internal-token-registry': 'x' }
  expect((await registry.call('GET', '/api/auth/me', { as: null, headers })).status).toBe(401)
})

test('an administrator is whoever may do a changing action to all; the value * is not enough', () => {
  expect(isAdmin({ register_service: ['all'] })).toBe(true)
  expect(isAdmin({ register_service: ['*'] })).toBe(false)
  expect(isAdmin({ list_service: ['all'] })).toBe(false)
  expect(adminGroups(['demo-readers', 'registry-admins', 'unknown'], SEED_SCOPES)).toEqual(['registry-admins'])
})

test('group names map exactly: case, blanks and slashes count', async () => {
  for (const group of ['Registry-Admins', 'registry-admins ', '/registry-admins']) {
    const as = await registry.primary.sign(personClaims(PRIMARY, 'ide', 'eve', [group]))
    expect((await registry.call('GET', '/api/auth/me', { as })).json.is_admin, group).toBe(false)
  }
})

test('a groups claim that is not a list of texts confers nothing', async () => {
  for (const groups of ['registry-admins', { 0: 'registry-admins' }, [['registry-admins']], 5]) {
    const as = await registry.primary.sign({ ...personClaims(PRIMARY, 'ide', 'eve'), groups })
    expect((await registry.call('GET', '/api/auth/me', { as })).json, JSON.stringify(groups)).toMatchObject({ groups: [], is_admin: false })
  }
})

test('a tool call needs the server, the method and the tool', () => {
  const reader = [
    { ...SEED_SCOPES[1], server_access: [{ server: '/demo', methods: ['tools/list', 'tools/call'], tools: ['whoami'] }] },
  ] as typeof SEED_SCOPES
  expect(allows(reader, { path: '/demo', method: 'tools/call', tool: 'whoami' })).toBe(true)
  expect(allows(reader, { path: 'demo/', method: 'tools/list' })).toBe(true)
  expect(allows(reader, { path: '/demo', method: 'tools/call', tool: 'delete' })).toBe(false)
  expect(allows(reader, { path: '/demo', method: 'tools/call' })).toBe(false)
  expect(allows(reader, { path: '/demo', method: 'resources/read' })).toBe(false)
  expect(allows(reader, { path: '/demo/more', method: 'tools/list' })).toBe(false)
  expect(reaches(['*'], '/anything')).toBe(true)
})
