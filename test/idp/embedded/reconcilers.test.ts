/** Groups, people and machine clients of a real embedded provider through the port: observe, create, adopt, update, rotate, remove. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { converge } from '../../../core/converge.js'
import { createDoor, type Door, WriteLatch } from '../../../core/http.js'
import { passwordFile } from '../../../core/password-file.js'
import type { Wanted } from '../../../core/plan.js'
import { RIGHTS } from '../../../core/rights.js'
import { secretFile } from '../../../core/secret-file.js'
import { embedded } from '../../../idp/embedded/adapter.js'
import { IDPS, type Tenant } from '../../../idp/index.js'
import { failureOf } from '../../fakes/door.js'
import { answerJson, type FakeServer, serve } from '../../fakes/server.js'
import { MACHINE_SPEC } from '../dcr/fake-server.js'
import { logIn, newPerson, providerInTemporaryFolder, registerClient, type TestProvider, tokenRequest } from './provider.js'

let provider: TestProvider
let home: string
const latch = new WriteLatch()
const doors: Door[] = []

beforeAll(async () => {
  provider = await providerInTemporaryFolder()
  home = await mkdtemp(join(tmpdir(), 'home-'))
})
afterAll(async () => {
  await Promise.all(doors.map((door) => door.close()))
  await provider.stop()
  await rm(home, { recursive: true })
})

function connect(overrides: { profile?: string; issuer?: string; adminToken?: string } = {}): Promise<Tenant> {
  const { issuer, initialAccessToken, adminToken } = provider.running
  const values: Record<string, string> = {
    EMBEDDED_ISSUER: overrides.issuer ?? issuer,
    EMBEDDED_INITIAL_ACCESS_TOKEN: initialAccessToken.reveal(),
    EMBEDDED_ADMIN_TOKEN: overrides.adminToken ?? adminToken.reveal(),
  }
  return embedded.connect({
    settings: (name) => values[name],
    profile: overrides.profile ?? 'default',
    home,
    open(options) {
      const door = createDoor({ ...options, latch })
      doors.push(door)
      return door
    },
  })
}

async function run(wanted: readonly Wanted[], tenant?: Tenant) {
  const { reconcilers, lock } = tenant ?? (await connect())
  return converge({ wanted, reconcilers, tenants: [lock] }, { latch, approve: async () => true, lock: (_tenants, work) => work() })
}

/** What was done, and that doing it again does nothing. */
async function settled(wanted: readonly Wanted[]): Promise<string[]> {
  const { changes } = await run(wanted)
  expect((await run(wanted)).changes).toEqual([])
  return changes.map(({ action, kind, key }) => `${action} ${kind} ${key}`)
}

const group = (name: string, more: { description?: string; adopt?: boolean } = {}): Wanted => {
  const { adopt, ...fields } = more
  return { kind: 'group', key: name, ensure: 'present', spec: { name, ...fields }, ...(adopt ? { adopt } : {}) }
}

describe('groups', () => {
  test('are made parents first, changed alone, and removed children first', async () => {
    expect(await settled([group('data/lake/raw'), group('data'), group('data/lake', { description: 'all of it' })])).toEqual([
      'create group data',
      'create group data/lake',
      'create group data/lake/raw',
    ])
    expect(await settled([group('data/lake', { description: 'most of it' })])).toEqual(['update group data/lake'])
    const { reconcilers } = await connect()
    const seen = await reconcilers.group?.observe(['data', 'data/lake', 'missing'])
    expect(seen?.get('data')).toMatchObject({ owner: 'us', holds: ['data/lake', 'data/lake/raw'] })
    expect(seen?.get('data/lake')).toMatchObject({ spec: { name: 'data/lake', description: 'most of it' } })
    expect(await reconcilers.group?.owned?.()).toEqual(['data', 'data/lake', 'data/lake/raw'])
    const absent = (key: string): Wanted => ({ kind: 'group', key, ensure: 'absent' })
    expect(await failureOf(run([absent('data')]))).toMatchObject({ code: 'conflict' })
    expect(await settled(['data', 'data/lake/raw', 'data/lake'].map(absent))).toEqual([
      'remove group data/lake/raw',
      'remove group data/lake',
      'remove group data',
    ])
  })

  test('whose parent is missing are refused by its name', async () => {
    expect(await failureOf(run([group('nowhere/inner')]))).toMatchObject({
      code: 'not_found',
      details: { kind: 'group', key: 'nowhere' },
    })
  })

  test('that were seeded are nobody’s until they are adopted, and then another profile’s', async () => {
    expect(await failureOf(run([group('demo-readers')]))).toMatchObject({ code: 'conflict' })
    expect(await settled([group('demo-readers', { adopt: true, description: 'may read' })])).toEqual(['adopt group demo-readers'])
    const other = await connect({ profile: 'other' })
    expect(await failureOf(run([group('demo-readers', { adopt: true })], other))).toMatchObject({ code: 'owned_elsewhere' })
    expect(await other.reconcilers.group?.owned?.()).toEqual([])
    const seen = await other.reconcilers.group?.observe(['demo-readers'])
    expect(seen?.get('demo-readers')).toMatchObject({ owner: { other: 'profile default' }, spec: { description: 'may read' } })
  })
})

