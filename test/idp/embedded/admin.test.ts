/** The admin API of a real embedded provider: every route, what it refuses, its pages, and what it never tells. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore, type Store } from '../../../idp/embedded/store.js'
import {
  type AdminAnswer,
  admin,
  newPerson,
  providerInTemporaryFolder,
  registerClient,
  type TestProvider,
  tokenRequest,
} from './provider.js'

let provider: TestProvider
/** Everything that the API of `provider` answered in this file. */
const answers: string[] = []

beforeAll(async () => {
  provider = await providerInTemporaryFolder()
})
afterAll(() => provider.stop())

async function call(method: string, path: string, options: { token?: string; body?: unknown } = {}): Promise<AdminAnswer> {
  const answer = await admin(provider, method, path, options)
  answers.push(`${answer.text}\n${JSON.stringify([...answer.headers])}`)
  return answer
}

const ROUTES = [
  ['GET', '/groups'],
  ['POST', '/groups'],
  ['PATCH', '/groups/demo-readers'],
  ['DELETE', '/groups/demo-readers'],
  ['GET', '/users'],
  ['POST', '/users'],
  ['GET', '/users/ada'],
  ['PATCH', '/users/ada'],
  ['DELETE', '/users/ada'],
  ['PUT', '/clients/some-client/secret'],
] as const
const WITH_BODY = ROUTES.filter(([method]) => ['POST', 'PATCH', 'PUT'].includes(method))

describe('every route', () => {
  test.each(ROUTES)('%s %s opens for the admin token only', async (method, path) => {
    for (const token of ['', 'wrong', provider.running.initialAccessToken.reveal(), `${provider.running.adminToken.reveal()}x`]) {
      const { status, headers, json } = await call(method, path, { token })
      expect([status, json, headers.get('www-authenticate')]).toEqual([401, { error: 'invalid_token' }, 'Bearer'])
    }
  })

  test('is what it was after all those refusals', async () => {
    expect((await call('GET', '/groups')).json).toEqual({ groups: [{ name: 'demo-readers' }, { name: 'registry-admins' }] })
    expect((await call('GET', '/users/ada')).json).toEqual({
      username: 'ada',
      email: 'ada@demo.example',
      enabled: true,
      groups: ['demo-readers'],
    })
  })

  test.each(WITH_BODY)('%s %s refuses more than 64 KB, what is no object and what it does not know', async (method, path) => {
    expect(await call(method, path, { body: { name: 'x'.repeat(65_536) } })).toMatchObject({ status: 413, json: { error: 'too_large' } })
    for (const body of ['', '[]', '"text"', '{', '{"name":"a","username":"a","admin":true}', '{"__proto__x":1}']) {
      const { status, json } = await call(method, path, { body })
      expect([body, status, json]).toEqual([body, 422, { error: 'invalid_request' }])
    }
  })

  test('answers another method with those it has, and another path with 404', async () => {
    for (const [method, path, allow] of [
      ['PUT', '/groups', 'GET, POST'],
      ['GET', '/groups/demo-readers', 'PATCH, DELETE'],
      ['POST', '/users/ada', 'GET, PATCH, DELETE'],
      ['GET', '/clients/x/secret', 'PUT'],
    ] as const) {
      const { status, headers } = await call(method, path)
      expect([path, status, headers.get('allow')]).toEqual([path, 405, allow])
    }
    for (const path of ['/people', '/clients', '/clients/x', '/groups/a/b', '/groups/a/secret', '/constructor', '/groups/%E0%A4%A', '/'])
      expect([path, (await call('GET', path)).status]).toEqual([path, 404])
  })

  test('tells the log no name of a group or a person', async () => {
    const seen: string[] = []
    const mine = await providerInTemporaryFolder({ onRequest: ({ path }) => seen.push(path) })
    try {
      for (const path of ['/users/ada', '/groups/demo-readers', '/users']) await admin(mine, 'GET', path)
      await expect.poll(() => seen).toEqual(['/admin/users/:id', '/admin/groups/:id', '/admin/users'])
    } finally {
      await mine.stop()
    }
  })
})

