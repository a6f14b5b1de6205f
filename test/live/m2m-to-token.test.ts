/**
 * From a machine client to a token that the registry takes, without a file edited by hand: what `setup m2m-app` saved is what
 * `credentials generate` reads. The same with the drop-in for `generate_creds.sh`, on a file as its document shows it.
 */
import { execFile } from 'node:child_process'
import { chmod, copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { IDPS } from '../../idp/index.js'
import { type RunningRegistry, startRegistry } from '../../registry/server/start.js'
import { type Ran, startProcess, type Variables } from '../cli/built.js'
import { administrator, claimsOf, cli, makeFolder } from './product.js'
import { makeRealm, type Realm } from './rig/keycloak.js'

const ROOT = resolve(import.meta.dirname, '../..')
const AGENTS: Readonly<Record<string, readonly string[]>> = {
  reader: ['demo-readers'],
  'reader-and-writer': ['demo-readers', 'demo-writers'],
  nobody: [],
}
const NAMES = Object.keys(AGENTS)
const SURFACES = {
  'the command': [join(ROOT, 'dist/cli/main.js'), 'generate-creds'],
  'the script': [join(ROOT, 'node_modules/tsx/dist/cli.mjs'), join(ROOT, 'credentials-provider/generate-creds.ts')],
} as const
type Surface = keyof typeof SURFACES

let realm: Realm
let home: Awaited<ReturnType<typeof makeFolder>>
let registry: RunningRegistry
const counts = { machines: 0, accepted: 0, dropIn: 0, sourced: 0 }

beforeAll(async () => {
  home = await makeFolder()
  await chmod(home.path, 0o700)
  realm = await makeRealm({ groups: ['demo-readers', 'demo-writers'] })
  // Tokens outlive the test, also on a busy machine.
  await realm.admin('PUT', '', { accessTokenLifespan: 1800 })
  registry = await startRegistry({
    folder: join(home.path, 'registry'),
    port: 0,
    issuers: [{ name: 'keycloak', issuer: realm.issuer, rules: IDPS.keycloak.capabilities.token }],
    onRequest: () => undefined,
  })
})
afterAll(async () => {
  await registry?.close()
  await realm?.remove()
  await home?.remove()
  const { machines, accepted, dropIn, sourced } = counts
  console.log(
    `m2m-to-token: ${machines} machines set up, ${accepted} tokens of credentials generate and ${dropIn} of generate-creds accepted with exactly their groups, ${sourced} of them by a shell's variables`,
  )
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0)
})

const environment = (): Variables => administrator(realm, home.path)
const identityFile = (name: string) => join(home.path, 'identities', `agent-${name}.json`)
const identities = () => Promise.all(NAMES.map((name) => readFile(identityFile(name), 'utf8')))
const tokenIn = async (folder: string, name: string) =>
  (JSON.parse(await readFile(join(folder, `agent-${name}-token.json`), 'utf8')) as { access_token: string }).access_token

/** What the registry takes the bearer for. */
async function me(token: string): Promise<Record<string, unknown>> {
  const response = await fetch(`${registry.url}/api/auth/me`, { headers: { authorization: `Bearer ${token}` } })
  expect(response.status).toBe(200)
  return (await response.json()) as Record<string, unknown>
}

/** The token is the machine's own, for the gateway alone, and confers the groups that were asked for. */
async function expectAccepted(token: string, name: string): Promise<void> {
  const { azp, aud } = claimsOf(token)
  expect({ azp, aud: [aud].flat() }).toEqual({ azp: name, aud: ['mcp-gateway'] })
  const { groups, ...rest } = await me(token)
  expect(rest).toMatchObject({ client_id: name, kind: 'machine', is_admin: false, groups_source: AGENTS[name]?.length ? 'token' : 'none' })
  expect([...(groups as string[])].sort()).toEqual(AGENTS[name])
}

