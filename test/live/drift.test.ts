/**
 * Drift of the IDE client and of a machine client at Keycloak: each field edited behind our back is the one field of the
 * next plan, and mending it puts back the whole object, with everything that is not ours as it was.
 */
import { readFile, rm } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type OperationName, openToolkit } from '../../toolkit/index.js'
import {
  administrator,
  askToken,
  type Changed,
  type ClientRepresentation,
  cli,
  clientOf,
  cliJson,
  type Mapper,
  makeFolder,
} from './product.js'
import { makeRealm, type Realm } from './rig/keycloak.js'

/** A client of ours: what sets it up, and every field that the product holds of it besides the id, which is its key. */
interface Subject {
  readonly key: string
  readonly kind: 'public-client' | 'machine-client'
  readonly operation: OperationName
  readonly input: Readonly<Record<string, unknown>>
  readonly words: readonly string[]
  readonly fields: readonly string[]
}

const SERVER_URL = 'https://gateway.example.com/my-server/mcp'
const BOTH = [
  'enabled',
  'client_name',
  'redirect_uris',
  'grant_types',
  'token_endpoint_auth_method',
  'full_scope',
  'groups_claim',
  'audience',
]
const IDE: Subject = {
  key: 'mcp-gateway-ide',
  kind: 'public-client',
  operation: 'setup_ide_client',
  input: { idp: 'keycloak', server_urls: [SERVER_URL] },
  words: ['setup', 'ide-client', '--idp', 'keycloak', '--server-url', SERVER_URL],
  fields: [...BOTH, 'pkce', 'web_origins'],
}
const MACHINE: Subject = {
  key: 'reporting-agent',
  kind: 'machine-client',
  operation: 'setup_m2m_app',
  input: { idp: 'keycloak', name: 'reporting-agent', groups: ['data-readers', 'engineering/platform'] },
  words: ['setup', 'm2m-app', '--idp', 'keycloak', '--name', 'reporting-agent', '--groups', 'data-readers,engineering/platform'],
  fields: [...BOTH, 'groups'],
}
const GROUPS = ['data-readers', 'engineering', 'engineering/platform', 'engineering/security', 'somebody-elses'] as const

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
/** Ids of the groups, by path. */
const groupIds = new Map<string, string>()
const counts = { 'public-client': 0, 'machine-client': 0, mended: 0, secrets: 0, refused: 0 }

beforeAll(async () => {
  home = await makeFolder()
  realm = await makeRealm({})
  for (const path of GROUPS) await makeGroup(path)
  const scope = await realm.admin('POST', '/client-scopes', { name: FOREIGN_SCOPE, protocol: 'openid-connect' })
  for (const subject of [IDE, MACHINE]) {
    await cliJson([...subject.words, '--yes'], administrator(realm, home.path))
    await addForeignParts(subject, scope.id ?? '')
  }
})
afterAll(async () => {
  await realm?.remove()
  await home?.remove()
  const { 'public-client': ide, 'machine-client': machine, mended, secrets, refused } = counts
  console.log(
    `drift: ${ide} edits of the IDE client and ${machine} of the machine client, each shown as exactly its field, ` +
      `${mended} mended with the rest of the object unchanged; ${secrets} secrets saved again; ${refused} clients without their marks refused`,
  )
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0)
})

async function run({ operation, input }: Subject, planOnly: boolean, more: object): Promise<Changed> {
  const env = administrator(realm, home.path)
  const toolkit = await openToolkit({ env, home: home.path, planOnly, approve: async () => true })
  try {
    return (await toolkit.run(operation, { ...input, ...more })) as unknown as Changed
  } finally {
    await toolkit.close()
  }
}
const plan = (subject: Subject, more = {}) => run(subject, true, more)
const apply = (subject: Subject, more = {}) => run(subject, false, more)
const look = ({ key }: Subject) => clientOf(realm, key)

/** What an edit works with: the client as it is, and the user that its service account is. */
interface At {
  readonly client: ClientRepresentation
  account(): Promise<string>
}
interface Edit {
  readonly field: string
  readonly how: string
  edit(at: At): Promise<unknown>
}
/** Sends these fields only; Keycloak keeps the others and merges attributes, but a PUT without origins derives new ones. */
const put = ({ client }: At, fields: object) => realm.admin('PUT', `/clients/${client.id}`, { webOrigins: [], ...fields })
const attribute = (at: At, name: string, value: string) => put(at, { attributes: { [name]: value } })
const redirects = ({ redirectUris }: ClientRepresentation) => redirectUris as string[]

