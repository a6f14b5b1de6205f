/** No secret is lost: chosen ones are saved before the create, issued ones before anything else, whatever fails between. */
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { stepText } from '../../core/apply.js'
import { renderPlan } from '../../core/converge.js'
import { ToolkitError } from '../../core/errors.js'
import { Secret } from '../../core/secret.js'
import { machineClient, recordOf, rig } from '../fakes/converging.js'
import { failureOf } from '../fakes/door.js'
import { memorySink } from '../fakes/memory-sink.js'
import type { Moment } from '../fakes/timeline.js'

const lostAnswer = () => new ToolkitError('unavailable', 'the answer is lost', { system: 'memory', reason: 'deadline' })
const effects = (steps: readonly string[]) => steps.filter((step) => !/^(?:observe|sink read)/.test(step))

function chosenWorld() {
  const world = rig()
  const sink = memorySink(world.line)
  return { world, sink, wanted: [machineClient('agent', sink)] }
}

describe('a secret that we choose', () => {
  test('is saved before the create and committed after it', async () => {
    const { world, sink, wanted } = chosenWorld()
    const { receipts } = await world.converge(wanted)
    expect(effects(world.line.steps)).toEqual(['sink savePending', 'create machine-client agent', 'sink save'])
    expect(sink.content).toEqual({ secret: world.all('machine-client')[0]?.secret, client_id: 'agent' })
    expect(sink.pending).toBeUndefined()
    expect(receipts).toEqual([{ saved_to: 'memory/agent.json', mode: '0600' }])
  })

  test('is 32 random bytes, another one each time', async () => {
    const secrets = new Set<string | undefined>()
    for (let count = 0; count < 5; count++) {
      const { world, sink, wanted } = chosenWorld()
      await world.converge(wanted)
      expect(sink.content?.secret).toMatch(/^[\w-]{43}$/)
      secrets.add(sink.content?.secret)
    }
    expect(secrets.size).toBe(5)
  })

  test('is nowhere in the plan, the progress and the outcome', async () => {
    const { world, sink, wanted } = chosenWorld()
    const told: string[] = []
    const outcome = await world.converge(wanted, { onStep: (step) => told.push(stepText(step)) })
    const text = inspect([told, outcome, world.shown.flatMap(renderPlan)], { depth: 12 })
    expect(text).toContain('memory/agent.json')
    expect(text).not.toContain(sink.content?.secret ?? 'no secret was saved')
  })

  test('is announced by the place that it goes to', async () => {
    const { world, wanted } = chosenWorld()
    const plan = await world.converge(wanted, { planOnly: true })
    expect(renderPlan(plan).at(-1)).toBe('    secret_file: memory/agent.json')
  })

  const steps = ['sink savePending', 'create machine-client agent', 'sink save']
  const cuts = steps.flatMap((step) => (['before', 'after'] as Moment[]).map((moment) => ({ step, moment })))
  test.for(cuts)('survives a cut $moment "$step": the next run ends with one client and its secret', async ({ step, moment }) => {
    const { world, sink, wanted } = chosenWorld()
    world.line.failOnce(
      (name) => name === step,
      moment,
      () => new Error('power cut'),
    )
    await expect(world.converge(wanted)).rejects.toThrow('power cut')
    const atCut = [sink.pending, sink.content?.secret]
    if (world.all('machine-client').length > 0) expect(atCut).toContain(world.all('machine-client')[0]?.secret)
    await world.converge(wanted)
    expect(world.all('machine-client')).toHaveLength(1)
    expect(sink.content).toEqual({ secret: world.all('machine-client')[0]?.secret, client_id: 'agent' })
    expect(sink.pending).toBeUndefined()
    world.line.reset()
    await world.converge(wanted)
    expect(effects(world.line.steps)).toEqual([])
  })

  test('that is pending is used again, not replaced', async () => {
    const { world, sink, wanted } = chosenWorld()
    world.line.failOnce(
      (name) => name.startsWith('create'),
      'before',
      () => new Error('power cut'),
    )
    await expect(world.converge(wanted)).rejects.toThrow('power cut')
    const pending = sink.pending
    expect(pending).toBeDefined()
    world.line.reset()
    await world.converge(wanted)
    expect(effects(world.line.steps)).toEqual(['create machine-client agent', 'sink save'])
    expect(sink.content?.secret).toBe(pending)
  })

  test('saved beside a client that is gone is used again for the new one', async () => {
    const { world, sink, wanted } = chosenWorld()
    await world.converge(wanted)
    const before = sink.content?.secret
    world.lose('machine-client', 'agent')
    await world.converge(wanted)
    expect(world.all('machine-client')[0]?.secret).toBe(before)
  })
})

