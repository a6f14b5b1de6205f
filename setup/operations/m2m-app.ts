/** A machine client with its groups, its secret and its record. */
import { z } from 'zod'
import { objectKey, type Target } from '../../core/converge.js'
import { type Context, changeOperation, outcomeFields, outcomeShape } from '../../core/operation.js'
import { clientIdOf } from '../../core/plan.js'
import { grantsPrivilege, refuseUnaskedPrivilege } from '../../core/privileged-groups.js'
import { secretFile } from '../../core/secret-file.js'
import { audienceOf } from '../../core/settings.js'
import { fileSafeName, groupPath, type IdpName } from '../../core/vocabulary.js'
import { quotePosix } from '../../ide/quote.js'
import { IDPS, type Tenant } from '../../idp/index.js'
import { fields, places, type SetupContext } from '../context.js'
import { NEEDS } from '../needs.js'
import { m2mRecord, machineClient, namedGroups, recordByHand } from '../recipes.js'
import { verifiedShape, verifyMachine } from '../verify.js'

export const setupM2mApp = changeOperation({
  summary:
    'Create or mend a machine client (client credentials) with exactly these groups: the client at the identity provider, its secret in a file that only you can read, and its record in the registry, in one plan. The secret is never printed; a minted token proves the result.',
  needs: NEEDS['setup m2m-app'],
  input: z.strictObject({
    idp: fields.idp,
    name: fileSafeName.describe('name of the machine; its client id where that can be chosen'),
    groups: z.array(groupPath).default([]).describe('groups of the machine, exactly'),
    create_groups: fields.create_groups,
    secret_file: fields.secret_file.optional().describe('where the secret goes (default: identities/ in the home folder)'),
    allow_privileged: fields.allow_privileged,
    adopt: fields.adopt,
  }),
  output: z.strictObject({
    idp: fields.idp,
    client_id: z.string().nullable(),
    issuer: z.string(),
    groups: z.array(z.string()),
    recorded: z.boolean().describe('whether the registry has a record after this'),
    secret_file: z.string(),
    verified: verifiedShape.nullable().describe('null when only planned'),
    ...outcomeShape,
  }),
  examples: [
    { idp: 'keycloak', name: 'reporting-agent', groups: ['data-readers'] },
    { idp: 'embedded', name: 'demo-agent', groups: ['demo-readers'] },
  ],
  needsPerson: grantsPrivilege,
  async target(input, context: SetupContext): Promise<Target> {
    refuseUnaskedPrivilege(input)
    const { capabilities } = IDPS[input.idp]
    const tenant = await context.tenant(input.idp)
    const { groups, adopt } = input
    const client = machineClient(capabilities, {
      client_name: input.name,
      groups,
      sink: sinkOf(input, tenant, context),
      audience: audienceOf(context),
      adopt,
    })
    const registry = await context.registryRows({ allow_privileged: input.allow_privileged, issuer: tenant.issuer })
    return {
      wanted: [
        ...namedGroups(groups, input.create_groups),
        client,
        ...(registry ? [m2mRecord(capabilities, { client_name: input.name, groups, issuer: tenant.issuer })] : []),
      ],
      reconcilers: { ...tenant.reconcilers, ...registry?.reconcilers },
      manual: registry ? [] : [recordByHand(input.name, groups, quotePosix)],
      tenants: [tenant.lock, ...(registry ? [registry.lock] : [])],
    }
  },
  async report(outcome, input, context) {
    const { client_id: ids, machine_groups } = IDPS[input.idp].capabilities
    const seen = clientIdOf(outcome.objects.get(objectKey('machine-client', input.name)))
    const tenant = await context.tenant(input.idp)
    const sink = sinkOf(input, tenant, context)
    const done = outcome.applied || outcome.changes.length === 0
    const expected = { audience: audienceOf(context), groups: machine_groups === 'token' ? input.groups : [] }
    return {
      idp: input.idp,
      client_id: seen ?? (ids === 'chosen' ? input.name : null),
      issuer: tenant.issuer,
      groups: input.groups,
      recorded: outcome.manual.length === 0 && done,
      secret_file: sink.place,
      verified: done ? await verifyMachine(tenant, { name: input.name, sink, doorTo: context.doorTo }, expected) : null,
      ...outcomeFields(outcome),
    }
  },
})

function sinkOf(input: { idp: IdpName; name: string; secret_file?: string | undefined }, tenant: Tenant, context: Context) {
  const place = input.secret_file ?? places.identity(context, input.idp, input.name)
  return secretFile(place, tenant.identityFacts(input.name))
}
