/**
 * From a server without a realm to a person and a machine that the registry lets in, by the commands that the README
 * tells, in its order. Every secret that is made on the way is searched for in all that was said and in every other file.
 */
import { execFile } from 'node:child_process'
import { lstat, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { IDPS } from '../../idp/index.js'
import { type RunningRegistry, startRegistry } from '../../registry/server/start.js'
import { holders, leaks, secretsOf } from '../shows/secrets.js'
import {
  accessToken,
  administrator,
  askToken,
  type Changed,
  claimsOf,
  cli,
  clientOf,
  login,
  makeFolder,
  type Ran,
  type Variables,
} from './product.js'
import { keycloak, type Realm, unmadeRealm } from './rig/keycloak.js'

const INIT = ['setup', 'init', '--idp', 'keycloak', '--auth-server-url', 'https://gateway.example.com']
const ADMINS = 'registry-admins'
const GATEWAY = 'mcp-gateway-m2m'
const WEB = 'mcp-gateway-web'
const IDE = 'mcp-gateway-ide'
const AGENT = 'reporting-agent'
const REDIRECT = 'http://localhost:53682/callback'
const NEW_PASSWORD = 'chosen at the first login 7'
const SERVER = { name: 'Demo', description: 'Tells who you are', path: '/demo', proxy_pass_url: 'http://127.0.0.1:9/mcp' }
/** Files of the home that hold secrets, and the one that repeats two of them for the registry. */
const SINKS = {
  web: `clients/${WEB}.json`,
  machine: `identities/agent-${GATEWAY}.json`,
  agent: `identities/agent-${AGENT}.json`,
  person: 'people/admin.json',
  environment: 'registry.env',
}

let realm: Realm
let home: Awaited<ReturnType<typeof makeFolder>>
let beside: Awaited<ReturnType<typeof makeFolder>>
let registry: RunningRegistry
/** Everything that any command said. */
const said: string[] = []
const counts = { commands: 0, quiet: 0, secrets: 0, loggedIn: 0, machines: 0 }

beforeAll(async () => {
  home = await makeFolder()
  beside = await makeFolder()
  realm = unmadeRealm()
})
afterAll(async () => {
  await registry?.close()
  await realm?.remove()
  await home?.remove()
  await beside?.remove()
  const { commands, quiet, secrets, loggedIn, machines } = counts
  console.log(
    `bootstrap: ${commands} commands, ${quiet} second runs with 0 writes, ${loggedIn} person and ${machines} machines let in, ${secrets} secrets each in its files alone`,
  )
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0)
})

const atKeycloak = (): Variables => administrator(realm, home.path)
const atBoth = (): Variables => ({ ...atKeycloak(), REGISTRY_URL: registry.url, REGISTRY_IDENTITY_FILE: SINKS.machine })

async function run(words: readonly string[], variables: Variables): Promise<Ran> {
  const ran = await cli(words, variables)
  said.push(ran.stdout, ran.stderr)
  counts.commands++
  expect(ran, `${words.join(' ')}: ${ran.stdout}`).toMatchObject({ exit: 0 })
  return ran
}
async function runJson<Result = Record<string, unknown>>(words: readonly string[], variables: Variables): Promise<Result> {
  return JSON.parse((await run([...words, '--json'], variables)).stdout) as Result
}
const json = async (file: string) => JSON.parse(await readFile(join(home.path, file), 'utf8')) as Record<string, string>

/** Every file of the home with its mode, its inode and what is in it; locks come and go. */
async function files(): Promise<Record<string, string>> {
  const entries = await readdir(home.path, { recursive: true, withFileTypes: true })
  const found = entries.filter((entry) => entry.isFile() && !/(?:^|\/)locks/.test(entry.parentPath.slice(home.path.length)))
  return Object.fromEntries(
    await Promise.all(
      found.map(async ({ parentPath, name }) => {
        const path = join(parentPath, name)
        const { mode, ino } = await lstat(path)
        return [path.slice(home.path.length + 1), `${(mode & 0o777).toString(8)} ${ino} ${await readFile(path, 'base64')}`]
      }),
    ),
  )
}
async function expectQuiet(words: readonly string[], variables: Variables): Promise<void> {
  const before = { writes: await realm.writes(), files: await files() }
  expect(await runJson<Changed>([...words, '--yes'], variables)).toMatchObject({ applied: false, changes: [] })
  expect({ writes: await realm.writes(), files: await files() }).toEqual(before)
  counts.quiet++
}

