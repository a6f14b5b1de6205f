/** Clients at a real embedded provider: observe, create, observe, update, remove, and converge over all of it. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { converge } from '../../../core/converge.js'
import { createDoor, type Door, WriteLatch } from '../../../core/http.js'
import type { Wanted } from '../../../core/plan.js'
import { Secret } from '../../../core/secret.js'
import { secretFile } from '../../../core/secret-file.js'
import { dcrReconcilers } from '../../../idp/dcr/reconcilers.js'
import { embedded } from '../../../idp/embedded/adapter.js'
import { createMinter } from '../../../idp/tokens.js'
import { doorTo, failureOf, type TestDoor } from '../../fakes/door.js'
import { providerInTemporaryFolder, REDIRECT_URIS, type TestProvider, tokensFor, verified } from '../embedded/provider.js'
import { MACHINE_SPEC, PUBLIC_SPEC } from './fake-server.js'

let provider: TestProvider
let door: TestDoor
let home: string
let reconcilers: ReturnType<typeof dcrReconcilers>

beforeAll(async () => {
  provider = await providerInTemporaryFolder()
  home = await mkdtemp(join(tmpdir(), 'home-'))
  const { issuer, initialAccessToken } = provider.running
  door = doorTo([issuer])
  reconcilers = dcrReconcilers({
    issuer,
    door,
    initialAccessToken,
    registrationsFolder: join(home, 'registrations'),
    application_type: 'native',
    profile: 'default',
  })
})
afterAll(async () => {
  await door.close()
  await provider.stop()
  await rm(home, { recursive: true })
})
const write = <T>(work: () => Promise<T>) => door.latch.whileOpen(work)

/** The provider's own view, opened with the registration access token from the file. */
async function metadataOf(
  client_name: string,
  put?: (metadata: Record<string, unknown>) => Record<string, unknown>,
): Promise<Record<string, unknown>> {
  const { registrationsOf } = await import('../../../idp/dcr/registrations.js')
  const registration = await registrationsOf(provider.running.issuer, join(home, 'registrations')).read(client_name)
  if (!registration) throw new Error('no registration')
  const authorization = `Bearer ${registration.registration_access_token.reveal()}`
  const get = (await (await fetch(registration.registration_client_uri, { headers: { authorization } })).json()) as Record<string, unknown>
  if (!put) return get
  const { registration_access_token, registration_client_uri, client_secret_expires_at, client_id_issued_at, ...kept } = get
  const response = await fetch(registration.registration_client_uri, {
    method: 'PUT',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify(put(kept)),
  })
  if (response.status !== 200) throw new Error(await response.text())
  return (await response.json()) as Record<string, unknown>
}

describe('a public client', () => {
  const spec = { ...PUBLIC_SPEC, redirect_uris: REDIRECT_URIS }
  const key = spec.client_name
  const observe = async () => (await reconcilers['public-client'].observe([key, 'never created'])).get(key)

  test('is absent, then created, then observed as created, ours, and good for a login', async () => {
    expect((await reconcilers['public-client'].observe([key])).size).toBe(0)
    const created = await write(() => reconcilers['public-client'].create(spec))
    expect(created).not.toHaveProperty('secret')
    const seen = await observe()
    expect(seen).toEqual({ id: created.spec?.client_id, owner: 'us', spec: { ...spec, client_id: created.spec?.client_id } })
    const { access_token } = await tokensFor(provider, { client_id: String(created.spec?.client_id) })
    expect((await verified(provider, access_token)).claims).toMatchObject({ client_id: created.spec?.client_id, aud: 'mcp-gateway' })
  })

  test('keeps its mark and foreign fields when one field is updated', async () => {
    await metadataOf(key, (metadata) => ({ ...metadata, contacts: ['ops@demo.example'], default_max_age: 900 }))
    const before = await metadataOf(key)
    const seen = await observe()
    if (!seen) throw new Error('not seen')
    await write(() => reconcilers['public-client'].update(seen, { redirect_uris: ['http://localhost/callback'] }))
    const after = await metadataOf(key)
    expect(after).toEqual({ ...before, redirect_uris: ['http://localhost/callback'] })
    expect(after).toMatchObject({
      contacts: ['ops@demo.example'],
      default_max_age: 900,
      mcp_gateway_idp: 'default',
      application_type: 'native',
    })
  })

  test('is gone after its removal, at the server too', async () => {
    const seen = await observe()
    if (!seen) throw new Error('not seen')
    const { registration_client_uri, registration_access_token } = await metadataOf(key)
    await write(() => reconcilers['public-client'].remove(seen))
    expect(await observe()).toBeUndefined()
    const answer = await fetch(String(registration_client_uri), {
      headers: { authorization: `Bearer ${String(registration_access_token)}` },
    })
    expect(answer.status).toBe(401)
    expect(await failureOf(write(() => reconcilers['public-client'].remove(seen)))).toMatchObject({ code: 'not_found' })
  })
})