describe('groups', () => {
  const named = async (prefix: string) =>
    ((await call('GET', '/groups')).json['groups'] as { name: string }[]).filter(({ name }) => name.startsWith(prefix))
  const at = (path: string) => `/groups/${encodeURIComponent(path)}`

  test('are inside of one another by their paths; a child needs its parent', async () => {
    const create = (name: string) => call('POST', '/groups', { body: { name } })
    expect(await create('eng/platform')).toMatchObject({ status: 404, json: { error: 'parent_not_found' } })
    for (const name of ['eng', 'eng/platform', 'eng/platform/Ünï & co', 'eng-x', 'engx']) expect((await create(name)).status).toBe(201)
    expect(await create('eng/platform')).toMatchObject({ status: 409, json: { error: 'conflict' } })
    await call('PATCH', '/users/ada', { body: { groups: ['demo-readers', 'eng/platform/Ünï & co', 'engx'] } })
    expect((await call('DELETE', at('eng'))).status).toBe(204)
    expect((await named('eng')).map(({ name }) => name)).toEqual(['eng-x', 'engx'])
    expect((await call('GET', '/users/ada')).json['groups']).toEqual(['demo-readers', 'engx'])
    expect((await call('DELETE', at('eng/platform'))).status).toBe(404)
  })

  test('have a description and a mark, each changed alone', async () => {
    const body = { name: 'described', description: 'first' }
    expect(await call('POST', '/groups', { body })).toMatchObject({ status: 201, json: body })
    expect((await call('PATCH', at('described'), { body: { mcp_gateway_idp: 'default' } })).json).toEqual({
      ...body,
      mcp_gateway_idp: 'default',
    })
    expect((await call('PATCH', at('described'), { body: { description: '' } })).json).toEqual({
      name: 'described',
      description: '',
      mcp_gateway_idp: 'default',
    })
    expect((await call('PATCH', at('described'), { body: {} })).status).toBe(200)
    expect((await call('PATCH', at('nobody'), { body: { description: 'x' } })).status).toBe(404)
    expect(await named('described')).toEqual([{ name: 'described', description: '', mcp_gateway_idp: 'default' }])
  })

  test.each(['', '/a', 'a/', 'a//b', ' a', 'a\u0000', '.', '..', 'x'.repeat(256), 7, null])('%j is no name', async (name) => {
    expect((await call('POST', '/groups', { body: { name } })).status).toBe(422)
  })
})

describe('people', () => {
  const password = 'a-temporary-password-planted'
  const create = (body: Record<string, unknown>) => call('POST', '/users', { body: { password, temporary: true, ...body } })

  test('are created, read, changed and removed; a field that is not given stays', async () => {
    const person = {
      username: 'j.smith_1@x-y',
      email: 'j@demo.example',
      given_name: 'John',
      family_name: 'Smith',
      groups: ['demo-readers'],
    }
    const whole = { ...person, enabled: true, mcp_gateway_idp: 'default' }
    expect(await create({ ...person, mcp_gateway_idp: 'default' })).toMatchObject({ status: 201, json: whole })
    const at = `/users/${encodeURIComponent(person.username)}`
    expect((await call('GET', at)).json).toEqual(whole)
    expect((await call('PATCH', at, { body: { given_name: 'Jon', enabled: false } })).json).toEqual({
      ...whole,
      given_name: 'Jon',
      enabled: false,
    })
    expect((await call('PATCH', at, { body: { groups: ['registry-admins'] } })).json['groups']).toEqual(['registry-admins'])
    expect((await call('PATCH', at, { body: { groups: [] } })).json['groups']).toEqual([])
    expect((await call('PATCH', at, { body: {} })).json).toEqual({ ...whole, given_name: 'Jon', enabled: false, groups: [] })
    expect((await call('DELETE', at)).status).toBe(204)
    for (const method of ['GET', 'DELETE']) expect((await call(method, at)).status).toBe(404)
    expect((await call('PATCH', at, { body: { enabled: true } })).status).toBe(404)
  })

  test('are not made or changed in part when a group is missing or the name is taken', async () => {
    const missing = { status: 404, json: { error: 'group_not_found' } }
    expect(await create({ username: 'partly', groups: ['demo-readers', 'nowhere'] })).toMatchObject(missing)
    expect((await call('GET', '/users/partly')).status).toBe(404)
    const before = (await call('GET', '/users/grace')).json
    expect(await call('PATCH', '/users/grace', { body: { email: 'other@demo.example', groups: ['nowhere'] } })).toMatchObject(missing)
    expect(await create({ username: 'grace', groups: [] })).toMatchObject({ status: 409, json: { error: 'conflict' } })
    expect((await call('GET', '/users/grace')).json).toEqual(before)
  })

  test.each([
    ...['', 'Ada', 'a b', 'a/b', '../x', '-a', 'ü', 'x'.repeat(65), 7].map((username) => ({ username })),
    ...[{ email: 'nowhere' }, { email: null }, { enabled: 'yes' }, { groups: 'demo-readers' }, { groups: ['/x'] }],
    ...[{ given_name: '' }, { given_name: 'a\u202eb' }, { mcp_gateway_idp: '' }, { temporary: false }, { password: 'too-short' }],
    ...[{ password: undefined }, { temporary: undefined }, { hash: 'x' }, { name: 'x' }],
  ])('with %j are refused', async (wrong) => {
    expect((await create({ username: 'refused', ...wrong })).status).toBe(422)
    expect((await call('GET', '/users/refused')).status).toBe(404)
  })

  test.each([{ password: 'a-new-password-for-her' }, { username: 'other' }, { temporary: true }])('are not changed by %j', async (body) => {
    expect((await call('PATCH', '/users/grace', { body })).status).toBe(422)
  })
})