describe('a realm that does not exist', () => {
  test('is not made by a plan, which leaves no file either', async () => {
    const { stdout } = await run([...INIT, '--plan'], atKeycloak())
    for (const line of [
      `+ tenant ${realm.realm}`,
      `+ web-client ${WEB}`,
      `+ machine-client ${GATEWAY}`,
      `+ group ${ADMINS}`,
      '+ user admin',
    ])
      expect(stdout).toContain(line)
    expect((await realm.admin('GET', '')).status).toBe(404)
    expect(Object.keys(await files())).toEqual([])
  })

  test('is made with clients, group and administrator, proved by a minted token', async () => {
    const result = await runJson<Changed>([...INIT, '--yes'], atKeycloak())
    expect(result).toMatchObject({
      ...{ applied: true, issuer: realm.issuer, verified: { how: 'a minted token', findings: [] } },
      ...{ environment_file: join(home.path, SINKS.environment), admin: { password_file: join(home.path, SINKS.person) } },
    })
    expect(result.changes.map(({ action, kind }) => `${action} ${kind}`)).toEqual(
      ['tenant', 'group', 'web-client', 'machine-client', 'user', 'registry-environment'].map((kind) => `create ${kind}`),
    )
    const modes = Object.entries(await files()).map(([file, content]) => `${file} ${content.split(' ')[0]}`)
    expect(modes.toSorted()).toEqual([SINKS.web, SINKS.machine, SINKS.person, SINKS.environment].map((file) => `${file} 600`).toSorted())
  })

  test('is as it should be: running it again writes nothing and leaves every file as it is', async () => {
    const { status } = await realm.admin('PUT', '', { adminEventsEnabled: true, adminEventsDetailsEnabled: true })
    expect(status).toBe(204)
    await realm.admin('DELETE', '/admin-events')
    await expectQuiet(INIT, atKeycloak())
    // The count counts: a write of ours is seen.
    await realm.admin('PUT', '', {})
    expect(await realm.writes()).toBeGreaterThan(0)
  })

  test('has a web client and short tokens as the gateway needs them', async () => {
    const whole = (await realm.admin<Record<string, unknown>>('GET', '')).body
    expect(whole).toMatchObject({ enabled: true, bruteForceProtected: true, registrationAllowed: false, accessTokenLifespan: 300 })
    expect(await clientOf(realm, WEB)).toMatchObject({
      ...{ redirectUris: ['https://gateway.example.com/oauth2/callback/keycloak'], publicClient: false },
      ...{ fullScopeAllowed: false, directAccessGrantsEnabled: false, implicitFlowEnabled: false, serviceAccountsEnabled: false },
    })
  })
})

test("the registry's environment, sourced by a shell, says what the files say", async () => {
  const text = await readFile(join(home.path, SINKS.environment), 'utf8')
  const names = text
    .trimEnd()
    .split('\n')
    .map((line) => line.slice(0, line.indexOf('=')))
  const words = [
    '-euc',
    '. "$1"; shift; for name; do eval "printf \'%s\\0\' \\"\\$$name\\""; done',
    'sh',
    join(home.path, SINKS.environment),
    ...names,
  ]
  const { stdout } = await promisify(execFile)('sh', words, { env: { PATH: process.env['PATH'] ?? '' } })
  const values = stdout.split('\0')
  expect(Object.fromEntries(names.map((name, index) => [name, values[index]]))).toEqual({
    AUTH_PROVIDER: 'keycloak',
    KEYCLOAK_URL: keycloak().url,
    KEYCLOAK_REALM: realm.realm,
    KEYCLOAK_CLIENT_ID: WEB,
    KEYCLOAK_CLIENT_SECRET: (await json(SINKS.web))['client_secret'],
    KEYCLOAK_M2M_CLIENT_ID: GATEWAY,
    KEYCLOAK_M2M_CLIENT_SECRET: (await json(SINKS.machine))['client_secret'],
    MCP_ADVERTISED_SCOPES: 'openid email profile',
  })
})

