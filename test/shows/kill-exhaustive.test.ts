/**
 * A run that dies at any request and any call of a sink is mended by the next one, on the reference tenant: no duplicate, no
 * orphan, no lost secret (requirement RL1). And answers lost at random cost nothing within one run (requirement RL2).
 */
import { afterAll, describe, expect, test } from 'vitest'
import { ToolkitError } from '../../core/errors.js'
import type { Wanted } from '../../core/plan.js'
import { type Kind, ORDER } from '../../core/resources.js'
import {
  absent,
  environmentFile,
  group,
  machineClient,
  person,
  publicClient,
  type Rig,
  recordOf,
  rig,
  rotated,
  serverRecord,
  tenant,
  webClient,
} from '../fakes/converging.js'
import { type MemorySink, memorySink } from '../fakes/memory-sink.js'
import { DEATHS, Killed } from '../fakes/timeline.js'

const seed = Number(process.env['FC_SEED'] ?? Date.now() % 2 ** 31)
const counts = { points: 0, runs: 0, objects: 0, lost: 0 }

afterAll(() => {
  console.log(
    `kill-exhaustive: ${counts.points} points x ${DEATHS.length} deaths, ${counts.runs} runs, ${counts.objects} objects; every one mended`,
  )
  console.log(`kill-exhaustive: seed ${seed}; ${counts.lost} answers and requests lost over 500 objects`)
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0)
})

type Ids = 'chosen' | 'issued'
const GROUPS = ['eng', 'eng/platform', 'eng/platform/oncall', 'ops', 'ops/night', 'data']
const MACHINES = ['agent-1', 'agent-2', 'agent-3', 'agent-4']
const PEOPLE = ['ada', 'bob', 'eve']

/** A world, and a sink for every secret in it. */
function world(ids: Ids) {
  const at = rig({ ids, secrets: ids, page: 5 })
  const sinks = new Map<string, MemorySink>()
  const sink = (name: string): MemorySink => {
    const found = sinks.get(name) ?? memorySink(at.line, `secrets/${name}.json`)
    sinks.set(name, found)
    return found
  }
  return { at, sinks, sink }
}
type World = ReturnType<typeof world>

/** 30 objects of every kind: groups inside groups, people and machines in several of them, records that refer to issued ids. */
function thirty({ sink }: World, ids: Ids): Wanted[] {
  const machine = (name: string): Wanted => {
    const wanted = machineClient(name, sink(name), ids)
    return { ...wanted, spec: { ...wanted.spec, groups: ['eng/platform', 'data'] } }
  }
  const ide = (name: string): Wanted => {
    const wanted = publicClient(name)
    const { client_id, ...spec } = wanted.spec
    return { ...wanted, spec: ids === 'chosen' ? { ...spec, client_id: name } : spec }
  }
  return [
    environmentFile('registry.env'),
    ...['/one', '/two', '/three/deep'].map((path) => serverRecord(path, 'ide-1')),
    ...MACHINES.map((name) => recordOf(name, ['data'])),
    ...PEOPLE.map((name) => person(name, ['eng', 'ops/night'], sink(name))),
    ...MACHINES.map(machine),
    ...['gateway', 'console', 'portal', 'grafana'].map((name) => webClient(name, sink(name), ids)),
    ...['ide-1', 'ide-2', 'ide-3', 'ide-4'].map(ide),
    ...GROUPS.map((path) => group(path)),
    tenant('main'),
  ]
}

/** Another shape of the same world: somebody drifted, somebody leaves, secrets are new. */
function changed({ sink }: World): Wanted[] {
  return [
    absent('user', 'eve'),
    absent('group', 'eng/platform/oncall'),
    absent('public-client', 'ide-4'),
    person('ada', ['data'], sink('ada')),
    publicClient('ide-1', ['http://localhost/callback']),
    group('ops/day'),
    webClient('late', sink('late')),
  ]
}
const rotations = ({ sink }: World): Wanted[] => [
  rotated('machine-client', 'agent-1', sink('agent-1')),
  rotated('web-client', 'gateway', sink('gateway')),
]

/** Everything there is, each once; every saved secret is the one that the tenant has, and nothing is pending. */
function expectWhole({ at, sinks }: World, expected: Readonly<Record<string, number>>): void {
  for (const kind of ORDER) {
    const keys = at.all(kind).map(({ key }) => key)
    expect(new Set(keys).size, `duplicates of ${kind}`).toBe(keys.length)
    expect(keys.length, kind).toBe(expected[kind] ?? 0)
    expect(new Set(at.all(kind).map(({ owner }) => owner))).toEqual(new Set(keys.length > 0 ? ['us'] : []))
  }
  for (const [name, sink] of sinks) {
    const owner = (['machine-client', 'web-client', 'user'] as const).flatMap((kind) => at.all(kind).filter(({ key }) => key === name))[0]
    expect(sink.pending, `pending of ${name}`).toBeUndefined()
    if (owner) expect(sink.content?.secret, `secret of ${name}`).toBe(owner.secret)
    if (owner) expect(sink.content?.secret).toEqual(expect.any(String))
  }
}

