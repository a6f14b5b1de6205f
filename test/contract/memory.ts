/** The reference tenant as the contract suite wants it; a broken one is made by wrapping its reconcilers. */
import { randomBytes } from 'node:crypto'
import { ToolkitError } from '../../core/errors.js'
import { WriteLatch } from '../../core/http.js'
import type { Reconcilers } from '../../core/plan.js'
import type { Resources } from '../../core/resources.js'
import { RIGHTS, type Right } from '../../core/rights.js'
import { keycloakCapabilities } from '../../idp/keycloak/capabilities.js'
import { type MemorySink, memorySink } from '../fakes/memory-sink.js'
import { type MemoryTenant, memoryTenant } from '../fakes/memory-tenant.js'
import { type ContractKind, FAULTS, type Fault, type TenantUnderTest } from './tenant.js'

/** What breaks an adapter: other reconcilers over the same objects. */
export type Mutation = (reconcilers: Reconcilers, tenant: MemoryTenant) => Reconcilers

const PAGE = 5

export async function memoryUnderTest(mutate: Mutation = (reconcilers) => reconcilers): Promise<TenantUnderTest> {
  const latch = new WriteLatch()
  const tenant = memoryTenant({ latch, page: PAGE })
  const salt = randomBytes(4).toString('hex')
  const sinks = new Map<string, MemorySink>()
  const all = <K extends ContractKind>(kind: K) => tenant.all(kind)
  const secretFor = (kind: ContractKind) => (kind === 'web-client' || kind === 'machine-client' ? `planted-${salt}` : undefined)
  return {
    capabilities: keycloakCapabilities,
    reconcilers: mutate(tenant.reconcilers, tenant),
    latch,
    profile: 'contract',
    page: PAGE,
    name: (word) => `${word}-${salt}`,
    sink(name) {
      const found = sinks.get(name) ?? memorySink(tenant.line, `secrets/${name}.json`)
      sinks.set(name, found)
      return found
    },
    async plant(kind, spec, profile) {
      const owner = profile === undefined ? 'nobody' : profile === 'contract' ? 'us' : { other: `profile ${profile}` }
      tenant.plant(kind, spec, owner, secretFor(kind))
    },
    async plantMany(kind, names) {
      for (const name of names) tenant.plant(kind, bare(name) as Resources[typeof kind], 'us', secretFor(kind))
    },
    meddle: async (kind, key, fields) => tenant.meddle(kind, key, fields),
    decorate: async (kind, key) => tenant.meddle(kind, key, { of_somebody_else: ['kept'] }),
    look: async (kind, key) => structuredClone(all(kind).filter((one) => one.key === key)),
    writes: () => tenant.line.steps.filter((step) => /^(?:create|update|remove|set_secret|join|leave) /.test(step)).length,
    fault(fault, on = 'reads') {
      const isStruck = (step: string) => !step.startsWith('sink') && /^(?:observe|owned) /.test(step) === (on === 'reads')
      tenant.line.failWhere(
        (step) => (fault !== undefined && isStruck(step) ? 'before' : undefined),
        () => failure(fault ?? 'echo'),
      )
    },
    credentials: () => ['the-password-of-the-administrator'],
    accepts: async (client_id, secret) =>
      [...all('machine-client'), ...all('web-client')].some(({ spec, secret: known }) => spec.client_id === client_id && known === secret),
    async authorizes({ client_id, redirect_uri, pkce }) {
      const client = all('public-client').find(({ spec }) => spec.client_id === client_id)
      const port = /^(http:\/\/(?:127\.0\.0\.1|localhost)):\d+(\/.*)$/.exec(redirect_uri)
      const known = port ? `${port[1]}${port[2]}` : redirect_uri
      return client?.spec.redirect_uris.includes(known) === true && (pkce || client.spec.pkce === 'none')
    },
    rights: tenant.rights,
    async limitedTo(rights) {
      for (const right of Object.keys(RIGHTS) as Right[]) if (!rights.includes(right)) tenant.withhold(right)
      return { rights: tenant.rights, reconcilers: mutate(tenant.reconcilers, tenant), close: async () => undefined }
    },
    close: async () => undefined,
  }
}

const bare = (name: string) => ({ name, username: name, client_id: name, client_name: name })

/** As an adapter would tell it, from the status alone. */
function failure(fault: Fault): ToolkitError {
  const code = fault === 'echo' ? 'unexpected_response' : FAULTS[fault][0]
  return new ToolkitError(code, `the server fails: ${fault}`, {
    system: 'memory',
    reason: 'fault',
    kind: 'any',
    key: 'any',
    needs: ['all'],
  })
}
