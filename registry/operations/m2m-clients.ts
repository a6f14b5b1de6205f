/** The registry's records of machine clients, as operations. */
import { z } from 'zod'
import type { Outcome, Target } from '../../core/converge.js'
import { objectKey } from '../../core/converge.js'
import { type Context, changeOperation, outcomeFields, outcomeShape, queryOperation } from '../../core/operation.js'
import type { Reconcilers, Wanted } from '../../core/plan.js'
import { grantsPrivilege, refuseUnaskedPrivilege } from '../../core/privileged-groups.js'
import { clientId, clientName, groupName } from '../../core/vocabulary.js'
import type { RegistryClient } from '../client.js'
import type { RegistryRowOptions } from '../reconcilers.js'

/** What these operations ask of their surroundings besides the core context. */
export interface RegistryContext extends Context {
  /** @throws not_configured without REGISTRY_URL */
  registry(): Promise<RegistryClient>
  requireRegistryRows(options: RegistryRowOptions): Promise<{ reconcilers: Reconcilers; lock: string }>
}

const record = z.strictObject({
  client_id: z.string(),
  name: z.string(),
  description: z.string().nullable(),
  groups: z.array(z.string()),
  enabled: z.boolean(),
  provider: z.string(),
  editable: z.boolean().describe('false: written by a sync; change it at its source'),
})
type Shown = z.infer<typeof record>

const client_id = clientId.describe('client id at the identity provider')
const groups = z.array(groupName).describe('groups, exactly')
const allow_privileged = z.boolean().default(false).describe('allow a group that confers administration of the registry')
const description = z.string().max(1024)
const changed = z.strictObject({ client: record.nullable().describe('null when only planned, or removed'), ...outcomeShape })

export const listM2mClients = queryOperation({
  summary:
    'List the machine clients that the registry has records of, with their groups, whether they are enabled, and who may change them.',
  input: z.strictObject({ provider: z.string().max(64).optional().describe('only records of this source: manual, keycloak, okta, …') }),
  output: z.strictObject({ total: z.number().int(), clients: z.array(record) }),
  examples: [{}, { provider: 'manual' }],
  async handler({ provider }, context: RegistryContext) {
    const rows = await (await context.registry()).listM2mClients(provider === undefined ? {} : { provider })
    return { total: rows.length, clients: rows.map(shown) }
  },
})

export const getM2mClient = queryOperation({
  summary: 'Show the record of one machine client.',
  input: z.strictObject({ client_id }),
  output: z.strictObject({ client: record }),
  positionals: ['client_id'],
  examples: [{ client_id: 'reporting-agent' }],
  handler: async (input, context: RegistryContext) => ({ client: shown(await (await context.registry()).getM2mClient(input.client_id)) }),
})

export const registerM2mClient = changeOperation({
  summary:
    'Record an existing client of the identity provider in the registry and give it groups. A group change acts on the next request, unless the token itself carries groups.',
  input: z.strictObject({
    client_id,
    client_name: clientName.describe('name for people'),
    groups: groups.default([]),
    description: description.optional(),
    issuer: z.string().max(2048).optional().describe('issuer of its tokens (default: the primary issuer of the registry)'),
    allow_privileged,
  }),
  output: changed,
  examples: [{ client_id: 'reporting-agent', client_name: 'Reporting agent', groups: ['data-readers'] }],
  needsPerson: grantsPrivilege,
  async target(input, context: RegistryContext) {
    refuseUnaskedPrivilege(input)
    const spec = {
      client_id: input.client_id,
      name: input.client_name,
      groups: input.groups,
      ...(input.description === undefined ? {} : { description: input.description }),
      ...(input.issuer === undefined ? {} : { issuer: input.issuer }),
    }
    return recordTarget({ kind: 'm2m-record', key: input.client_id, ensure: 'present', spec }, input, context)
  },
  report: (outcome, input) => reported(outcome, input.client_id),
})