describe('people', () => {
  const fileOf = (username: string) => join(home, 'people', `${username}.json`)
  const person = (username: string, spec: Record<string, unknown> = {}, adopt = false): Wanted => ({
    kind: 'user',
    key: username,
    ensure: 'present',
    spec: { username, ...spec },
    sink: passwordFile(fileOf(username), { username, issuer: provider.running.issuer }),
    ...(adopt ? { adopt } : {}),
  })

  test('get a temporary password in a file, which opens the page for a new one; a second run and a lost file reset nothing', async () => {
    const spec = { email: 'analyst@demo.example', given_name: 'An', family_name: 'Alyst', groups: ['registry-admins'] }
    expect(await settled([person('analyst', spec)])).toEqual(['create user analyst'])
    const { password, ...facts } = JSON.parse(await readFile(fileOf('analyst'), 'utf8')) as Record<string, unknown>
    expect(facts).toEqual({ username: 'analyst', issuer: provider.running.issuer, temporary: true })
    const client_id = String((await registerClient(provider))['client_id'])
    expect(await logIn(provider, { client_id, username: 'analyst', password: String(password) })).toMatchObject({
      page: expect.stringContaining('Choose a new password'),
    })
    await rm(fileOf('analyst'))
    expect(await settled([person('analyst', spec)])).toEqual([])
  })

  test('are changed field by field, with exact groups, and removed', async () => {
    await run([person('mover', { groups: ['registry-admins', 'demo-readers'] })])
    expect(await settled([person('mover', { given_name: 'Mo', groups: ['demo-readers'] })])).toEqual(['update user mover'])
    expect(await settled([person('mover', { enabled: false })])).toEqual(['update user mover'])
    const { reconcilers } = await connect()
    const spec = { username: 'mover', given_name: 'Mo', enabled: false, groups: ['demo-readers'] }
    expect((await reconcilers.user?.observe(['mover', 'missing']))?.get('mover')).toEqual({ id: 'mover', owner: 'us', spec })
    expect(reconcilers.user?.secret).toBe('initial')
    expect(await reconcilers.user?.owned?.()).toContain('mover')
    expect(await settled([{ kind: 'user', key: 'mover', ensure: 'absent' }])).toEqual(['remove user mover'])
    expect(await reconcilers.user?.owned?.()).not.toContain('mover')
  })

  test('that were seeded are nobody’s: adopting keeps their password and what is not named', async () => {
    expect(await failureOf(run([person('ada', { given_name: 'Ada' })]))).toMatchObject({ code: 'conflict' })
    expect(await settled([person('ada', { given_name: 'Ada' }, true)])).toEqual(['adopt user ada'])
    const { reconcilers } = await connect()
    expect((await reconcilers.user?.observe(['ada']))?.get('ada')).toMatchObject({
      owner: 'us',
      spec: { email: 'ada@demo.example', given_name: 'Ada', enabled: true, groups: ['demo-readers'] },
    })
    const client_id = String((await registerClient(provider))['client_id'])
    expect(await logIn(provider, { client_id })).toHaveProperty('code')
    const other = await connect({ profile: 'other' })
    expect(await failureOf(run([person('ada', {}, true)], other))).toMatchObject({ code: 'owned_elsewhere' })
  })

  test('in a group that is missing are told as that, and are not there', async () => {
    expect(await failureOf(run([person('lost', { groups: ['nowhere'] })]))).toMatchObject({ code: 'not_found', details: { kind: 'group' } })
    const { reconcilers } = await connect()
    expect(await reconcilers.user?.observe(['lost'])).toEqual(new Map())
  })

  test('without a place for the first password are not made', async () => {
    const wanted: Wanted = { kind: 'user', key: 'nofile', ensure: 'present', spec: { username: 'nofile' } }
    expect(await failureOf(run([wanted]))).toMatchObject({ code: 'unsupported' })
  })

  test('beyond the first page are found', async () => {
    await newPerson(provider, 'zz-last')
    const { openStore } = await import('../../../idp/embedded/store.js')
    const store = await openStore(provider.folder)
    const nothing = {
      given_name: null,
      family_name: null,
      owner: null,
      name: '',
      email: '',
      enabled: 1,
      temporary: 0,
      salt: 'x',
      hash: 'x',
    }
    const rows = Array.from({ length: 250 }, (_, index) => ({ username: `m${index}`, ...nothing }))
    for (let at = 0; at < rows.length; at += 100)
      await store
        .insertInto('people')
        .values(rows.slice(at, at + 100))
        .execute()
    await store.destroy()
    const { reconcilers } = await connect()
    const seen = await reconcilers.user?.observe(['zz-last', 'm249'])
    expect([...(seen?.keys() ?? [])].sort()).toEqual(['m249', 'zz-last'])
  })
})

