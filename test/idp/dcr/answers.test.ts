/** The DCR adapter against servers that answer otherwise than asked, or not at all. */
import { readdir } from 'node:fs/promises'
import { inspect } from 'node:util'
import { afterEach, describe, expect, test } from 'vitest'
import { dcrReconcilers } from '../../../idp/dcr/reconcilers.js'
import { doorTo, failureOf } from '../../fakes/door.js'
import { type Behaviour, fakeDcr, MACHINE_SPEC, PUBLIC_SPEC } from './fake-server.js'

type Fake = Awaited<ReturnType<typeof fakeDcr>>
const closing: Fake[] = []
async function fake(behaviour: Behaviour = {}): Promise<Fake> {
  const one = await fakeDcr(behaviour)
  closing.push(one)
  return one
}
afterEach(async () => {
  await Promise.all(closing.splice(0).map((one) => one.close()))
})

const createPublic = ({ reconcilers, write }: Fake) => write(() => reconcilers['public-client'].create(PUBLIC_SPEC))
const createMachine = ({ reconcilers, write }: Fake) => write(() => reconcilers['machine-client'].create(MACHINE_SPEC))
const observePublic = async ({ reconcilers }: Fake) =>
  (await reconcilers['public-client'].observe([PUBLIC_SPEC.client_name])).get(PUBLIC_SPEC.client_name)
const methods = ({ server }: Fake) => server.requests.map(({ method }) => method)

describe('a 201 that is not what was asked for', () => {
  const different: [string, Behaviour['created']][] = [
    // Spring Authorization Server 1.5 does this.
    ['token_endpoint_auth_method, client_secret', { token_endpoint_auth_method: 'client_secret_basic', client_secret: 'a-planted-secret' }],
    ['client_secret', { client_secret: 'a-planted-secret' }],
    ['redirect_uris', { redirect_uris: ['http://localhost/callback'] }],
    ['redirect_uris', { redirect_uris: [...PUBLIC_SPEC.redirect_uris, 'https://collector.example/'] }],
    ['grant_types', { grant_types: ['authorization_code', 'refresh_token', 'implicit'] }],
    ['response_types', { response_types: ['code', 'token'] }],
    ['client_name', { client_name: 'Something else' }],
    ['application_type', { application_type: 'web' }],
    ['application_type', { application_type: undefined }],
  ]
  test.each(different)('names %s, and the client and its file are removed', async (fields, created) => {
    const it = await fake({ ...(created ? { created } : {}) })
    const failure = await failureOf(createPublic(it))
    expect(failure.code).toBe('unexpected_response')
    for (const field of fields.split(', ')) expect(failure.message).toContain(field)
    expect(inspect(failure)).not.toContain('a-planted-secret')
    expect(it.clients.size).toBe(0)
    expect(methods(it).at(-1)).toBe('DELETE')
    expect(await observePublic(it)).toBeUndefined()
  })

  test('a machine client without a secret is one too', async () => {
    const it = await fake({ created: { client_secret: undefined } })
    expect((await failureOf(createMachine(it))).message).toContain('client_secret')
    expect(it.clients.size).toBe(0)
  })

  test('where the server does not let us remove it, the client stays seen and is named', async () => {
    const it = await fake({ created: { grant_types: ['authorization_code'] }, deleteStatus: 405 })
    expect((await failureOf(createPublic(it))).message).toContain('registered as c-1, which could not be removed')
    expect(await observePublic(it)).toMatchObject({ id: 'c-1', spec: { grant_types: ['authorization_code'] } })
  })

  test('a dropped mark and another order are no difference', async () => {
    const it = await fake({
      created: { mcp_gateway_idp: undefined, redirect_uris: [...PUBLIC_SPEC.redirect_uris].reverse(), more: 'of its own' },
    })
    await createPublic(it)
    expect(await observePublic(it)).toMatchObject({ owner: 'us', spec: { client_id: 'c-1' } })
  })
})

