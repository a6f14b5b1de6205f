/**
 * The contract can fail: adapters broken on purpose, each in the way that a vendor or a hurried change has broken one, and
 * the promises that must notice. A promise that no broken adapter fails would be worth nothing.
 */
import { afterAll, describe, expect, test } from 'vitest'
import { isToolkitError, ToolkitError } from '../../core/errors.js'
import type { Observed, Reconciler, Reconcilers } from '../../core/plan.js'
import type { Kind } from '../../core/resources.js'
import { Secret } from '../../core/secret.js'
import type { MemoryTenant } from '../fakes/memory-tenant.js'
import { type Mutation, memoryUnderTest } from './memory.js'
import { PROMISES } from './promises.js'
import { KINDS } from './tenant.js'

type Any = Reconciler<Kind>
type Change = (reconciler: Any, kind: Kind, tenant: MemoryTenant) => Partial<Any>

/** The same thing broken at every kind. */
const everywhere =
  (change: Change): Mutation =>
  (reconcilers, tenant) =>
    Object.fromEntries(
      Object.entries(reconcilers).map(([kind, reconciler]) => {
        const whole = reconciler as unknown as Any
        return [kind, { ...whole, ...change(whole, kind as Kind, tenant) }]
      }),
    ) as Reconcilers

const mapped = (found: ReadonlyMap<string, Observed>, how: (seen: Observed) => Partial<Observed>) =>
  new Map([...found].map(([key, seen]) => [key, { ...seen, ...how(seen) }]))
const perKind = (...names: readonly string[]) => names.flatMap((name) => KINDS.map((kind) => `${name} ${kind}`))
const taken = (error: unknown) => isToolkitError(error, 'conflict')

interface Mutant {
  readonly title: string
  readonly mutation: Mutation
  /** Promises that it must break, its own first. */
  readonly breaks: readonly string[]
}

