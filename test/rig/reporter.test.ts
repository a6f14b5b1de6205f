/** The closing line and the rules about skipped tests, shown on vitest runs of their own. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { closingLine, countOutcomes, type Outcome } from '../reporter.js'
import { countsIn, isShown } from '../show.js'

const root = resolve(import.meta.dirname, '../..')
const header = `import { describe, expect, test } from 'vitest'\n`
const FILES = {
  'good.test.ts': `test('a', () => {})\ntest('b', () => {})`,
  'bad.test.ts': `test('a', () => { expect(1).toBe(2) })`,
  'skip.test.ts': `test('a', () => {})\ntest.skip('needs a server', () => {})\ntest.todo('later')`,
  'throws.test.ts': `throw new Error('does not load')`,
  'handbook.test.ts': `import { readFileSync } from 'node:fs'
import { describeWithHandbook, handbook } from ${JSON.stringify(join(root, 'test/handbook.ts'))}
test('a', () => {})
describeWithHandbook('fixtures agree', () => {
  const text = readFileSync(handbook('design/house.md'), 'utf8')
  test('a page', () => { expect(text).toBe('# House') })
})`,
  'hook.test.ts': `import { beforeAll } from 'vitest'\ndescribe('x', () => { beforeAll(() => { throw new Error('no') })\ntest('a', () => {}) })`,
}

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'reporter-'))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  mkdirSync(join(folder, 'tests'))
  for (const [name, body] of Object.entries(FILES)) writeFileSync(join(folder, 'tests', name), header + body)
  writeFileSync(join(folder, 'setup-fails.ts'), `export default () => { throw new Error('no server') }`)
  const projects = (['node', 'live'] as const).map((name) => ({ test: { name, include: ['tests/*.test.ts'] } }))
  const failing = { test: { name: 'broken', include: ['tests/good.test.ts'], globalSetup: ['setup-fails.ts'] } }
  writeFileSync(
    join(folder, 'vitest.config.ts'),
    `import { countsReporter } from ${JSON.stringify(join(root, 'test/reporter.ts'))}
export default { test: { reporters: ['default', countsReporter()], projects: ${JSON.stringify([...projects, failing])} } }`,
  )
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function runOf(
  project: string,
  files: readonly (keyof typeof FILES)[],
  CI = '',
  more: Record<string, string> = {},
): { status: number | null; last: string | undefined; stdout: string } {
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  const args = [vitest, 'run', '--root', folder, '--project', project, ...files]
  const { status, stdout } = spawnSync(process.execPath, args, {
    cwd: folder,
    env: { ...process.env, CI, VITEST: '', ...more },
    encoding: 'utf8',
  })
  return { status, last: stdout.trimEnd().split('\n').at(-1), stdout }
}

test('the last line is the counts, and a green run succeeds', () => {
  expect(runOf('node', ['good.test.ts'])).toMatchObject({ status: 0, last: '2 passed, 0 failed, 0 skipped' })
})

test('a failing test fails the run', () => {
  expect(runOf('node', ['good.test.ts', 'bad.test.ts'])).toMatchObject({ status: 1, last: '2 passed, 1 failed, 0 skipped' })
})

test.for(['throws.test.ts', 'hook.test.ts'] as const)('%s counts as a failure although no test of it ran', (file) => {
  const { status, last } = runOf('node', ['good.test.ts', file])
  expect(status).toBe(1)
  expect(last).toMatch(/^2 passed, 1 failed, \d skipped$/)
})

test('a setup that throws is a failed run, not an empty one', () => {
  expect(runOf('broken', [])).toMatchObject({ status: 1, last: '0 passed, 1 failed, 0 skipped' })
})

test('a skipped live test is told by name, and is a failure in CI', () => {
  const atDesk = runOf('live', ['skip.test.ts'])
  expect(atDesk).toMatchObject({ status: 0, last: '1 passed, 0 failed, 2 skipped' })
  expect(atDesk.stdout).toContain('skipped: needs a server')
  const inCi = runOf('live', ['skip.test.ts'], 'true')
  expect(inCi).toMatchObject({ status: 1, last: '1 passed, 2 failed, 0 skipped' })
  expect(inCi.stdout).toContain('skipped (a failure in CI): needs a server')
})

test('a skipped test that needs only Node is told and counted in CI', () => {
  expect(runOf('node', ['skip.test.ts'], 'true')).toMatchObject({ status: 0, last: '1 passed, 0 failed, 2 skipped' })
})

test('without the handbook a group that needs it is skipped by name with the reason, and its body is not run', () => {
  const without = runOf('node', ['handbook.test.ts'], '', { MCP_IDP_HANDBOOK: join(folder, 'nowhere') })
  expect(without).toMatchObject({ status: 0, last: '1 passed, 0 failed, 1 skipped' })
  expect(without.stdout).toMatch(/skipped: fixtures agree \(no handbook at .*nowhere; set MCP_IDP_HANDBOOK\)/)
  mkdirSync(join(folder, 'book/design'), { recursive: true })
  writeFileSync(join(folder, 'book/design/house.md'), '# House')
  const withIt = runOf('node', ['handbook.test.ts'], '', { MCP_IDP_HANDBOOK: join(folder, 'book') })
  expect(withIt).toMatchObject({ status: 0, last: '2 passed, 0 failed, 0 skipped' })
})

test('a test that never got to run counts as failed', () => {
  const outcomes: Outcome[] = [
    { name: 'a', project: 'node', state: 'passed' },
    { name: 'b', project: 'node', state: 'pending' },
  ]
  expect(countOutcomes(outcomes, 0, false)).toEqual({ passed: 1, failed: 1, skipped: 0 })
})

test('a show reads the last closing line, and shows nothing when nothing ran or something was skipped', () => {
  const counts = { passed: 3, failed: 0, skipped: 0 }
  expect(countsIn(`9 passed, 9 failed, 9 skipped\nnoise 1 passed, 1 failed, 1 skipped\n${closingLine(counts)}\n`)).toEqual(counts)
  expect(countsIn('3 passed, 0 failed\n')).toBeUndefined()
  expect(isShown(counts)).toBe(true)
  expect(isShown({ ...counts, passed: 0 })).toBe(false)
  expect(isShown({ ...counts, skipped: 1 })).toBe(false)
  expect(isShown({ ...counts, failed: 1 })).toBe(false)
})
