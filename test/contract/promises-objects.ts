/** Promises about objects of each kind: seen, made, mended, told apart by owner, listed, removed; and groups inside groups. */
import { expect } from 'vitest'
import { absent, group } from '../fakes/converging.js'
import { failureOf } from '../fakes/door.js'
import type { ContractPromise } from './promises.js'
import { DRIFT, sample } from './samples.js'
import { type ContractKind, KINDS, reconcilerOf, run, type Sample, type TenantUnderTest } from './tenant.js'

type Keep = (tenant: TenantUnderTest, kind: ContractKind) => Promise<void>

const observe = async (tenant: TenantUnderTest, { kind, key }: Sample) => (await reconcilerOf(tenant, kind).observe([key])).get(key)
const owned = async (tenant: TenantUnderTest, kind: ContractKind) => (await reconcilerOf(tenant, kind).owned?.()) ?? []
const seen = (objects: readonly unknown[]) => JSON.stringify(objects)

const empty: Keep = async (tenant, kind) => {
  const key = tenant.name('nothing')
  expect((await reconcilerOf(tenant, kind).observe([key])).size).toBe(0)
  expect(await owned(tenant, kind)).not.toContain(key)
}

const created: Keep = async (tenant, kind) => {
  const wanted = sample(tenant, kind, tenant.name('made'))
  const { changes } = await run(tenant, [wanted])
  expect(changes).toMatchObject([{ action: 'create', kind, key: wanted.key }])
  expect(await observe(tenant, wanted)).toMatchObject({ owner: 'us' })
  expect(await tenant.look(kind, wanted.key)).toHaveLength(1)
  const writes = tenant.writes()
  expect(writes).toBeGreaterThan(0)
  expect((await run(tenant, [wanted])).changes).toEqual([])
  expect(tenant.writes()).toBe(writes)
}

const drift: Keep = async (tenant, kind) => {
  const wanted = sample(tenant, kind, tenant.name('drifts'))
  await run(tenant, [wanted])
  await tenant.decorate(kind, wanted.key)
  const before = await tenant.look(kind, wanted.key)
  expect((await run(tenant, [wanted], { planOnly: true })).changes).toEqual([])
  await tenant.meddle(kind, wanted.key, DRIFT[kind])
  expect(seen(await tenant.look(kind, wanted.key))).not.toBe(seen(before))
  const { changes } = await run(tenant, [wanted])
  expect(changes).toMatchObject([{ action: 'update', key: wanted.key, fields: [{ field: Object.keys(DRIFT[kind])[0] }] }])
  expect(changes[0]?.fields).toHaveLength(1)
  expect(await tenant.look(kind, wanted.key)).toEqual(before)
}

const taken: Keep = async (tenant, kind) => {
  const wanted = sample(tenant, kind, tenant.name('taken'))
  await run(tenant, [wanted])
  const before = await tenant.look(kind, wanted.key)
  const { secret } = reconcilerOf(tenant, kind)
  const { secret: chosen } = (secret !== undefined && (await tenant.sink(wanted.key).read())) || {}
  const again = tenant.latch.whileOpen(() => reconcilerOf(tenant, kind).create(wanted.spec, chosen))
  expect((await failureOf(again)).code).toBe('conflict')
  expect(await tenant.look(kind, wanted.key)).toEqual(before)
}

const ambiguous: Keep = async (tenant, kind) => {
  const wanted = sample(tenant, kind, tenant.name('twin'))
  await tenant.plant(kind, wanted.spec, tenant.profile)
  await tenant.plant(kind, wanted.spec, tenant.profile)
  expect((await failureOf(observe(tenant, wanted))).code).toBe('ambiguous')
}

const paging: Keep = async (tenant, kind) => {
  const names = Array.from({ length: tenant.page + 1 }, (_, index) => tenant.name(`page-${index}`))
  await tenant.plantMany(kind, names)
  const found = await reconcilerOf(tenant, kind).observe(names)
  expect([...found.keys()].toSorted()).toEqual(names.toSorted())
  expect(new Set([...found.values()].map(({ owner }) => owner))).toEqual(new Set(['us']))
  expect((await owned(tenant, kind)).toSorted()).toEqual(names.toSorted())
}

const adoption: Keep = async (tenant, kind) => {
  const wanted = sample(tenant, kind, tenant.name('nobodys'))
  await tenant.plant(kind, wanted.spec)
  await tenant.decorate(kind, wanted.key)
  const before = await tenant.look(kind, wanted.key)
  expect((await failureOf(run(tenant, [wanted]))).code).toBe('conflict')
  expect(await tenant.look(kind, wanted.key)).toEqual(before)
  expect(await owned(tenant, kind)).not.toContain(wanted.key)
  const { changes } = await run(tenant, [{ ...wanted, adopt: true }])
  expect(changes[0]).toMatchObject({ action: 'adopt', kind, key: wanted.key })
  expect(await observe(tenant, wanted)).toMatchObject({ owner: 'us' })
  expect(await owned(tenant, kind)).toContain(wanted.key)
  expect((await run(tenant, [wanted])).changes).toEqual([])
}

