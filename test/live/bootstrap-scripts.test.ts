/**
 * The setup scripts as an operator runs them: from the environment alone, planned first, sourced afterwards, asked for a yes
 * and stopped with Ctrl-C at a real terminal.
 */
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { quotePosix } from '../../ide/quote.js'
import { type Ran as RanAtTerminal, startProcess } from '../cli/built.js'
import { isWrite, startFront } from './front.js'
import { askToken, claimsOf, makeFolder, type Ran, start, type Variables } from './product.js'
import { keycloak, type Realm, unmadeRealm } from './rig/keycloak.js'

const ROOT = resolve(import.meta.dirname, '../..')
const SCRIPTS = ['init', 'setup-ide-public-client', 'setup-m2m-app', 'rotate-secret'] as const
type Script = (typeof SCRIPTS)[number]
const AGENT = 'reporting-agent'
const CTRL_C = '\u0003'
const MINUTE = 60_000

let realm: Realm
let home: Awaited<ReturnType<typeof makeFolder>>
const counts = { runs: 0, plans: 0, rotations: 0, stopped: 0 }

beforeAll(async () => {
  home = await makeFolder()
  realm = unmadeRealm()
})
afterAll(async () => {
  await realm?.remove()
  await home?.remove()
  const { runs, plans, rotations, stopped } = counts
  console.log(
    `bootstrap: scripts run ${runs} times, ${plans} times with --plan, ${rotations} secrets rotated, ${stopped} stopped by Ctrl-C`,
  )
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0)
})

const path = (script: Script) => `./setup/idp/keycloak/${script}.ts`
/** The variables that the scripts document, and a home so that nothing of the user's is touched. */
function documented(of: Realm = realm, url = keycloak().url): Variables {
  const { adminUser, adminPassword } = keycloak()
  return {
    ...{ MCP_IDP_HOME: home.path, KEYCLOAK_ADMIN_URL: url, KEYCLOAK_REALM: of.realm },
    ...{ KEYCLOAK_ADMIN: adminUser, KEYCLOAK_ADMIN_PASSWORD: adminPassword },
  }
}
const secretFile = () => join(home.path, 'secrets', 'agent.json')
const m2m = () => ({ ...documented(), M2M_NAME: AGENT, M2M_GROUPS: 'data-readers', M2M_SECRET_FILE: secretFile() })

async function run(script: Script, args: readonly string[], variables: Variables): Promise<Ran> {
  const ran = await start(path(script), args, variables).ended
  counts.runs++
  if (args.includes('--plan')) counts.plans++
  return ran
}
/** Types at its terminal as soon as it shows a text. The terminal is one stream: what it prints is in `stdout`. */
function atTerminal(script: Script, variables: Variables, typed: { after: string | Promise<void>; keys: string }): Promise<RanAtTerminal> {
  counts.runs++
  const { HOME = '' } = process.env
  // A terminal without a size would fold after every letter.
  const words = `stty cols 100 rows 30; exec ${quotePosix([path(script)])}`
  const { child, ended } = startProcess('script', ['-qec', words, '/dev/null'], { HOME, ...variables }, ROOT)
  const type = () => void child.stdin?.write(typed.keys)
  if (typeof typed.after !== 'string') void typed.after.then(type)
  else {
    let shown = ''
    const look = (part: string) => {
      shown += part
      if (!shown.includes(String(typed.after))) return
      child.stdout?.off('data', look)
      type()
    }
    child.stdout?.on('data', look)
  }
  return ended
}
/** What a shell has after sourcing the script's output. */
async function sourced(stdout: string): Promise<Record<string, string>> {
  const lines = stdout.trimEnd().split('\n')
  for (const line of lines) expect(line).toMatch(/^[A-Z][A-Z0-9_]*=\S.*$/)
  const names = lines.map((line) => line.slice(0, line.indexOf('=')))
  const file = join(home.path, 'sourced.env')
  await writeFile(file, stdout)
  const print = names.map((name) => `printf '%s\\0' "$${name}"`).join('; ')
  const { stdout: values } = await start('sh', ['-euc', `. "$1"; ${print}`, 'sh', file], {}).ended
  return Object.fromEntries(names.map((name, index) => [name, values.split('\0')[index] ?? '']))
}
async function savedSecret(): Promise<string> {
  return (JSON.parse(await readFile(secretFile(), 'utf8')) as { client_secret: string }).client_secret
}
const mints = (client_secret: string) => askToken(realm, { grant_type: 'client_credentials', client_id: AGENT, client_secret })

describe.each(SCRIPTS)('%s', (script) => {
  test('tells with --help what it reads and how it is run, without any variable', async () => {
    const { exit, stdout } = await run(script, ['--help'], {})
    expect(exit).toBe(0)
    expect(stdout).toMatch(
      new RegExp(`^${script}\\.ts [\\s\\S]*\nEnvironment:\n[\\s\\S]*KEYCLOAK_ADMIN_PASSWORD +required[\\s\\S]*\nExample:\n`),
    )
  })
  test('does nothing with a flag that it does not know, such as a misspelt --plan', async () => {
    const ran = await run(script, ['--paln'], { ...m2m() })
    expect(ran).toMatchObject({ exit: 2, stdout: '', stderr: expect.stringContaining('--paln') })
    expect((await realm.admin('GET', '')).status).toBe(404)
  })
  test('names every variable that is missing', async () => {
    const { KEYCLOAK_ADMIN_PASSWORD: _, M2M_NAME: __, ...others } = { ...m2m() } as Record<string, string>
    const { exit, stdout, stderr } = await run(script, ['--plan'], others)
    expect({ exit, stdout }).toEqual({ exit: 2, stdout: '' })
    expect(stderr).toMatch(/KEYCLOAK_ADMIN_PASSWORD|name: /)
  })
})