describe('what setup m2m-app saved', () => {
  test.each(NAMES)('is an identity: %s', async (name) => {
    const groups = AGENTS[name] ?? []
    const words = ['setup', 'm2m-app', '--idp', 'keycloak', '--name', name, ...(groups.length > 0 ? ['--groups', groups.join(',')] : [])]
    expect(await cli([...words, '--yes'], environment())).toMatchObject({ exit: 0 })
    counts.machines++
  })

  test('gives tokens that the registry takes, as it is', async () => {
    const before = await identities()
    expect(await cli(['credentials', 'generate'], environment())).toMatchObject({ exit: 0 })
    for (const name of NAMES) {
      await expectAccepted(await tokenIn(join(home.path, '.oauth-tokens'), name), name)
      counts.accepted++
    }
    expect(await identities()).toEqual(before)
  })

  test('gives no second token while the first is fresh', async () => {
    const folder = join(home.path, '.oauth-tokens')
    const tokens = () => Promise.all(NAMES.map((name) => tokenIn(folder, name)))
    const before = await tokens()
    expect(await cli(['credentials', 'generate'], environment())).toMatchObject({ exit: 0 })
    expect(await tokens()).toEqual(before)
    expect(new Set(before).size).toBe(NAMES.length)
  })
})

describe.each(Object.keys(SURFACES) as Surface[])('%s that stands in for generate_creds.sh', (surface) => {
  const run = (cwd: string, words: readonly string[]): Promise<Ran> =>
    startProcess(process.execPath, [...SURFACES[surface], ...words], { MCP_IDP_HOME: join(cwd, 'home') }, cwd).ended

  test('mints from files as document 001 shows them, with the documented words', async () => {
    const cwd = await folderWith(documented)
    const { exit, stdout, stderr } = await run(cwd, ['-a', 'keycloak', '-k', serverUrl(), '--env-files'])
    expect({ exit, stderr }).toMatchObject({ exit: 0 })
    const folder = join(cwd, '.oauth-tokens')
    for (const name of NAMES) {
      const token = await tokenIn(folder, name)
      await expectAccepted(token, name)
      counts.dropIn++
      expect(stdout + stderr).not.toContain(token)
      expect(await sourced(join(folder, `agent-${name}.env`))).toEqual([token, name, serverUrl(), realm.realm, 'keycloak', ''])
      counts.sourced++
    }
    const endings = ['.env', '-token.json', '.json']
    expect((await readdir(folder)).sort()).toEqual(NAMES.flatMap((name) => endings.map((end) => `agent-${name}${end}`)).sort())
  })

  test('mints from what setup m2m-app saved, copied as it is', async () => {
    const cwd = await folderWith(async (name, path) => copyFile(identityFile(name), path))
    expect(await run(cwd, ['-a', 'keycloak'])).toMatchObject({ exit: 0 })
    for (const name of NAMES) {
      await expectAccepted(await tokenIn(join(cwd, '.oauth-tokens'), name), name)
      counts.dropIn++
    }
  })
})

/** Word for word the file of document 001, but for names and secret; and a host that only `-k` puts right. */
async function documented(name: string, path: string): Promise<void> {
  const { client_secret } = JSON.parse(await readFile(identityFile(name), 'utf8')) as { client_secret: string }
  const file = {
    client_id: name,
    client_secret,
    keycloak_url: 'https://kc.invalid',
    keycloak_realm: realm.realm,
    auth_provider: 'keycloak',
  }
  await writeFile(path, `${JSON.stringify(file, null, 2)}\n`, { mode: 0o600 })
}

/** A folder to run in, with a file of each machine below it. */
async function folderWith(place: (name: string, path: string) => Promise<void>): Promise<string> {
  const folder = await makeFolder()
  await mkdir(join(folder.path, '.oauth-tokens'), { mode: 0o700 })
  for (const name of NAMES) await place(name, join(folder.path, '.oauth-tokens', `agent-${name}.json`))
  made.push(folder)
  return folder.path
}
const made: Awaited<ReturnType<typeof makeFolder>>[] = []
afterAll(() => Promise.all(made.map((folder) => folder.remove())))

const serverUrl = () => realm.issuer.split('/realms/')[0] ?? ''

/** What a shell has after sourcing the file: the documented variables; the last one was in the original's file and is not here. */
async function sourced(file: string): Promise<string[]> {
  const names = ['ACCESS_TOKEN', 'CLIENT_ID', 'KEYCLOAK_URL', 'KEYCLOAK_REALM', 'AUTH_PROVIDER', 'CLIENT_SECRET']
  const words = `. "$1"; printf '%s\\n' ${names.map((name) => `"$${name}"`).join(' ')}`
  const { stdout } = await promisify(execFile)('sh', ['-c', words, 'sh', file], { env: {} })
  return stdout.split('\n').slice(0, -1)
}
