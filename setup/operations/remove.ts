/** Removal of what is ours: by name, or everything that carries our mark; listed first, capped, never anything else. */
import { z } from 'zod'
import type { Target } from '../../core/converge.js'
import { invalidInput, isToolkitError } from '../../core/errors.js'
import { changeOperation, outcomeFields, outcomeShape } from '../../core/operation.js'
import type { Reconciler, Reconcilers, Wanted } from '../../core/plan.js'
import type { Kind } from '../../core/resources.js'
import { clientName, groupPath, userName } from '../../core/vocabulary.js'
import { fields, type SetupContext } from '../context.js'
import { NEEDS } from '../needs.js'

/** Kinds that this removes. A tenant holds what others made, so it is not among them. */
const REMOVABLE = ['group', 'public-client', 'web-client', 'machine-client', 'user'] as const satisfies readonly Kind[]
type Removable = (typeof REMOVABLE)[number]
const CLIENTS = ['public-client', 'web-client', 'machine-client'] as const

const input = z.strictObject({
  idp: fields.idp,
  clients: z.array(clientName).default([]).describe('clients, by client id where it was chosen, else by name'),
  groups: z.array(groupPath).default([]).describe('groups'),
  users: z.array(userName).default([]).describe('people'),
  all_owned: z.boolean().default(false).describe('everything that carries our mark'),
  max_removals: z.coerce.number().int().min(1).max(100_000).default(25).describe('stop before the first removal when there are more'),
})
type Input = z.output<typeof input>

export const removeSetup = changeOperation({
  summary:
    'Remove clients, groups and people that we made: those that are named, or with --all-owned everything that carries our mark. Lists them first and removes nothing when there are more than --max-removals, or when one is not ours. Files with secrets stay.',
  needs: NEEDS['setup remove'],
  input,
  output: z.strictObject({ idp: fields.idp, removed: z.array(z.string()), ...outcomeShape }),
  examples: [
    { idp: 'keycloak', clients: ['reporting-agent'] },
    { idp: 'keycloak', all_owned: true, max_removals: 100 },
  ],
  async target(given, context: SetupContext): Promise<Target> {
    refuseNothing(given)
    const tenant = await context.tenant(given.idp)
    const wanted = [...(await named(given, tenant.reconcilers)), ...(given.all_owned ? await owned(tenant.reconcilers) : [])]
    const once = [...new Map(wanted.map((one) => [`${one.kind} ${String(one.key)}`, one])).values()]
    const machines = once.flatMap(({ kind, key }) => (kind === 'machine-client' && typeof key === 'string' ? [key] : []))
    const registry = machines.length === 0 ? undefined : await context.registryRows({ allow_privileged: true, issuer: tenant.issuer })
    const records = registry ? await recordsOf(machines, tenant.reconcilers, registry.reconcilers) : []
    const all = [...once, ...records]
    refuseTooMany(all, given.max_removals)
    return {
      wanted: all,
      reconcilers: { ...tenant.reconcilers, ...registry?.reconcilers },
      tenants: [tenant.lock, ...(registry ? [registry.lock] : [])],
    }
  },
  report: (outcome, given) => ({
    idp: given.idp,
    removed: outcome.applied ? outcome.changes.map(({ kind, key }) => `${kind} ${key}`) : [],
    ...outcomeFields(outcome),
  }),
})

function refuseNothing({ clients, groups, users, all_owned }: Input): void {
  if (all_owned || clients.length + groups.length + users.length > 0) return
  throw invalidInput('the input', [{ path: 'clients', expected: 'something to remove: --clients, --groups, --users or --all-owned' }])
}

function refuseTooMany(wanted: readonly Wanted[], most: number): void {
  if (wanted.length <= most) return
  const listed = wanted.slice(0, 50).map(({ kind, key }) => `${kind} ${String(key)}`)
  const found = `${wanted.length}: ${listed.join(', ')}${wanted.length > 50 ? ', …' : ''}`
  throw invalidInput(
    'the number of removals',
    [{ path: 'max_removals', expected: `at most ${most}`, found }],
    `look at the list; if it is right, repeat with --max-removals ${wanted.length}`,
  )
}

type Absent = Extract<Wanted, { ensure: 'absent' }>
const absent = (kind: Kind, key: string): Absent => ({ kind, key, ensure: 'absent' }) as Absent

/** Which kind of client a name is of is told by whoever sees it. */
async function named({ clients, groups, users }: Input, reconcilers: Reconcilers): Promise<Absent[]> {
  const kinds = await Promise.all(clients.map(async (name) => absent(await clientKind(name, reconcilers), name)))
  return [...kinds, ...groups.map((key) => absent('group', key)), ...users.map((key) => absent('user', key))]
}

async function clientKind(name: string, reconcilers: Reconcilers): Promise<Removable> {
  for (const kind of CLIENTS) {
    const reconciler: Pick<Reconciler<Removable>, 'observe'> | undefined = reconcilers[kind]
    const found = await reconciler?.observe([name]).catch((error: unknown) => {
      // One of another kind of ours.
      if (isToolkitError(error, 'conflict')) return undefined
      throw error
    })
    if (found?.has(name)) return kind
  }
  return 'public-client'
}

async function owned(reconcilers: Reconcilers): Promise<Absent[]> {
  const lists = await Promise.all(
    REMOVABLE.map(async (kind) => ((await reconcilers[kind]?.owned?.()) ?? []).map((key) => absent(kind, key))),
  )
  return lists.flat()
}

/** The registry's manual records of the clients; those of a sync are not ours to remove. */
async function recordsOf(names: readonly string[], tenant: Reconcilers, registry: Reconcilers): Promise<Absent[]> {
  const clients = await tenant['machine-client']?.observe(names)
  const ids = names.map((name) => clients?.get(name)?.spec.client_id ?? name)
  const records = await registry['m2m-record']?.observe(ids)
  return ids.filter((id) => records?.get(id)?.owner === 'us').map((id) => absent('m2m-record', id))
}