export const assignGroups = changeOperation({
  summary: 'Give a recorded machine client exactly these groups. Acts on the next request, unless the token itself carries groups.',
  input: z.strictObject({ client_id, groups, allow_privileged }),
  output: changed,
  positionals: ['client_id', 'groups'],
  examples: [{ client_id: 'reporting-agent', groups: ['data-readers', 'report-writers'] }],
  needsPerson: grantsPrivilege,
  async target(input, context: RegistryContext) {
    refuseUnaskedPrivilege(input)
    const { name } = await (await context.registry()).getM2mClient(input.client_id)
    const spec = { client_id: input.client_id, name, groups: input.groups }
    return recordTarget({ kind: 'm2m-record', key: input.client_id, ensure: 'present', spec }, input, context)
  },
  report: (outcome, input) => reported(outcome, input.client_id),
})

export const updateM2mClient = changeOperation({
  summary:
    'Change the record of a machine client. With enabled false its tokens confer nothing from the next request on, whatever groups they carry.',
  input: z.strictObject({
    client_id,
    client_name: clientName.optional(),
    groups: groups.optional(),
    description: description.optional(),
    enabled: z.boolean().optional().describe('false switches the client off'),
    allow_privileged,
  }),
  output: changed,
  positionals: ['client_id'],
  examples: [{ client_id: 'reporting-agent', enabled: false }],
  // Reviving a client that somebody switched off may revive an administrator: the input alone cannot tell.
  needsPerson: (input) => grantsPrivilege(input) || input.enabled === true,
  async target(input, context: RegistryContext) {
    refuseUnaskedPrivilege(input)
    const current = await (await context.registry()).getM2mClient(input.client_id)
    const spec = {
      client_id: input.client_id,
      name: input.client_name ?? current.name,
      groups: input.groups ?? current.groups,
      ...(input.description === undefined ? {} : { description: input.description }),
      ...(input.enabled === undefined ? {} : { enabled: input.enabled }),
    }
    return recordTarget({ kind: 'm2m-record', key: input.client_id, ensure: 'present', spec }, input, context)
  },
  report: (outcome, input) => reported(outcome, input.client_id),
})

export const deleteM2mClient = changeOperation({
  summary: 'Delete the record of a machine client; the client at the identity provider stays. Records written by a sync are refused.',
  input: z.strictObject({ client_id }),
  output: changed,
  positionals: ['client_id'],
  examples: [{ client_id: 'reporting-agent' }],
  async target(input, context: RegistryContext) {
    await (await context.registry()).getM2mClient(input.client_id)
    return recordTarget({ kind: 'm2m-record', key: input.client_id, ensure: 'absent' }, { allow_privileged: true }, context)
  },
  report: (outcome, input) => reported(outcome, input.client_id),
})

async function recordTarget(
  wanted: Wanted<'m2m-record'>,
  options: { allow_privileged: boolean; issuer?: string | undefined },
  context: RegistryContext,
): Promise<Target> {
  const { allow_privileged, issuer } = options
  const { reconcilers, lock } = await context.requireRegistryRows({ allow_privileged, ...(issuer === undefined ? {} : { issuer }) })
  return { wanted: [wanted], reconcilers, tenants: [lock] }
}

function shown({ client_id, name, description, groups, enabled, provider }: Omit<Shown, 'editable'>): Shown {
  return { client_id, name, description, groups, enabled, provider, editable: provider === 'manual' }
}

function reported(outcome: Outcome, client_id: string) {
  const spec = outcome.objects.get(objectKey('m2m-record', client_id))?.spec
  const seen = spec && 'client_id' in spec && 'groups' in spec && 'name' in spec ? spec : undefined
  const client = seen && {
    client_id,
    name: seen.name,
    description: seen.description ?? null,
    groups: [...(seen.groups ?? [])],
    enabled: seen.enabled ?? true,
    provider: 'manual',
    editable: true,
  }
  return { client: client ?? null, ...outcomeFields(outcome) }
}
