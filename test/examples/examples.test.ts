/** Each file of examples/ runs against a started world as its first lines say, and a second time. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type BuiltCli, buildCli, startProcess } from '../cli/built.js'
import { startWorld, type TestWorld } from '../cli/world.js'

const ROOT = resolve(import.meta.dirname, '../..')
const FILES = readdirSync(join(ROOT, 'examples')).filter((file) => file.endsWith('.ts'))

let built: BuiltCli
let world: TestWorld
beforeAll(async () => {
  built = buildCli()
  world = await startWorld(built)
})
afterAll(async () => {
  await world?.stop()
  await built?.remove()
})

const run = (file: string) =>
  startProcess(process.execPath, ['--import', 'tsx', join(ROOT, 'examples', file)], { MCP_IDP_HOME: world.home, HOME: world.home }, ROOT)
    .ended

/** What each one shows, the first time and the second. */
const SHOWN: Readonly<Record<string, readonly [RegExp, RegExp]>> = {
  'onboard-agents.ts': [/\+ machine-client billing-agent[\s\S]*saved .*billing-agent\.json/, /^nothing to do\n$/],
  'plan-only.ts': [/"action": "create"[\s\S]*"applied": false/, /"action": "create"[\s\S]*"applied": false/],
}

test('every example is known here', () => {
  expect(FILES.length).toBeGreaterThan(0)
  expect(FILES.toSorted()).toEqual(Object.keys(SHOWN).toSorted())
})

test.each(FILES)('%s runs, says what it did, and runs again', async (file) => {
  const writes = async () =>
    (await world.served()).filter(({ server, method, path }) => server !== 'demo' && method !== 'GET' && path !== '/token').length
  const [first, second] = SHOWN[file] ?? [/^$/, /^$/]
  const before = await writes()
  expect(await run(file)).toMatchObject({ exit: 0, stdout: expect.stringMatching(first), stderr: '' })
  const between = await writes()
  expect(between > before).toBe(file !== 'plan-only.ts')
  expect(await run(file)).toMatchObject({ exit: 0, stdout: expect.stringMatching(second), stderr: '' })
  expect(await writes()).toBe(between)
})

test.each(FILES)('%s says how it is run', (file) => {
  expect(readFileSync(join(ROOT, 'examples', file), 'utf8')).toContain(`npx tsx examples/${file}`)
})
