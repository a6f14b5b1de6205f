/** A new secret for a client that is there: at every moment a saved one works, afterwards exactly one (requirement RL12). */
import { describe, expect, test } from 'vitest'
import { ToolkitError } from '../../core/errors.js'
import { Secret } from '../../core/secret.js'
import { machineClient, type Rig, rig, rotated, webClient } from '../fakes/converging.js'
import { failureOf } from '../fakes/door.js'
import { type MemorySink, memorySink } from '../fakes/memory-sink.js'
import { DEATHS, Killed } from '../fakes/timeline.js'

const OLD = 'the-old-secret-of-the-agent'

async function worldWithAgent(showsSecrets = true): Promise<{ world: Rig; sink: MemorySink }> {
  const world = rig({ showsSecrets })
  world.plant('machine-client', machineClient('agent').spec, 'us', OLD)
  const sink = memorySink(world.line)
  await sink.save(new Secret(OLD), 'agent')
  world.line.reset()
  return { world, sink }
}
const secretOf = (world: Rig) => world.all('machine-client')[0]?.secret
const works = (world: Rig, sink: MemorySink) => [sink.content?.secret, sink.pending].includes(secretOf(world))

describe('a rotation', () => {
  test('gives the client another secret, says so in the plan, and saves it before the server has it', async () => {
    const { world, sink } = await worldWithAgent()
    const { changes, receipts } = await world.converge([rotated('machine-client', 'agent', sink)])
    expect(changes).toMatchObject([{ action: 'rotate_secret', kind: 'machine-client', key: 'agent', fields: [{ field: 'secret_file' }] }])
    expect(receipts).toHaveLength(1)
    expect(secretOf(world)).toMatch(/^[\w-]{43}$/)
    expect(sink.content).toEqual({ secret: secretOf(world), client_id: 'agent' })
    const order = world.line.steps.filter((step) => /^(?:sink save|set_secret)/.test(step))
    expect(order).toEqual(['sink savePending', 'set_secret machine-client agent', 'sink save'])
  })
  test('of the client of a web page is the same', async () => {
    const world = rig()
    world.plant('web-client', webClient('gateway').spec, 'us', OLD)
    const sink = memorySink(world.line)
    await world.converge([rotated('web-client', 'gateway', sink)])
    expect(world.all('web-client')[0]?.secret).not.toBe(OLD)
    expect(sink.content).toEqual({ secret: world.all('web-client')[0]?.secret, client_id: 'gateway' })
  })
  test('asked for again happens again', async () => {
    const { world, sink } = await worldWithAgent()
    await world.converge([rotated('machine-client', 'agent', sink)])
    const first = secretOf(world)
    await world.converge([rotated('machine-client', 'agent', sink)])
    expect(secretOf(world)).not.toBe(first)
    expect(sink.content?.secret).toBe(secretOf(world))
  })

  test.for([true, false])(
    'that is killed at any point leaves a saved secret that works; the next one leaves exactly one (shown: %s)',
    async (shown) => {
      const dry = await worldWithAgent(shown)
      await dry.world.converge([rotated('machine-client', 'agent', dry.sink)])
      const points = dry.world.line.steps.length
      expect(points).toBeGreaterThan(5)
      for (let index = 0; index < points; index++) {
        for (const death of DEATHS) {
          const { world, sink } = await worldWithAgent(shown)
          world.line.killAt(index, death)
          await expect(world.converge([rotated('machine-client', 'agent', sink)])).rejects.toThrow(Killed)
          world.line.reset()
          expect(works(world, sink), `${death} ${index}`).toBe(true)
          // So does every step of the run that mends it.
          for (let step = 0; step < points; step++) {
            world.line.killAt(step, 'answered')
            await expect(world.converge([rotated('machine-client', 'agent', sink)])).rejects.toThrow(Killed)
            world.line.reset()
            expect(works(world, sink), `${death} ${index}, then ${step}`).toBe(true)
          }
          await world.converge([rotated('machine-client', 'agent', sink)])
          expect([sink.content?.secret, sink.pending]).toEqual([secretOf(world), undefined])
          expect(secretOf(world)).not.toBe(OLD)
        }
      }
    },
  )
  test('that was cut off before the server had the new secret does not disturb an ordinary run', async () => {
    const { world, sink } = await worldWithAgent()
    await sink.savePending(new Secret('of-a-rotation-that-was-cut-off'))
    await world.converge([machineClient('agent', sink)])
    expect([secretOf(world), sink.content?.secret, sink.pending]).toEqual([OLD, OLD, undefined])
  })
  test('that was cut off after it is completed by an ordinary run', async () => {
    const { world, sink } = await worldWithAgent()
    await sink.savePending(new Secret('of-a-rotation-that-was-cut-off'))
    world.reset('machine-client', 'agent', 'of-a-rotation-that-was-cut-off')
    await world.converge([machineClient('agent', sink)])
    expect([sink.content?.secret, sink.pending]).toEqual([secretOf(world), undefined])
  })

  test('of a client that is not there is not_found', async () => {
    const world = rig()
    expect((await failureOf(world.converge([rotated('machine-client', 'agent', memorySink(world.line))]))).code).toBe('not_found')
  })
  test.for(['nobody', { other: 'team-b' }] as const)('of a client that is not ours (%o) is refused', async (owner) => {
    const { world, sink } = await worldWithAgent()
    world.disown('machine-client', 'agent', owner)
    await failureOf(world.converge([rotated('machine-client', 'agent', sink)]))
    expect([world.writes(), secretOf(world)]).toEqual([[], OLD])
  })
  test('where secrets are issued is unsupported, and the old one stays', async () => {
    const world = rig({ secrets: 'issued' })
    world.plant('machine-client', machineClient('agent').spec, 'us', OLD)
    const failure = await failureOf(world.converge([rotated('machine-client', 'agent', memorySink(world.line))]))
    expect(failure).toMatchObject({ code: 'unsupported' })
    expect(secretOf(world)).toBe(OLD)
  })
  test('into the file of another client is a conflict before any write', async () => {
    const { world, sink } = await worldWithAgent()
    await sink.save(new Secret('of-another'), 'another')
    expect((await failureOf(world.converge([rotated('machine-client', 'agent', sink)]))).code).toBe('conflict')
    expect(secretOf(world)).toBe(OLD)
  })
})

