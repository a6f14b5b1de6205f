/**
 * Drift of the IDE client at Keycloak: each field edited behind our back is the one field of the next plan, and mending it
 * puts back the whole object, with everything that is not ours as it was.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { administrator, type Changed, type ClientRepresentation, clientOf, cliJson, type Mapper, makeFolder } from './product.js'
import { makeRealm, type Realm } from './rig/keycloak.js'

const IDE = 'mcp-gateway-ide'
const SETUP = ['setup', 'ide-client', '--idp', 'keycloak', '--server-url', 'https://gateway.example.com/my-server/mcp']
const FOREIGN_SCOPE = 'somebody-elses-scope'
const FOREIGN_ATTRIBUTES = Object.fromEntries(Array.from({ length: 5 }, (_, index) => [`somebody.else.${index}`, `value ${index}`]))
const FOREIGN_MAPPERS = Array.from({ length: 3 }, (_, index) => ({
  name: `somebody-else-${index}`,
  protocol: 'openid-connect',
  protocolMapper: 'oidc-hardcoded-claim-mapper',
  config: { 'claim.name': `foreign_${index}`, 'claim.value': 'yes', 'jsonType.label': 'String', 'access.token.claim': 'false' },
}))

let realm: Realm
let home: Awaited<ReturnType<typeof makeFolder>>
let uuid: string
const counts = { shown: 0, mended: 0 }

beforeAll(async () => {
  home = await makeFolder()
  realm = await makeRealm({})
  await apply()
  uuid = (await ide()).id
  await addForeignParts()
})
afterAll(async () => {
  await realm?.remove()
  await home?.remove()
  console.log(`drift: ${counts.shown} edits each shown as exactly its field, ${counts.mended} mended with the rest of the object unchanged`)
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0)
})

const plan = (...flags: string[]) => cliJson<Changed>([...SETUP, ...flags, '--plan'], administrator(realm, home.path))
const apply = (...flags: string[]) => cliJson<Changed>([...SETUP, ...flags, '--yes'], administrator(realm, home.path))
const ide = () => clientOf(realm, IDE)

interface Edit {
  readonly field: string
  readonly how: string
  edit(client: ClientRepresentation): Promise<unknown>
}
/** Sends these fields only; Keycloak keeps the others and merges attributes, but a PUT without origins derives new ones. */
const put = (fields: object) => realm.admin('PUT', `/clients/${uuid}`, { webOrigins: [], ...fields })
const attribute = (name: string, value: string) => put({ attributes: { [name]: value } })
const redirects = ({ redirectUris }: ClientRepresentation) => redirectUris as string[]

function mapper({ protocolMappers = [] }: ClientRepresentation, name: string): Mapper {
  const found = protocolMappers.find((one) => one.name === name)
  if (!found) throw new Error(`no mapper ${name}`)
  return found
}
const removeMapper = (client: ClientRepresentation, name: string) =>
  realm.admin('DELETE', `/clients/${uuid}/protocol-mappers/models/${mapper(client, name).id}`)
const configure = (client: ClientRepresentation, name: string, config: object) => {
  const current = mapper(client, name)
  const body = { ...current, config: { ...current.config, ...config } }
  return realm.admin('PUT', `/clients/${uuid}/protocol-mappers/models/${current.id}`, body)
}
const replaceMapper = async (client: ClientRepresentation, name: string, protocolMapper: string, config: object) => {
  await removeMapper(client, name)
  return realm.admin('POST', `/clients/${uuid}/protocol-mappers/models`, { name, protocol: 'openid-connect', protocolMapper, config })
}