const census = ({ at }: World): Record<Kind, number> =>
  Object.fromEntries(ORDER.map((kind) => [kind, at.all(kind).length])) as Record<Kind, number>

interface Job {
  readonly title: string
  readonly ids: Ids
  /** What was converged before, undisturbed. */
  before(one: World): Wanted[]
  wanted(one: World): Wanted[]
}
const JOBS: readonly Job[] = [
  { title: '30 objects of every kind, ids and secrets chosen', ids: 'chosen', before: () => [], wanted: (one) => thirty(one, 'chosen') },
  { title: '30 objects of every kind, ids and secrets issued', ids: 'issued', before: () => [], wanted: (one) => thirty(one, 'issued') },
  { title: 'changes, removals and additions', ids: 'chosen', before: (one) => thirty(one, 'chosen'), wanted: changed },
  { title: 'rotations', ids: 'chosen', before: (one) => thirty(one, 'chosen'), wanted: rotations },
  {
    title: 'the removal of everything',
    ids: 'chosen',
    before: (one) => thirty(one, 'chosen'),
    wanted: (one) => ORDER.flatMap((kind) => one.at.all(kind).map(({ key }) => absent(kind, key))),
  },
]

async function prepared({ ids, before }: Job): Promise<World> {
  const one = world(ids)
  const earlier = before(one)
  if (earlier.length > 0) await one.at.converge(earlier)
  one.at.line.reset()
  return one
}

describe('a run that dies for good at any request or call of a sink', () => {
  test.for(JOBS)('is mended by the next one, and the third writes nothing: $title', async (job) => {
    const dry = await prepared(job)
    const { changes } = await dry.at.converge(job.wanted(dry))
    const points = dry.at.line.steps.length
    const expected = census(dry)
    expectWhole(dry, expected)
    expect(changes.length).toBeGreaterThan(0)
    if (job.before(dry).length === 0) expect(changes).toHaveLength(30)
    counts.points += points
    counts.objects += changes.length
    for (let index = 0; index < points; index++) {
      for (const death of DEATHS) {
        const one = await prepared(job)
        const wanted = job.wanted(one)
        one.at.line.killAt(index, death)
        await expect(one.at.converge(wanted), `${death} step ${index}`).rejects.toThrow(Killed)
        one.at.line.reset()
        await one.at.converge(wanted)
        expectWhole(one, expected)
        one.at.line.reset()
        await one.at.converge(wanted.filter(({ ensure }) => ensure !== 'rotated'))
        expect(one.at.writes()).toEqual([])
        expect(one.at.line.steps.filter((step) => step.startsWith('sink save'))).toEqual([])
        counts.runs += 3
      }
    }
  })
})

/** Numbers from 0 to 1 that a seed repeats (mulberry32). */
function generator(from: number): () => number {
  let state = from
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

test('5 % of the writes lost before and 5 % after their effect: one run makes 500 objects, each once, with its secret', async () => {
  const one = world('chosen')
  const random = generator(seed)
  const names = Array.from({ length: 125 }, (_, index) => `n${index}`)
  const wanted = names.flatMap((name): Wanted[] => [
    group(name),
    publicClient(`ide-${name}`),
    machineClient(`agent-${name}`, one.sink(`agent-${name}`)),
    person(`person-${name}`, [name], one.sink(`person-${name}`)),
  ])
  // Reads are left alone: the door repeats them by itself.
  const lose = (name: string) => {
    if (!/^(?:create|join)/.test(name)) return undefined
    const chance = random()
    if (chance < 0.1) counts.lost++
    return chance < 0.05 ? 'before' : chance < 0.1 ? 'after' : undefined
  }
  one.at.line.failWhere(lose, () => new ToolkitError('unavailable', 'lost', { system: 'memory', reason: 'deadline' }))
  await expect(one.at.converge(wanted)).resolves.toMatchObject({ applied: true })
  expectWhole(one, { group: 125, 'public-client': 125, 'machine-client': 125, user: 125 })
  expectMembers(one.at)
})

function expectMembers(at: Rig): void {
  for (const { spec } of at.all('user')) expect(spec.groups).toEqual([spec.username.replace('person-', '')])
}
