/** The contract on the embedded provider, a real server on a port of the system's choice. */
import { afterAll, beforeAll, expect } from 'vitest'
import type { ErrorCode } from '../../core/errors.js'
import { Secret } from '../../core/secret.js'
import { absent } from '../fakes/converging.js'
import { failureOf } from '../fakes/door.js'
import { type EmbeddedServer, embeddedUnderTest, startEmbedded } from './embedded.js'
import { PROMISES } from './promises.js'
import { sample } from './samples.js'
import { type ContractException, contractSuite } from './suite.js'
import { type ContractKind, type Fault, reconcilerOf, run, type TenantUnderTest } from './tenant.js'

let server: EmbeddedServer
beforeAll(async () => {
  server = await startEmbedded()
})
afterAll(() => server?.stop())

const CLIENTS = ['public-client', 'machine-client'] as const
const forClients = (name: string, reason: string, refusal: (tenant: TenantUnderTest, kind: ContractKind) => Promise<void>) =>
  CLIENTS.map((kind): ContractException => ({ promise: `${name} ${kind}`, reason, refusal: (tenant) => refusal(tenant, kind) }))

const noWebClients: readonly ContractException[] = Object.keys(PROMISES)
  .filter((promise) => promise.endsWith(' web-client'))
  .map((promise) => ({
    promise,
    reason: 'the provider makes the client of the gateway’s web page itself',
    async refusal(tenant) {
      const failure = await failureOf(run(tenant, [sample(tenant, 'web-client', tenant.name('page'))]))
      expect(failure).toMatchObject({ code: 'unsupported', details: { capability: 'web-client' } })
    },
  }))

/** RFC 7591 lists nothing: what somebody else registered under the name stays beside ours, untouched. */
async function unseen(tenant: TenantUnderTest, kind: ContractKind): Promise<void> {
  const wanted = sample(tenant, kind, tenant.name('theirs'))
  await tenant.plant(kind, wanted.spec, 'another-profile')
  expect((await reconcilerOf(tenant, kind).observe([wanted.key])).size).toBe(0)
  expect((await run(tenant, [absent(kind, wanted.key)])).changes).toEqual([])
  expect((await run(tenant, [{ ...wanted, adopt: true }])).changes).toMatchObject([{ action: 'create' }])
}

/** A name that is known is never registered again by a run; only the bare create would. */
async function guardedByPlan(tenant: TenantUnderTest, kind: ContractKind): Promise<void> {
  const wanted = sample(tenant, kind, tenant.name('known'))
  await run(tenant, [wanted])
  const writes = tenant.writes()
  expect((await run(tenant, [wanted])).changes).toEqual([])
  expect(tenant.writes()).toBe(writes)
}

const uniqueByServer: readonly ContractKind[] = ['group', 'user']
const unique = uniqueByServer.map(
  (kind): ContractException => ({
    promise: `ambiguous ${kind}`,
    reason: 'the server keeps names unique',
    async refusal(tenant) {
      const { spec } = sample(tenant, kind, tenant.name('twin'))
      await tenant.plant(kind, spec)
      await expect(tenant.plant(kind, spec)).rejects.toThrow('409')
    },
  }),
)

const inTheRecord = ['members machine-client', 'no-group machine-client'].map(
  (promise): ContractException => ({
    promise,
    reason: 'the groups of a machine are in the registry’s record (capability machine_groups)',
    async refusal(tenant) {
      expect(tenant.capabilities.machine_groups).toBe('record')
      const key = tenant.name('machine')
      await run(tenant, [sample(tenant, 'machine-client', key, ['a-group'])])
      expect((await reconcilerOf(tenant, 'machine-client').observe([key])).get(key)?.spec).not.toHaveProperty('groups')
    },
  }),
)

/** What is told instead when a group is read, or a machine client made. */
const told = (promise: string, reason: string, how: (tenant: TenantUnderTest) => Promise<unknown>, code: ErrorCode): ContractException => ({
  promise,
  reason,
  async refusal(tenant) {
    expect((await failureOf(Promise.resolve(how(tenant)))).code).toBe(code)
  },
})
const readingGroups = (fault: Fault) => (tenant: TenantUnderTest) => {
  tenant.fault(fault, 'reads')
  return reconcilerOf(tenant, 'group').observe([tenant.name('any')])
}
const makingMachine = (fault: Fault) => (tenant: TenantUnderTest) => {
  tenant.fault(fault, 'writes')
  const { spec } = sample(tenant, 'machine-client', tenant.name('fresh'))
  return tenant.latch.whileOpen(() => reconcilerOf(tenant, 'machine-client').create(spec as never, new Secret('not used')))
}

contractSuite('The embedded provider', (promise) => embeddedUnderTest(server, promise), [
  ...noWebClients,
  ...unique,
  ...forClients('ambiguous', 'a client that somebody else registered cannot be seen (RFC 7591 lists nothing)', unseen),
  ...forClients('adoption', 'a client that somebody else registered cannot be seen (RFC 7591 lists nothing)', unseen),
  ...forClients('foreign', 'a client that somebody else registered cannot be seen (RFC 7591 lists nothing)', unseen),
  ...forClients('unmarked', 'a client that somebody else registered cannot be seen (RFC 7591 lists nothing)', unseen),
  ...forClients('paging', 'there is no list of clients, and so no page of it', unseen),
  ...forClients('taken', 'the server issues ids and lets names repeat; observation keeps us from making a second one', guardedByPlan),
  ...inTheRecord,
  {
    promise: 'limits',
    reason: 'there is one credential for everything, accepted or not',
    async refusal(tenant) {
      tenant.fault('status 401', 'reads')
      expect(new Set(Object.values(await tenant.rights()))).toEqual(new Set(['no']))
    },
  },
  {
    promise: 'fault status 404 machine-client',
    reason: 'a client configuration endpoint that is not there says that the client is gone (RFC 7592 section 2.1)',
    async refusal(tenant) {
      const wanted = sample(tenant, 'machine-client', tenant.name('gone'))
      await run(tenant, [wanted])
      tenant.fault('status 404', 'reads')
      expect((await reconcilerOf(tenant, 'machine-client').observe([wanted.key])).size).toBe(0)
    },
  },
  told('fault status 409 machine-client', 'RFC 7591 has no such answer', makingMachine('status 409'), 'unexpected_response'),
  told('fault status 403 group', 'its admin API never answers so', readingGroups('status 403'), 'unexpected_response'),
  told('fault status 429 group', 'its admin API never answers so', readingGroups('status 429'), 'unexpected_response'),
])