function mapper({ client: { protocolMappers = [] } }: At, name: string): Mapper {
  const found = protocolMappers.find((one) => one.name === name)
  if (!found) throw new Error(`no mapper ${name}`)
  return found
}
const mappersOf = ({ client }: At) => `/clients/${client.id}/protocol-mappers/models`
const removeMapper = (at: At, name: string) => realm.admin('DELETE', `${mappersOf(at)}/${mapper(at, name).id}`)
const configure = (at: At, name: string, config: object) => {
  const current = mapper(at, name)
  const body = { ...current, config: { ...current.config, ...config } }
  return realm.admin('PUT', `${mappersOf(at)}/${current.id}`, body)
}
const replaceMapper = async (at: At, name: string, protocolMapper: string, config: object) => {
  await removeMapper(at, name)
  return realm.admin('POST', mappersOf(at), { name, protocol: 'openid-connect', protocolMapper, config })
}
const membership = async (at: At, method: 'PUT' | 'DELETE', path: (typeof GROUPS)[number]) =>
  realm.admin(method, `/users/${await at.account()}/groups/${groupIds.get(path)}`)

const GRANTS: readonly Edit[] = [
  { field: 'grant_types', how: 'password grant on', edit: (at) => put(at, { directAccessGrantsEnabled: true }) },
  { field: 'grant_types', how: 'implicit flow on', edit: (at) => put(at, { implicitFlowEnabled: true }) },
  { field: 'grant_types', how: 'device flow on', edit: (at) => attribute(at, 'oauth2.device.authorization.grant.enabled', 'true') },
  { field: 'grant_types', how: 'CIBA on', edit: (at) => attribute(at, 'oidc.ciba.grant.enabled', 'true') },
  { field: 'grant_types', how: 'token exchange on', edit: (at) => attribute(at, 'standard.token.exchange.enabled', 'true') },
  { field: 'grant_types', how: 'JWT bearer on', edit: (at) => attribute(at, 'oauth2.jwt.authorization.grant.enabled', 'true') },
]
const COMMON: readonly Edit[] = [
  { field: 'enabled', how: 'switched off', edit: (at) => put(at, { enabled: false }) },
  { field: 'client_name', how: 'renamed', edit: (at) => put(at, { name: 'Somebody else’s client' }) },
  { field: 'client_name', how: 'emptied', edit: (at) => put(at, { name: '' }) },
  {
    field: 'redirect_uris',
    how: 'one added',
    edit: (at) => put(at, { redirectUris: [...redirects(at.client), 'https://evil.example/callback'] }),
  },
  {
    field: 'redirect_uris',
    how: 'a wildcard added',
    edit: (at) => put(at, { redirectUris: [...redirects(at.client), 'http://localhost/*'] }),
  },
  ...GRANTS,
  { field: 'full_scope', how: 'on', edit: (at) => put(at, { fullScopeAllowed: true }) },
  { field: 'groups_claim', how: 'mapper removed', edit: (at) => removeMapper(at, 'groups') },
  { field: 'groups_claim', how: 'full paths', edit: (at) => configure(at, 'groups', { 'full.path': 'true' }) },
  { field: 'groups_claim', how: 'another claim', edit: (at) => configure(at, 'groups', { 'claim.name': 'teams' }) },
  { field: 'groups_claim', how: 'not in access tokens', edit: (at) => configure(at, 'groups', { 'access.token.claim': 'false' }) },
  {
    field: 'groups_claim',
    how: 'mapper of another type',
    edit: (at) =>
      replaceMapper(at, 'groups', 'oidc-hardcoded-claim-mapper', {
        'claim.name': 'groups',
        'claim.value': '["registry-admins"]',
        'jsonType.label': 'JSON',
        'access.token.claim': 'true',
        'full.path': 'false',
      }),
  },
  { field: 'audience', how: 'mapper removed', edit: (at) => removeMapper(at, 'gateway-audience') },
  {
    field: 'audience',
    how: 'another one',
    edit: (at) => configure(at, 'gateway-audience', { 'included.custom.audience': 'elsewhere' }),
  },
  {
    field: 'audience',
    how: 'a client beside it',
    edit: (at) => configure(at, 'gateway-audience', { 'included.client.audience': 'account' }),
  },
  {
    field: 'audience',
    how: 'not in access tokens',
    edit: (at) => configure(at, 'gateway-audience', { 'access.token.claim': 'false' }),
  },
]

