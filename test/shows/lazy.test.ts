/** What a command loads is what it pays for: no vendor's SDK without that vendor, no schema library for help (decisions 29, 54). */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BuiltCli, buildCli, type Ran } from '../cli/built.js'
import { startWorld, type TestWorld } from '../cli/world.js'

const SDKS = ['@keycloak/', '@okta/', '@azure/', '@microsoft/', '@aws-sdk/', 'auth0', 'oidc-provider', '@modelcontextprotocol/']
const SCHEMAS = ['zod']

let built: BuiltCli
let world: TestWorld
let recorder: string
beforeAll(async () => {
  built = buildCli()
  recorder = writeRecorder(built.folder)
  world = await startWorld(built)
})
afterAll(async () => {
  await world?.stop()
  await built?.remove()
})

/** Node's module hooks (node:module, `register`): each file loaded by import or require is written to a list. */
function writeRecorder(folder: string): string {
  const hooks = `
import { appendFileSync } from 'node:fs'
export async function load(url, context, next) {
  appendFileSync(process.env.LOADED, url + '\\n')
  return next(url, context)
}`
  const entry = `
import { appendFileSync } from 'node:fs'
import Module, { register } from 'node:module'
register(${JSON.stringify(pathToFileURL(join(folder, 'hooks.mjs')).href)})
const original = Module._load
Module._load = function (request, parent, isMain) {
  const found = Module._resolveFilename(request, parent, isMain)
  if (found.startsWith('/')) appendFileSync(process.env.LOADED, 'file://' + found + '\\n')
  return original.call(this, request, parent, isMain)
}`
  writeFileSync(join(folder, 'hooks.mjs'), hooks)
  writeFileSync(join(folder, 'recorder.mjs'), entry)
  return join(folder, 'recorder.mjs')
}

/** Runs the CLI and lists the packages, and our own files, that were loaded. */
async function loadedBy(
  args: readonly string[],
  variables: Record<string, string> = {},
): Promise<{ ran: Ran; packages: string[]; own: string[] }> {
  const list = join(built.folder, `loaded-${Math.random().toString(36).slice(2)}.txt`)
  writeFileSync(list, '')
  const ran = await built.run(args, { ...variables, LOADED: list }, ['--import', pathToFileURL(recorder).href])
  const urls = readFileSync(list, 'utf8').trim().split('\n')
  const packages = urls.flatMap((url) => url.match(/.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1] ?? [])
  const own = urls.flatMap((url) => url.match(/\/dist\/(.+)$/)?.[1] ?? []).filter((path) => !path.includes('node_modules'))
  return { ran, packages: [...new Set(packages)].sort(), own: [...new Set(own)].sort() }
}

const among = (names: readonly string[]) => (name: string) =>
  names.some((one) => name === one || (one.endsWith('/') && name.startsWith(one)))

test('the list is complete: a command that speaks MCP is seen to load the MCP SDK and zod, and one that asks Keycloak its SDK', async () => {
  const mcp = await loadedBy(['mcp', '--elicitation-timeout', 'never'])
  expect(mcp.ran.exit).toBe(2)
  expect(mcp.packages.filter(among([...SDKS, ...SCHEMAS]))).toEqual(['@modelcontextprotocol/sdk', 'zod'])
  const keycloak = await loadedBy(['setup', 'ide-client', '--idp', 'keycloak', '--plan'], { MCP_IDP_HOME: world.home })
  expect(keycloak.ran.exit).toBe(2)
  expect(keycloak.packages.filter(among(SDKS))).toContain('@keycloak/keycloak-admin-client')
})

test.each([[['--version']], [['--help']], [[]], [['setup', '--help']], [['completion', 'bash']]])(
  '%j loads no SDK and no schema library',
  async (args) => {
    const { ran, packages, own } = await loadedBy(args)
    expect(ran.stdout + ran.stderr).toMatch(/\d+\.\d+\.\d+|Usage: mcp-idp|_mcp_idp/)
    expect(own).toContain('cli/main.js')
    expect(packages.filter(among([...SDKS, ...SCHEMAS]))).toEqual([])
    expect(packages).toEqual(['commander'])
    console.log(`lazy: mcp-idp ${args.join(' ')} loads ${own.length} files of ours and ${packages.join(', ')}`)
  },
)

