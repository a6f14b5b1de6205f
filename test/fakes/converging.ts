/** Converging over a memory tenant: a yes by default, no lock to wait for, and what each test wants to change. */
import { type ConvergeOptions, converge, type Outcome, type Plan } from '../../core/converge.js'
import { WriteLatch } from '../../core/http.js'
import type { Wanted } from '../../core/plan.js'
import type { Kind } from '../../core/resources.js'
import type { SecretSink } from '../../core/sink.js'
import { type MemoryTenant, type MemoryTenantOptions, memoryTenant } from './memory-tenant.js'

export interface Rig extends MemoryTenant {
  readonly latch: WriteLatch
  /** Plans that a person was shown. */
  readonly shown: readonly Plan[]
  converge(wanted: readonly Wanted[], options?: Partial<ConvergeOptions>): Promise<Outcome>
}

/** A tenant and what it takes to converge it. */
export function rig(options: Partial<MemoryTenantOptions> = {}): Rig {
  const latch = options.latch ?? new WriteLatch()
  const tenant = memoryTenant({ ...options, latch })
  const shown: Plan[] = []
  return {
    ...tenant,
    // A getter, which the spread would freeze.
    get mostAtOnce() {
      return tenant.mostAtOnce
    },
    latch,
    shown,
    converge: (wanted, chosen = {}) =>
      converge(
        { wanted, reconcilers: tenant.reconcilers, tenants: ['memory'] },
        {
          latch,
          approve: async (plan) => {
            shown.push(plan)
            return true
          },
          lock: (_tenants, work) => work(),
          ...chosen,
        },
      ),
  }
}

/** Something of ours that should be there. */
export type Present<K extends Kind> = Extract<Wanted<K>, { ensure: 'present' }>

/** The tenant itself. */
export const tenant = (name: string): Present<'tenant'> => ({
  kind: 'tenant',
  key: name,
  ensure: 'present',
  spec: {
    name,
    enabled: true,
    access_token_lifetime: 300,
    session_idle_lifetime: 1800,
    session_lifetime: 36_000,
    brute_force_protection: true,
    login_failures: 30,
    self_registration: false,
  },
})

/** A group of ours. */
export const group = (name: string, ensure: 'present' | 'exists' = 'present'): Wanted<'group'> => ({
  kind: 'group',
  key: name,
  ensure,
  spec: { name },
})

/** A person, with a first password where there is a place for it. */
export const person = (username: string, groups: readonly string[] = [], sink?: SecretSink): Present<'user'> => ({
  kind: 'user',
  key: username,
  ensure: 'present',
  spec: { username, email: `${username}@example.com`, given_name: username, family_name: 'Example', groups },
  ...(sink ? { sink } : {}),
})

/** A public client whose id is chosen. */
export const publicClient = (
  client_id: string,
  redirect_uris: readonly string[] = ['http://127.0.0.1/callback'],
): Present<'public-client'> => ({
  kind: 'public-client',
  key: client_id,
  ensure: 'present',
  spec: {
    client_id,
    client_name: client_id,
    enabled: true,
    redirect_uris,
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'none',
    pkce: 'S256',
  },
})

/** The confidential client of a web page; without a client id it is issued. */
export const webClient = (name: string, sink?: SecretSink, ids: 'chosen' | 'issued' = 'chosen'): Present<'web-client'> => ({
  kind: 'web-client',
  key: name,
  ensure: 'present',
  spec: {
    ...(ids === 'chosen' ? { client_id: name } : {}),
    client_name: name,
    enabled: true,
    redirect_uris: ['https://gateway.example.com/oauth2/callback'],
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'client_secret_basic',
  },
  ...(sink ? { sink } : {}),
})

/** A machine client; without a client id it is issued. */
export const machineClient = (name: string, sink?: SecretSink, ids: 'chosen' | 'issued' = 'chosen'): Present<'machine-client'> => ({
  kind: 'machine-client',
  key: name,
  ensure: 'present',
  spec: {
    ...(ids === 'chosen' ? { client_id: name } : {}),
    client_name: name,
    enabled: true,
    grant_types: ['client_credentials'],
    token_endpoint_auth_method: 'client_secret_basic',
  },
  ...(sink ? { sink } : {}),
})

/** The registry's record of a machine client, by the id that the provider issues for it. */
export const recordOf = (name: string, groups: readonly string[] = []): Present<'m2m-record'> => {
  const client_id = { from: { kind: 'machine-client', key: name }, field: 'client_id' } as const
  return { kind: 'm2m-record', key: client_id, ensure: 'present', spec: { client_id, name, groups } }
}

/** A server's row, which people log in to through a client. */
export const serverRecord = (path: string, client: string): Present<'server-record'> => ({
  kind: 'server-record',
  key: path,
  ensure: 'present',
  spec: { path, server_name: path.slice(1), oauth_client_id: { from: { kind: 'public-client', key: client }, field: 'client_id' } },
})

/** The registry's file of variables. */
export const environmentFile = (path: string): Present<'registry-environment'> => ({
  kind: 'registry-environment',
  key: path,
  ensure: 'present',
  spec: { path, settings: { AUTH_PROVIDER: 'memory' }, secrets: {} },
})

/** A client of ours gets another secret. */
export const rotated = (kind: 'machine-client' | 'web-client', key: string, sink: SecretSink): Wanted => ({
  kind,
  key,
  ensure: 'rotated',
  sink,
})

/** Something of ours that should go. */
export const absent = (kind: Kind, key: string): Wanted => ({ kind, key, ensure: 'absent' })