describe('pages', () => {
  const COUNTS = [0, 1, 200, 201, 1001]
  const keyAt = (index: number) => `n${String(index).padStart(4, '0')}`

  /** Rows written past the API: a password's hash takes longer than the rest of this file. */
  async function fill(store: Store, count: number): Promise<void> {
    const keys = Array.from({ length: count }, (_, index) => keyAt(index)).reverse()
    for (let at = 0; at < keys.length; at += 100) {
      const some = keys.slice(at, at + 100)
      const nothing = { given_name: null, family_name: null, owner: null }
      const rows = some.map((username) => ({ username, name: '', email: '', ...nothing, enabled: 1, temporary: 0, salt: 'x', hash: 'x' }))
      await store.insertInto('people').values(rows).execute()
      await store
        .insertInto('groups')
        .values(some.map((name) => ({ name, owner: null, description: null })))
        .execute()
      await store
        .insertInto('memberships')
        .values(some.map((key) => ({ username: key, group_name: key })))
        .execute()
    }
  }

  test.each(COUNTS)('of %d groups and people show each once, in order, the last one too', async (count) => {
    const mine = await providerInTemporaryFolder({ seed: { groups: [], people: [], machine: { client_name: 'gateway' } } })
    const store = await openStore(mine.folder)
    try {
      await fill(store, count)
      const expected = Array.from({ length: count }, (_, index) => keyAt(index))
      for (const [collection, key] of [
        ['groups', 'name'],
        ['users', 'username'],
      ] as const) {
        for (const limit of [undefined, 1000, 200, 201]) {
          const sizes: number[] = []
          const seen: unknown[] = []
          for (let after: unknown = ''; after !== undefined; ) {
            const query = new URLSearchParams({
              ...(after === '' ? {} : { after: String(after) }),
              ...(limit ? { limit: String(limit) } : {}),
            })
            const { status, json } = await admin(mine, 'GET', `/${collection}?${query}`)
            expect(status).toBe(200)
            const items = json[collection] as Record<string, unknown>[]
            sizes.push(items.length)
            seen.push(...items.map((item) => item[key]))
            if (collection === 'users') expect(items.every((item) => String(item['groups']) === item['username'])).toBe(true)
            after = json['next']
          }
          expect(seen).toEqual(expected)
          expect(sizes.length).toBe(Math.max(1, Math.ceil(count / (limit ?? 200))))
        }
      }
    } finally {
      await store.destroy()
      await mine.stop()
    }
  })

  test('go on after a key that went away meanwhile, and end after the last', async () => {
    expect((await call('GET', '/users?after=adaz&limit=1')).json).toMatchObject({ users: [{ username: 'grace' }] })
    expect((await call('GET', '/users?after=zzz')).json).toEqual({ users: [] })
    expect((await call('GET', '/users?limit=1')).json).toMatchObject({ users: [{ username: 'ada' }], next: 'ada' })
  })

  test.each(['limit=0', 'limit=1001', 'limit=-1', 'limit=1e2', 'limit=', 'limit=1&limit=2', 'skip=1', `after=${'x'.repeat(1025)}`])(
    '%s is refused',
    async (query) => {
      for (const collection of ['groups', 'users']) expect((await call('GET', `/${collection}?${query}`)).status).toBe(422)
    },
  )
})

