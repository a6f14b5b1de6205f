/**
 * Clients of three kinds at a real Keycloak: made and seen, adopted only when they are of the kind, never taken from
 * Keycloak itself or from a twin, their secrets changed at once; and the token that a person would get through one.
 */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { changeFor, type Observed, type Wanted } from '../../core/plan.js'
import type { ClientKind, Resources } from '../../core/resources.js'
import { Secret } from '../../core/secret.js'
import { askToken, type ClientRepresentation, clientOf, type Mapper } from './product.js'
import { makeRealm, type Realm } from './rig/keycloak.js'
import { type ConnectedTenant, connectTenant } from './tenant.js'

const CALLBACK = 'https://gateway.example.com/oauth2/callback/keycloak'
const KINDS = ['public-client', 'web-client', 'machine-client'] as const satisfies readonly ClientKind[]

/** One of each kind. */
function spec<K extends ClientKind>(kind: K, client_id: string): Resources[K] {
  const all = {
    client_id,
    client_name: `Client ${client_id}`,
    enabled: true,
    full_scope: false,
    groups_claim: 'groups',
    audience: 'mcp-gateway',
  }
  const forPeople = { ...all, redirect_uris: [CALLBACK], grant_types: ['authorization_code', 'refresh_token'], web_origins: [] }
  const secret = { token_endpoint_auth_method: 'client_secret_basic' }
  const specs: Pick<Resources, ClientKind> = {
    'public-client': { ...forPeople, token_endpoint_auth_method: 'none', pkce: 'S256' },
    'web-client': { ...forPeople, ...secret },
    'machine-client': { ...all, ...secret, redirect_uris: [], grant_types: ['client_credentials'], groups: ['demo-readers'] },
  }
  const { [kind]: one } = specs
  return one as Resources[K]
}

let realm: Realm
let idp: ConnectedTenant
const counts = { adopted: 0, refused: 0, rotated: 0, evaluated: 0 }
beforeAll(async () => {
  const person = { password: 'a password of a person' }
  realm = await makeRealm({
    groups: ['demo-readers', 'empty'],
    people: [
      { ...person, username: 'ann', groups: ['demo-readers'] },
      { ...person, username: 'bob' },
    ],
  })
  idp = await connectTenant(realm)
})
afterAll(async () => {
  await idp?.close()
  await realm?.remove()
  const { adopted, refused, rotated, evaluated } = counts
  console.log(`keycloak-clients: ${adopted} adopted, ${refused} refused, ${rotated} rotated, ${evaluated} tokens evaluated`)
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0)
})

const fresh = () => new Secret(randomBytes(32).toString('base64url'))
async function seen<K extends ClientKind>(kind: K, key: string): Promise<Observed<K>> {
  const found = (await idp.of(kind).observe([key])).get(key)
  if (found === undefined) throw new Error(`no ${kind} ${key}`)
  return found
}
/** A client as somebody else made it. */
async function foreign(clientId: string, fields: object): Promise<string> {
  const { status, id = '' } = await realm.admin('POST', '/clients', { clientId, ...fields })
  if (status !== 201) throw new Error(`${clientId}: ${status}`)
  return id
}
const mint = (client_id: string, secret: Secret) =>
  askToken(realm, { grant_type: 'client_credentials', client_id, client_secret: secret.reveal() })

describe.each(KINDS)('a %s', (kind) => {
  test('is what was wanted, is ours, and shows its secret to the sink alone', async () => {
    const [key, secret] = [`made-${kind}`, fresh()]
    await idp.write(() => idp.of(kind).create(spec(kind, key), secret))
    const { spec: observed, owner, secret: shown } = await seen(kind, key)
    const wanted = { kind, key, ensure: 'present', spec: spec(kind, key) } as Wanted
    expect(owner).toBe('us')
    expect(changeFor(wanted, { id: '', owner, spec: observed })).toBeUndefined()
    expect(shown === undefined ? 'none' : shown.equals(secret)).toBe(kind === 'public-client' ? 'none' : true)
    expect(await idp.of(kind).owned?.()).toEqual([key])
    await realm.admin('PUT', `/clients/${(await clientOf(realm, key)).id}`, { description: 'still there', webOrigins: [] })
    expect(await idp.of(kind).owned?.()).toEqual([key])
  })
})