describe('a machine client', () => {
  const file = () => join(home, 'identities', 'rotated.json')

  test('gets a new secret by rotation: the old one is refused at the token endpoint, the new one in the file mints', async () => {
    const tenant = await connect()
    const sink = () => secretFile(file(), tenant.identityFacts('rotated'))
    const spec = { ...MACHINE_SPEC, client_name: 'rotated' }
    await run([{ kind: 'machine-client', key: 'rotated', ensure: 'present', spec, sink: sink() }])
    const saved = async () => JSON.parse(await readFile(file(), 'utf8')) as { client_id: string; client_secret: string }
    const minted = ({ client_id, client_secret }: { client_id: string; client_secret: string }) =>
      tokenRequest(provider, { grant_type: 'client_credentials' }, { client_id, secret: client_secret })
    const old = await saved()
    expect((await minted(old)).status).toBe(200)
    const rotation = await run([{ kind: 'machine-client', key: 'rotated', ensure: 'rotated', sink: sink() }])
    expect(rotation.changes.map(({ action }) => action)).toEqual(['rotate_secret'])
    const fresh = await saved()
    expect(fresh.client_id).toBe(old.client_id)
    expect(fresh.client_secret).not.toBe(old.client_secret)
    expect(await minted(old)).toMatchObject({ status: 401, body: { error: 'invalid_client' } })
    expect((await minted(fresh)).status).toBe(200)
    expect(await settled([{ kind: 'machine-client', key: 'rotated', ensure: 'present', spec, sink: sink() }])).toEqual([])
    expect(await tenant.reconcilers['machine-client']?.owned?.()).toContain('rotated')
  })
})

describe('the tenant', () => {
  test('tells the registry its issuer and nothing secret, and has no evaluation', async () => {
    const tenant = await connect()
    const { issuer } = provider.running
    expect(tenant).toMatchObject({ idp: 'embedded', name: issuer, issuer, lock: issuer })
    expect(tenant.registrySettings).toEqual({ AUTH_PROVIDER: 'embedded', EMBEDDED_ISSUER: issuer })
    expect(tenant).not.toHaveProperty('evaluate')
  })

  test('tells its rights by one read: all of clients, groups and people with the admin token, none without', async () => {
    for (const [adminToken, held] of [
      [undefined, 'yes'],
      ['a-wrong-admin-token', 'no'],
    ] as const) {
      const tenant = await connect(adminToken === undefined ? {} : { adminToken })
      const rights = await tenant.rights()
      expect(Object.keys(rights).sort()).toEqual(Object.keys(RIGHTS).sort())
      for (const [right, answer] of Object.entries(rights))
        expect([right, answer]).toEqual([right, /^(?:clients|groups|users):/.test(right) ? held : 'no'])
      const journal = doors.at(-1)?.journal.map(({ method, class: kind }) => `${method} ${kind}`)
      expect(journal).toEqual(['GET read'])
    }
    expect(IDPS.embedded.capabilities).toMatchObject({
      gateway_clients: 'built_in',
      rights: { 'users:write': ['admin token'], 'tenant:create': [] },
    })
  })

  test('with a wrong admin token is unauthenticated for groups and people alike', async () => {
    const { reconcilers } = await connect({ adminToken: 'a-wrong-admin-token' })
    for (const kind of ['group', 'user'] as const)
      expect(await failureOf(Promise.resolve(reconcilers[kind]?.observe([])))).toMatchObject({ code: 'unauthenticated' })
  })

  test.each([
    ['pages without an end', 200, { users: [], next: 'again' }, 'unexpected_response'],
    ['a list of something else', 200, { users: [{ username: 'ada', enabled: 'yes', groups: [] }] }, 'unexpected_response'],
    ['a server error', 500, {}, 'unavailable'],
    ['no such path', 404, {}, 'unexpected_response'],
  ])('that answers with %s is told as %3$s', async (_what, status, body, code) => {
    const server: FakeServer = await serve((_request, response) => answerJson(response, status, body))
    try {
      const { reconcilers } = await connect({ issuer: server.origin })
      expect(await failureOf(Promise.resolve(reconcilers.user?.observe(['ada'])))).toMatchObject({ code })
    } finally {
      await server.close()
    }
  })
})
