/**
 * A plan never writes: every change operation of the catalogue, at every provider it can be asked for, planned where it
 * has something to do. Writes are counted by who would suffer them: Keycloak's admin events, the request logs of the
 * registry and of the embedded provider. An operation without a row fails.
 */
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { secretFile } from '../../core/secret-file.js'
import { IDP_NAMES } from '../../core/vocabulary.js'
import { type RunningProvider, startEmbeddedProvider } from '../../idp/embedded/server.js'
import { IDPS } from '../../idp/index.js'
import { type RunningRegistry, startRegistry } from '../../registry/server/start.js'
import { CATALOG, type OperationName, openToolkit } from '../../toolkit/index.js'
import { administrator, type Changed, clientOf, makeFolder } from './product.js'
import { makeRealm, type Realm } from './rig/keycloak.js'

type Input = Readonly<Record<string, unknown>>
interface Row {
  /** What there is to do. */
  readonly when: string
  readonly input: Input
  readonly actions: readonly string[]
  arrange?(): Promise<unknown>
}

const SERVER_URL = 'https://gateway.example.com/my-server/mcp'
const record = (client_id: string, enabled = true) =>
  apply('register_m2m_client', { client_id, client_name: client_id, groups: enabled ? ['demo-readers'] : [] })
const machine = (idp: string, name: string): Input => ({ idp, name, groups: ['demo-readers'] })

/** By operation, and by provider where it takes one. */
const ROWS: Readonly<Record<string, readonly Row[]>> = {
  'setup_ide_client keycloak': [
    { when: 'the client is missing', input: { idp: 'keycloak' }, actions: ['create'] },
    {
      when: 'it lacks a redirect URI and lost its PKCE',
      input: { idp: 'keycloak', client_id: 'drifted', server_urls: [SERVER_URL] },
      actions: ['update'],
      async arrange() {
        await apply('setup_ide_client', { idp: 'keycloak', client_id: 'drifted' })
        const { id } = await clientOf(realm, 'drifted')
        await realm.admin('PUT', `/clients/${id}`, { attributes: { 'pkce.code.challenge.method': '' } })
      },
    },
  ],
  'setup_ide_client embedded': [
    { when: 'the client is missing', input: { idp: 'embedded' }, actions: ['create'] },
    {
      when: 'it lacks a redirect URI',
      input: { idp: 'embedded', name: 'drifted', server_urls: [SERVER_URL] },
      actions: ['update'],
      arrange: () => apply('setup_ide_client', { idp: 'embedded', name: 'drifted' }),
    },
  ],
  'setup_m2m_app keycloak': [
    {
      when: 'group, client and record are missing',
      input: { idp: 'keycloak', name: 'all-new', groups: ['new-group'], create_groups: true },
      actions: ['create', 'create', 'create'],
    },
    {
      when: 'its groups differ',
      input: { idp: 'keycloak', name: 'regrouped', groups: [] },
      actions: ['update', 'update'],
      arrange: () => apply('setup_m2m_app', machine('keycloak', 'regrouped')),
    },
    {
      when: 'the file with its secret is lost',
      input: machine('keycloak', 'forgotten'),
      actions: ['save_secret'],
      async arrange() {
        await apply('setup_m2m_app', machine('keycloak', 'forgotten'))
        await rm(join(home.path, 'identities', 'agent-forgotten.json'))
      },
    },
  ],
  'setup_m2m_app embedded': [
    {
      when: 'group, client and record are missing',
      input: { idp: 'embedded', name: 'all-new-there', groups: ['new-group'], create_groups: true },
      actions: ['create', 'create', 'create'],
    },
    {
      when: 'the groups of its record differ',
      input: { idp: 'embedded', name: 'regrouped-there', groups: [] },
      actions: ['update'],
      arrange: () => apply('setup_m2m_app', machine('embedded', 'regrouped-there')),
    },
  ],
  'init_tenant keycloak': [
    {
      when: 'the realm is nobody’s and has nothing of the gateway',
      input: { idp: 'keycloak', adopt: true },
      actions: ['adopt', 'create', 'create', 'create', 'create', 'create'],
    },
  ],
  'init_tenant embedded': [{ when: 'there is no administrator', input: { idp: 'embedded' }, actions: ['create', 'create'] }],
  ...Object.fromEntries(
    IDP_NAMES.flatMap((idp): [string, Row[]][] => [
      [
        `setup_groups ${idp}`,
        [
          { when: 'they are missing', input: { idp, groups: ['planned', 'planned/inner'] }, actions: ['create', 'create'] },
          {
            when: 'one is described in another way',
            input: { idp, files: [`${idp}-described.json`] },
            actions: ['update'],
            async arrange() {
              await apply('setup_groups', { idp, groups: ['described'] })
              await describedGroup(`${idp}-described.json`)
            },
          },
        ],
      ],
      [
        `setup_users ${idp}`,
        [
          { when: 'the person is missing', input: { idp, username: 'planned', groups: ['demo-readers'] }, actions: ['create'] },
          {
            when: 'the person is in another group',
            input: { idp, username: 'known', groups: ['demo-readers'] },
            actions: ['update'],
            arrange: () => apply('setup_users', { idp, username: 'known' }),
          },
        ],
      ],
      [
        `rotate_secret ${idp}`,
        [
          {
            when: 'there is a client of ours',
            input: { idp, name: `rotated-${idp}` },
            actions: ['rotate_secret'],
            arrange: () => apply('setup_m2m_app', machine(idp, `rotated-${idp}`)),
          },
        ],
      ],
      [
        `remove_setup ${idp}`,
        [
          {
            when: 'there is a machine of ours with its record',
            input: { idp, clients: [`doomed-${idp}`] },
            actions: ['remove', 'remove'],
            arrange: () => apply('setup_m2m_app', machine(idp, `doomed-${idp}`)),
          },
        ],
      ],
    ]),
  ),
  register_m2m_client: [{ when: 'there is no record', input: { client_id: 'unknown', client_name: 'Unknown' }, actions: ['create'] }],
  assign_groups: [
    { when: 'it has other groups', input: { client_id: 'assigned', groups: [] }, actions: ['update'], arrange: () => record('assigned') },
  ],
  update_m2m_client: [
    { when: 'it is on', input: { client_id: 'on', enabled: false }, actions: ['update'], arrange: () => record('on') },
    {
      when: 'it has another name',
      input: { client_id: 'named', client_name: 'New name' },
      actions: ['update'],
      arrange: () => record('named'),
    },
  ],
  delete_m2m_client: [{ when: 'there is one', input: { client_id: 'doomed' }, actions: ['remove'], arrange: () => record('doomed') }],
}