const MUTANTS: readonly Mutant[] = [
  {
    title: 'takes the first of two matches',
    mutation: everywhere(({ observe }, kind, tenant) => ({
      observe: (keys) =>
        observe(keys).catch((error) => {
          if (!isToolkitError(error, 'ambiguous')) throw error
          return new Map<string, Observed>(tenant.all(kind).map(({ key, id, owner, spec }) => [key, { id, owner, spec }]))
        }),
    })),
    breaks: perKind('ambiguous'),
  },
  {
    title: 'forgets the second page',
    mutation: everywhere(({ observe }, kind, tenant) => ({
      async observe(keys) {
        const first = new Set(
          tenant
            .all(kind)
            .slice(0, 5)
            .map(({ key }) => key),
        )
        return new Map([...(await observe(keys))].filter(([key]) => first.has(key)))
      },
    })),
    breaks: perKind('paging'),
  },
  {
    title: 'drops foreign fields in an update',
    mutation: everywhere(({ update }, kind, tenant) => ({
      async update(current, fields) {
        await update(current, fields)
        const row = tenant.all(kind).find(({ id }) => id === current.id)
        if (row) Reflect.deleteProperty(row.spec, 'of_somebody_else')
      },
    })),
    breaks: perKind('drift'),
  },
  {
    title: 'writes every field that it is shown, and nothing for one of them',
    mutation: everywhere(({ update }) => ({ update: (current) => update(current, {}) })),
    breaks: perKind('drift'),
  },
  {
    title: 'makes a second object when the name is taken',
    mutation: everywhere(({ create }, kind, tenant) => ({
      create: (spec, secret) =>
        create(spec, secret).catch((error) => {
          if (!taken(error)) throw error
          tenant.plant(kind, spec)
          return {}
        }),
    })),
    breaks: perKind('taken'),
  },
  {
    title: 'repeats the secret in its error',
    mutation: everywhere(({ create }) => ({
      create: (spec, secret?: Secret) =>
        create(spec, secret).catch(() => {
          throw new ToolkitError('unexpected_response', `refused ${secret?.reveal()}`, { system: 'memory', reason: 'x' })
        }),
    })),
    breaks: ['echoed machine-client', 'echoed web-client', ...perKind('taken')],
  },
  {
    title: 'keeps the request, with its secret, on its error',
    mutation: everywhere(({ setSecret }) => ({
      ...(setSecret && {
        setSecret: (current: Observed, secret: Secret) =>
          setSecret(current, secret).catch((error) => {
            throw Object.assign(error as Error, { cause: { body: { secret: secret.reveal() } } })
          }),
      }),
    })),
    breaks: ['echoed machine-client', 'echoed web-client'],
  },
  {
    title: 'tells the secret as a field of the client',
    mutation: everywhere(({ observe }, kind, tenant) => ({
      observe: async (keys) =>
        mapped(await observe(keys), ({ id, spec }) => {
          const { secret } = tenant.all(kind).find((row) => row.id === id) ?? {}
          return secret === undefined ? {} : { spec: Object.assign(spec, { secret }) }
        }),
    })),
    breaks: ['unseen machine-client', 'unseen web-client'],
  },
  {
    title: 'marks nothing',
    mutation: everywhere(({ create }, kind, tenant) => ({
      async create(spec, secret) {
        const created = await create(spec, secret)
        const last = tenant.all(kind).at(-1)
        if (last) tenant.disown(kind, last.key, 'nobody')
        return created
      },
    })),
    breaks: perKind('created', 'listed', 'removal'),
  },
  {
    title: 'takes everything for ours, and removes it',
    mutation: everywhere(({ observe }) => ({ observe: async (keys) => mapped(await observe(keys), () => ({ owner: 'us' })) })),
    breaks: perKind('foreign', 'unmarked', 'adoption'),
  },
  {
    title: 'takes what another profile made for nobody’s',
    mutation: everywhere(({ observe }) => ({
      observe: async (keys) => mapped(await observe(keys), ({ owner }) => ({ owner: owner === 'us' ? owner : 'nobody' })),
    })),
    breaks: perKind('foreign'),
  },
  {
    title: 'never adopts',
    mutation: everywhere(({ update }, kind, tenant) => ({
      async update(current, fields) {
        await update(current, fields)
        if (current.owner === 'nobody') tenant.disown(kind, tenant.all(kind).find(({ id }) => id === current.id)?.key ?? '', 'nobody')
      },
    })),
    breaks: perKind('adoption'),
  },
  {
    title: 'removes by the beginning of a name',
    mutation: everywhere(({ remove }, kind, tenant) => ({
      async remove(current) {
        const key = tenant.all(kind).find(({ id }) => id === current.id)?.key ?? ''
        await remove(current)
        for (const twin of tenant.all(kind).filter((one) => one.key.startsWith(key))) tenant.lose(kind, twin.key)
      },
    })),
    breaks: perKind('removal'),
  },
  {
    title: 'lists everything as owned',
    mutation: everywhere((_, kind, tenant) => ({ owned: async () => tenant.all(kind).map(({ key }) => key) })),
    breaks: perKind('listed', 'adoption'),
  },
  {
    title: 'does not look inside groups',
    mutation: everywhere(({ observe, owned }, kind) =>
      kind === 'group'
        ? {
            observe: async (keys) => new Map([...(await observe(keys))].filter(([key]) => !key.includes('/'))),
            owned: async () => ((await owned?.()) ?? []).filter((key) => !key.includes('/')),
          }
        : {},
    ),
    breaks: ['nested', 'holds'],
  },
  {
    title: 'does not tell what is inside of a group',
    mutation: everywhere(({ observe }, kind) =>
      kind === 'group'
        ? { observe: async (keys) => new Map([...(await observe(keys))].map(([key, { holds: _, ...seen }]) => [key, seen])) }
        : {},
    ),
    breaks: ['holds', 'nested'],
  },
  {
    title: 'only ever adds to a membership',
    mutation: everywhere(({ update }) => ({
      update(current, fields) {
        if (!('groups' in fields) || !('groups' in current.spec)) return update(current, fields)
        return update(current, { ...fields, groups: [...(current.spec.groups ?? []), ...(fields.groups ?? [])] })
      },
    })),
    breaks: ['members user', 'members machine-client'],
  },
  {
    title: 'passes over a group that is missing',
    mutation: everywhere(({ update }, _, tenant) => ({
      update(current, fields) {
        if (!('groups' in fields) || !Array.isArray(fields.groups)) return update(current, fields)
        const there = tenant.all('group').map(({ key }) => key)
        return update(current, { ...fields, groups: fields.groups.filter((one) => there.includes(one)) })
      },
    })),
    breaks: ['no-group user', 'no-group machine-client'],
  },
  {
    title: 'says that it rotated',
    mutation: everywhere(({ setSecret }) => (setSecret ? { setSecret: async () => undefined } : {})),
    breaks: ['rotates machine-client', 'rotates web-client'],
  },
  {
    title: 'makes a secret of its own and tells nobody',
    mutation: everywhere(({ create, observe }, kind, tenant) => ({
      async create(spec, secret) {
        const created = await create(spec, secret)
        const last = tenant.all(kind).at(-1)
        if (secret && last) tenant.reset(kind, last.key, 'a-secret-that-nobody-knows')
        return created
      },
      observe: async (keys) => new Map([...(await observe(keys))].map(([key, { secret: _, ...seen }]) => [key, seen])),
    })),
    breaks: ['accepted machine-client', 'accepted web-client'],
  },
  {
    title: 'takes a person’s first password for a secret of ours',
    mutation: everywhere(({ observe }, kind, tenant) =>
      kind === 'user'
        ? {
            secret: 'chosen',
            observe: async (keys) =>
              mapped(await observe(keys), ({ id }) => ({
                secret: new Secret(tenant.all(kind).find((row) => row.id === id)?.secret ?? 'none at all'),
              })),
          }
        : {},
    ),
    breaks: ['password user'],
  },
  {
    title: 'says that a client needs PKCE which does not',
    mutation: everywhere(({ create, observe }, kind, tenant) =>
      kind === 'public-client'
        ? {
            async create(spec, secret) {
              const created = await create(spec, secret)
              for (const { key } of tenant.all(kind).slice(-1)) tenant.meddle(kind, key, { pkce: 'none' })
              return created
            },
            observe: async (keys) => mapped(await observe(keys), ({ spec }) => ({ spec: Object.assign(spec, { pkce: 'S256' }) })),
          }
        : {},
    ),
    breaks: ['login public-client'],
  },
  {
    title: 'does not know of a right that it has',
    mutation: (reconcilers, tenant) => {
      tenant.withhold('users:write')
      return reconcilers
    },
    breaks: ['rights'],
  },
  {
    title: 'takes a refusal for an empty list',
    mutation: everywhere(({ observe }) => ({
      observe: (keys) =>
        observe(keys).catch((error) => {
          if (!isToolkitError(error, 'forbidden')) throw error
          return new Map()
        }),
    })),
    breaks: ['fault status 403 group', 'fault status 403 machine-client'],
  },
  {
    title: 'tells every failure as unavailable',
    mutation: everywhere(({ observe, create }) => {
      const told = () => Promise.reject(new ToolkitError('unavailable', 'it failed', { system: 'memory', reason: 'x' }))
      return { observe: (keys) => observe(keys).catch(told), create: (spec, secret) => create(spec, secret).catch(told) }
    }),
    breaks: [
      ...['401', '403', '404', '409', '429'].map((status) => `fault status ${status} group`),
      ...['html', 'truncated', '100 MB'].map((what) => `fault ${what} machine-client`),
      ...perKind('ambiguous'),
    ],
  },
  {
    title: 'writes again what is there already',
    mutation: everywhere(({ observe }) => ({
      observe: async (keys) => mapped(await observe(keys), ({ spec }) => ({ spec: withoutLists(spec) })),
    })),
    breaks: ['created public-client', 'created web-client'],
  },
  {
    title: 'sees objects that nobody made',
    mutation: everywhere(({ observe }) => ({
      observe: async (keys) => new Map([...keys.map((key) => [key, ghost(key)] as const), ...(await observe(keys))]),
    })),
    breaks: perKind('empty'),
  },
  {
    title: 'asks nobody for a right before it writes',
    mutation: everywhere(() => ({ checkWrite: async () => undefined })),
    breaks: ['limits'],
  },
]