const foreign: Keep = async (tenant, kind) => {
  const wanted = sample(tenant, kind, tenant.name('theirs'))
  await tenant.plant(kind, wanted.spec, 'another-profile')
  const before = await tenant.look(kind, wanted.key)
  const writes = tenant.writes()
  for (const wish of [wanted, { ...wanted, adopt: true }, absent(kind, wanted.key)]) {
    const failure = await failureOf(run(tenant, [wish]))
    expect(failure).toMatchObject({ code: 'owned_elsewhere', details: { kind, key: wanted.key } })
    expect(failure.message).toContain('another-profile')
  }
  expect(await tenant.look(kind, wanted.key)).toEqual(before)
  expect(tenant.writes()).toBe(writes)
}

const listed: Keep = async (tenant, kind) => {
  const ours = ['one', 'two'].map((word) => sample(tenant, kind, tenant.name(word)))
  await run(tenant, ours)
  for (const [word, profile] of [['theirs', 'another-profile'], ['nobodys']] as const) {
    await tenant.plant(kind, sample(tenant, kind, tenant.name(word)).spec, profile)
  }
  expect((await owned(tenant, kind)).toSorted()).toEqual(ours.map(({ key }) => key).toSorted())
}

const removal: Keep = async (tenant, kind) => {
  const wanted = sample(tenant, kind, tenant.name('goes'))
  const stays = [`${wanted.key}-2`, `a-${wanted.key}`].map((key) => sample(tenant, kind, key))
  await run(tenant, [wanted, ...stays])
  const before = await Promise.all(stays.map(({ key }) => tenant.look(kind, key)))
  expect((await run(tenant, [absent(kind, wanted.key)])).changes).toMatchObject([{ action: 'remove', key: wanted.key }])
  expect(await tenant.look(kind, wanted.key)).toEqual([])
  expect(await Promise.all(stays.map(({ key }) => tenant.look(kind, key)))).toEqual(before)
  expect((await run(tenant, [absent(kind, wanted.key)])).changes).toEqual([])
}

const removalOfNobodys: Keep = async (tenant, kind) => {
  const wanted = sample(tenant, kind, tenant.name('unmarked'))
  await tenant.plant(kind, wanted.spec)
  expect((await failureOf(run(tenant, [absent(kind, wanted.key)]))).code).toBe('conflict')
  expect(await tenant.look(kind, wanted.key)).toHaveLength(1)
}

const PER_KIND: Readonly<Record<string, readonly [string, Keep]>> = {
  empty: ['an empty tenant observes nothing', empty],
  created: ['what is created is observed as ours, once, and a second apply writes nothing', created],
  drift: ['a drift shows exactly the drifted field, and mending it keeps what is not ours', drift],
  taken: ['a name that is taken is a conflict, and no second object is made', taken],
  ambiguous: ['two objects of one name are ambiguous', ambiguous],
  adoption: ['an object of nobody is left alone, and becomes ours when we are told so', adoption],
  foreign: ['an object of another profile is owned elsewhere, and nothing touches it', foreign],
  listed: ['what we own is listed, and nothing else', listed],
  removal: ['a removal touches one object', removal],
  unmarked: ['an object of nobody is not removed', removalOfNobodys],
}

const nested: ContractPromise = {
  title: 'groups inside groups are made, seen and told apart by their paths',
  async keep(tenant) {
    const top = tenant.name('top')
    const paths = [top, `${top}/inner`, `${top}/inner/most`, tenant.name('inner')]
    await run(
      tenant,
      paths.toReversed().map((path) => group(path)),
    )
    const found = await reconcilerOf(tenant, 'group').observe(paths)
    expect([...found.keys()].toSorted()).toEqual(paths.toSorted())
    expect(new Set([...found.values()].map(({ id }) => id)).size).toBe(paths.length)
    expect(found.get(top)?.holds?.toSorted()).toEqual([`${top}/inner`, `${top}/inner/most`])
    expect((await owned(tenant, 'group')).toSorted()).toEqual(paths.toSorted())
    expect(
      (
        await run(
          tenant,
          paths.map((path) => group(path)),
        )
      ).changes,
    ).toEqual([])
  },
}

const holds: ContractPromise = {
  title: 'a group is not removed from around others, and goes with them when they are named',
  async keep(tenant) {
    const top = tenant.name('holder')
    const inner = `${top}/of-somebody`
    await run(tenant, [group(top)])
    await tenant.plant('group', { name: inner })
    const failure = await failureOf(run(tenant, [absent('group', top)]))
    expect(failure).toMatchObject({ code: 'conflict', details: { kind: 'group', key: top } })
    expect(failure.message).toContain(inner)
    expect(await tenant.look('group', inner)).toHaveLength(1)
    await run(tenant, [{ ...sample(tenant, 'group', inner), adopt: true }])
    await run(tenant, [absent('group', top), absent('group', inner)])
    for (const path of [top, inner]) expect(await tenant.look('group', path)).toEqual([])
  },
}

const forKinds = (name: string, title: string, keep: Keep) =>
  KINDS.map((kind): [string, ContractPromise] => [`${name} ${kind}`, { title: `${title} (${kind})`, keep: (tenant) => keep(tenant, kind) }])

export const OBJECTS: Readonly<Record<string, ContractPromise>> = {
  ...Object.fromEntries(Object.entries(PER_KIND).flatMap(([name, [title, keep]]) => forKinds(name, title, keep))),
  nested,
  holds,
}
/** Apart, since they leave long lists behind. */
export const PAGING: Readonly<Record<string, ContractPromise>> = Object.fromEntries(
  forKinds('paging', 'objects beyond the first page are found', paging),
)
