/** Groups and people from files: every mistake at once, before anything is asked; nothing is made when a group is missing. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BuiltCli, buildCli, type Ran } from './built.js'
import { startWorld, type TestWorld } from './world.js'

let built: BuiltCli
let world: TestWorld
let folder: string
beforeAll(async () => {
  built = buildCli()
  world = await startWorld(built)
  folder = await mkdtemp(join(tmpdir(), 'mcp-idp-files-'))
})
afterAll(async () => {
  await world?.stop()
  await built?.remove()
  if (folder) await rm(folder, { recursive: true, force: true })
})

/** Paths of files with these contents. */
async function files(contents: Readonly<Record<string, string>>): Promise<string[]> {
  await Promise.all(Object.entries(contents).map(([name, text]) => writeFile(join(folder, name), text)))
  return Object.keys(contents).map((name) => join(folder, name))
}
const problemsOf = ({ stdout }: Ran) =>
  (JSON.parse(stdout) as { error: { details: { problems: { path: string; expected: string }[] } } }).error.details.problems.map(
    ({ path }) => path.replace(`${folder}/`, ''),
  )
const requests = async () => (await world.served()).length
const group = (scope_name: string, more: object = {}) => JSON.stringify({ scope_name, create_in_idp: true, server_access: [], ...more })
const groupsFrom = (paths: readonly string[]) => [
  'setup',
  'groups',
  '--idp',
  'embedded',
  ...paths.flatMap((path) => ['--file', path]),
  '--yes',
]
const usersFrom = (path: string) => ['setup', 'users', '--idp', 'embedded', '--file', path, '--yes']

describe('group files', () => {
  test('with mistakes are refused with all of them and their places, and nobody is asked anything', async () => {
    const paths = await files({
      'good.json': group('fine'),
      'typo.yaml': 'scope_nam: data\ncreate_in_idp: yes please\n',
      'twice.json': `[${group('twin')},\n ${group('twin')}]`,
      'broken.json': '{"scope_name": "x"',
    })
    const before = await requests()
    const ran = await world.cli([...groupsFrom([...paths, join(folder, 'nowhere.yaml')]), '--json'])
    expect(ran.exit).toBe(2)
    const places = problemsOf(ran)
    for (const place of ['typo.yaml:1:1', 'typo.yaml:2:16', 'broken.json', 'nowhere.yaml']) expect(places.join('\n')).toContain(place)
    expect(places.length).toBeGreaterThanOrEqual(4)
    expect(places.join('\n')).not.toContain('good.json')
    expect(await requests()).toBe(before)
  })
  test('of both dialects become groups, those with create_in_idp; again, they are there', async () => {
    const yaml =
      '- scope_name: teams\n  create_in_idp: true\n  server_access: []\n- scope_name: platform\n  parent: teams\n  create_in_idp: true\n  server_access: []\n'
    const servers = [{ server_name: 'demo', tools: ['whoami'], access_level: 'read' }]
    const alone = JSON.stringify({ scope_name: 'registry-alone', servers })
    const paths = await files({ 'teams.yaml': yaml, 'alone.json': alone })
    const { exit, stdout } = await world.cli([...groupsFrom(paths), '--json'])
    expect(exit).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ applied: true, groups: ['teams', 'teams/platform'], skipped: ['registry-alone'] })
    expect(JSON.parse((await world.cli([...groupsFrom(paths), '--json'])).stdout)).toMatchObject({ applied: false, changes: [] })
  })
  test('inside a group that does not exist: exit 3, and nothing is made', async () => {
    const paths = await files({ 'orphan.json': `[${group('first')},${group('orphan', { parent: 'nowhere' })}]` })
    expect(await world.cli(groupsFrom(paths))).toMatchObject({ exit: 3, stderr: expect.stringContaining('group nowhere does not exist') })
    const { stdout } = await world.cli(['setup', 'groups', '--idp', 'embedded', '--groups', 'first', '--plan', '--json'])
    expect(JSON.parse(stdout)).toMatchObject({ changes: [{ action: 'create', key: 'first' }] })
  })
})

describe('a file of people', () => {
  const WRONG: readonly (readonly [string, string, readonly string[]])[] = [
    [
      'with several mistakes',
      JSON.stringify([
        { username: 'ok' },
        { username: 'a b', email: 'none' },
        { email: 'x@example.com' },
        { username: 'c', passwort: 'x' },
      ]),
      ['people.json:[1].username', 'people.json:[1].email', 'people.json:[2].username', 'people.json:[3]'],
    ],
    ['with somebody twice', JSON.stringify([{ username: 'twin' }, { username: 'twin' }]), ['people.json']],
    ['with nobody', '[]', ['people.json:(whole)']],
    ['that is no JSON', '[{"username": "ok"', ['people.json:(whole)']],
    ['with one person and no list', '{"username": "ok"}', ['people.json:(whole)']],
  ]
  test.each(WRONG)('%s: every place is told, nobody is asked anything', async (_, text, places) => {
    const [path = ''] = await files({ 'people.json': text })
    const before = await requests()
    const ran = await world.cli([...usersFrom(path), '--json'])
    expect(ran.exit, ran.stdout).toBe(2)
    expect(problemsOf(ran).toSorted()).toEqual(places.toSorted())
    expect(await requests()).toBe(before)
  })
  test('beside a user name, or without either: exit 2', async () => {
    const [path = ''] = await files({ 'people.json': '[{"username": "ok"}]' })
    for (const words of [
      [...usersFrom(path), '--username', 'both'],
      ['setup', 'users', '--idp', 'embedded', '--yes'],
    ])
      expect(await world.cli(words)).toMatchObject({ exit: 2, stderr: expect.stringContaining('either --username or --file') })
  })
  test('with a group that does not exist: exit 3, nobody is made, not even those whose groups exist', async () => {
    const people = [
      { username: 'fine', groups: ['demo-readers'] },
      { username: 'lost', groups: ['nowhere'] },
    ]
    const [path = ''] = await files({ 'people.json': JSON.stringify(people) })
    const writes = async () => (await world.served()).filter(({ method }) => method !== 'GET').length
    const before = await writes()
    expect(await world.cli(usersFrom(path))).toMatchObject({ exit: 3, stderr: expect.stringContaining('group nowhere does not exist') })
    expect(await writes()).toBe(before)
    await expect(readdir(join(world.home, 'people'))).rejects.toThrow('ENOENT')
  })
  test('becomes people, each with a first password in a file of its own; a group that confers administration needs a flag', async () => {
    const [path = ''] = await files({ 'people.json': JSON.stringify([{ username: 'ann', groups: ['demo-readers'] }, { username: 'bo' }]) })
    expect(await world.cli(usersFrom(path))).toMatchObject({ exit: 0 })
    expect((await readdir(join(world.home, 'people'))).toSorted()).toEqual(['ann.json', 'bo.json'])
    const [admins = ''] = await files({ 'admins.json': JSON.stringify([{ username: 'eve', groups: ['registry-admins'] }]) })
    expect(await world.cli(usersFrom(admins))).toMatchObject({ exit: 2, stderr: expect.stringContaining('--allow-privileged') })
  })
})
