/** Promises about who is in what, and about what a credential may do. */
import { expect } from 'vitest'
import { RIGHTS, type Right } from '../../core/rights.js'
import { group } from '../fakes/converging.js'
import { failureOf } from '../fakes/door.js'
import type { ContractPromise } from './promises.js'
import { sample } from './samples.js'
import { reconcilerOf, run, type TenantUnderTest } from './tenant.js'

const membersOf = async (tenant: TenantUnderTest, kind: 'user' | 'machine-client', key: string) =>
  (await reconcilerOf(tenant, kind).observe([key])).get(key)?.spec.groups?.toSorted()

async function exact(tenant: TenantUnderTest, kind: 'user' | 'machine-client'): Promise<void> {
  const top = tenant.name('members')
  const [a, b, c] = [top, `${top}/inner`, tenant.name('others')] as const
  await run(
    tenant,
    [a, b, c].map((path) => group(path)),
  )
  const key = tenant.name('member')
  await run(tenant, [sample(tenant, kind, key, [a, b])])
  expect(await membersOf(tenant, kind, key)).toEqual([a, b].toSorted())
  await tenant.meddle(kind, key, { groups: [b, c] })
  const { changes } = await run(tenant, [sample(tenant, kind, key, [a, b])])
  expect(changes).toMatchObject([{ action: 'update', kind, key, fields: [{ field: 'groups' }] }])
  expect(await membersOf(tenant, kind, key)).toEqual([a, b].toSorted())
  await run(tenant, [sample(tenant, kind, key, [])])
  expect(await membersOf(tenant, kind, key)).toEqual([])
}

async function missingGroup(tenant: TenantUnderTest, kind: 'user' | 'machine-client'): Promise<void> {
  const key = tenant.name('member')
  await run(tenant, [sample(tenant, kind, key, [])])
  const before = await tenant.look(kind, key)
  const failure = await failureOf(run(tenant, [sample(tenant, kind, key, [tenant.name('no-such-group')])]))
  expect(failure.code).toBe('not_found')
  expect(await tenant.look(kind, key)).toEqual(before)
}

const WRITES: readonly Right[] = ['clients:write', 'groups:write', 'users:write']
const READS: readonly Right[] = ['clients:read', 'groups:read', 'users:read']

const rights: ContractPromise = {
  title: 'reads alone tell the rights of an administrator, each in a word of ours',
  async keep(tenant) {
    const writes = tenant.writes()
    const held = await tenant.rights()
    expect(Object.keys(held).toSorted()).toEqual(Object.keys(RIGHTS).toSorted())
    for (const right of [...READS, ...WRITES]) expect(held[right], right).toBe('yes')
    expect(tenant.writes()).toBe(writes)
  },
}

const limits: ContractPromise = {
  title: 'a credential that may only look is told so before anything is written',
  async keep(tenant) {
    const credential = await tenant.limitedTo(READS)
    try {
      const held = await credential.rights()
      for (const right of WRITES) expect(held[right], right).toBe('no')
      for (const right of READS) expect(held[right], right).toBe('yes')
      const wanted = [sample(tenant, 'group', tenant.name('refused')), sample(tenant, 'public-client', tenant.name('refused'))]
      for (const one of wanted) {
        const writes = tenant.writes()
        const failure = await failureOf(run({ reconcilers: credential.reconcilers, latch: tenant.latch }, [one]))
        expect(failure).toMatchObject({ code: 'forbidden', details: { needs: expect.arrayContaining([expect.any(String)]) } })
        expect(tenant.writes()).toBe(writes)
      }
    } finally {
      await credential.close()
    }
  },
}

const MEMBERS = ['user', 'machine-client'] as const
const perKind = MEMBERS.flatMap((kind): [string, ContractPromise][] => [
  [`members ${kind}`, { title: `membership is exact, of nested groups too (${kind})`, keep: (tenant) => exact(tenant, kind) }],
  [
    `no-group ${kind}`,
    { title: `a group that is missing is not_found, and nothing changes (${kind})`, keep: (tenant) => missingGroup(tenant, kind) },
  ],
])
export const ADMINISTRATION: Readonly<Record<string, ContractPromise>> = { ...Object.fromEntries(perKind), rights, limits }
