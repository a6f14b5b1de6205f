import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { flag, optional, readFields, required, text } from '../../registry/server/fields.js'
import { JsonProblem, parseJson } from '../../registry/server/json.js'
import { PRIMARY, registryInMemory, URL_OF_REGISTRY } from './fixture.js'

let registry: Awaited<ReturnType<typeof registryInMemory>>
beforeAll(async () => {
  registry = await registryInMemory()
})
afterAll(() => registry.close())
const M2M = '/api/iam/m2m-clients'

describe('what strangers send', () => {
  const bombs = {
    'a body over 1 MB': JSON.stringify({ client_id: 'x', client_name: 'y'.repeat(1_000_000) }),
    'nesting deeper than 32': `{"client_id":"x","client_name":"x","z":${'['.repeat(40)}${']'.repeat(40)}}`,
    'nesting of 100,000': '['.repeat(100_000),
    'a repeated key': '{"client_id":"x","client_id":"y","client_name":"x"}',
    'a key repeated with an escape': '{"client_id":"x","client\\u005fid":"y","client_name":"x"}',
    'a repeated key further in': '{"client_id":"x","client_name":"x","z":[{"a":1,"a":2}]}',
    'an open string': '{"client_id":"x',
    'no JSON at all': 'client_id=x',
  }
  for (const [name, body] of Object.entries(bombs)) {
    test(`is refused quickly and stores nothing: ${name}`, async () => {
      const started = performance.now()
      const { status } = await registry.call('POST', M2M, { json: body })
      expect([413, 422]).toContain(status)
      expect(performance.now() - started).toBeLessThan(500)
      expect((await registry.call('GET', M2M)).json.total).toBe(1)
    })
  }

  test('the same key in two objects is no repetition, and 32 levels are fine', () => {
    expect(parseJson('[{"a":1},{"a":{"a":"a"}}]')).toEqual([{ a: 1 }, { a: { a: 'a' } }])
    expect(parseJson(`${'['.repeat(32)}${']'.repeat(32)}`)).toBeDefined()
    expect(() => parseJson(`${'['.repeat(33)}${']'.repeat(33)}`)).toThrow(JsonProblem)
    expect(parseJson('{"a,\\"{":"}[,\\"","b":1}')).toEqual({ 'a,"{': '}[,"', b: 1 })
  })
})

describe('__proto__, constructor and prototype as keys (IN3)', () => {
  const keys = ['__proto__', 'constructor', 'prototype']
  for (const key of keys) {
    test(`${key} in a body changes neither rights nor defaults`, async () => {
      const payload = `{"is_admin":true,"groups":["registry-admins"],"client_id":"x","client_name":"x","enabled":false}`
      const bodies = [
        `{"${key}":${payload}}`,
        `{"client_id":"p-${keys.indexOf(key)}","client_name":"x","${key}":${payload}}`,
        `{"groups":{"${key}":${payload}}}`,
      ]
      const statuses = []
      for (const json of bodies) statuses.push((await registry.call('POST', M2M, { json })).status)
      expect(statuses).toEqual([422, 201, 422])
      const { json } = await registry.call('GET', `${M2M}/p-${keys.indexOf(key)}`)
      expect(json).toMatchObject({ groups: [], enabled: true, name: 'x' })
      expect(Object.keys(Object.prototype)).toEqual([])
      expect(({} as Record<string, unknown>)['is_admin']).toBeUndefined()
    })

    test(`${key} in a form, a query, a path and a token confers nothing`, async () => {
      expect((await registry.call('POST', '/api/servers/register', { form: { [key]: 'x', name: 'x' } })).status).toBe(422)
      expect((await registry.call('GET', `${M2M}?${key}=1&limit=5`)).json.limit).toBe(5)
      expect((await registry.call('GET', `${M2M}/${key}`)).status).toBe(404)
      expect((await registry.call('GET', `/api/servers/${key}`)).status).toBe(404)
      const at = Math.floor(Date.now() / 1000)
      const claims = `{"iss":"${PRIMARY}","aud":"mcp-gateway","iat":${at},"exp":${at + 60},"typ":"Bearer","azp":"c","sub":"s","${key}":{"groups":["registry-admins"]}}`
      const as = await registry.primary.sign(JSON.parse(claims))
      expect((await registry.call('GET', '/api/auth/me', { as })).json).toMatchObject({ groups: [], is_admin: false })
    })
  }
})