const EDITS: readonly (readonly [Subject, readonly Edit[]])[] = [
  [
    IDE,
    [
      ...COMMON,
      {
        field: 'redirect_uris',
        how: 'one removed',
        edit: (at) => put(at, { redirectUris: redirects(at.client).filter((one) => one !== 'http://localhost/callback') }),
      },
      { field: 'redirect_uris', how: 'all removed', edit: (at) => put(at, { redirectUris: [] }) },
      { field: 'grant_types', how: 'code flow off', edit: (at) => put(at, { standardFlowEnabled: false }) },
      { field: 'grant_types', how: 'refresh tokens off', edit: (at) => attribute(at, 'use.refresh.tokens', 'false') },
      { field: 'token_endpoint_auth_method', how: 'given a secret', edit: (at) => put(at, { publicClient: false }) },
      { field: 'pkce', how: 'not required', edit: (at) => attribute(at, 'pkce.code.challenge.method', '') },
      { field: 'pkce', how: 'plain', edit: (at) => attribute(at, 'pkce.code.challenge.method', 'plain') },
      { field: 'web_origins', how: 'any origin', edit: (at) => put(at, { webOrigins: ['*'] }) },
      { field: 'web_origins', how: 'one of somebody', edit: (at) => put(at, { webOrigins: ['https://evil.example'] }) },
    ],
  ],
  [
    MACHINE,
    [
      ...COMMON,
      { field: 'grant_types', how: 'code flow on', edit: (at) => put(at, { standardFlowEnabled: true }) },
      { field: 'token_endpoint_auth_method', how: 'signed JWT', edit: (at) => put(at, { clientAuthenticatorType: 'client-jwt' }) },
      { field: 'token_endpoint_auth_method', how: 'certificate', edit: (at) => put(at, { clientAuthenticatorType: 'client-x509' }) },
      { field: 'token_endpoint_auth_method', how: 'made public', edit: (at) => put(at, { publicClient: true }) },
      { field: 'groups', how: 'one added', edit: (at) => membership(at, 'PUT', 'somebody-elses') },
      { field: 'groups', how: 'a nested one added', edit: (at) => membership(at, 'PUT', 'engineering/security') },
      { field: 'groups', how: 'the parent of its own added', edit: (at) => membership(at, 'PUT', 'engineering') },
      { field: 'groups', how: 'one removed', edit: (at) => membership(at, 'DELETE', 'data-readers') },
      { field: 'groups', how: 'a nested one removed', edit: (at) => membership(at, 'DELETE', 'engineering/platform') },
      {
        field: 'groups',
        how: 'moved to a sibling',
        edit: async (at) => {
          await membership(at, 'DELETE', 'engineering/platform')
          return membership(at, 'PUT', 'engineering/security')
        },
      },
    ],
  ],
]