test.each(KINDS)('a %s of ours is a conflict to every other kind', async (kind) => {
  for (const other of KINDS.filter((one) => one !== kind)) {
    await expect(idp.of(other).observe([`made-${kind}`])).rejects.toMatchObject({
      code: 'conflict',
      message: `client made-${kind} is a ${kind} of ours, not a ${other}`,
    })
    counts.refused++
  }
})

describe('a client that carries no mark', () => {
  const SHAPES: readonly { readonly is: string; readonly kind?: ClientKind; readonly fields: object }[] = [
    { is: 'a public client', kind: 'public-client', fields: { publicClient: true, standardFlowEnabled: true } },
    { is: 'a web client', kind: 'web-client', fields: { standardFlowEnabled: true } },
    { is: 'a web client with a service account', kind: 'web-client', fields: { standardFlowEnabled: true, serviceAccountsEnabled: true } },
    { is: 'a machine client', kind: 'machine-client', fields: { standardFlowEnabled: false, serviceAccountsEnabled: true } },
    { is: 'one without a flow of ours', fields: { standardFlowEnabled: false, directAccessGrantsEnabled: true } },
    { is: 'a bearer-only client', fields: { bearerOnly: true } },
    { is: 'a SAML client', fields: { protocol: 'saml', attributes: { 'saml.client.signature': 'false' } } },
  ]

  test.each(SHAPES)('$is, is nobody’s to its own kind and a conflict to every other', async ({ is, kind, fields }) => {
    const key = is.replaceAll(' ', '-')
    await foreign(key, fields)
    for (const wanted of KINDS) {
      if (wanted === kind) expect(await seen(wanted, key)).toMatchObject({ owner: 'nobody' })
      else {
        const said = `client ${key} is ${kind === undefined ? 'nothing that we make' : `a ${kind}`}, not a ${wanted}`
        await expect(idp.of(wanted).observe([key])).rejects.toMatchObject({ code: 'conflict', message: said })
        counts.refused++
      }
    }
  })

  test.each(KINDS)('is adopted as a %s with our marks, and all of others as it was', async (kind) => {
    const key = `adopted-${kind}`
    const mapper = {
      name: 'somebody-elses',
      protocol: 'openid-connect',
      protocolMapper: 'oidc-hardcoded-claim-mapper',
      config: { 'claim.name': 'foreign', 'claim.value': 'yes', 'jsonType.label': 'String', 'access.token.claim': 'true' },
    }
    const shape = {
      publicClient: kind === 'public-client',
      standardFlowEnabled: kind !== 'machine-client',
      serviceAccountsEnabled: kind === 'machine-client',
    }
    const theirs = {
      description: 'made by hand',
      attributes: { 'somebody.else': 'yes' },
      protocolMappers: [mapper],
      secret: 'a secret of somebody else',
    }
    await foreign(key, { ...shape, ...theirs, redirectUris: ['https://old.example.com/cb'], webOrigins: [] })
    const before = await clientOf(realm, key)
    const wanted = { kind, key, ensure: 'present', spec: spec(kind, key), adopt: true } as Wanted
    await expect(idp.run([{ ...wanted, adopt: false } as Wanted])).rejects.toMatchObject({ code: 'conflict' })
    expect((await idp.run([wanted])).changes).toMatchObject([{ action: 'adopt', kind, key }])
    const after = await clientOf(realm, key)
    expect(attributesOf(after)).toMatchObject({ ...attributesOf(before), mcp_gateway_idp: 'default', 'mcp_gateway_idp.kind': kind })
    expect(after.protocolMappers).toEqual(expect.arrayContaining(before.protocolMappers as Mapper[]))
    for (const field of [
      'id',
      'description',
      'secret',
      'defaultClientScopes',
      'optionalClientScopes',
      'webOrigins',
      'authenticationFlowBindingOverrides',
    ])
      expect([field, unordered(after)[field]]).toEqual([field, unordered(before)[field]])
    expect(await seen(kind, key)).toMatchObject({ owner: 'us' })
    const writes = await realm.writes()
    expect((await idp.run([wanted])).changes).toEqual([])
    expect(await realm.writes()).toBe(writes)
    counts.adopted++
  })

  test('gets the marks also when nothing else differs', async () => {
    const { id } = await seen('public-client', 'made-public-client')
    const marks = { mcp_gateway_idp: '', 'mcp_gateway_idp.kind': '' }
    await realm.admin('PUT', `/clients/${id}`, { attributes: marks, webOrigins: [] })
    const wanted: Wanted = {
      kind: 'public-client',
      key: 'made-public-client',
      ensure: 'present',
      spec: spec('public-client', 'made-public-client'),
      adopt: true,
    }
    expect((await idp.run([wanted])).changes).toMatchObject([{ action: 'adopt', fields: [] }])
    expect(await seen('public-client', 'made-public-client')).toMatchObject({ owner: 'us' })
  })
})

