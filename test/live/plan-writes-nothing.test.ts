/**
 * A plan never writes: every change operation of the catalogue, at every provider it can be asked for, planned where it
 * has something to do. Writes are counted by who would suffer them: Keycloak's admin events, the request logs of the
 * registry and of the embedded provider. An operation without a row fails.
 */
import { readdir, rm } from 'node:fs/promises'
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
  const ours = files.filter((file) => /^(?:identities|registrations|\.oauth-tokens|locks)\b/.test(file)).toSorted()
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
    const { result, requests } = await run(name as OperationName, input, true)
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