/** Files of an input lie in the home, which the rows do not know yet. */
function atHome({ files, ...input }: Input): Input {
  return Array.isArray(files) ? { ...input, files: files.map((file) => join(home.path, String(file))) } : input
}

async function describedGroup(name: string): Promise<void> {
  await writeFile(join(home.path, name), JSON.stringify({ scope_name: 'described', description: 'Described', create_in_idp: true }))
}

let realm: Realm
let home: Awaited<ReturnType<typeof makeFolder>>
let provider: RunningProvider
let registry: RunningRegistry
/** What the two servers of ours were asked that is not a read; asking for a token changes nothing. */
const served = { provider: 0, registry: 0 }
const counts = { plans: 0, changes: 0, reads: 0 }

beforeAll(async () => {
  home = await makeFolder()
  realm = await makeRealm({ groups: ['demo-readers'] })
  provider = await startEmbeddedProvider({
    folder: join(home.path, 'provider'),
    port: 0,
    seed: { groups: ['demo-readers'], people: [], machine: { client_name: 'mcp-gateway-m2m' } },
    onRequest: ({ method, path }) => {
      if (method !== 'GET' && path !== '/token') served.provider++
    },
  })
  const { client_id, client_secret } = provider.machine
  registry = await startRegistry({
    folder: join(home.path, 'registry'),
    port: 0,
    issuers: [
      { name: 'keycloak', issuer: realm.issuer, rules: IDPS.keycloak.capabilities.token },
      { name: 'embedded', issuer: provider.issuer, rules: IDPS.embedded.capabilities.token },
    ],
    seed: { m2m_client: { client_id, name: 'gateway', issuer: provider.issuer } },
    onRequest: ({ method }) => {
      if (method !== 'GET') served.registry++
    },
  })
  const facts = { identity_name: 'gateway', auth_provider: 'embedded', issuer: provider.issuer }
  await secretFile(join(home.path, 'gateway.json'), facts).save(client_secret, client_id)
})
afterAll(async () => {
  await registry?.close()
  await provider?.close()
  await realm?.remove()
  await home?.remove()
})