/** Keycloak lists scopes, origins and mappers in any order. */
const unordered = (client: ClientRepresentation) =>
  Object.fromEntries(Object.entries(client).map(([field, value]) => [field, Array.isArray(value) ? new Set<unknown>(value) : value]))
const attributesOf = ({ attributes }: ClientRepresentation) => attributes as Record<string, string>

describe('a client that Keycloak made itself', () => {
  test('is never adopted or removed, in any realm, as any kind', async () => {
    const { body } = await realm.admin<ClientRepresentation[]>('GET', '/clients')
    const builtIn = body.filter(({ name }) => String(name).startsWith('${')).map(({ clientId }) => clientId)
    expect(builtIn.length).toBeGreaterThan(5)
    for (const kind of KINDS) {
      for (const [key, observed] of await idp.of(kind).observe(builtIn)) {
        expect([kind, key, observed.owner]).toEqual([kind, key, { other: 'Keycloak' }])
        expect(observed.secret).toBeUndefined()
        for (const ensure of ['present', 'absent'] as const) {
          const wanted = { kind, key, ensure, spec: spec(kind, key), adopt: true } as Wanted
          expect(() => changeFor(wanted, observed)).toThrow(expect.objectContaining({ code: 'owned_elsewhere' }))
          counts.refused++
        }
      }
    }
  })

  test('is known in master too, where each realm has one', async () => {
    const master = await connectTenant({ realm: 'master' })
    try {
      const keys = ['master-realm', `${realm.realm}-realm`]
      const found = await master.of('web-client').observe(keys)
      expect([...found].map(([key, { owner }]) => [key, owner])).toEqual(
        expect.arrayContaining(keys.map((key) => [key, { other: 'Keycloak' }])),
      )
    } finally {
      await master.close()
    }
  })
})

describe('a name that is nearly taken', () => {
  test.each(KINDS)('by a client that differs in case only: the exact one is seen, and no second %s is made', async (kind) => {
    const [key, twin] = [`twin-${kind}`, `Twin-${kind}`]
    await idp.write(() => idp.of(kind).create(spec(kind, key), fresh()))
    expect([...(await idp.of(kind).observe([key, twin])).keys()]).toEqual([key])
    const writes = await realm.writes()
    await expect(idp.write(() => idp.of(kind).create(spec(kind, twin), fresh()))).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining(key),
      hint: expect.stringContaining(key),
    })
    expect(await realm.writes()).toBe(writes)
    counts.refused++
  })

  test('by a twin that came after the list was read is told by the server’s refusal', async () => {
    await idp.of('machine-client').observe(['Late-Twin'])
    await foreign('late-twin', { serviceAccountsEnabled: true, standardFlowEnabled: false })
    await expect(idp.write(() => idp.of('machine-client').create(spec('machine-client', 'Late-Twin'), fresh()))).rejects.toMatchObject({
      code: 'conflict',
      message: 'client Late-Twin differs from client late-twin in case only',
    })
    counts.refused++
  })

  test('by a user with the name of its service account is told as that', async () => {
    const { status } = await realm.admin('POST', '/users', { username: 'service-account-ghost', enabled: true })
    expect(status).toBe(201)
    await expect(idp.write(() => idp.of('machine-client').create(spec('machine-client', 'Ghost'), fresh()))).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('a user service-account-ghost exists'),
    })
    expect(await idp.of('machine-client').observe(['Ghost'])).toEqual(new Map())
    counts.refused++
  })
})