describe('a saved secret', () => {
  test('of another day is replaced by the one that the provider shows', async () => {
    const { world, sink } = await worldWithAgent()
    world.reset('machine-client', 'agent', 'changed-in-the-console')
    const { changes } = await world.converge([machineClient('agent', sink)])
    expect(changes).toMatchObject([{ action: 'save_secret', key: 'agent' }])
    expect([sink.content?.secret, secretOf(world)]).toEqual(['changed-in-the-console', 'changed-in-the-console'])
    expect(world.writes()).toEqual([])
  })
  test('stays where the provider shows none', async () => {
    const { world, sink } = await worldWithAgent(false)
    await world.converge([machineClient('agent', sink)])
    expect(sink.content?.secret).toBe(OLD)
    expect(world.writes()).toEqual([])
  })
  test('that was only pending when its answer was lost is not thrown away where the provider shows none: a rotation takes it', async () => {
    const world = rig({ showsSecrets: false })
    const sink = memorySink(world.line)
    world.line.failOnce(
      (name) => name.startsWith('create'),
      'after',
      () => new Killed(),
    )
    await expect(world.converge([machineClient('agent', sink)])).rejects.toThrow(Killed)
    world.line.reset()
    expect(world.all('machine-client')).toHaveLength(1)
    expect(sink.pending).toBe(secretOf(world))
    expect(await failureOf(world.converge([machineClient('agent', sink)]))).toMatchObject({
      code: 'unsupported',
      hint: 'rotate the secret',
    })
    await world.converge([rotated('machine-client', 'agent', sink)])
    expect([sink.content?.secret, sink.pending]).toEqual([secretOf(world), undefined])
  })
  test('that was pending for a client which turns out to be somebody else’s is forgotten', async () => {
    const world = rig()
    const sink = memorySink(world.line)
    const faster = () => {
      world.plant('machine-client', machineClient('agent').spec, { other: 'team-b' }, 'theirs')
      return new ToolkitError('conflict', 'agent is taken', { kind: 'machine-client', key: 'agent' })
    }
    world.line.failOnce((name) => name.startsWith('create'), 'before', faster)
    expect((await failureOf(world.converge([machineClient('agent', sink)]))).code).toBe('conflict')
    expect([sink.pending, sink.content]).toEqual([undefined, undefined])
  })
})