describe.each(EDITS)('$key', (subject, edits) => {
  const { key, kind, fields, input } = subject

  test('is made with no field that has no edit below', async () => {
    expect([...new Set(edits.map(({ field }) => field))].toSorted()).toEqual(fields.toSorted())
    // The id is the key: with another id it is another client.
    const fresh = kind === 'machine-client' ? { name: 'not-there-yet' } : { client_id: 'not-there-yet' }
    const { changes } = await plan({ ...subject, input: { ...input, ...fresh } })
    const beside = kind === 'machine-client' ? ['client_id', 'secret_file'] : ['client_id']
    expect(changes[0]?.fields.toSorted()).toEqual([...fields, ...beside].toSorted())
  })

  test('with parts of somebody else is as it should be', async () => {
    expect(await plan(subject)).toMatchObject({ changes: [] })
    const { attributes, protocolMappers = [], description, defaultClientScopes } = await look(subject)
    expect({ attributes, description }).toMatchObject({ attributes: FOREIGN_ATTRIBUTES, description: 'Kept by somebody else' })
    expect(protocolMappers.filter(({ name }) => name.startsWith('somebody-else')).length).toBe(FOREIGN_MAPPERS.length)
    expect(defaultClientScopes).toContain(FOREIGN_SCOPE)
  })

  test.each(edits)('edited in $field ($how): that is the one field of the plan, and it is mended whole', async ({ field, how, edit }) => {
    const before = await look(subject)
    const whole = await comparable(before)
    const { status } = (await edit({ client: before, account: () => accountOf(before) })) as { status: number }
    expect(status).toBeLessThan(300)
    expect(await comparable(await look(subject))).not.toEqual(whole)

    const writes = await realm.writes()
    const planned = await plan(subject)
    console.log(`drift: ${key} ${field} (${how}): ${planned.changes.map((one) => `${one.action} ${one.fields.join(', ')}`).join('; ')}`)
    expect(planned.changes).toEqual([{ action: 'update', kind, key, fields: [field] }])
    expect(await realm.writes()).toBe(writes)
    counts[kind]++

    expect(await apply(subject)).toMatchObject({ applied: true })
    expect(await comparable(await look(subject))).toEqual(whole)
    await quiet(subject)
    counts.mended++
  })

  test('without its marks is somebody else’s until --adopt is said, and nothing is written before', async () => {
    const before = await look(subject)
    const whole = await comparable(before)
    const marks = { mcp_gateway_idp: '', 'mcp_gateway_idp.kind': '' }
    await put({ client: before, account: () => accountOf(before) }, { attributes: marks })
    const writes = await realm.writes()
    for (const flag of ['--plan', '--yes']) {
      const { exit, stdout, stderr } = await cli([...subject.words, flag], administrator(realm, home.path))
      expect({ exit, stdout }).toEqual({ exit: 3, stdout: '' })
      expect(stderr).toContain(`error (conflict): ${kind} ${key} exists and carries no mark of ours; it was left alone`)
      expect(stderr).toContain('--adopt')
    }
    expect(await realm.writes()).toBe(writes)
    counts.refused++
    expect((await plan(subject, { adopt: true })).changes).toEqual([{ action: 'adopt', kind, key, fields: [] }])
    await apply(subject, { adopt: true })
    expect(await comparable(await look(subject))).toEqual(whole)
    await quiet(subject)
  })

  test('is left as it is by the command line too', async () => {
    const writes = await realm.writes()
    const { stdout } = await cli([...subject.words, '--yes', '--json'], administrator(realm, home.path))
    expect(JSON.parse(stdout)).toMatchObject({ applied: false, changes: [] })
    expect(await realm.writes()).toBe(writes)
  })
})

/** Nothing to do, and nothing done. */
async function quiet(subject: Subject): Promise<void> {
  const writes = await realm.writes()
  expect(await apply(subject)).toMatchObject({ applied: false, changes: [] })
  expect(await realm.writes()).toBe(writes)
}

describe('the secret of a machine client', () => {
  const saved = async () =>
    JSON.parse(await readFile(`${home.path}/identities/agent-reporting-agent.json`, 'utf8')) as { client_secret: string }
  const mints = async () => {
    const { client_secret } = await saved()
    return (await askToken(realm, { grant_type: 'client_credentials', client_id: MACHINE.key, client_secret })).status === 200
  }

  test.each([
    [
      'that somebody changed in the console',
      async () => (await realm.admin('POST', `/clients/${(await look(MACHINE)).id}/client-secret`)).status,
    ],
    ['whose file is gone', async () => rm(`${home.path}/identities/agent-reporting-agent.json`).then(() => 200)],
  ])('%s is saved again, told in the plan, and nothing is written at the provider', async (_, lose) => {
    expect(await mints()).toBe(true)
    expect(await lose()).toBe(200)
    expect(await mints().catch(() => false)).toBe(false)
    const writes = await realm.writes()
    const changes = [{ action: 'save_secret', kind: 'machine-client', key: MACHINE.key, fields: ['secret_file'] }]
    expect(await plan(MACHINE)).toMatchObject({ applied: false, changes })
    expect(await mints().catch(() => false)).toBe(false)
    expect(await apply(MACHINE)).toMatchObject({ applied: true, changes, verified: { how: 'a minted token', findings: [] } })
    expect(await mints()).toBe(true)
    expect((await saved()).client_secret).toBe((await look(MACHINE))['secret'])
    expect(await realm.writes()).toBe(writes)
    await quiet(MACHINE)
    counts.secrets++
  })
})

