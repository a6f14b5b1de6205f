/** A new secret for a client of ours. */
import { z } from 'zod'
import type { Target } from '../../core/converge.js'
import { ToolkitError } from '../../core/errors.js'
import { type Context, changeOperation, outcomeFields, outcomeShape } from '../../core/operation.js'
import type { Reconciler } from '../../core/plan.js'
import type { ClientKind } from '../../core/resources.js'
import { secretFile } from '../../core/secret-file.js'
import { audienceOf } from '../../core/settings.js'
import { clientId } from '../../core/vocabulary.js'
import { IDPS, type Tenant } from '../../idp/index.js'
import { fields, places, type SetupContext } from '../context.js'
import { NEEDS } from '../needs.js'
import { verifiedShape, verifyMachine } from '../verify.js'

/** Kinds of clients that have a secret, in the order in which a name is looked for. */
const KINDS = ['machine-client', 'web-client'] as const satisfies readonly ClientKind[]
type SecretKind = (typeof KINDS)[number]

const input = z.strictObject({
  idp: fields.idp,
  name: clientId.describe('client id where it was chosen, else the client’s name'),
  secret_file: fields.secret_file.optional().describe('where the secret is and goes (default: the client’s file in the home folder)'),
})
type Input = z.output<typeof input>

export const rotateSecret = changeOperation({
  summary:
    'Give a client of ours a new secret. The new one is saved before the server hears of it, so that at every moment a saved secret works; then the old one ends at once and whoever holds it must read the file again. Proved by a minted token.',
  needs: NEEDS['setup rotate-secret'],
  input,
  output: z.strictObject({
    idp: fields.idp,
    name: z.string(),
    secret_file: z.string(),
    verified: verifiedShape.nullable().describe('null when only planned, or for a client that mints no tokens by itself'),
    ...outcomeShape,
  }),
  positionals: ['name'],
  examples: [{ idp: 'keycloak', name: 'reporting-agent' }],
  async target(given, context: SetupContext): Promise<Target> {
    const tenant = await context.tenant(given.idp)
    const kind = await kindOf(given, tenant)
    const sink = secretFile(placeOf(given, kind, context), tenant.identityFacts(given.name))
    return { wanted: [{ kind, key: given.name, ensure: 'rotated', sink }], reconcilers: tenant.reconcilers, tenants: [tenant.lock] }
  },
  async report(outcome, given, context) {
    const tenant = await context.tenant(given.idp)
    const kind = await kindOf(given, tenant)
    const place = placeOf(given, kind, context)
    const sink = secretFile(place, tenant.identityFacts(given.name))
    const proved = outcome.applied && kind === 'machine-client'
    return {
      idp: given.idp,
      name: given.name,
      secret_file: place,
      verified: proved
        ? await verifyMachine(tenant, { name: given.name, sink, doorTo: context.doorTo }, { audience: audienceOf(context), groups: [] })
        : null,
      ...outcomeFields(outcome),
    }
  },
})

/** @throws ToolkitError not_found; unsupported where secrets cannot be set */
async function kindOf({ idp, name }: Input, { reconcilers }: Tenant): Promise<SecretKind> {
  const able = KINDS.filter((kind) => reconcilers[kind]?.setSecret !== undefined)
  const { title } = IDPS[idp].capabilities
  if (able.length === 0) {
    throw new ToolkitError('unsupported', `${title} has no way to set a client’s secret`, {
      system: title,
      capability: 'rotating a secret',
      why: 'RFC 7592 leaves secrets to the server',
    })
  }
  for (const kind of able) {
    const reconciler: Pick<Reconciler<SecretKind>, 'observe'> | undefined = reconcilers[kind]
    if (await reconciler?.observe([name]).then((found) => found.has(name), refusedAsOtherKind)) return kind
  }
  throw new ToolkitError(
    'not_found',
    `there is no client ${name} with a secret`,
    { kind: 'client', key: name },
    'list them with mcp-idp check',
  )
}

/** A client of another kind of ours is a conflict for the kind that was asked for first. */
function refusedAsOtherKind(error: unknown): false {
  if (error instanceof ToolkitError && error.code === 'conflict') return false
  throw error
}

function placeOf({ idp, name, secret_file }: Input, kind: SecretKind, context: Context): string {
  return secret_file ?? (kind === 'web-client' ? places.client(context, name) : places.identity(context, idp, name))
}