test.each([[['m2m', 'list']], [['m2m', 'list', '--json']], [['servers', 'list']], [['connect-config', '/demo', '--client', 'codex']]])(
  '%j works on the embedded world and loads no SDK of any vendor',
  async (args) => {
    const { ran, packages, own } = await loadedBy(args, { MCP_IDP_HOME: world.home })
    expect(ran).toMatchObject({ exit: 0, stdout: expect.stringMatching(/demo/i) })
    expect(packages.filter(among(SDKS))).toEqual([])
    expect(
      own.filter((path) =>
        /^(?:registry\/server|mcp-server|idp\/(?:keycloak|okta|entra|auth0|cognito)\/(?!capabilities|token)|setup)\b/.test(path),
      ),
    ).toEqual([])
    console.log(`lazy: mcp-idp ${args.join(' ')} loads ${own.length} files of ours and ${packages.join(', ')}`)
  },
)

test('minting from the files of an embedded client loads no SDK either', async () => {
  const { ran, packages } = await loadedBy(['credentials', 'generate'], { MCP_IDP_HOME: world.home })
  expect(ran).toMatchObject({ exit: 0, stdout: expect.stringContaining('demo-agent') })
  expect(packages.filter(among(SDKS))).toEqual([])
})

describe('a token that is at hand', () => {
  const HELPERS: readonly (readonly string[])[] = [
    ['credentials', 'get', 'demo-agent'],
    ['credentials', 'get', 'demo-agent', '--format', 'headers'],
    ['credentials', 'get', 'demo-agent', '--json'],
  ]
  const FEW_FILES = 20
  const expectNothingElse = (packages: readonly string[], own: readonly string[], words: readonly string[], where: string) => {
    expect(packages).toEqual([])
    expect(own).toContain('cli/get-at-once.js')
    expect(own.length).toBeLessThan(FEW_FILES)
    console.log(`lazy: mcp-idp ${words.join(' ')} (${where}) loads ${own.length} files of ours and no package`)
  }

  test.each(HELPERS.map((words) => [words]))(
    'in its file: %j loads no package at all, neither schemas nor commander nor undici',
    async (words) => {
      const home = { MCP_IDP_HOME: world.home }
      const whole = await loadedBy([...words, '--debug'], home)
      expect(whole.ran).toMatchObject({ exit: 0, stderr: '' })
      expect(whole.packages).toEqual(expect.arrayContaining(['commander', 'zod']))
      const { ran, packages, own } = await loadedBy(words, home)
      expect(ran).toMatchObject({ exit: 0, stderr: '', stdout: expect.stringContaining('eyJ') })
      expectNothingElse(packages, own, words, 'saved')
    },
  )

  test('at the token agent: the same', async () => {
    const empty = join(built.folder, 'empty')
    mkdirSync(empty)
    const socket = join(world.home, 'agent.sock')
    const agent = built.start(['credentials', 'serve', '--socket', socket], { MCP_IDP_HOME: world.home })
    const [words = []] = HELPERS
    const asking = { MCP_IDP_HOME: empty, MCP_IDP_AGENT: socket }
    await new Promise<void>((listens, fail) => {
      agent.child.stderr?.on('data', (text: string) => text.includes('listens') && listens())
      void agent.ended.then(({ stderr }) => fail(new Error(stderr)))
    })
    const { ran, packages, own } = await loadedBy(words, asking)
    agent.child.kill('SIGTERM')
    await agent.ended
    rmSync(empty, { recursive: true })
    expect(ran).toMatchObject({ exit: 0, stderr: '', stdout: expect.stringMatching(/^eyJ\S+\n$/) })
    expectNothingElse(packages, own, words, 'agent')
  })
})