describe("a client's secret", () => {
  const grant = (client_id: string, secret: string) => tokenRequest(provider, { grant_type: 'client_credentials' }, { client_id, secret })
  const machine = {
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    token_endpoint_auth_method: 'client_secret_basic',
  }
  const fresh = 'a-planted-client-secret-of-43-characters-xx'

  test('is replaced at once: the old one is refused, the new one mints, the rest of the client stays', async () => {
    const client = await registerClient(provider, { ...machine, mcp_gateway_idp: 'default' })
    const client_id = String(client['client_id'])
    const old = String(client['client_secret'])
    expect((await grant(client_id, old)).status).toBe(200)
    expect(await call('PUT', `/clients/${client_id}/secret`, { body: { client_secret: fresh } })).toMatchObject({ status: 204, text: '' })
    expect(await grant(client_id, old)).toMatchObject({ status: 401, body: { error: 'invalid_client' } })
    expect((await grant(client_id, fresh)).status).toBe(200)
    const headers = { authorization: `Bearer ${String(client['registration_access_token'])}` }
    const { registration_access_token, ...after } = (await (
      await fetch(String(client['registration_client_uri']), { headers })
    ).json()) as Record<string, unknown>
    const { registration_access_token: _before, ...before } = client
    expect(after).toEqual({ ...before, client_secret: fresh })
  })

  test('that a public client must not have is 409, that of nobody 404, and a word is no secret', async () => {
    const { client_id } = await registerClient(provider)
    const put = (id: unknown, client_secret: unknown) => call('PUT', `/clients/${String(id)}/secret`, { body: { client_secret } })
    expect(await put(client_id, fresh)).toMatchObject({ status: 409, json: { error: 'public_client' } })
    expect(await put('mcp-nobody', fresh)).toMatchObject({ status: 404, json: { error: 'not_found' } })
    for (const secret of ['', 'short', 'x'.repeat(257), `${'x'.repeat(32)} `, `${'x'.repeat(32)}\n`, null, 7])
      expect([secret, (await put(client_id, secret)).status]).toEqual([secret, 422])
  })

  test('of the gateway’s own client, once replaced, is the one that the next start tells', async () => {
    let mine = await providerInTemporaryFolder()
    try {
      const { client_id } = mine.running.machine
      expect((await admin(mine, 'PUT', `/clients/${client_id}/secret`, { body: { client_secret: fresh } })).status).toBe(204)
      mine = await mine.restart()
      expect(mine.running.machine.client_secret.reveal()).toBe(fresh)
    } finally {
      await mine.stop()
    }
  })
})

test('no answer of all of these holds a password, a hash or a secret', async () => {
  await newPerson(provider, 'canary', { given_name: 'Canary' })
  const { text } = await call('GET', '/users')
  expect(text).toContain('Canary')
  const store = await openStore(provider.folder)
  const rows = await store.selectFrom('people').select(['salt', 'hash']).execute()
  const clients = await store.selectFrom('objects').select('payload').where('key', 'like', 'Client:%').execute()
  await store.destroy()
  const { running } = provider
  const planted = [
    ...rows.flatMap(({ salt, hash }) => [salt, hash]),
    ...clients.flatMap(({ payload }) => (JSON.parse(payload) as { client_secret?: string }).client_secret ?? []),
    ...(await Promise.all(['ada', 'grace'].map((username) => provider.password(username)))),
    ...[running.adminToken, running.initialAccessToken, running.machine.client_secret].map((secret) => secret.reveal()),
    ...['a-temporary-password-planted', 'a-planted-client-secret', 'temporary-of-canary', 'scrypt', '"salt"', '"hash"', '"password"'],
  ]
  expect(planted.length).toBeGreaterThan(15)
  expect(answers.length).toBeGreaterThan(150)
  expect(planted.every((one) => one.length > 4)).toBe(true)
  expect(answers.filter((answer) => planted.some((one) => answer.includes(one)))).toEqual([])
})