const ghost = (key: string): Observed => ({ id: key, owner: 'us', spec: { name: key } })
const withoutLists = (spec: Observed['spec']) =>
  Object.fromEntries(Object.entries(spec).filter(([field]) => field !== 'redirect_uris')) as unknown as Observed['spec']

/** Names of the promises that a tenant breaks. */
async function broken(mutation?: Mutation): Promise<string[]> {
  const found: string[] = []
  for (const [name, { keep }] of Object.entries(PROMISES)) {
    const tenant = await memoryUnderTest(mutation)
    await keep(tenant).catch(() => found.push(name))
  }
  return found
}

const noticed = new Set<string>()
afterAll(() => {
  const names = Object.keys(PROMISES)
  console.log(`contract: ${MUTANTS.length} broken adapters noticed; ${noticed.size} of ${names.length} promises shown to fail`)
  expect(names.filter((name) => !noticed.has(name))).toEqual([])
})

describe('an adapter that', () => {
  test('is not broken keeps every promise', async () => {
    expect(await broken()).toEqual([])
  })
  test.for(MUTANTS)('$title is noticed', async ({ mutation, breaks }) => {
    const found = await broken(mutation)
    for (const name of found) noticed.add(name)
    expect(found).toEqual(expect.arrayContaining([...breaks]))
    expect(breaks.length).toBeGreaterThan(0)
  })
})
