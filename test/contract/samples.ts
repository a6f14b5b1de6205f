/** Wanted objects as the recipes of setup make them, so that the contract holds for what is really asked of a tenant. */
import type { Wanted } from '../../core/plan.js'
import type { Resources } from '../../core/resources.js'
import { ideClient, machineClient, webClient } from '../../setup/recipes.js'
import type { ContractKind, Sample, TenantUnderTest } from './tenant.js'

const REDIRECTS = ['http://127.0.0.1/callback', 'http://localhost/callback']

/** An object of the kind with that key, ours. */
export function sample({ capabilities, sink }: TenantUnderTest, kind: ContractKind, key: string, groups: readonly string[] = []): Sample {
  const wanted: Wanted = {
    group: () => ({ kind: 'group', key, ensure: 'present', spec: { name: key, description: 'made by the contract' } }) as const,
    user: () => {
      const spec = { username: key, email: `${key}@example.com`, given_name: 'Con', family_name: 'Tract', groups }
      return { kind: 'user', key, ensure: 'present', spec, sink: sink(key) } as const
    },
    'public-client': () => ideClient(capabilities, { client_id: key, client_name: key, redirect_uris: REDIRECTS }),
    'web-client': () => webClient({ client_id: key, client_name: key, redirect_uris: REDIRECTS, audience: 'mcp-gateway', sink: sink(key) }),
    'machine-client': () => machineClient(capabilities, { client_name: key, groups, sink: sink(key) }),
  }[kind]()
  return wanted as Sample
}

/** What an object of the kind may drift to, by hand. */
export const DRIFT: { readonly [K in ContractKind]: Partial<Resources[K]> } = {
  group: { description: 'somebody else wrote this' },
  user: { email: 'drifted@example.com' },
  'public-client': { redirect_uris: ['http://127.0.0.1/drifted'] },
  'web-client': { redirect_uris: ['http://127.0.0.1/drifted'] },
  'machine-client': { redirect_uris: ['http://127.0.0.1/drifted'] },
}