describe('everything else of the main job', () => {
  beforeAll(async () => {
    registry = await startRegistry({
      folder: join(beside.path, 'registry'),
      port: 0,
      issuers: [{ name: 'keycloak', issuer: realm.issuer, rules: IDPS.keycloak.capabilities.token }],
    })
  })

  test('groups, from a file of each dialect', async () => {
    const readers = join(beside.path, 'readers.json')
    const analysts = join(beside.path, 'analysts.yaml')
    const servers = [{ server_name: 'demo', tools: ['whoami'], access_level: 'execute' }]
    await writeFile(readers, JSON.stringify({ scope_name: 'demo-readers', description: 'Readers', servers, create_in_idp: true }))
    const access = '  server_access:\n    - server: demo\n      methods: [initialize, tools/list]\n      tools: ["*"]\n'
    const group = (name: string, creates: boolean, more = '') => `- scope_name: ${name}\n  create_in_idp: ${creates}\n${more}${access}`
    await writeFile(analysts, group('data', true) + group('analysts', true, '  parent: data\n') + group('registry-only', false))
    const words = ['setup', 'groups', '--idp', 'keycloak', '--file', readers, '--file', analysts]
    const result = await runJson<Changed & { groups: string[] }>([...words, '--yes'], atKeycloak())
    expect(result).toMatchObject({ applied: true, skipped: ['registry-only'] })
    expect(result.groups.toSorted()).toEqual(['data', 'data/analysts', 'demo-readers'])
    const { body } = await realm.admin<{ name: string; subGroupCount: number }[]>('GET', '/groups')
    expect(body.map(({ name, subGroupCount }) => `${name} ${subGroupCount}`).toSorted()).toEqual([
      'data 1',
      'demo-readers 0',
      `${ADMINS} 0`,
    ])
    await expectQuiet(words, atKeycloak())
  })

  test('people, from a file', async () => {
    const people = join(beside.path, 'people.json')
    const jane = { username: 'jane', email: 'jane@example.com', given_name: 'Jane', family_name: 'Doe', groups: ['demo-readers'] }
    await writeFile(people, JSON.stringify([jane, { username: 'joe', groups: ['data/analysts', 'demo-readers'] }]))
    const words = ['setup', 'users', '--idp', 'keycloak', '--file', people]
    expect(await runJson<Changed>([...words, '--yes'], atKeycloak())).toMatchObject({ applied: true })
    await expectQuiet(words, atKeycloak())
  })

  test('a client for IDEs, of which the server itself says what a person would get', async () => {
    const words = ['setup', 'ide-client', '--idp', 'keycloak', '--server-url', `${registry.url}/demo/mcp`]
    const result = await runJson<Changed>([...words, '--verify-user', 'admin', '--yes'], atKeycloak())
    expect(result).toMatchObject({ client_id: IDE, verified: { how: expect.stringContaining('admin'), findings: [] } })
    await expectQuiet(words, atKeycloak())
  })

  test('the administrator logs in with the password of the file, must change it, and administers the registry', async () => {
    const { password = '' } = await json(SINKS.person)
    const request = { client_id: IDE, redirect_uri: REDIRECT, username: 'admin', password }
    expect(await login(realm, { ...request, password: `${password}x` })).toMatchObject({
      page: expect.stringContaining('Invalid username or password'),
    })
    expect(await login(realm, request)).toMatchObject({ status: 200, page: expect.stringMatching(/name="password-new"/) })
    const answers = { email: 'admin@example.com', firstName: 'First', lastName: 'Admin' }
    const token = await accessToken(realm, { ...request, newPassword: NEW_PASSWORD, answers })
    expect(claimsOf(token)).toMatchObject({ groups: [ADMINS], aud: 'mcp-gateway', azp: IDE, preferred_username: 'admin' })
    expect(await me(token)).toMatchObject({ is_admin: true, kind: 'person' })
    expect(await login(realm, request)).toMatchObject({ page: expect.stringContaining('Invalid username or password') })
    expect(await login(realm, { ...request, password: NEW_PASSWORD })).toHaveProperty('code')
    counts.loggedIn++
  })

  test('a machine client with its record, written with the token of the gateway’s own client', async () => {
    const words = ['setup', 'm2m-app', '--idp', 'keycloak', '--name', AGENT, '--groups', 'demo-readers']
    const result = await runJson<Changed>([...words, '--yes'], atBoth())
    expect(result).toMatchObject({ recorded: true, verified: { how: 'a minted token', findings: [] } })
    expect(await runJson(['m2m', 'get', AGENT], atBoth())).toMatchObject({
      client: { client_id: AGENT, groups: ['demo-readers'], enabled: true },
    })
    await expectQuiet(words, atBoth())
  })

  test('tokens of both machines, which the registry takes for what they are', async () => {
    expect((await runJson<{ tokens: unknown[] }>(['credentials', 'generate'], atBoth())).tokens).toHaveLength(2)
    const token = async (name: string) => (await json(`.oauth-tokens/agent-${name}-token.json`))['access_token'] ?? ''
    expect(await me(await token(AGENT))).toMatchObject({
      kind: 'machine',
      client_id: AGENT,
      groups: ['demo-readers'],
      accessible_servers: ['/demo'],
    })
    expect(await me(await token(GATEWAY))).toMatchObject({ kind: 'machine', groups: [ADMINS], is_admin: true })
    counts.machines += 2
  })

  test('the line that connects an IDE to a registered server, with the client that was made', async () => {
    const { client_secret = '' } = await json(SINKS.machine)
    const { access_token } = await askToken(realm, { grant_type: 'client_credentials', client_id: GATEWAY, client_secret })
    const registered = await fetch(`${registry.url}/api/servers/register`, {
      method: 'POST',
      headers: { authorization: `Bearer ${access_token}` },
      body: new URLSearchParams({ ...SERVER, oauth_client_id: IDE, append_mcp_path: 'true' }),
    })
    expect(registered.status).toBe(201)
    const { client_id, url, text } = await runJson<{ client_id: string; url: string; text: string }>(
      ['connect-config', SERVER.path, '--client', 'claude-code'],
      atBoth(),
    )
    expect({ client_id, url }).toEqual({ client_id: IDE, url: `${registry.url}/demo/mcp` })
    expect(text).toContain(IDE)
  })

  test('nothing is found by a check, and the doctor says yes everywhere', async () => {
    const { checked, findings } = await runJson<{ checked: { kind: string; name: string }[]; findings: unknown[] }>(
      ['check', '--idp', 'keycloak'],
      atBoth(),
    )
    expect(findings).toEqual([])
    expect(checked.map(({ kind, name }) => `${kind} ${name}`).toSorted()).toEqual([
      `machine-client ${GATEWAY}`,
      `machine-client ${AGENT}`,
      `public-client ${IDE}`,
      `tenant ${realm.realm}`,
      `web-client ${WEB}`,
    ])
    const { rights, commands } = await runJson<{ rights: { held: string }[]; commands: { command: string; can: string }[] }>(
      ['doctor', '--idp', 'keycloak'],
      atKeycloak(),
    )
    expect(rights.length).toBeGreaterThan(8)
    expect(commands.length).toBeGreaterThan(7)
    expect([...new Set([...rights.map(({ held }) => held), ...commands.map(({ can }) => can)])]).toEqual(['yes'])
  })
})

