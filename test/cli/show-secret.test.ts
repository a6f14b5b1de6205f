/** `--show-secret`: the one way that a secret reaches a screen. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { quotePosix } from '../../ide/quote.js'
import { type BuiltCli, buildCli, startProcess } from './built.js'
import { startWorld, type TestWorld } from './world.js'

let built: BuiltCli
let world: TestWorld
beforeAll(async () => {
  built = buildCli()
  world = await startWorld(built)
}, 60_000)
afterAll(async () => {
  await world?.stop()
  await built?.remove()
})

const setup = (name: string) => [
  'setup',
  'm2m-app',
  '--idp',
  'embedded',
  '--name',
  name,
  '--groups',
  'demo-readers',
  '--yes',
  '--show-secret',
]
const secretOf = async (name: string): Promise<string> =>
  (JSON.parse(await readFile(join(world.home, 'identities', `${name}.json`), 'utf8')) as { client_secret: string }).client_secret
const occurrences = (text: string, part: string): number => text.split(part).length - 1

test('into a pipe it is refused before anything is changed', async () => {
  const { exit, stdout, stderr } = await world.cli(setup('piped'))
  expect(exit).toBe(2)
  expect(stderr).toContain('--show-secret')
  expect(stdout).toBe('')
  await expect(secretOf('piped')).rejects.toThrow('ENOENT')
})

test('on a terminal it prints the secret exactly once, and never without being asked', async () => {
  const onTerminal = (args: readonly string[]) =>
    startProcess('script', ['-qec', quotePosix([process.execPath, built.main, ...args]), '/dev/null'], { MCP_IDP_HOME: world.home }).ended
  const asked = await onTerminal(setup('shown'))
  expect(asked.exit).toBe(0)
  const secret = await secretOf('shown')
  expect(secret.length).toBeGreaterThan(20)
  expect(occurrences(asked.stdout, secret)).toBe(1)
  const unasked = await onTerminal(setup('shown').slice(0, -1))
  expect(unasked.exit).toBe(0)
  expect(occurrences(unasked.stdout + unasked.stderr, secret)).toBe(0)
})
