/**
 * A server that loses what it acknowledged, as one does that is killed before its disk has it: what was agreed to is made
 * once more in the same run, and nothing else is.
 */
import { describe, expect, test } from 'vitest'
import { ToolkitError } from '../../core/errors.js'
import { group, machineClient, publicClient, rig, rotated } from '../fakes/converging.js'
import { failureOf } from '../fakes/door.js'
import { memorySink } from '../fakes/memory-sink.js'

const missing = () => new ToolkitError('not_found', 'group a does not exist', { kind: 'group', key: 'a' })

/** Calls `lose` at the first finished step of this kind, or at each. */
function atStep(kind: string, lose: () => void, often: 'once' | 'always' = 'once') {
  let times = 0
  const onStep = (step: { kind: string }) => {
    if (step.kind === kind && (often === 'always' || times === 0)) {
      times++
      lose()
    }
  }
  return { onStep }
}

describe('what is lost after it was acknowledged', () => {
  test('and found missing at the end is made again, with the secret that was saved', async () => {
    const world = rig()
    const sink = memorySink(world.line)
    const outcome = await world.converge(
      [group('a'), machineClient('agent', sink)],
      atStep('machine-client', () => world.lose('machine-client', 'agent')),
    )
    expect(outcome).toMatchObject({ applied: true, receipts: [{ saved_to: sink.place }] })
    expect(world.writes()).toEqual(['create group a', 'create machine-client agent', 'create machine-client agent'])
    expect(world.all('machine-client')).toMatchObject([{ secret: sink.content?.secret }])
    expect(sink.pending).toBeUndefined()
  })

  test('and is missed by what comes after it is made again, and that too', async () => {
    const world = rig()
    world.line.failOnce((step) => step === 'create group a/b', 'before', missing)
    const outcome = await world.converge(
      [group('a'), group('a/b'), publicClient('ide')],
      atStep('group', () => world.lose('group', 'a')),
    )
    expect(outcome.applied).toBe(true)
    expect(world.all('group').map(({ key }) => key)).toEqual(['a', 'a/b'])
    expect(world.all('public-client')).toHaveLength(1)
  })

  test('is taken over where that was agreed to: a tenant that becomes ours may show what is in it as nobody’s', async () => {
    const disowning = (world: ReturnType<typeof rig>) => atStep('group', () => world.disown('public-client', 'ide', 'nobody'))
    const agreed = rig()
    await agreed.converge([publicClient('ide')])
    await agreed.converge([group('a'), { ...publicClient('ide'), adopt: true }], disowning(agreed))
    expect(agreed.all('public-client')).toMatchObject([{ owner: 'us' }])

    const unasked = rig()
    await unasked.converge([publicClient('ide')])
    const failure = await failureOf(unasked.converge([group('a'), publicClient('ide')], disowning(unasked)))
    expect(failure).toMatchObject({ code: 'conflict' })
    expect(unasked.all('public-client')).toMatchObject([{ owner: 'nobody' }])
  })

  test('in part is completed', async () => {
    const world = rig()
    await world.converge(
      [publicClient('ide')],
      atStep('public-client', () => world.meddle('public-client', 'ide', { redirect_uris: [] })),
    )
    expect(world.writes()).toEqual(['create public-client ide', 'update public-client ide redirect_uris'])
  })

  test('again and again ends as not_converged', async () => {
    const world = rig()
    const failure = await failureOf(
      world.converge(
        [group('a')],
        atStep('group', () => world.lose('group', 'a'), 'always'),
      ),
    )
    expect(failure).toMatchObject({ code: 'not_converged', details: { remaining: ['+ group a', '    name: a'] } })
    expect(world.writes()).toEqual(['create group a', 'create group a'])
  })
})

describe('what nobody agreed to is not written in a second pass', () => {
  test('an object that was to be changed in one field is not made anew', async () => {
    const world = rig()
    await world.converge([publicClient('ide')])
    world.meddle('public-client', 'ide', { pkce: 'none' })
    world.line.reset()
    const failure = await failureOf(
      world.converge(
        [publicClient('ide')],
        atStep('public-client', () => world.lose('public-client', 'ide')),
      ),
    )
    expect(failure.code).toBe('not_converged')
    expect(world.writes()).toEqual(['update public-client ide pkce'])
  })

  test('something missing that the plan never made ends as what it is', async () => {
    const world = rig()
    await world.converge([group('a')])
    world.line.reset()
    world.line.failWhere((step) => (step === 'create group a/b' ? 'before' : undefined), missing)
    expect(await failureOf(world.converge([group('a'), group('a/b')]))).toMatchObject({ code: 'not_found' })
    expect(world.writes()).toEqual(['create group a/b', 'create group a/b'])
  })

  test('a rotation is sent once, whatever else is lost', async () => {
    const world = rig()
    const sink = memorySink(world.line)
    await world.converge([machineClient('agent', sink)])
    world.line.reset()
    const failure = await failureOf(
      world.converge(
        [group('a'), rotated('machine-client', 'agent', sink)],
        atStep('group', () => world.lose('group', 'a')),
      ),
    )
    expect(failure.code).toBe('not_converged')
    expect(world.writes()).toEqual(['create group a', 'set_secret machine-client agent'])
  })
})
