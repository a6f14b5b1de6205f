/** Carrying a plan out: adopting, what others are inside of, batches by depth, lost answers looked for, waiting and not waiting. */
import { describe, expect, test } from 'vitest'
import { ToolkitError } from '../../core/errors.js'
import type { Wanted } from '../../core/plan.js'
import { absent, group, machineClient, person, publicClient, type Rig, rig, rotated } from '../fakes/converging.js'
import { failureOf } from '../fakes/door.js'
import { type MemorySink, memorySink } from '../fakes/memory-sink.js'
import type { Moment } from '../fakes/timeline.js'

const unavailable = (reason = 'deadline') => new ToolkitError('unavailable', 'no answer', { system: 'memory', reason })
const rateLimited = () => new ToolkitError('rate_limited', 'slow down', { system: 'memory' })
const nested = ['eng', 'eng/platform', 'eng/platform/oncall', 'ops']

describe('adopting', () => {
  const adopting = (redirect_uris?: readonly string[]): Wanted => ({ ...publicClient('ide', redirect_uris), adopt: true })

  test('makes an object of nobody ours and changes what differs, and the plan says so', async () => {
    const world = rig()
    world.plant('public-client', { ...publicClient('ide', ['http://localhost/old']).spec, web_origins: ['kept'] }, 'nobody')
    const { changes } = await world.converge([adopting()])
    expect(changes).toMatchObject([{ action: 'adopt', key: 'ide', fields: [{ field: 'redirect_uris' }] }])
    expect(world.all('public-client')).toMatchObject([{ owner: 'us', spec: { ...publicClient('ide').spec, web_origins: ['kept'] } }])
  })
  test('marks an object that is as wanted already, once', async () => {
    const world = rig()
    world.plant('public-client', publicClient('ide').spec, 'nobody')
    expect((await world.converge([adopting()])).changes).toMatchObject([{ action: 'adopt', fields: [] }])
    expect(world.all('public-client')[0]?.owner).toBe('us')
    world.line.reset()
    await world.converge([adopting()])
    expect(world.writes()).toEqual([])
  })
  test('takes over the secret of a machine client along with it', async () => {
    const world = rig()
    const sink = memorySink(world.line)
    world.plant('machine-client', machineClient('agent').spec, 'nobody', 'secret-that-it-has')
    await world.converge([{ ...machineClient('agent', sink), adopt: true }])
    expect([sink.content?.secret, world.all('machine-client')[0]?.secret]).toEqual(['secret-that-it-has', 'secret-that-it-has'])
  })
  test('leaves what belongs to somebody alone', async () => {
    const world = rig()
    world.plant('public-client', publicClient('ide', ['theirs']).spec, { other: 'team-b' })
    expect((await failureOf(world.converge([adopting()]))).code).toBe('owned_elsewhere')
    expect(world.writes()).toEqual([])
  })
})

describe('groups inside groups', () => {
  test('are made from the outside in, whatever the order of the target', async () => {
    const world = rig()
    await world.converge([...nested].reverse().map((path) => group(path)))
    expect(world.all('group').map(({ key }) => key.split('/').length)).toEqual([1, 1, 2, 3])
  })
  test('go from the inside out', async () => {
    const world = rig()
    await world.converge(nested.map((path) => group(path)))
    world.line.reset()
    await world.converge(nested.map((path) => absent('group', path)))
    expect(world.writes().map((step) => step.split('/').length)).toEqual([3, 2, 1, 1])
    expect(world.all('group')).toEqual([])
  })
  test('are never taken along: a removal that names the outer one alone is refused, with what is inside', async () => {
    const world = rig()
    await world.converge(nested.map((path) => group(path)))
    world.line.reset()
    const failure = await failureOf(world.converge([absent('group', 'eng'), absent('group', 'eng/platform')]))
    expect(failure).toMatchObject({ code: 'conflict', details: { kind: 'group', key: 'eng' }, hint: expect.any(String) })
    expect(failure.message).toContain('eng/platform/oncall')
    expect(world.writes()).toEqual([])
    expect(world.all('group')).toHaveLength(nested.length)
  })
  test('of which one appeared after the plan was shown keep the outer one', async () => {
    const world = rig()
    await world.converge([group('eng')])
    world.line.reset()
    const lock = <T>(_tenants: readonly string[], work: () => Promise<T>): Promise<T> => {
      world.plant('group', { name: 'eng/new' }, 'nobody')
      return work()
    }
    const failure = await failureOf(world.converge([absent('group', 'eng')], { lock }))
    expect(failure).toMatchObject({ code: 'conflict', details: { key: 'moved', moved: [expect.stringContaining('eng/new')] } })
    expect(world.all('group')).toHaveLength(2)
  })
})

describe('memberships', () => {
  test('are exact: what is missing is added, what is too much goes', async () => {
    const world = rig()
    for (const name of ['a', 'b', 'c']) world.plant('group', { name }, 'nobody')
    await world.converge([person('ada', ['a', 'b'])])
    world.meddle('user', 'ada', { groups: ['b', 'c'] })
    world.line.reset()
    const { changes } = await world.converge([person('ada', ['a', 'b'])])
    expect(changes).toMatchObject([{ action: 'update', fields: [{ field: 'groups', from: ['b', 'c'], to: ['a', 'b'] }] }])
    expect(world.line.steps.filter((step) => /^(?:join|leave)/.test(step))).toEqual(['join user ada a', 'leave user ada c'])
    expect(world.all('user')[0]?.spec.groups?.toSorted()).toEqual(['a', 'b'])
  })
})

