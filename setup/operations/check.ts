/** Drift: everything that carries our mark, beside what setup would make of it. */
import { z } from 'zod'
import { queryOperation } from '../../core/operation.js'
import { diff, type Observed, type Reconciler } from '../../core/plan.js'
import type { ClientKind, Resources } from '../../core/resources.js'
import { secretFile } from '../../core/secret-file.js'
import { audienceOf } from '../../core/settings.js'
import { IDPS, type Tenant } from '../../idp/index.js'
import { fields, places, type SetupContext } from '../context.js'
import { clientFindings, type Finding, refuseFindings } from '../findings.js'
import { NEEDS } from '../needs.js'
import { GATEWAY_MACHINE, gatewayTenant } from '../recipes.js'
import { verifyMachine, verifyPerson } from '../verify.js'

const CLIENTS = ['public-client', 'web-client', 'machine-client'] as const satisfies readonly ClientKind[]

export const checkSetup = queryOperation({
  summary:
    'Look at everything of ours at the identity provider and tell in words what would make a login fail or open a door: no groups, wrong audience, scope dropped, foreign or wildcard redirect URI, direct grants on, full scope on, a saved secret that mints nothing, a record that differs. Changes nothing; exit status 7 when there are findings.',
  needs: NEEDS.check,
  input: z.strictObject({
    idp: fields.idp,
    mint: z.boolean().default(true).describe('false: mint no tokens for machine clients whose secret is in the home folder'),
  }),
  output: z.strictObject({
    idp: fields.idp,
    issuer: z.string(),
    checked: z.array(z.strictObject({ kind: z.string(), name: z.string(), proof: z.string() })),
    findings: z.array(z.strictObject({ object: z.string(), finding: z.string() })),
  }),
  examples: [{ idp: 'keycloak' }, { idp: 'embedded', mint: false }],
  async handler(input, context: SetupContext) {
    const tenant = await context.tenant(input.idp)
    const checks = [
      ...(await tenantChecks(tenant)),
      ...(await Promise.all(CLIENTS.map((kind) => clientChecks(kind, tenant, input.mint, context)))).flat(),
    ]
    const findings = checks.flatMap(({ kind, name, findings: found }) =>
      found.map((finding): Finding => ({ object: `${kind} ${name}`, finding })),
    )
    refuseFindings(findings)
    return {
      idp: input.idp,
      issuer: tenant.issuer,
      checked: checks.map(({ kind, name, proof }) => ({ kind, name, proof })),
      findings,
    }
  },
})

interface Check {
  readonly kind: string
  readonly name: string
  /** What besides the settings was looked at. */
  readonly proof: string
  readonly findings: readonly string[]
}

async function tenantChecks({ name, reconcilers }: Tenant): Promise<Check[]> {
  const seen = (await reconcilers.tenant?.observe([name]))?.get(name)
  if (seen?.owner !== 'us') return []
  const wanted = gatewayTenant(name, { access_token_lifetime: seen.spec.access_token_lifetime, adopt: false })
  const spec = wanted.ensure === 'present' ? wanted.spec : seen.spec
  const findings = diff(seen.spec, spec).map(({ field, from, to }) => `${field} is ${String(from)}, setup makes it ${String(to)}`)
  return [{ kind: 'tenant', name, proof: 'settings', findings }]
}

async function clientChecks(kind: ClientKind, tenant: Tenant, mint: boolean, context: SetupContext): Promise<Check[]> {
  const reconciler: Pick<Reconciler<ClientKind>, 'observe' | 'owned'> | undefined = tenant.reconcilers[kind]
  const keys = (await reconciler?.owned?.()) ?? []
  if (reconciler === undefined || keys.length === 0) return []
  const seen = await reconciler.observe(keys)
  const records = kind === 'machine-client' ? await recordsOf(seen, tenant, context) : undefined
  const { capabilities } = IDPS[tenant.idp]
  return Promise.all(
    [...seen].map(async ([name, observed]) => {
      const { proof, findings } = await proofOf(kind, name, observed, { tenant, mint, context })
      const settings = clientFindings(kind, observed, capabilities, audienceOf(context))
      return { kind, name, proof, findings: [...settings, ...findings, ...(records ? recordFindings(name, observed, records) : [])] }
    }),
  )
}

interface Surroundings {
  readonly tenant: Tenant
  readonly mint: boolean
  readonly context: SetupContext
}

async function proofOf(
  kind: ClientKind,
  name: string,
  { spec }: Observed<ClientKind>,
  { tenant, mint, context }: Surroundings,
): Promise<Omit<Check, 'kind' | 'name'>> {
  const audience = audienceOf(context)
  if (kind === 'public-client') {
    const { how, findings } = await verifyPerson(tenant, { client_id: spec.client_id ?? name }, { audience })
    return { proof: how, findings }
  }
  if (kind === 'web-client' || !mint) return { proof: 'settings', findings: [] }
  const sink = secretFile(places.identity(context, tenant.idp, name), tenant.identityFacts(name))
  const groups = 'groups' in spec ? (spec.groups ?? []) : []
  const { how, findings } = await verifyMachine(tenant, { name, sink, doorTo: context.doorTo }, { audience, groups })
  return { proof: how, findings }
}

type Records = ReadonlyMap<string, Observed<'m2m-record'>>

async function recordsOf(
  seen: ReadonlyMap<string, Observed<ClientKind>>,
  { issuer }: Tenant,
  context: SetupContext,
): Promise<Records | undefined> {
  const registry = await context.registryRows({ allow_privileged: false, issuer })
  return registry?.reconcilers['m2m-record']?.observe([...seen.values()].flatMap(({ spec }) => spec.client_id ?? []))
}

function recordFindings(name: string, { spec }: Observed<ClientKind>, records: Records): string[] {
  const record: Resources['m2m-record'] | undefined = records.get(spec.client_id ?? '')?.spec
  // The gateway's own client is there before any registry, and opens it by the groups of its token.
  if (record === undefined) return name === GATEWAY_MACHINE ? [] : ['no record in the registry']
  const groups = 'groups' in spec ? spec.groups : undefined
  const differs = groups !== undefined && diff({ groups: record.groups }, { groups }).length > 0
  return [
    ...(record.enabled === false ? ['switched off in the registry'] : []),
    ...(differs ? [`its record has groups ${record.groups.join(', ') || '(none)'}, the provider ${groups.join(', ') || '(none)'}`] : []),
  ]
}