describe('a service account that somebody switched off', () => {
  test('is switched on again, and gets its groups again', async () => {
    const before = await look(MACHINE)
    const whole = await comparable(before)
    await put({ client: before, account: () => accountOf(before) }, { serviceAccountsEnabled: false })
    const { changes } = await plan(MACHINE)
    // Without a service account it is in no group.
    expect(changes).toEqual([{ action: 'update', kind: 'machine-client', key: MACHINE.key, fields: ['grant_types', 'groups'] }])
    await apply(MACHINE)
    expect(await comparable(await look(MACHINE))).toEqual(whole)
    await quiet(MACHINE)
  })
})

describe('redirect URIs that are not ours', () => {
  const codex = 'http://127.0.0.1/callback/AAAAAAAAAAAA'
  const foreign = 'https://somebody-else.example/callback'

  test('are planned for removal, but Codex may have other servers', async () => {
    const client = await look(IDE)
    const before = redirects(client)
    await put({ client, account: () => accountOf(client) }, { redirectUris: [...before, codex, foreign] })
    expect(await plan(IDE)).toMatchObject({ changes: [{ action: 'update', fields: ['redirect_uris'] }] })
    await apply(IDE)
    expect(redirects(await look(IDE)).toSorted()).toEqual([...before, codex].toSorted())
    expect(await plan(IDE)).toMatchObject({ changes: [] })
  })

  test('of Codex go with --prune-redirects', async () => {
    const before = redirects(await look(IDE))
    expect(before).toContain(codex)
    const prune = { prune_redirects: true }
    expect(await plan(IDE, prune)).toMatchObject({ changes: [{ action: 'update', fields: ['redirect_uris'] }] })
    expect(redirects(await look(IDE))).toContain(codex)
    await apply(IDE, prune)
    expect(redirects(await look(IDE)).toSorted()).toEqual(before.filter((one) => one !== codex).toSorted())
  })
})

async function accountOf({ id }: ClientRepresentation): Promise<string> {
  return (await realm.admin<{ id: string }>('GET', `/clients/${id}/service-account-user`)).body.id
}

/**
 * The whole object, with the groups of its service account; lists that Keycloak returns in any order are sorted. Left out is
 * what Keycloak makes itself: ids of mappers, and the time of the secret that it gives to a client which stops being public.
 */
async function comparable(client: ClientRepresentation): Promise<unknown> {
  const { protocolMappers = [], redirectUris, defaultClientScopes, optionalClientScopes, attributes, ...rest } = client
  const { 'client.secret.creation.time': _time, ...kept } = attributes as Record<string, string>
  const sorted = (list: unknown) => (list as string[]).toSorted()
  const mappers = protocolMappers.map(({ id: _, ...one }) => one).toSorted((a, b) => (a.name < b.name ? -1 : 1))
  return {
    ...rest,
    attributes: kept,
    protocolMappers: mappers,
    redirectUris: sorted(redirectUris),
    defaultClientScopes: sorted(defaultClientScopes),
    optionalClientScopes: sorted(optionalClientScopes),
    groups: client['serviceAccountsEnabled'] === true ? await groupsOf(client) : [],
  }
}

async function groupsOf(client: ClientRepresentation): Promise<string[]> {
  const { body } = await realm.admin<{ path: string }[]>('GET', `/users/${await accountOf(client)}/groups`)
  return body.map(({ path }) => path).toSorted()
}

async function makeGroup(path: string): Promise<void> {
  const [name = '', ...above] = path.split('/').toReversed()
  const parent = groupIds.get(above.toReversed().join('/'))
  const { id = '' } = await realm.admin('POST', parent === undefined ? '/groups' : `/groups/${parent}/children`, { name })
  groupIds.set(path, id)
}

async function addForeignParts(subject: Subject, scopeId: string): Promise<void> {
  const client = await look(subject)
  const at = { client, account: () => accountOf(client) }
  const answers = [
    await put(at, { description: 'Kept by somebody else', attributes: FOREIGN_ATTRIBUTES }),
    await realm.admin('PUT', `/clients/${client.id}/default-client-scopes/${scopeId}`),
    await realm.admin('POST', `/clients/${client.id}/protocol-mappers/add-models`, FOREIGN_MAPPERS),
  ]
  expect(answers.map(({ status }) => status)).toEqual([204, 204, 204])
}