describe('every secret that was made', () => {
  test('is in its own files, which are 0600, and in no other', async () => {
    const secrets = await secretsOf(home.path)
    const names = secrets.map(({ name }) => name)
    for (const file of [SINKS.web, SINKS.machine, SINKS.agent, SINKS.person, 'people/jane.json', 'people/joe.json'])
      expect(names.filter((name) => name.startsWith(file))).toHaveLength(1)
    expect(names.filter((name) => name.startsWith('.oauth-tokens/')).length).toBeGreaterThanOrEqual(2)
    const held = await holders(home.path, secrets)
    for (const { file, mode, secrets: inside } of held) {
      const own = names.filter((name) => name.startsWith(`${file} `))
      const repeated =
        file === SINKS.environment ? names.filter((name) => name.startsWith(SINKS.web) || name.startsWith(SINKS.machine)) : []
      expect({ file, mode, inside: inside.toSorted() }).toEqual({ file, mode: '600', inside: [...own, ...repeated].toSorted() })
    }
    expect(held.map(({ file }) => file)).toContain(SINKS.environment)
    counts.secrets = secrets.length
  })

  test('was said by no command, and neither was the password of the administrator of the server', async () => {
    const secrets = [
      ...(await secretsOf(home.path)),
      { name: 'master', value: keycloak().adminPassword },
      { name: 'new', value: NEW_PASSWORD },
    ]
    expect(said.join('').length).toBeGreaterThan(5_000)
    // An easy password of a server at the desk may be a word like any other.
    const telling = secrets.filter(({ value }) => value.length >= 8)
    expect(leaks(said.join('\n'), telling)).toEqual([])
    expect(leaks(`${said.join('\n')}${secrets[0]?.value}`, telling)).toEqual([secrets[0]?.name])
    expect(await holders(home.path, telling.slice(-2))).toEqual([])
  })
})

/** Who the registry takes the bearer for. */
async function me(token: string): Promise<Record<string, unknown>> {
  const response = await fetch(`${registry.url}/api/auth/me`, { headers: { authorization: `Bearer ${token}` } })
  expect(response.status).toBe(200)
  return (await response.json()) as Record<string, unknown>
}