describe('an answer that is lost', () => {
  test('is looked up, not asked for again', async () => {
    const { world, sink, wanted } = chosenWorld()
    world.line.failOnce((name) => name.startsWith('create'), 'after', lostAnswer)
    await expect(world.converge(wanted)).resolves.toMatchObject({ applied: true })
    expect(world.writes()).toEqual(['create machine-client agent'])
    expect(sink.content?.secret).toBe(world.all('machine-client')[0]?.secret)
  })
  test('to a request that never arrived is asked for again, with the same secret', async () => {
    const { world, sink, wanted } = chosenWorld()
    let atLoss: string | undefined
    const notSent = () => {
      atLoss = sink.pending
      return lostAnswer()
    }
    world.line.failOnce((name) => name.startsWith('create'), 'before', notSent)
    await expect(world.converge(wanted)).resolves.toMatchObject({ applied: true })
    expect(world.writes()).toEqual(['create machine-client agent', 'create machine-client agent'])
    expect(sink.content).toEqual({ secret: atLoss, client_id: 'agent' })
    expect(world.all('machine-client')).toMatchObject([{ secret: atLoss }])
  })
  test('gives its issued id to what refers to it', async () => {
    const world = rig({ ids: 'issued', secrets: 'issued' })
    const sink = memorySink(world.line)
    world.line.failOnce((name) => name.startsWith('create machine'), 'after', lostAnswer)
    await world.converge([machineClient('agent', sink, 'issued'), recordOf('agent')])
    expect(world.all('m2m-record')[0]?.spec).toMatchObject({ client_id: 'issued-1' })
    expect(sink.content).toEqual({ secret: 'secret-of-vendor-1', client_id: 'issued-1' })
  })
})

describe('a conflict on create', () => {
  test('looks again: a client of ours made by a faster run is used, with the secret that it really has', async () => {
    const { world, sink, wanted } = chosenWorld()
    const { spec } = machineClient('agent')
    const faster = () => {
      world.plant('machine-client', spec, 'us', 'secret-of-the-faster-run')
      return new ToolkitError('conflict', 'agent is taken', { kind: 'machine-client', key: 'agent' })
    }
    world.line.failOnce((name) => name.startsWith('create'), 'before', faster)
    await world.converge(wanted)
    expect(world.all('machine-client')).toHaveLength(1)
    expect(sink.content?.secret).toBe('secret-of-the-faster-run')
    expect(sink.pending).toBeUndefined()
  })
  test('with a client of somebody else stays a conflict', async () => {
    const { world, sink, wanted } = chosenWorld()
    const { spec } = machineClient('agent')
    const faster = () => {
      world.plant('machine-client', spec, 'nobody', 'not-ours')
      return new ToolkitError('conflict', 'agent is taken', { kind: 'machine-client', key: 'agent' })
    }
    world.line.failOnce((name) => name.startsWith('create'), 'before', faster)
    expect((await failureOf(world.converge(wanted))).code).toBe('conflict')
    expect(sink.content).toBeUndefined()
  })
})

describe('a secret that the server issues', () => {
  const issuedWorld = (showsSecrets = true) => {
    const world = rig({ ids: 'issued', secrets: 'issued', showsSecrets })
    const sink = memorySink(world.line)
    return { world, sink, wanted: [recordOf('agent'), machineClient('agent', sink, 'issued')] }
  }
  test('is saved before the next request', async () => {
    const { world, sink, wanted } = issuedWorld()
    await world.converge(wanted)
    expect(effects(world.line.steps)).toEqual(['create machine-client agent', 'sink save', 'create m2m-record issued-1'])
    expect(sink.content).toEqual({ secret: 'secret-of-vendor-1', client_id: 'issued-1' })
  })
  test('is kept although the next request fails', async () => {
    const { world, sink, wanted } = issuedWorld()
    world.line.failOnce(
      (name) => name.startsWith('create m2m-record'),
      'before',
      () => new Error('power cut'),
    )
    await expect(world.converge(wanted)).rejects.toThrow('power cut')
    expect(sink.content?.secret).toBe('secret-of-vendor-1')
  })
  test('that was lost and cannot be read is told as such, and the client is not made anew', async () => {
    const { world, wanted } = issuedWorld(false)
    world.line.failOnce(
      (name) => name === 'sink save',
      'before',
      () => new Error('disk full'),
    )
    await expect(world.converge(wanted)).rejects.toThrow('disk full')
    const failure = await failureOf(world.converge(wanted))
    expect(failure).toMatchObject({ code: 'unsupported', hint: 'rotate the secret' })
    expect(world.all('machine-client')).toHaveLength(1)
  })
})

describe('an existing client', () => {
  test('whose file is missing gets its own secret saved, in the plan as such, and is not changed', async () => {
    const { world, sink, wanted } = chosenWorld()
    world.plant('machine-client', machineClient('agent').spec, 'us', 'secret-that-it-has')
    const { changes } = await world.converge(wanted)
    expect(changes).toMatchObject([{ action: 'save_secret', kind: 'machine-client', key: 'agent' }])
    expect(world.writes()).toEqual([])
    expect(sink.content).toEqual({ secret: 'secret-that-it-has', client_id: 'agent' })
  })
  test('whose pending secret was left beside the saved one has it cleared away', async () => {
    const { world, sink, wanted } = chosenWorld()
    await world.converge(wanted)
    const { content } = sink
    await sink.savePending(new Secret('left-by-a-run-that-was-cut-off'))
    world.line.reset()
    await world.converge(wanted)
    expect([sink.pending, sink.content, world.writes()]).toEqual([undefined, content, []])
  })
  test('beside the secret of another client is a conflict before any write', async () => {
    const { world, sink, wanted } = chosenWorld()
    await sink.save(new Secret('of-another-client'), 'another')
    const failure = await failureOf(world.converge(wanted))
    expect(failure).toMatchObject({ code: 'conflict', hint: expect.stringContaining('--secret-file') })
    expect(world.writes()).toEqual([])
    expect(sink.content?.secret).toBe('of-another-client')
  })
})