test('inherited properties are no fields', () => {
  const shape = { client_id: required(text()), is_admin: optional(flag()) }
  expect(() => readFields(Object.create({ client_id: 'x' }), shape, { from: 'body' })).toThrow()
  const fields = readFields(Object.assign(Object.create({ is_admin: true }), { client_id: 'x' }), shape, { from: 'body' })
  expect(fields.is_admin).toBeUndefined()
})

describe('hosts and methods', () => {
  for (const host of ['evil.example', '127.0.0.1:1', 'localhost.evil.example:7860', '127.0.0.1.nip.io:7860', 'localhost']) {
    test(`Host ${host} is misdirected, before anything is looked at`, async () => {
      const answer = await registry.call('GET', '/health', { as: null, headers: { host } })
      expect(answer.status).toBe(421)
      expect((await registry.app.request(`http://${host}/health`)).status).toBe(421)
    })
  }

  test('localhost and 127.0.0.1 with the port are served', async () => {
    for (const host of ['localhost:7860', '127.0.0.1:7860', '[::1]:7860']) {
      expect((await registry.app.request(`http://${host}/health`, { headers: { host } })).status, host).toBe(200)
    }
  })

  test('an unknown method is 405 with the allowed ones, an unknown path 404, both behind authentication', async () => {
    const put = await registry.call('PUT', M2M)
    expect([put.status, put.json, put.headers.get('allow')]).toEqual([405, { detail: 'Method Not Allowed' }, 'GET, POST'])
    expect((await registry.call('HEAD', M2M)).status).toBe(405)
    expect((await registry.call('GET', '/api/no-such-route')).json).toEqual({ detail: 'Not Found' })
    for (const [method, path] of [
      ['PUT', M2M],
      ['OPTIONS', M2M],
      ['GET', '/api/no-such-route'],
    ] as const) {
      expect((await registry.call(method, path, { as: null })).status, path).toBe(401)
    }
  })
})

describe('what anybody may read', () => {
  test('protected resource metadata names the trusted issuers and never offline_access', async () => {
    const { json } = await registry.call('GET', '/.well-known/oauth-protected-resource', { as: null })
    expect(json).toMatchObject({
      resource: URL_OF_REGISTRY,
      scopes_supported: ['openid', 'profile', 'email', 'groups'],
      bearer_methods_supported: ['header'],
    })
    expect(json.authorization_servers[0]).toBe(PRIMARY)
  })

  test('a refusal points to it, and says invalid_token only when there was one', async () => {
    const metadata = `resource_metadata="${URL_OF_REGISTRY}/.well-known/oauth-protected-resource"`
    const none = await registry.call('GET', '/api/auth/me', { as: null })
    expect([none.status, none.json, none.headers.get('www-authenticate')]).toEqual([
      401,
      { detail: 'Authentication required' },
      `Bearer realm="mcp", ${metadata}`,
    ])
    const bad = await registry.call('GET', '/api/auth/me', { as: 'x.y.z' })
    expect([bad.text, bad.headers.get('www-authenticate')]).toEqual([none.text, `Bearer realm="mcp", ${metadata}, error="invalid_token"`])
  })

  test('health and version need no token', async () => {
    expect((await registry.call('GET', '/health', { as: null })).json).toMatchObject({ status: 'healthy' })
    expect((await registry.call('GET', '/api/version', { as: null })).json).toHaveProperty('version')
  })
})