describe('rotation', () => {
  test.each(['web-client', 'machine-client'] as const)(
    'of a %s: the new secret is its only one, and nothing else changed',
    async (kind) => {
      const [key, old, next] = [`rotated-${kind}`, fresh(), fresh()]
      await idp.write(() => idp.of(kind).create(spec(kind, key), old))
      const before = await clientOf(realm, key)
      const current = await seen(kind, key)
      await idp.write(async () => idp.of(kind).setSecret?.(current as never, next))
      const { secret, attributes, ...after } = await clientOf(realm, key)
      expect({ ...before, secret: undefined, attributes: undefined }).toEqual({ ...after, secret: undefined, attributes: undefined })
      expect(attributes).toMatchObject({ mcp_gateway_idp: 'default', 'mcp_gateway_idp.kind': kind })
      expect(secret).toBe(next.reveal())
      expect((await seen(kind, key)).secret?.equals(next)).toBe(true)
      counts.rotated++
    },
  )

  test('ends the old secret of a machine at once', async () => {
    const [key, old, next] = ['rotated-agent', fresh(), fresh()]
    await idp.write(() => idp.of('machine-client').create(spec('machine-client', key), old))
    expect(await mint(key, old)).toMatchObject({ status: 200 })
    const current = await seen('machine-client', key)
    await idp.write(async () => idp.of('machine-client').setSecret?.(current, next))
    expect(await mint(key, old)).toMatchObject({ status: 401 })
    expect(await mint(key, next)).toMatchObject({ status: 200 })
    counts.rotated++
  })

  test('is no business of a public client', () => {
    expect(idp.of('public-client')).not.toHaveProperty('setSecret')
    expect(idp.of('public-client').secret).toBeUndefined()
  })
})

describe('the token that a person would get', () => {
  const evaluate: NonNullable<ConnectedTenant['tenant']['evaluate']> = async (...wanted) => {
    const told = await idp.tenant.evaluate?.(...wanted)
    counts.evaluated++
    return told
  }

  test('carries the groups of the person and the audience of the client', async () => {
    expect(await evaluate('made-public-client', 'ann')).toMatchObject({
      username: 'ann',
      claims: { groups: ['demo-readers'], aud: 'mcp-gateway', azp: 'made-public-client', iss: realm.issuer, preferred_username: 'ann' },
    })
  })

  test('has no groups for somebody who is in none', async () => {
    const told = await evaluate('made-public-client', 'bob')
    expect(told).toMatchObject({ username: 'bob', claims: { preferred_username: 'bob' } })
    expect(told?.claims).not.toHaveProperty('groups')
  })

  test('is somebody’s who is in a group when nobody is named, and never a machine’s', async () => {
    const { body } = await realm.admin<{ id: string }[]>('GET', '/groups?search=demo-readers')
    const members = await realm.admin<{ username: string }[]>('GET', `/groups/${body[0]?.id}/members`)
    expect(members.body.map(({ username }) => username)).toContain('service-account-made-machine-client')
    expect(await evaluate('made-public-client')).toMatchObject({ username: 'ann' })
  })

  test('is nobody’s where every member is switched off', async () => {
    const [ann] = (await realm.admin<{ id: string }[]>('GET', '/users?username=ann')).body
    await realm.admin('PUT', `/users/${ann?.id}`, { enabled: false })
    expect(await evaluate('made-public-client')).toBeUndefined()
    await realm.admin('PUT', `/users/${ann?.id}`, { enabled: true })
  })

  test('is not told for a client or a person that is not there', async () => {
    await expect(evaluate('no-such-client', 'ann')).rejects.toMatchObject({ code: 'not_found', details: { key: 'no-such-client' } })
    await expect(evaluate('made-public-client', 'nobody')).rejects.toMatchObject({ code: 'not_found', details: { key: 'nobody' } })
  })

  test('costs no write', async () => {
    const writes = await realm.writes()
    await evaluate('made-web-client', 'ann')
    expect(await realm.writes()).toBe(writes)
    expect(idp.journal.filter(({ url }) => url.includes('evaluate')).every((entry) => entry.class === 'read')).toBe(true)
  })
})