describe('where a client is managed', () => {
  test.each(['https://collector.example/reg/1', 'http://127.0.0.1:1/reg/1', 'not a URL'])(
    '%s is refused, and its token is sent nowhere',
    async (registration_client_uri) => {
      const it = await fake({ created: { registration_client_uri } })
      expect(await failureOf(createPublic(it))).toMatchObject({ code: 'unexpected_response', details: { reason: 'foreign_origin' } })
      expect(await readdir(it.folder)).toEqual([])
      expect(methods(it)).toEqual(['GET', 'GET', 'POST'])
    },
  )

  test('a move to another origin in a later answer is refused too', async () => {
    const it = await fake({ getBody: { registration_client_uri: 'https://collector.example/reg/1' } })
    await createPublic(it)
    expect(await failureOf(observePublic(it))).toMatchObject({ code: 'unexpected_response', details: { reason: 'foreign_origin' } })
  })

  test('a server that lets nobody manage clients is unsupported, and the client is named', async () => {
    const it = await fake({ created: { registration_client_uri: undefined } })
    const failure = await failureOf(createPublic(it))
    expect(failure.code).toBe('unsupported')
    expect(failure.message).toContain('c-1')
  })

  // Ory Hydra 26.2 does this with every PUT.
  test('a token that changes with each answer is kept up with', async () => {
    const it = await fake({ rotates: true })
    await createPublic(it)
    for (let round = 0; round < 3; round++) {
      const seen = await observePublic(it)
      if (!seen) throw new Error('not seen')
      await it.write(() => it.reconcilers['public-client'].update(seen, { redirect_uris: [`http://localhost/callback/${round}`] }))
    }
    expect((await observePublic(it))?.spec.redirect_uris).toEqual(['http://localhost/callback/2'])
  })

  test('no PUT and no DELETE are unsupported, and nothing is forgotten', async () => {
    const it = await fake({ putStatus: 405, deleteStatus: 501 })
    await createPublic(it)
    const seen = await observePublic(it)
    if (!seen) throw new Error('not seen')
    const { update, remove } = it.reconcilers['public-client']
    expect(await failureOf(it.write(() => update(seen, { redirect_uris: [] })))).toMatchObject({ code: 'unsupported' })
    expect(await failureOf(it.write(() => remove(seen)))).toMatchObject({ code: 'unsupported' })
    expect(await observePublic(it)).toBeDefined()
  })
})

describe('what cannot be seen', () => {
  test('a client that the server says is gone is absent, and can be created again', async () => {
    const it = await fake()
    await createPublic(it)
    it.clients.clear()
    expect(await observePublic(it)).toBeUndefined()
    await createPublic(it)
    expect(await observePublic(it)).toBeDefined()
  })

  const refusals: [string, Behaviour, string][] = [
    ['401 without a word', { getStatus: 401 }, 'unauthenticated'],
    ['401 for another reason', { getStatus: 401, getBody: { error: 'invalid_request' } }, 'unauthenticated'],
    ['403', { getStatus: 403 }, 'forbidden'],
    ['429', { getStatus: 429, getHeaders: { 'retry-after': '7' } }, 'rate_limited'],
    ['503', { getStatus: 503 }, 'unavailable'],
    ['418', { getStatus: 418 }, 'unexpected_response'],
    ['another client', { getBody: { client_id: 'c-2' } }, 'unexpected_response'],
    ['a client id that is no id', { getBody: { client_id: 'a b' } }, 'unexpected_response'],
    ['redirect URIs that are no list', { getBody: { redirect_uris: 'http://localhost/callback' } }, 'unexpected_response'],
  ]
  test.each(refusals)('%s is an error, never an absent client', async (_what, behaviour, code) => {
    const it = await fake(behaviour)
    await createPublic(it)
    expect((await failureOf(observePublic(it))).code).toBe(code)
  })

  test('404 and 401 with invalid_token in the challenge mean gone', async () => {
    for (const behaviour of [
      { getStatus: 404 },
      { getStatus: 401, getHeaders: { 'www-authenticate': 'Bearer realm="x", error="invalid_token"' } },
    ]) {
      const it = await fake(behaviour)
      await createPublic(it)
      expect(await observePublic(it)).toBeUndefined()
    }
  })

  test('a registration whose file is lost is not found, and an update or removal says so', async () => {
    const it = await fake()
    await createPublic(it)
    const seen = await observePublic(it)
    if (!seen) throw new Error('not seen')
    const elsewhere = dcrReconcilers({ ...it.options, registrationsFolder: `${it.folder}/other` })['public-client']
    expect((await elsewhere.observe([PUBLIC_SPEC.client_name])).size).toBe(0)
    expect(await failureOf(it.write(() => elsewhere.remove(seen)))).toMatchObject({ code: 'not_found' })
    expect(it.clients.size).toBe(1)
  })
})

describe('ownership', () => {
  test('another profile’s mark is its owner', async () => {
    const it = await fake({ getBody: { mcp_gateway_idp: 'other' } })
    await createPublic(it)
    expect((await observePublic(it))?.owner).toEqual({ other: 'profile other' })
  })

  test('a public client of ours is never taken for a machine client of the same name', async () => {
    const it = await fake()
    await createPublic(it)
    expect(await failureOf(it.reconcilers['machine-client'].observe([PUBLIC_SPEC.client_name]))).toMatchObject({ code: 'conflict' })
  })
})

