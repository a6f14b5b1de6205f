import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { converge } from '../../core/converge.js'
import { createDoor, type Door, WriteLatch } from '../../core/http.js'
import type { Wanted } from '../../core/plan.js'
import { Secret } from '../../core/secret.js'
import { type RegistryClient, registryClient } from '../../registry/client.js'
import { type RegistryRowOptions, registryReconcilers } from '../../registry/reconcilers.js'
import { type RunningRegistry, startRegistry } from '../../registry/server/start.js'
import { ADMIN, issuerWithKeys, machineClaims, PRIMARY } from './fixture.js'

let folder: string
let registry: RunningRegistry
let latch: WriteLatch
let door: Door
let client: RegistryClient
let token: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rows-'))
  const issuer = await issuerWithKeys(PRIMARY)
  const jwks = async () => issuer.jwks
  registry = await startRegistry({ folder: join(folder, 'r'), port: 0, issuers: [issuer.trusted], seed: { m2m_client: ADMIN }, jwks })
  token = await issuer.sign(machineClaims(PRIMARY, 'gateway'))
  latch = new WriteLatch()
  door = createDoor({ origins: [registry.url], latch })
  client = registryClient({ url: registry.url, door, token: async () => new Secret(token) })
})
afterEach(async () => {
  await door.close()
  await registry.close()
  await rm(folder, { recursive: true, force: true })
})

const record = (spec: object = {}): Wanted => ({
  ...{ kind: 'm2m-record', key: 'worker', ensure: 'present' },
  spec: { client_id: 'worker', name: 'Worker', groups: ['demo-readers'], issuer: PRIMARY, ...spec },
})
const server = (spec: object = {}): Wanted => ({
  ...{ kind: 'server-record', key: '/demo', ensure: 'present' },
  spec: { path: '/demo', server_name: 'Demo', description: 'd', oauth_client_id: 'ide', append_mcp_path: null, ...spec },
})

function applied(wanted: readonly Wanted[], options: RegistryRowOptions = {}, through = client) {
  const reconcilers = registryReconcilers(through, options)
  return converge({ wanted, reconcilers, tenants: [] }, { latch, approve: async () => true, lock: async (_tenants, work) => work() })
}
const writes = () => door.journal.filter((entry) => entry.class === 'write').length

describe('registry rows', () => {
  test('what is wanted is made once; a second run writes nothing', async () => {
    await applied([record(), server()])
    expect(await client.getM2mClient('worker')).toMatchObject({ groups: ['demo-readers'], enabled: true })
    expect(await client.getServer('/demo')).toMatchObject({ oauth_client_id: 'ide', append_mcp_path: null })
    const before = writes()
    expect((await applied([record(), server()])).applied).toBe(false)
    expect(writes()).toBe(before)
  })

  test('an update sends the drifted fields only', async () => {
    await applied([record({ description: 'kept' }), server({ append_mcp_path: false })])
    const outcome = await applied([record({ groups: ['other'] }), server({ oauth_client_id: null })])
    expect(outcome.changes.map(({ kind, fields }) => [kind, fields.map(({ field }) => field)])).toEqual([
      ['m2m-record', ['groups']],
      ['server-record', ['oauth_client_id', 'append_mcp_path']],
    ])
    expect(await client.getM2mClient('worker')).toMatchObject({ description: 'kept', groups: ['other'] })
  })

  test('a switched-off client stays off when enabled is not asked about', async () => {
    await applied([record({ enabled: false })])
    expect(await client.getM2mClient('worker')).toMatchObject({ enabled: false, groups: ['demo-readers'] })
    expect((await applied([record()])).applied).toBe(false)
    expect((await client.getM2mClient('worker')).enabled).toBe(false)
  })

  test('a client that shall be off never has its groups while it is on', async () => {
    await applied([record({ enabled: false })])
    const states = (await registry.store.audit())
      .filter(({ resource }) => resource.endsWith(':worker'))
      .map(({ after }) => after as Record<string, unknown>)
    expect(states.filter(({ enabled, groups }) => enabled === true && (groups as string[]).length > 0)).toEqual([])
    expect(states.at(-1)).toMatchObject({ enabled: false, groups: ['demo-readers'] })
  })

  test('conferring administration needs allow_privileged', async () => {
    await expect(applied([record({ groups: ['registry-admins'] })])).rejects.toMatchObject({
      code: 'forbidden',
      hint: 'repeat with --allow-privileged',
    })
    await expect(applied([record({ groups: ['registry-admins'] })], { allow_privileged: true })).resolves.toMatchObject({ applied: true })
  })

  test('removal removes what is named, and nothing else', async () => {
    await applied([record(), server()])
    await applied([
      { kind: 'm2m-record', key: 'worker', ensure: 'absent' },
      { kind: 'server-record', key: '/demo', ensure: 'absent' },
    ])
    expect((await client.listM2mClients()).map(({ client_id }) => client_id)).toEqual(['gateway'])
    expect(await client.listServers()).toEqual([])
  })

  test('a token without the right is told before anything is written', async () => {
    token = 'x'
    await expect(applied([record()])).rejects.toMatchObject({ code: 'unauthenticated' })
    expect(writes()).toBe(0)
  })
})

describe('a registry that shows no issuers', () => {
  /** The real registry: it ignores `include`, and `issuer` in a body. */
  const upstream = (): RegistryClient => ({
    ...client,
    listM2mClients: async () =>
      (await client.listM2mClients()).map(({ issuer: _hidden, ...row }) => row as Awaited<ReturnType<RegistryClient['getM2mClient']>>),
  })

  test('converges when the issuer that is presumed is named', async () => {
    const first = await applied([record()], { issuer: PRIMARY }, upstream())
    expect(first.applied).toBe(true)
    expect((await applied([record()], { issuer: PRIMARY }, upstream())).applied).toBe(false)
  })

  test('else says that it does not converge', async () => {
    await expect(applied([record()], {}, upstream())).rejects.toMatchObject({ code: 'not_converged' })
  })
})

test('a record of a sync belongs to that sync, a federated server to its registry', async () => {
  const at = '2026-01-01T00:00:00.000Z'
  const row = {
    client_id: 'worker',
    name: 'W',
    description: null,
    groups: [],
    enabled: true,
    provider: 'okta',
    created_at: at,
    updated_at: at,
  }
  const foreign: RegistryClient = {
    ...client,
    listM2mClients: async () => [row],
    getServer: async (path) => ({ path, server_name: 'Demo', sync_metadata: { source: 'peer' } }),
  }
  await expect(applied([record()], {}, foreign)).rejects.toMatchObject({ code: 'owned_elsewhere', details: { owner: 'the sync of okta' } })
  await expect(applied([server()], {}, foreign)).rejects.toMatchObject({ code: 'owned_elsewhere' })
})