/** A kind of write: where it starts from, what it wants, and how it looks when it is done. */
interface Action {
  start(world: Rig): void
  wanted(sink: MemorySink): Wanted
  isDone(world: Rig): boolean
}
const ACTIONS: Readonly<Record<string, Action>> = {
  create: {
    start: () => undefined,
    wanted: (sink) => machineClient('agent', sink),
    isDone: (world) => world.all('machine-client').length === 1,
  },
  update: {
    start: (world) => world.plant('public-client', publicClient('ide', ['old']).spec),
    wanted: () => publicClient('ide', ['new']),
    isDone: (world) => world.all('public-client')[0]?.spec.redirect_uris.includes('new') === true,
  },
  remove: {
    start: (world) => world.plant('group', { name: 'data' }),
    wanted: () => absent('group', 'data'),
    isDone: (world) => world.all('group').length === 0,
  },
  set_secret: {
    start: (world) => world.plant('machine-client', machineClient('agent').spec, 'us', 'the-old-secret'),
    wanted: (sink) => rotated('machine-client', 'agent', sink),
    isDone: (world) => world.all('machine-client')[0]?.secret !== 'the-old-secret',
  },
}
const MOMENTS: readonly Moment[] = ['before', 'after']
const LOSSES = { unavailable, rate_limited: rateLimited }

describe('a write that is not answered', () => {
  const cases = Object.entries(ACTIONS).flatMap(([action, how]) =>
    MOMENTS.flatMap((moment) => Object.entries(LOSSES).map(([code, loss]) => ({ action, how, moment, code, loss }))),
  )
  test.for(cases)('($action, $code, $moment its effect) is looked for, and sent again only when it is not there', async (one) => {
    const { action, how, moment, loss } = one
    const world = rig()
    const sink = memorySink(world.line)
    how.start(world)
    world.line.failOnce((name) => name.startsWith(action), moment, loss)
    await expect(world.converge([how.wanted(sink)])).resolves.toMatchObject({ applied: true })
    expect(how.isDone(world)).toBe(true)
    expect(world.writes()).toHaveLength(moment === 'after' ? 1 : 2)
    const first = world.line.steps.findIndex((name) => name.startsWith(action))
    expect(world.line.steps[first + 1]).toMatch(/^observe/)
    expect(sink.pending).toBeUndefined()
    if (action === 'create' || action === 'set_secret') expect(sink.content?.secret).toBe(world.all('machine-client')[0]?.secret)
  })

  test('is sent again once the server is back, however often it was away', async () => {
    const world = rig()
    let left = 4
    world.line.failWhere((name) => (name.startsWith('create') && left-- > 0 ? 'before' : undefined), unavailable)
    await expect(world.converge([group('data')])).resolves.toMatchObject({ applied: true })
    expect(world.writes()).toHaveLength(5)
  })
  test('is given up when the patience is over, with the error as it was', async () => {
    const world = rig()
    world.line.failWhere((name) => (name.startsWith('create') ? 'before' : undefined), rateLimited)
    const began = performance.now()
    expect((await failureOf(world.converge([group('data')], { patienceMs: 400 }))).code).toBe('rate_limited')
    expect(performance.now() - began).toBeGreaterThan(250)
    expect(performance.now() - began).toBeLessThan(5_000)
    expect(world.writes().length).toBeGreaterThan(1)
  })
  test('because the run was stopped is not sent again', async () => {
    const world = rig()
    world.line.failOnce(
      (name) => name.startsWith('create'),
      'before',
      () => unavailable('stopped'),
    )
    expect(await failureOf(world.converge([group('data')]))).toMatchObject({ code: 'unavailable', details: { reason: 'stopped' } })
    expect(world.writes()).toHaveLength(1)
  })
  test('while the run is being stopped is not waited for', async () => {
    const world = rig()
    const stop = new AbortController()
    const stopping = () => {
      stop.abort()
      return unavailable()
    }
    world.line.failWhere((name) => (name.startsWith('create') ? 'before' : undefined), stopping)
    expect((await failureOf(world.converge([group('data')], { signal: stop.signal }))).code).toBe('unavailable')
    expect(world.writes()).toHaveLength(1)
  })
  test.for(['forbidden', 'unauthenticated', 'unexpected_response'] as const)('for another reason (%s) is not tried again', async (code) => {
    const world = rig()
    world.line.failOnce(
      (name) => name.startsWith('create'),
      'after',
      () => new ToolkitError(code, 'no', { system: 'memory', needs: [], reason: 'x' }),
    )
    expect((await failureOf(world.converge([group('data')]))).code).toBe(code)
    expect(world.writes()).toHaveLength(1)
  })
  test('is not believed done when somebody else made the object meanwhile', async () => {
    const world = rig()
    const lost = () => {
      world.plant('public-client', publicClient('ide').spec, { other: 'team-b' })
      return unavailable()
    }
    world.line.failOnce((name) => name.startsWith('create'), 'before', lost)
    expect((await failureOf(world.converge([publicClient('ide')]))).code).toBe('owned_elsewhere')
  })
})

test('a removal of what went away by itself is done', async () => {
  const world = rig()
  world.plant('group', { name: 'data' })
  const gone = () => {
    world.lose('group', 'data')
    return new ToolkitError('not_found', 'no such group', { kind: 'group', key: 'data' })
  }
  const told: string[] = []
  world.line.failOnce((name) => name.startsWith('remove'), 'before', gone)
  await world.converge([absent('group', 'data')], { onStep: ({ done, key }) => told.push(`${done} ${key}`) })
  expect(told).toEqual(['removed data'])
  expect(world.writes()).toHaveLength(1)
})