describe('registering', () => {
  const refusals: [number, unknown, string][] = [
    [400, { error: 'invalid_redirect_uri', error_description: 'a-planted-text' }, 'unexpected_response'],
    [401, { error: 'invalid_token' }, 'unauthenticated'],
    [403, {}, 'forbidden'],
    [404, {}, 'unexpected_response'],
    [429, {}, 'rate_limited'],
    [500, {}, 'unavailable'],
    [200, {}, 'unexpected_response'],
    [201, 'a text', 'unexpected_response'],
    [201, { client_id: '' }, 'unexpected_response'],
  ]
  test.each(refusals)('%i with %j is an error of ours without the words of the server', async (createStatus, createBody, code) => {
    const it = await fake({ createStatus, createBody })
    const failure = await failureOf(createPublic(it))
    expect(failure.code).toBe(code)
    expect(inspect(failure)).not.toContain('a-planted-text')
    expect(await readdir(it.folder)).toEqual([])
  })

  test('sends nothing while the latch is shut', async () => {
    const it = await fake()
    expect(await failureOf(it.reconcilers['public-client'].create(PUBLIC_SPEC))).toMatchObject({ code: 'internal' })
    expect(methods(it)).toEqual(['GET', 'GET'])
  })

  test('a machine client says that it has no responses and no redirects, and is no native application', async () => {
    const it = await fake()
    await createMachine(it)
    const sent = JSON.parse(it.server.requests.at(-1)?.body ?? '{}') as object
    expect(sent).toEqual({
      ...{ client_name: 'demo-agent', grant_types: ['client_credentials'], token_endpoint_auth_method: 'client_secret_basic' },
      ...{ response_types: [], redirect_uris: [], mcp_gateway_idp: 'default' },
    })
  })

  test('a disabled client cannot be asked for', async () => {
    const it = await fake()
    expect(await failureOf(it.write(() => it.reconcilers['public-client'].create({ ...PUBLIC_SPEC, enabled: false })))).toMatchObject({
      code: 'unsupported',
    })
    expect(it.clients.size).toBe(0)
  })

  test('an open server gets no token', async () => {
    const it = await fake()
    const { 'public-client': reconciler } = dcrReconcilers({ ...it.options, initialAccessToken: undefined })
    await it.write(() => reconciler.create(PUBLIC_SPEC))
    expect(it.server.requests.at(-1)?.headers.authorization).toBeUndefined()
  })
})

describe('discovery', () => {
  test('an endpoint named in either document is found, below a path too', async () => {
    for (const path of ['', '/tenants/one']) {
      for (const missing of ['openid', 'oauth'] as const) {
        // Spring names it in OpenID discovery only.
        for (const gone of [null, { registration_endpoint: undefined }]) {
          const it = await fake({ path, [missing]: gone })
          expect(await createPublic(it)).toMatchObject({ spec: { client_id: 'c-1' } })
        }
      }
    }
  })

  const broken: [string, Behaviour, string][] = [
    ['no document', { openid: null, oauth: null }, 'not_found'],
    ['no endpoint', { openid: { registration_endpoint: undefined }, oauth: { registration_endpoint: undefined } }, 'unsupported'],
    ['another issuer in one document', { oauth: { issuer: 'https://other.example' } }, 'unexpected_response'],
    ['a slash more in the issuer', { path: '/tenant', openid: null, oauth: { issuer: 'http://127.0.0.1/tenant/' } }, 'unexpected_response'],
    ['two endpoints', { oauth: { registration_endpoint: 'http://127.0.0.1:1/register' } }, 'unexpected_response'],
    [
      'an endpoint elsewhere',
      { openid: null, oauth: { registration_endpoint: 'https://collector.example/register' } },
      'unexpected_response',
    ],
  ]
  test.each(broken)('with %s nothing is registered', async (_what, behaviour, code) => {
    const it = await fake(behaviour)
    expect((await failureOf(createPublic(it))).code).toBe(code)
    expect(methods(it)).not.toContain('POST')
  })

  test('a server that is down is unavailable', async () => {
    const it = await fake()
    const door = doorTo([it.server.origin])
    await it.server.close()
    const { 'public-client': reconciler } = dcrReconcilers({ ...it.options, door })
    expect(await failureOf(door.latch.whileOpen(() => reconciler.create(PUBLIC_SPEC)))).toMatchObject({ code: 'unavailable' })
    await door.close()
  })
})
