/**
 * Laws of converging over random worlds and random wishes of every kind: what is sent is what was planned, a second run has
 * nothing to do, and a world that moves between the two is always noticed (requirement RL8).
 */
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { isToolkitError } from '../../core/errors.js'
import type { Change } from '../../core/plan.js'
import { type Kind, ORDER } from '../../core/resources.js'
import { failureOf } from '../fakes/door.js'
import { drifts, type Scene, scene, setUp } from './scenes.js'

const seed = Number(process.env['FC_SEED'] ?? Date.now() % 2 ** 31)
const counts = { states: 0, applied: 0, refused: 0, changes: 0, drifts: 0 }
const kinds = new Set<Kind>()
const actions = new Set<string>()

afterAll(() => {
  console.log(
    `converge laws: seed ${seed}; ${counts.states} states (${counts.applied} applied, ${counts.refused} refused before a write), `,
  )
  console.log(`  ${counts.changes} changes sent as planned (${[...actions].sort().join(', ')}), ${counts.drifts} drifts refused`)
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0)
  expect([...kinds].sort()).toEqual([...ORDER].sort())
})

/** What a change sends to the tenant; a secret that is only saved sends nothing. */
function announced({ action, kind, key, fields }: Change): string[] {
  if (action === 'save_secret') return []
  if (action === 'rotate_secret') return [`set_secret ${kind} ${key}`]
  const names = action === 'update' || action === 'adopt' ? fields.map(({ field }) => field).sort() : []
  return [`${action === 'adopt' ? 'update' : action} ${kind} ${key} ${names.join(' ')}`.trim()]
}
const savesSecret = ({ fields }: Change) => fields.some(({ field }) => field === 'secret_file')

describe('for any world and any wish', () => {
  test('the writes that are sent are the changes that were planned, and a second run plans none', async () => {
    await fc.assert(
      fc.asyncProperty(scene, async (one: Scene) => {
        counts.states++
        const { world, wanted } = await setUp(one)
        const before = JSON.stringify(ORDER.map((kind) => world.all(kind)))
        try {
          const { changes } = await world.converge(wanted)
          counts.applied++
          counts.changes += changes.length
          for (const { kind, action } of changes) {
            kinds.add(kind)
            actions.add(action)
          }
          expect(world.writes().toSorted()).toEqual(changes.flatMap(announced).toSorted())
          expect(world.line.steps.filter((step) => step === 'sink save')).toHaveLength(changes.filter(savesSecret).length)
        } catch (error) {
          if (!isToolkitError(error)) throw error
          expect(['conflict', 'owned_elsewhere', 'not_found']).toContain(error.code)
          expect(JSON.stringify(ORDER.map((kind) => world.all(kind)))).toBe(before)
          counts.refused++
          return
        }
        const again = await world.converge(wanted.filter(({ ensure }) => ensure !== 'rotated'))
        expect(again.changes).toEqual([])
      }),
      { numRuns: 1_200, seed },
    )
    expect(counts.applied).toBeGreaterThanOrEqual(500)
    expect([...actions].sort()).toEqual(['adopt', 'create', 'remove', 'rotate_secret', 'save_secret', 'update'])
  })

  test('a drift between the plan and the lock is a conflict that names what moved; nothing is written', async () => {
    await fc.assert(
      fc.asyncProperty(scene, fc.nat(), async (one: Scene, chosen) => {
        const { world, wanted } = await setUp(one)
        const planned = await world.converge(wanted, { planOnly: true }).catch(() => undefined)
        const possible = planned ? drifts(one, world, planned.changes) : []
        const drift = possible[chosen % Math.max(1, possible.length)]
        fc.pre(planned !== undefined && planned.changes.length > 0 && drift !== undefined)
        world.line.reset()
        const lock = <T>(_tenants: readonly string[], work: () => Promise<T>): Promise<T> => {
          drift?.happen()
          return work()
        }
        const ended = await world.converge(wanted, { lock }).catch((error: unknown) => error)
        expect(world.writes()).toEqual([])
        if (!(ended instanceof Error)) {
          // What moved made the whole plan true.
          expect(ended).toMatchObject({ applied: false, changes: [] })
          return
        }
        const failure = await failureOf(Promise.reject(ended))
        expect(failure).toMatchObject({ code: 'conflict', details: { kind: 'plan' } })
        expect((failure.details as { moved: string[] }).moved.join('\n')).toContain(drift?.key)
        counts.drifts++
      }),
      { numRuns: 250, seed, maxSkipsPerRun: 100 },
    )
    expect(counts.drifts).toBeGreaterThanOrEqual(200)
  })
})