describe('a machine client', () => {
  const key = MACHINE_SPEC.client_name
  const observe = async () => (await reconcilers['machine-client'].observe([key])).get(key)

  test('is created with its secret, which can be read again and survives an update', async () => {
    expect(reconcilers['machine-client'].secret).toBe('issued')
    const { secret, spec } = await write(() => reconcilers['machine-client'].create(MACHINE_SPEC))
    const seen = await observe()
    if (!seen || !secret) throw new Error('not seen')
    expect(seen).toEqual({
      id: spec?.client_id,
      owner: 'us',
      spec: { ...MACHINE_SPEC, client_id: spec?.client_id },
      secret: expect.any(Secret),
    })
    expect(seen.secret?.equals(secret)).toBe(true)
    await write(() => reconcilers['machine-client'].update(seen, { token_endpoint_auth_method: 'client_secret_post' }))
    const later = await observe()
    expect(later?.secret?.equals(secret)).toBe(true)
    expect(later?.spec.token_endpoint_auth_method).toBe('client_secret_post')
    expect(reconcilers['machine-client']).not.toHaveProperty('setSecret')
    await write(() => reconcilers['machine-client'].remove(seen))
    expect(await observe()).toBeUndefined()
  })
})

describe('clients of ours', () => {
  test('are those whose registration file we hold and whose client is there, each under its own kind', async () => {
    const { 'public-client': people, 'machine-client': machines } = reconcilers
    expect([await people.owned?.(), await machines.owned?.()]).toEqual([[], []])
    await write(() => people.create({ ...PUBLIC_SPEC, client_name: 'Second IDE' }))
    for (const client_name of ['batch', 'Gone at the server']) await write(() => machines.create({ ...MACHINE_SPEC, client_name }))
    expect(await machines.owned?.()).toEqual(expect.arrayContaining(['Gone at the server', 'batch']))
    const { registration_client_uri, registration_access_token } = await metadataOf('Gone at the server')
    const authorization = `Bearer ${String(registration_access_token)}`
    expect((await fetch(String(registration_client_uri), { method: 'DELETE', headers: { authorization } })).status).toBe(204)
    expect([await people.owned?.(), await machines.owned?.()]).toEqual([['Second IDE'], ['batch']])
    await metadataOf('batch', (metadata) => ({ ...metadata, mcp_gateway_idp: 'other' }))
    expect(await machines.owned?.()).toEqual([])
  })

  test('are not counted past a file that cannot be read', async () => {
    const { registrationsOf } = await import('../../../idp/dcr/registrations.js')
    const folder = await mkdtemp(join(tmpdir(), 'torn-'))
    try {
      const registrations = registrationsOf(provider.running.issuer, folder)
      const client_id = 'mcp-1'
      const registration_client_uri = `${provider.running.issuer}/reg/${client_id}`
      const facts = { issuer: provider.running.issuer, client_name: 'torn', client_id, registration_client_uri }
      await registrations.save({ ...facts, registration_access_token: new Secret('a-planted-token') })
      const [issuerFolder = ''] = await readdir(folder)
      await writeFile(join(folder, issuerFolder, 'torn.json'), '{"registration_access_token":"a-planted-token"')
      const options = { issuer: provider.running.issuer, door, initialAccessToken: undefined, registrationsFolder: folder }
      const mine = dcrReconcilers({ ...options, application_type: 'native', profile: 'default' })
      for (const { owned } of [mine['public-client'], mine['machine-client']]) {
        const failure = await failureOf(Promise.resolve(owned?.()))
        expect(failure.code).toBe('invalid_input')
        expect(failure.message).toContain('torn.json')
        expect(failure.message).not.toContain('a-planted-token')
      }
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})

describe('the embedded provider behind the port', () => {
  const settings = (overrides: Record<string, string> = {}) => {
    const { issuer, initialAccessToken, adminToken } = provider.running
    const values: Record<string, string> = {
      EMBEDDED_ISSUER: issuer,
      EMBEDDED_INITIAL_ACCESS_TOKEN: initialAccessToken.reveal(),
      EMBEDDED_ADMIN_TOKEN: adminToken.reveal(),
      ...overrides,
    }
    return (name: string) => values[name]
  }

  test('converges to a group, a public client and a machine client with its secret in a file; a second run writes nothing', async () => {
    const latch = new WriteLatch()
    const doors: Door[] = []
    const tenant = await embedded.connect({
      settings: settings(),
      profile: 'default',
      home,
      open(options) {
        const opened = createDoor({ ...options, latch })
        doors.push(opened)
        return opened
      },
    })
    try {
      const path = join(home, 'identities', 'nightly.json')
      const wanted: Wanted[] = [
        { kind: 'group', key: 'nightly-readers', ensure: 'present', spec: { name: 'nightly-readers' } },
        { kind: 'public-client', key: 'IDE', ensure: 'present', spec: { ...PUBLIC_SPEC, client_name: 'IDE' } },
        {
          kind: 'machine-client',
          key: 'nightly',
          ensure: 'present',
          spec: { ...MACHINE_SPEC, client_name: 'nightly' },
          sink: secretFile(path, tenant.identityFacts('nightly')),
        },
      ]
      const run = () =>
        converge(
          { wanted, reconcilers: tenant.reconcilers, tenants: [tenant.lock] },
          { latch, approve: async () => true, lock: (_tenants, work) => work() },
        )
      const first = await run()
      expect(first.changes.map(({ action, kind, key }) => `${action} ${kind} ${key}`)).toEqual([
        'create group nightly-readers',
        'create public-client IDE',
        'create machine-client nightly',
      ])
      expect(first.receipts).toMatchObject([{ saved_to: path, mode: '0600' }])
      const writes = () => doors.flatMap(({ journal }) => journal).filter((entry) => entry.class === 'write').length
      const before = writes()
      expect(before).toBe(3)
      expect(await run()).toMatchObject({ changes: [], applied: false })
      expect(writes()).toBe(before)

      const { identity_name, auth_provider, client_id, client_secret, ...fields } = JSON.parse(await readFile(path, 'utf8')) as Record<
        string,
        string
      >
      expect({ identity_name, auth_provider, fields }).toEqual({
        identity_name: 'nightly',
        auth_provider: 'embedded',
        fields: { issuer: provider.running.issuer },
      })
      const identity = {
        identity_name: 'nightly',
        auth_provider: 'embedded',
        client_id: String(client_id),
        fields,
      } as const
      const minter = createMinter((origin) => doorTo([origin], { isRead: ({ method }) => method === 'POST' && 'once' }))
      const minted = await minter.mint(identity, { client_secret: new Secret(String(client_secret)) })
      expect(minted.issuer).toBe(provider.running.issuer)
      expect((await verified(provider, minted.token.access_token.reveal())).claims).toMatchObject({ sub: client_id, aud: 'mcp-gateway' })
    } finally {
      await Promise.all(doors.map((opened) => opened.close()))
    }
  })

  test('a lost secret file is written again from what the provider says', async () => {
    const latch = new WriteLatch()
    const doors: Door[] = []
    const tenant = await embedded.connect({
      settings: settings(),
      profile: 'default',
      home,
      open(options) {
        const opened = createDoor({ ...options, latch })
        doors.push(opened)
        return opened
      },
    })
    try {
      const path = join(home, 'identities', 'lost.json')
      const wanted: Wanted[] = [
        {
          kind: 'machine-client',
          key: 'lost',
          ensure: 'present',
          spec: { ...MACHINE_SPEC, client_name: 'lost' },
          sink: secretFile(path, tenant.identityFacts('lost')),
        },
      ]
      const run = () =>
        converge(
          { wanted, reconcilers: tenant.reconcilers, tenants: [tenant.lock] },
          { latch, approve: async () => true, lock: (_tenants, work) => work() },
        )
      await run()
      const saved = await readFile(path, 'utf8')
      await rm(path)
      expect((await run()).changes).toMatchObject([{ action: 'save_secret', key: 'lost' }])
      expect(await readFile(path, 'utf8')).toBe(saved)
    } finally {
      await Promise.all(doors.map((opened) => opened.close()))
    }
  })

  test('everything that is missing is told at once', async () => {
    const failure = await failureOf(
      embedded.connect({
        settings: () => undefined,
        profile: 'default',
        home,
        open: (options) => createDoor({ ...options, latch: new WriteLatch() }),
      }),
    )
    expect(failure).toMatchObject({
      code: 'not_configured',
      details: { missing: ['EMBEDDED_ISSUER', 'EMBEDDED_INITIAL_ACCESS_TOKEN', 'EMBEDDED_ADMIN_TOKEN'] },
    })
  })

  test.each(['http://idp.example.com', 'http://127.0.0.1.idp.example.com:8888'])(
    '%s is refused before anything is sent: plain http is for loopback',
    async (issuer) => {
      expect(
        await failureOf(
          embedded.connect({
            settings: settings({ EMBEDDED_ISSUER: issuer }),
            profile: 'default',
            home,
            open: (options) => createDoor({ ...options, latch: new WriteLatch() }),
          }),
        ),
      ).toMatchObject({ code: 'invalid_input' })
      const identity = {
        identity_name: 'x',
        auth_provider: 'embedded',
        client_id: 'x',
        fields: { issuer },
      } as const
      const minter = createMinter((origin) => createDoor({ origins: [origin], latch: new WriteLatch() }))
      const minted = minter.mint(identity, { client_secret: new Secret('unsent-secret') })
      expect(await failureOf(minted)).toMatchObject({ code: 'invalid_input' })
    },
  )
})
