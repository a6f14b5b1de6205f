/** A saved plan: private, without secrets, and carried out only while it is the same plan, of the same words, not too old. */
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Plan } from '../../core/converge.js'
import type { Change } from '../../core/plan.js'
import { type PlanFile, readPlanFile, refuseOtherPlan, savePlanFile } from '../../core/plan-file.js'
import { secretFile } from '../../core/secret-file.js'
import { group, machineClient, rig, rotated } from '../fakes/converging.js'
import { failureOf } from '../fakes/door.js'
import { temporaryFolder } from '../fakes/folder.js'

const NOW = new Date('2026-01-02T03:04:05Z')
const DAY = 24 * 60 * 60 * 1000
const ASKED = { operation: 'setup_groups', input: { idp: 'keycloak', groups: ['data', 'ops'] } }
const create = (key: string): Change => ({ action: 'create', kind: 'group', key, fields: [{ field: 'name', from: null, to: key }] })
const PLAN: Plan = { changes: [create('data'), create('ops')], manual: [], tenants: ['http://idp.example/realms/a'] }

async function saved(plan: Plan = PLAN): Promise<{ path: string; mode: string; file: PlanFile }> {
  const path = join(temporaryFolder(), 'plan.json')
  const { mode } = await savePlanFile(path, ASKED, plan, NOW)
  return { path, mode, file: await readPlanFile(path, ASKED.operation, NOW) }
}
const refusal = (file: PlanFile, plan: Plan) => failureOf((async () => refuseOtherPlan(file, plan))())

test('is saved 0600 with what was asked for, what it would change in words, and its digest', async () => {
  const { path, mode, file } = await saved()
  expect([mode, (statSync(path).mode & 0o777).toString(8)]).toEqual(['0600', '600'])
  expect(file).toEqual({
    ...{ version: 1, ...ASKED, tenants: PLAN.tenants },
    changes: ['+ group data', '    name: data', '+ group ops', '    name: ops'],
    digest: expect.stringMatching(/^[0-9a-f]{64}$/),
    expires_at: new Date(NOW.getTime() + DAY).toISOString(),
  })
})

describe('is carried out', () => {
  test('when the plan is the same, in whatever order it was observed', async () => {
    const { file } = await saved()
    refuseOtherPlan(file, PLAN)
    refuseOtherPlan(file, { ...PLAN, changes: PLAN.changes.toReversed() })
  })
  test('until it is a day old, and not after', async () => {
    const { path } = await saved()
    const later = (ms: number) => new Date(NOW.getTime() + ms)
    expect(await readPlanFile(path, ASKED.operation, later(DAY))).toMatchObject({ operation: ASKED.operation })
    const error = await failureOf(readPlanFile(path, ASKED.operation, later(DAY + 1)))
    expect(error).toMatchObject({ code: 'invalid_input', hint: expect.stringContaining('--plan-out') })
    expect(error.message).toContain('expired 2026-01-03T03:04:05.000Z')
  })
})

describe('is refused', () => {
  const OTHER_PLANS: readonly (readonly [string, Plan, readonly string[]])[] = [
    [
      'something more is to be done',
      { ...PLAN, changes: [...PLAN.changes, create('new')] },
      ['planned now, not then: + group new', 'planned now, not then: name: new'],
    ],
    [
      'something is done already',
      { ...PLAN, changes: [create('ops')] },
      ['planned then, not now: + group data', 'planned then, not now: name: data'],
    ],
    [
      'a field has another value by now',
      { ...PLAN, changes: [create('data'), { ...create('ops'), fields: [{ field: 'name', from: null, to: 'Ops' }] }] },
      ['planned then, not now: name: ops', 'planned now, not then: name: Ops'],
    ],
    [
      'it is another tenant',
      { ...PLAN, tenants: ['http://idp.example/realms/b'] },
      ['then for http://idp.example/realms/a, now for http://idp.example/realms/b'],
    ],
    [
      'there is something to do by hand by now',
      { ...PLAN, manual: [{ title: 'restart', steps: ['systemctl restart registry'] }] },
      ['planned now, not then: 1. by hand: restart', 'planned now, not then: systemctl restart registry'],
    ],
  ]
  test.each(OTHER_PLANS)('when %s, and what moved is told', async (_, plan, moved) => {
    const { file } = await saved()
    const error = await refusal(file, plan)
    expect(error).toMatchObject({ code: 'conflict', details: { kind: 'plan', key: 'moved', moved } })
    for (const line of moved) expect(error.message).toContain(line)
  })

  const EDITS: readonly (readonly [string, Partial<PlanFile>])[] = [
    ['the words', { changes: ['+ group data'] }],
    ['the end of its time', { expires_at: '2099-01-01T00:00:00Z' }],
    ['the tenants', { tenants: [] }],
    ['the digest', { digest: 'a'.repeat(64) }],
    ['the input', { input: { idp: 'keycloak', groups: ['data', 'ops', 'registry-admins'] } }],
  ]
  test.each(EDITS)('when somebody edited %s', async (_, edit) => {
    const { path, file } = await saved()
    writeFileSync(path, JSON.stringify({ ...file, ...edit }))
    const edited = await readPlanFile(path, ASKED.operation, NOW)
    expect(['invalid_input', 'conflict']).toContain((await refusal(edited, PLAN)).code)
  })

  test.each([
    ['a plan of another operation', { operation: 'setup_users' }, 'a plan of setup_groups (found setup_users)'],
    ['of another version', { version: 2 }, 'version'],
    ['with a field that nobody knows', { approved: true }, 'approved'],
  ])('for %s', async (_, edit, said) => {
    const { path, file } = await saved()
    writeFileSync(path, JSON.stringify({ ...file, ...edit }))
    const error = await failureOf(readPlanFile(path, ASKED.operation, NOW))
    expect(error.code).toBe('invalid_input')
    expect(error.message).toContain(said)
    expect(error.message).toContain(path)
  })

  test('when it is no plan, or not there', async () => {
    const path = join(temporaryFolder(), 'plan.json')
    expect(await failureOf(readPlanFile(path, ASKED.operation, NOW))).toMatchObject({
      code: 'not_found',
      hint: expect.stringContaining('--plan-out'),
    })
    for (const text of ['', '{', '[]', '"plan"', '{}']) {
      writeFileSync(path, text)
      expect((await failureOf(readPlanFile(path, ASKED.operation, NOW))).code).toBe('invalid_input')
    }
  })
})

test('holds no secret: of a client with a saved one that is to be replaced, and of one that is to be made, it names the files', async () => {
  const folder = temporaryFolder()
  const world = rig()
  const sink = (name: string) => secretFile(join(folder, `${name}.json`), { identity_name: name, auth_provider: 'keycloak' })
  await world.converge([machineClient('old', sink('old'))])
  const secret = (JSON.parse(readFileSync(join(folder, 'old.json'), 'utf8')) as { client_secret: string }).client_secret
  const plans: Plan[] = []
  await world.converge([rotated('machine-client', 'old', sink('old')), machineClient('new', sink('new')), group('data')], {
    planOnly: true,
    onPlan: (plan) => plans.push(plan),
  })
  const [plan] = plans
  if (plan === undefined) throw new Error('no plan was shown')
  const path = join(folder, 'plan.json')
  await savePlanFile(path, ASKED, plan, NOW)
  const text = readFileSync(path, 'utf8')
  for (const name of ['old.json', 'new.json']) expect(text).toContain(join(folder, name))
  expect(secret.length).toBeGreaterThan(20)
  expect(text).not.toContain(secret)
})