const EDITS: readonly Edit[] = [
  { field: 'enabled', how: 'switched off', edit: () => put({ enabled: false }) },
  { field: 'client_name', how: 'renamed', edit: () => put({ name: 'Somebody else’s client' }) },
  { field: 'client_name', how: 'emptied', edit: () => put({ name: '' }) },
  {
    field: 'redirect_uris',
    how: 'one added',
    edit: (client) => put({ redirectUris: [...redirects(client), 'https://evil.example/callback'] }),
  },
  {
    field: 'redirect_uris',
    how: 'a wildcard added',
    edit: (client) => put({ redirectUris: [...redirects(client), 'http://localhost/*'] }),
  },
  {
    field: 'redirect_uris',
    how: 'one removed',
    edit: (client) => put({ redirectUris: redirects(client).filter((one) => one !== 'http://localhost/callback') }),
  },
  { field: 'redirect_uris', how: 'all removed', edit: () => put({ redirectUris: [] }) },
  { field: 'grant_types', how: 'code flow off', edit: () => put({ standardFlowEnabled: false }) },
  { field: 'grant_types', how: 'password grant on', edit: () => put({ directAccessGrantsEnabled: true }) },
  { field: 'grant_types', how: 'implicit flow on', edit: () => put({ implicitFlowEnabled: true }) },
  { field: 'grant_types', how: 'device flow on', edit: () => attribute('oauth2.device.authorization.grant.enabled', 'true') },
  { field: 'grant_types', how: 'CIBA on', edit: () => attribute('oidc.ciba.grant.enabled', 'true') },
  { field: 'grant_types', how: 'refresh tokens off', edit: () => attribute('use.refresh.tokens', 'false') },
  { field: 'token_endpoint_auth_method', how: 'given a secret', edit: () => put({ publicClient: false }) },
  { field: 'pkce', how: 'not required', edit: () => attribute('pkce.code.challenge.method', '') },
  { field: 'pkce', how: 'plain', edit: () => attribute('pkce.code.challenge.method', 'plain') },
  { field: 'full_scope', how: 'on', edit: () => put({ fullScopeAllowed: true }) },
  { field: 'web_origins', how: 'any origin', edit: () => put({ webOrigins: ['*'] }) },
  { field: 'web_origins', how: 'one of somebody', edit: () => put({ webOrigins: ['https://evil.example'] }) },
  { field: 'groups_claim', how: 'mapper removed', edit: (client) => removeMapper(client, 'groups') },
  { field: 'groups_claim', how: 'full paths', edit: (client) => configure(client, 'groups', { 'full.path': 'true' }) },
  { field: 'groups_claim', how: 'another claim', edit: (client) => configure(client, 'groups', { 'claim.name': 'teams' }) },
  { field: 'groups_claim', how: 'not in access tokens', edit: (client) => configure(client, 'groups', { 'access.token.claim': 'false' }) },
  {
    field: 'groups_claim',
    how: 'mapper of another type',
    edit: (client) =>
      replaceMapper(client, 'groups', 'oidc-hardcoded-claim-mapper', {
        'claim.name': 'groups',
        'claim.value': '["registry-admins"]',
        'jsonType.label': 'JSON',
        'access.token.claim': 'true',
        'full.path': 'false',
      }),
  },
  { field: 'audience', how: 'mapper removed', edit: (client) => removeMapper(client, 'gateway-audience') },
  {
    field: 'audience',
    how: 'another one',
    edit: (client) => configure(client, 'gateway-audience', { 'included.custom.audience': 'elsewhere' }),
  },
  {
    field: 'audience',
    how: 'a client beside it',
    edit: (client) => configure(client, 'gateway-audience', { 'included.client.audience': 'account' }),
  },
  {
    field: 'audience',
    how: 'not in access tokens',
    edit: (client) => configure(client, 'gateway-audience', { 'access.token.claim': 'false' }),
  },
]

/** Every field that the product holds of an IDE client: a field without an edit would pass unseen. */
const FIELDS = [
  'enabled',
  'client_name',
  'redirect_uris',
  'grant_types',
  'token_endpoint_auth_method',
  'pkce',
  'full_scope',
  'web_origins',
  'groups_claim',
  'audience',
]

test('every field that a new client is made with has an edit below', async () => {
  expect([...new Set(EDITS.map(({ field }) => field))].toSorted()).toEqual(FIELDS.toSorted())
  const { changes } = await cliJson<Changed>(
    ['setup', 'ide-client', '--idp', 'keycloak', '--client-id', 'not-there-yet', '--plan'],
    administrator(realm, home.path),
  )
  // The id is the key: with another id it is another client.
  expect(changes[0]?.fields.toSorted()).toEqual([...FIELDS, 'client_id'].toSorted())
})