describe('init.ts', () => {
  const variables = (): Variables => ({ ...documented(), GATEWAY_GROUPS: 'data-readers,data-writers' })
  test('with --plan shows what it would make, and makes nothing', async () => {
    const { exit, stdout, stderr } = await run('init', ['--plan'], variables())
    expect({ exit, stdout }).toEqual({ exit: 0, stdout: '' })
    expect(stderr).toContain(`+ tenant ${realm.realm}`)
    expect((await realm.admin('GET', '')).status).toBe(404)
  })
  test('makes the realm with the groups that were asked for, and says where the environment of the registry is', async () => {
    const { exit, stdout, stderr } = await run('init', [], variables())
    expect({ exit, stderr }).toMatchObject({ exit: 0 })
    expect(await sourced(stdout)).toEqual({ REGISTRY_ENVIRONMENT_FILE: join(home.path, 'registry.env') })
    const { body } = await realm.admin<{ name: string }[]>('GET', '/groups')
    expect(body.map(({ name }) => name).toSorted()).toEqual(['data-readers', 'data-writers', 'registry-admins'])
    expect((await realm.admin('PUT', '', { adminEventsEnabled: true })).status).toBe(204)
  })
  test('run again makes nothing', async () => {
    const before = await realm.writes()
    expect(await run('init', [], variables())).toMatchObject({ exit: 0, stderr: expect.stringContaining('0 changes made') })
    expect(await realm.writes()).toBe(before)
  })
})

describe('setup-m2m-app.ts', () => {
  test('with --plan writes nothing at the server and no file', async () => {
    const before = await realm.writes()
    expect(await run('setup-m2m-app', ['--plan'], m2m())).toMatchObject({
      exit: 0,
      stderr: expect.stringContaining(`+ machine-client ${AGENT}`),
    })
    expect(await realm.writes()).toBe(before)
    await expect(stat(secretFile())).rejects.toThrow('ENOENT')
  })
  test('makes a client whose secret is in the named file alone, and mints', async () => {
    const { exit, stdout, stderr } = await run('setup-m2m-app', [], m2m())
    expect({ exit, stderr }).toMatchObject({ exit: 0 })
    expect(await sourced(stdout)).toEqual({ M2M_CLIENT_ID: AGENT, M2M_SECRET_FILE: secretFile() })
    expect((await stat(secretFile())).mode & 0o777).toBe(0o600)
    const secret = await savedSecret()
    expect(stdout + stderr).not.toContain(secret)
    const { status, access_token } = await mints(secret)
    expect(status).toBe(200)
    expect(claimsOf(access_token)['groups']).toEqual(['data-readers'])
  })
})

describe('rotate-secret.ts', () => {
  /** The server's count of writes, and the saved secret. */
  const state = async () => ({ writes: await realm.writes(), secret: await savedSecret() })

  test.each([
    ['where nobody is to say yes', [], 8],
    ['with --plan', ['--plan'], 0],
  ])('%s changes nothing, and the old secret goes on working', async (_, args, exit) => {
    const before = await state()
    const ran = await run('rotate-secret', args, m2m())
    expect(ran).toMatchObject({ exit, stdout: '', stderr: expect.stringContaining('the old one ends') })
    expect(await state()).toEqual(before)
    expect((await mints(before.secret)).status).toBe(200)
  })

  test('stopped with Ctrl-C at the question ends with 130 and changes nothing', async () => {
    const before = await state()
    const { exit, stdout } = await atTerminal('rotate-secret', m2m(), { after: 'Do this?', keys: CTRL_C })
    expect({ exit, stdout }).toMatchObject({ exit: 130 })
    expect(await state()).toEqual(before)
    counts.stopped++
  })
  test('answered with no ends with 8 and changes nothing', async () => {
    const before = await state()
    expect((await atTerminal('rotate-secret', m2m(), { after: 'Do this?', keys: 'n' })).exit).toBe(8)
    expect(await state()).toEqual(before)
  })

  test.each([
    ['with --yes', async () => (await run('rotate-secret', ['--yes'], m2m())).exit],
    ['answered with yes at a terminal', async () => (await atTerminal('rotate-secret', m2m(), { after: 'Do this?', keys: 'y' })).exit],
  ])('%s ends the old secret and saves one that mints', async (_, rotate) => {
    const before = await savedSecret()
    expect(await rotate()).toBe(0)
    const after = await savedSecret()
    expect(after).not.toBe(before)
    expect([(await mints(before)).status, (await mints(after)).status]).toEqual([401, 200])
    counts.rotations++
  })
})

test('Ctrl-C in the middle of init.ts ends with 130 at once, and the next run takes up where it was', { timeout: 3 * MINUTE }, async () => {
  const other = unmadeRealm()
  let writes = 0
  let reached = () => {}
  const held = new Promise<void>((resolve) => {
    reached = resolve
  })
  // The second write is never answered.
  let isHeld = true
  const front = await startFront(keycloak().url, (asked, _answer, passOn) => {
    if (isHeld && isWrite(asked) && ++writes === 2) reached()
    else passOn(true)
  })
  try {
    const began = performance.now()
    const { exit, stdout } = await atTerminal('init', documented(other, front.url), { after: held, keys: CTRL_C })
    expect({ exit, stdout }).toMatchObject({ exit: 130 })
    expect(performance.now() - began).toBeLessThan(MINUTE)
    expect((await other.admin('GET', '')).status).toBe(200)
    counts.stopped++
    isHeld = false
    expect(await run('init', [], documented(other, front.url))).toMatchObject({ exit: 0 })
  } finally {
    await front.close()
    await other.remove()
  }
})
