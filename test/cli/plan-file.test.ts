/** `--plan-out` and `--plan-in`: a plan saved today, carried out by whoever says yes, unless something moved in between. */
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BuiltCli, buildCli } from './built.js'
import { startWorld, type TestWorld } from './world.js'

let built: BuiltCli
let world: TestWorld
let folder: string
beforeAll(async () => {
  built = buildCli()
  world = await startWorld(built)
  folder = await mkdtemp(join(tmpdir(), 'mcp-idp-plans-'))
})
afterAll(async () => {
  await world?.stop()
  await built?.remove()
  if (folder) await rm(folder, { recursive: true, force: true })
})

const groups = (...names: string[]) => ['setup', 'groups', '--idp', 'embedded', '--groups', names.join(',')]
const plan = (name: string) => join(folder, `${name}.json`)
const writes = async () => (await world.served()).filter(({ method, path }) => method !== 'GET' && path !== '/token').length
/** Changes that a plan for these groups has: none when they are there. */
async function missing(...names: string[]): Promise<string[]> {
  const { stdout } = await world.cli([...groups(...names), '--plan', '--json'])
  return (JSON.parse(stdout) as { changes: { key: string }[] }).changes.map(({ key }) => key)
}
async function save(name: string, words: readonly string[]): Promise<void> {
  expect(await world.cli([...words, '--plan-out', plan(name)])).toMatchObject({ exit: 0 })
}

test('is shown, saved 0600, and writes nothing', async () => {
  const before = await writes()
  const { exit, stdout, stderr } = await world.cli([...groups('later'), '--plan-out', plan('later')])
  expect({ exit, stderr }).toEqual({
    exit: 0,
    stderr: `saved the plan in ${plan('later')} (0600); it is carried out by --plan-in within a day\n`,
  })
  expect(stdout).toContain('+ group later')
  expect((await stat(plan('later'))).mode & 0o777).toBe(0o600)
  expect(await writes()).toBe(before)
})

test('is carried out with --plan-in and --yes, once; after that there is nothing to do', async () => {
  await save('once', groups('once'))
  const words = ['setup', 'groups', '--plan-in', plan('once'), '--yes']
  expect(await world.cli(words)).toMatchObject({ exit: 0, stdout: expect.stringContaining('1 change made') })
  expect(await missing('once')).toEqual([])
  const before = await writes()
  expect(await world.cli(words)).toMatchObject({ exit: 0, stdout: expect.stringContaining('0 changes') })
  expect(await writes()).toBe(before)
})

test('is not carried out without a yes; the command that is named then does it', async () => {
  await save('asked', groups('asked'))
  const { exit, stdout } = await world.cli(['setup', 'groups', '--plan-in', plan('asked'), '--json'])
  expect(exit).toBe(8)
  const { error } = JSON.parse(stdout) as { error: { details: { command: string } } }
  expect(error.details.command).toBe(`mcp-idp setup groups --plan-in ${plan('asked')} --yes`)
  expect(await world.cli(error.details.command.split(' ').slice(1))).toMatchObject({ exit: 0 })
  expect(await missing('asked')).toEqual([])
})

test('of a client that is named by position needs no name beside it', async () => {
  await world.cli(['setup', 'm2m-app', '--idp', 'embedded', '--name', 'turning', '--yes'])
  const secret = () => readFile(join(world.home, 'identities', 'turning.json'), 'utf8')
  const before = await secret()
  await save('rotation', ['setup', 'rotate-secret', 'turning', '--idp', 'embedded'])
  expect(await secret()).toBe(before)
  expect(await world.cli(['setup', 'rotate-secret', '--plan-in', plan('rotation'), '--yes'])).toMatchObject({ exit: 0 })
  expect(await secret()).not.toBe(before)
})

test('is refused when something moved in between, which is told; nothing is written then', async () => {
  await save('moved', groups('first', 'second'))
  expect(await world.cli([...groups('first'), '--yes'])).toMatchObject({ exit: 0 })
  const before = await writes()
  const refused = await world.cli(['setup', 'groups', '--plan-in', plan('moved'), '--yes'])
  expect(refused).toMatchObject({ exit: 3, stdout: '' })
  expect(refused.stderr).toMatch(/error \(conflict\): [\s\S]*planned then, not now: \+ group first[\s\S]*next: .*--plan-out/)
  expect(await writes()).toBe(before)
  expect(await missing('second')).toEqual(['second'])
})

describe('is refused with exit 2 and nothing written', () => {
  beforeAll(() => save('kept', groups('kept')))
  const CASES: readonly (readonly [string, () => string[], RegExp])[] = [
    [
      'beside flags of the operation',
      () => [...groups('kept'), '--plan-in', plan('kept')],
      /--idp: nothing beside --plan-in[\s\S]*--groups: nothing beside/,
    ],
    ['beside --plan', () => ['setup', 'groups', '--plan', '--plan-in', plan('kept')], /--plan: nothing beside --plan-in/],
    [
      'beside --plan-out',
      () => ['setup', 'groups', '--plan-out', plan('x'), '--plan-in', plan('kept')],
      /--plan-out: nothing beside --plan-in/,
    ],
    ['by another operation', () => ['setup', 'users', '--plan-in', plan('kept')], /a plan of setup_users \(found setup_groups\)/],
  ]
  test.each(CASES)('%s', async (_, words, said) => {
    const before = await writes()
    const { exit, stdout, stderr } = await world.cli([...words(), '--yes'])
    expect({ exit, stdout }).toEqual({ exit: 2, stdout: '' })
    expect(stderr).toMatch(said)
    expect(await writes()).toBe(before)
    expect(await missing('kept')).toEqual(['kept'])
  })
  test('when its words were edited, so that it seems to do less', async () => {
    const text = await readFile(plan('kept'), 'utf8')
    await writeFile(plan('edited'), text.replace('+ group kept', '+ group tidy'), { mode: 0o600 })
    const { exit } = await world.cli(['setup', 'groups', '--plan-in', plan('edited'), '--yes'])
    expect([2, 3]).toContain(exit)
    expect(await missing('kept')).toEqual(['kept'])
  })
  test('when there is no such file: exit 3', async () => {
    expect(await world.cli(['setup', 'groups', '--plan-in', plan('nowhere'), '--yes'])).toMatchObject({
      ...{ exit: 3, stderr: expect.stringContaining('--plan-out') },
    })
  })
})