const environment = () => ({
  ...administrator(realm, home.path),
  REGISTRY_URL: registry.url,
  REGISTRY_IDENTITY_FILE: 'gateway.json',
  EMBEDDED_ISSUER: provider.issuer,
  EMBEDDED_INITIAL_ACCESS_TOKEN: provider.initialAccessToken.reveal(),
  EMBEDDED_ADMIN_TOKEN: provider.adminToken.reveal(),
})

async function run(name: OperationName, input: Input, planOnly: boolean) {
  // A yes to everything: what stops a plan is that it is one.
  const toolkit = await openToolkit({ env: environment(), home: home.path, planOnly, approve: async () => true })
  try {
    return { result: (await toolkit.run(name, input)) as unknown as Changed, requests: toolkit.context.requests }
  } finally {
    await toolkit.close()
  }
}

async function apply(name: OperationName, input: Input): Promise<void> {
  const before = await written()
  const { result, requests } = await run(name, input, false)
  expect(result.applied).toBe(true)
  // The oracles see what an apply does.
  expect(await written()).not.toEqual(before)
  expect(requests.some((one) => one.class === 'write')).toBe(true)
}

/** Everything that was written anywhere so far, and every file of ours. */
async function written() {
  // The provider logs a request when its answer has gone out.
  await sleep(50)
  const files = await readdir(home.path, { recursive: true })
  const ours = files
    .filter((file) => /^(?:identities|clients|people|registry\.env|registrations|\.oauth-tokens|locks)\b/.test(file))
    .toSorted()
  return { ...served, keycloak: await realm.writes(), files: ours }
}

/** The keys that the rows must have. */
async function operations(): Promise<string[]> {
  const changing = CATALOG.filter(({ safety }) => safety === 'write' || safety === 'destructive')
  const keys = await Promise.all(
    changing.map(async ({ name, load }) => ('idp' in (await load()).input.shape ? IDP_NAMES.map((idp) => `${name} ${idp}`) : [name])),
  )
  return keys.flat()
}

test('every change operation of the catalogue has a row, and every row is one of them', async () => {
  const keys = await operations()
  expect(keys.length).toBeGreaterThan(0)
  expect(Object.keys(ROWS).toSorted()).toEqual(keys.toSorted())
})

const PLANS = Object.entries(ROWS).flatMap(([key, rows]) => rows.map((row) => ({ key, ...row })))
describe('planning', () => {
  test.each(PLANS)('$key when $when writes nothing', async ({ key, input, actions, arrange }) => {
    await arrange?.()
    const before = await written()
    const [name = ''] = key.split(' ')
    const { result, requests } = await run(name as OperationName, atHome(input), true)
    expect(result.applied).toBe(false)
    expect(result.changes.map(({ action }) => action)).toEqual(actions)
    expect(await written()).toEqual(before)
    expect(requests.filter((one) => one.class === 'write')).toEqual([])
    counts.plans++
    counts.reads += requests.length
    counts.changes += actions.length
  })

  test('of them all saw something to do', async () => {
    const { keycloak, provider: there, registry: rows } = await written()
    console.log(
      `plan-writes-nothing: ${counts.plans} plans with ${counts.changes} changes of ${(await operations()).length} operations: ${counts.reads} reads, 0 writes; ` +
        `their arrangement took ${keycloak} at Keycloak, ${there} at the embedded provider, ${rows} at the registry`,
    )
    expect(counts.plans).toBe(PLANS.length)
    expect(Math.min(...Object.values(counts), keycloak, there, rows)).toBeGreaterThan(0)
  })
})