test('a client with parts of somebody else is as it should be', async () => {
  expect(await plan()).toMatchObject({ changes: [] })
  const { attributes, protocolMappers = [], description, defaultClientScopes } = await ide()
  expect({ attributes, description }).toMatchObject({ attributes: FOREIGN_ATTRIBUTES, description: 'Kept by somebody else' })
  expect(protocolMappers.filter(({ name }) => name.startsWith('somebody-else')).length).toBe(FOREIGN_MAPPERS.length)
  expect(defaultClientScopes).toContain(FOREIGN_SCOPE)
})

describe('an edit behind our back', () => {
  test.each(EDITS)('of $field ($how) is the one field of the plan, and is mended whole', async ({ field, how, edit }) => {
    const before = await ide()
    const { status } = (await edit(before)) as { status: number }
    expect(status).toBeLessThan(300)
    expect(comparable(await ide())).not.toEqual(comparable(before))

    const writes = await realm.writes()
    const planned = await plan()
    console.log(
      `drift: ${field} (${how}): ${planned.changes.map(({ action, kind, fields }) => `${action} ${kind} ${fields.join(', ')}`).join('; ')}`,
    )
    expect(planned.changes).toEqual([{ action: 'update', kind: 'public-client', key: IDE, fields: [field] }])
    expect(await realm.writes()).toBe(writes)
    counts.shown++

    expect(await apply()).toMatchObject({ applied: true })
    expect(comparable(await ide())).toEqual(comparable(before))
    expect(await plan()).toMatchObject({ changes: [] })
    counts.mended++
  })
})

describe('redirect URIs that are not ours', () => {
  const codex = 'http://127.0.0.1/callback/AAAAAAAAAAAA'
  const foreign = 'https://somebody-else.example/callback'

  test('are planned for removal, but Codex may have other servers', async () => {
    const before = redirects(await ide())
    await put({ redirectUris: [...before, codex, foreign] })
    expect(await plan()).toMatchObject({ changes: [{ action: 'update', fields: ['redirect_uris'] }] })
    await apply()
    expect(redirects(await ide()).toSorted()).toEqual([...before, codex].toSorted())
    expect(await plan()).toMatchObject({ changes: [] })
  })

  test('of Codex go with --prune-redirects', async () => {
    const before = redirects(await ide())
    expect(before).toContain(codex)
    expect(await plan('--prune-redirects')).toMatchObject({ changes: [{ action: 'update', fields: ['redirect_uris'] }] })
    expect(redirects(await ide())).toContain(codex)
    await apply('--prune-redirects')
    expect(redirects(await ide()).toSorted()).toEqual(before.filter((one) => one !== codex).toSorted())
  })
})

/**
 * The whole object; lists that Keycloak returns in any order are sorted. Left out is what Keycloak makes itself: ids of
 * mappers, and the time of the secret that it gives to a client which stops being public.
 */
function comparable(client: ClientRepresentation): unknown {
  const { protocolMappers = [], redirectUris, defaultClientScopes, optionalClientScopes, attributes, ...rest } = client
  const { 'client.secret.creation.time': _time, ...kept } = attributes as Record<string, string>
  const sorted = (list: unknown) => (list as string[]).toSorted()
  const mappers = protocolMappers.map(({ id: _, ...mapper }) => mapper).toSorted((a, b) => (a.name < b.name ? -1 : 1))
  return {
    ...rest,
    attributes: kept,
    protocolMappers: mappers,
    redirectUris: sorted(redirectUris),
    defaultClientScopes: sorted(defaultClientScopes),
    optionalClientScopes: sorted(optionalClientScopes),
  }
}

async function addForeignParts(): Promise<void> {
  const scope = await realm.admin('POST', '/client-scopes', { name: FOREIGN_SCOPE, protocol: 'openid-connect' })
  const answers = [
    await put({ description: 'Kept by somebody else', attributes: FOREIGN_ATTRIBUTES }),
    await realm.admin('PUT', `/clients/${uuid}/default-client-scopes/${scope.id}`),
    await realm.admin('POST', `/clients/${uuid}/protocol-mappers/add-models`, FOREIGN_MAPPERS),
  ]
  expect(answers.map(({ status }) => status)).toEqual([204, 204, 204])
}
