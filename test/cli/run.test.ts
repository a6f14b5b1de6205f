/** Commands on a running world: one JSON document, exit statuses, a declined change that says how to agree, flags anywhere. */
import { execFile } from 'node:child_process'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BuiltCli, buildCli } from './built.js'
import { startWorld, type TestWorld } from './world.js'

let built: BuiltCli
let world: TestWorld
let folder: string
beforeAll(async () => {
  built = buildCli()
  world = await startWorld(built)
  folder = await mkdtemp(join(tmpdir(), 'mcp-idp-run-'))
})
afterAll(async () => {
  await world?.stop()
  await built?.remove()
  if (folder) await rm(folder, { recursive: true, force: true })
})

const writes = async () =>
  (await world.served()).filter(({ server, method, path }) => server === 'registry' && method !== 'GET' && path !== '/demo/mcp').length
const registering = (id: string) => ['m2m', 'register', '--client-id', id, '--client-name', `It's ${id}`, '--groups', 'demo-readers']

describe('with --json', () => {
  const CASES: readonly (readonly [string, readonly string[], number])[] = [
    ['a list', ['m2m', 'list'], 0],
    ['a record that is not there', ['m2m', 'get', 'nobody'], 3],
    ['a plan', [...registering('planned'), '--plan'], 0],
    ['a change that is agreed to', [...registering('agreed'), '--yes'], 0],
    ['the same again', [...registering('agreed'), '--yes'], 0],
    ['a change that nobody agrees to', registering('lonely'), 8],
    ['a removal that nobody agrees to', ['m2m', 'delete', 'agreed'], 8],
    ['a field that is wrong', ['m2m', 'assign-groups', 'agreed', 'registry-admins'], 2],
    ['tokens', ['credentials', 'generate'], 0],
    ['a connect configuration', ['connect-config', '/demo', '--client', 'claude-code'], 0],
    ['a provider that is not configured', ['setup', 'ide-client', '--idp', 'keycloak'], 2],
    ['a provider that cannot do it', ['setup', 'ide-client', '--idp', 'embedded', '--client-id', 'mine'], 6],
  ]
  test.each(CASES)('%s is exactly one document on stdout', async (_, words, exit) => {
    const ran = await world.cli([...words, '--json'])
    expect(ran.exit, ran.stderr).toBe(exit)
    const document = JSON.parse(ran.stdout) as Record<string, unknown>
    expect(ran.stdout).toBe(`${JSON.stringify(document, null, 2)}\n`)
    expect('error' in document).toBe(exit !== 0)
    if (exit !== 0)
      expect(document).toMatchObject({ error: { code: expect.any(String), message: expect.any(String), details: expect.any(Object) } })
  })

  test('start tells one step a line', async () => {
    const { stdout } = await built.run(['start', '--once', '--json', '--home', join(folder, 'once'), '--port', '0', '--issuer-port', '0'])
    const steps = stdout
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { step: number }).step)
    expect(steps).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
  })
})

describe('a change that nobody agrees to', () => {
  test('writes nothing, exits 8 and names the command that does it, which then does it', async () => {
    const before = await writes()
    const refused = await world.cli([...registering('hinted'), '--home', world.home], { MCP_IDP_HOME: '/nonexistent' })
    expect(refused).toMatchObject({ exit: 8, stdout: '' })
    expect(refused.stderr).toContain('+ m2m-record hinted')
    expect(await writes()).toBe(before)
    const line = /\nnext: look at the plan, then run: ([\s\S]*)\n$/.exec(refused.stderr)?.[1] ?? ''
    expect(line).toMatch(/^mcp-idp m2m register .*--home .* --yes$/)
    const program = join(folder, 'mcp-idp')
    await writeFile(program, `#!/bin/sh\nexec '${process.execPath}' '${built.main}' "$@"\n`)
    await chmod(program, 0o755)
    const { stdout } = await promisify(execFile)('sh', ['-c', line], {
      env: { PATH: `${folder}:${process.env['PATH']}`, HOME: '/nonexistent' },
    })
    expect(stdout).toContain('1 change made')
    expect(await writes()).toBe(before + 1)
    expect(JSON.parse((await world.cli(['m2m', 'get', 'hinted', '--json'])).stdout)).toMatchObject({ client: { name: "It's hinted" } })
  })
})

describe('flags', () => {
  const expected = (stdout: string) => expect(JSON.parse(stdout)).toMatchObject({ total: expect.any(Number), clients: expect.any(Array) })
  test.each([
    ['before the command', (home: string) => ['--json', '--home', home, 'm2m', 'list']],
    ['between its words', (home: string) => ['m2m', '--json', '--home', home, 'list']],
    ['after it', (home: string) => ['m2m', 'list', '--json', '--home', home]],
    ['on both sides, with an equals sign', (home: string) => [`--home=${home}`, 'm2m', 'list', '--provider=manual', '--json']],
  ])('%s mean the same', async (_, words) => {
    const { exit, stdout, stderr } = await built.run(words(world.home))
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' })
    expected(stdout)
  })

  test('--home wins over MCP_IDP_HOME', async () => {
    const { exit } = await built.run(['m2m', 'list', '--home', world.home], { MCP_IDP_HOME: join(folder, 'empty') })
    expect(exit).toBe(0)
  })
})

describe('--env-file', () => {
  test('gives variables, before or after the command; those that are set stay; the current folder has no say', async () => {
    const file = join(folder, 'world.env')
    await writeFile(file, `MCP_IDP_HOME=${world.home}\nREGISTRY_URL=${await world.setting('REGISTRY_URL')}\n`)
    for (const words of [
      ['--env-file', file, 'm2m', 'list'],
      ['m2m', 'list', '--env-file', file],
    ])
      expect(await built.run(words), words.join(' ')).toMatchObject({ exit: 0, stdout: expect.stringContaining('demo-agent') })
    expect(await built.run(['m2m', 'list', '--env-file', file], { REGISTRY_URL: 'http://127.0.0.1:1' })).toMatchObject({ exit: 5 })
    expect(await built.run(['m2m', 'list'])).toMatchObject({ exit: 2, stderr: expect.stringContaining('REGISTRY_URL') })
  })
})

test('a failure shows its stack with --debug, and only then', async () => {
  const words = ['m2m', 'get', 'nobody']
  const [plain, debug] = [await world.cli(words), await world.cli([...words, '--debug'])]
  expect([plain.exit, debug.exit]).toEqual([3, 3])
  expect(plain.stderr).not.toMatch(/\n\s+at /)
  expect(debug.stderr).toMatch(/\n\s+at /)
})

test('Ctrl-C ends a start that is up with 130, and what it set up is there for the next one', async () => {
  const home = join(folder, 'again')
  const words = ['start', '--home', home, '--port', '0', '--issuer-port', '0']
  const first = built.start(words)
  await first.line((line) => line.includes('Ctrl-C'))
  first.child.kill('SIGINT')
  expect(await first.ended).toMatchObject({
    exit: 130,
    stdout: expect.stringContaining('3. Plan: 2 changes at the identity provider, 2 changes at the registry'),
  })
  const second = await built.run(['start', '--once', '--home', home])
  expect(second).toMatchObject({
    exit: 0,
    stdout: expect.stringContaining('3. Plan: 0 changes at the identity provider, 0 changes at the registry'),
  })
})
