/** The drop-in for the documented `generate_creds.sh`: its options, its files, and what it does differently. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DOCUMENTED_OPTIONS } from '../../credentials-provider/documented-options.js'
import { type DocumentedRun, documentedRun, generateDocumented } from '../../credentials-provider/documented-run.js'
import type { IdentityState } from '../../credentials-provider/identity-state.js'
import { createContext } from '../../toolkit/context.js'
import { type BuiltCli, buildCli, type Ran, startProcess, type Variables } from '../cli/built.js'
import { temporaryFolder } from '../fakes/folder.js'
import { answerJson, type FakeServer, serve } from '../fakes/server.js'
import { describeWithHandbook, handbook } from '../handbook.js'

const ROOT = resolve(import.meta.dirname, '../..')
const SECRET = 'a secret that nobody may see'

let server: FakeServer
let answers = 0
beforeAll(async () => {
  server = await serve(({ headers, body }, response) => {
    const basic = Buffer.from(String(headers.authorization).replace(/^Basic /, ''), 'base64').toString()
    const form = new URLSearchParams(body)
    const sent = decodeURIComponent(basic.split(':')[1] ?? '').replaceAll('+', ' ') || form.get('client_secret')
    if (sent !== SECRET) return answerJson(response, 401, { error: 'invalid_client' })
    answerJson(response, 200, { access_token: `minted.token.${++answers}`, token_type: 'Bearer', expires_in: 300, scope: 'email profile' })
  })
})
afterAll(() => server.close())

/** A folder to run in, with these files in `.oauth-tokens`, 0600. */
function place(files: Readonly<Record<string, unknown>>): { cwd: string; folder: string; read(name: string): Record<string, unknown> } {
  const cwd = temporaryFolder()
  const folder = join(cwd, '.oauth-tokens')
  mkdirSync(folder, { mode: 0o700 })
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), JSON.stringify(content), { mode: 0o600 })
  return { cwd, folder, read: (name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Record<string, unknown> }
}

/** The file of document 001, word for word but for host and secret. */
const documented = (more: object = {}) => ({
  client_id: 'my-ai-agent',
  client_secret: SECRET,
  keycloak_url: server.origin,
  keycloak_realm: 'mcp-gateway',
  auth_provider: 'keycloak',
  ...more,
})

const run = (typed: Parameters<typeof documentedRun>[0], env: Variables = {}) => documentedRun(typed, (name) => env[name])
const KEYCLOAK: DocumentedRun = { authProvider: 'keycloak', overrides: {}, force: false, envFiles: false }

async function generate(wanted: DocumentedRun, folder: string, env: Variables = {}) {
  const states: IdentityState[] = []
  const context = createContext({
    home: temporaryFolder(),
    profile: 'default',
    settings: (name) => ({ MCP_IDP_PATIENCE: '0' })[name],
    env,
    approve: async () => false,
    onIdentity: (state) => states.push(state),
  })
  try {
    return { ...(await generateDocumented(wanted, folder, context)), states }
  } finally {
    await context.close()
  }
}

describeWithHandbook('the options of document 001', () => {
  const text = readFileSync(handbook('seeds/001_3f9655eeef4bc259.txt'), 'utf8')
  const section = text.slice(text.indexOf('generate_creds.sh [OPTIONS]'))
  const named = [...section.matchAll(/^--([a-z-]+)(?:, -([a-z]))?(?: ([A-Z_]+))? [A-Z]/gm)]
  test('are all taken, by the same letters, with a value where they have one', () => {
    expect(named.length).toBeGreaterThanOrEqual(10)
    const ours = [...DOCUMENTED_OPTIONS, { name: 'help', short: 'h' }].map((row) => [
      row.name,
      'short' in row ? row.short : undefined,
      'value' in row,
    ])
    for (const [, name, short, value] of named) expect(ours).toContainEqual([name, short, value !== undefined])
  })
})

describe('what is asked for', () => {
  test.each([
    [{ 'auth-provider': 'keycloak' }, {}, 'keycloak'],
    [{}, { AUTH_PROVIDER: 'entra' }, 'entra'],
    [{ 'auth-provider': 'okta' }, { AUTH_PROVIDER: 'entra' }, 'okta'],
    [{ 'auth-provider': '' }, { AUTH_PROVIDER: 'oidc' }, 'oidc'],
  ] as const)('with %j and %j is %s', (typed, env, provider) => {
    expect(run(typed, env).authProvider).toBe(provider)
  })

  test.each([
    [{}, {}],
    [{ 'auth-provider': 'pingfederate' }, {}],
    [{}, { AUTH_PROVIDER: '' }],
  ])('is refused with %j and %j, which name no provider of ours', (typed, env) => {
    expect(() => run(typed, env)).toThrow(/--auth-provider: one of keycloak, .*entra/)
  })

  test.each([
    ['a URL goes before the files', { 'keycloak-url': 'https://kc.example.com' }, {}, { keycloak_url: 'https://kc.example.com' }],
    ['its variable, too', {}, { KEYCLOAK_EXTERNAL_URL: 'https://kc.example.com' }, { keycloak_url: 'https://kc.example.com' }],
    ['a realm goes before the files', { 'keycloak-realm': 'staff' }, {}, { keycloak_realm: 'staff' }],
    ['its variable, too', {}, { KEYCLOAK_REALM: 'staff' }, { keycloak_realm: 'staff' }],
    ['a realm at its default does not', { 'keycloak-realm': 'mcp-gateway' }, { KEYCLOAK_REALM: 'staff' }, {}],
    ['nothing said changes nothing', {}, { KEYCLOAK_REALM: '' }, {}],
    [
      'the options of Entra change nothing',
      { 'entra-tenant-id': 't', 'entra-client-id': 'c', 'entra-login-url': 'https://l.example' },
      {},
      {},
    ],
  ])('at Keycloak: %s', (_, typed, env, overrides) => {
    expect(run({ 'auth-provider': 'keycloak', ...typed }, env).overrides).toEqual(overrides)
  })

  test('at Entra: the login URL goes before the files, and nothing of Keycloak does', () => {
    const typed = { 'auth-provider': 'entra', 'entra-login-url': 'https://login.example.us', 'keycloak-url': 'https://kc.example.com' }
    expect(run(typed).overrides).toEqual({ login_url: 'https://login.example.us' })
  })

  test('is refused when a URL is none, all of them at once', () => {
    const wrong = { 'auth-provider': 'keycloak', 'keycloak-url': 'kc.example.com', 'entra-login-url': 'ftp://x' }
    expect(() => run(wrong)).toThrow(/--keycloak-url[\s\S]*--entra-login-url/)
  })
})

describe('documented files', () => {
  test('give the documented token files, with the documented fields, and what is fresh is kept', async () => {
    const { folder, read } = place({ 'agent-my-ai-agent.json': documented() })
    const { minted, failed } = await generate(KEYCLOAK, folder)
    expect(failed).toEqual([])
    expect(minted).toMatchObject([{ identity_name: 'my-ai-agent', reused: false }])
    expect(readdirSync(folder).sort()).toEqual(['agent-my-ai-agent-token.json', 'agent-my-ai-agent.json'])
    expect(statSync(join(folder, 'agent-my-ai-agent-token.json')).mode & 0o777).toBe(0o600)
    const token = read('agent-my-ai-agent-token.json')
    expect(token).toMatchObject({
      ...{ agent_name: 'agent-my-ai-agent', token_type: 'Bearer', expires_in: 300, provider: 'keycloak', client_id: 'my-ai-agent' },
      ...{ keycloak_url: server.origin, keycloak_realm: 'mcp-gateway', scope: 'email profile' },
    })
    expect(token['access_token']).toMatch(/^minted\.token\./)
    expect(Object.keys(token)).toEqual(expect.arrayContaining(['generated_at', 'expires_at', 'metadata']))
    expect(JSON.stringify(token)).not.toContain(SECRET)

    const before = server.requests.length
    expect((await generate(KEYCLOAK, folder)).minted).toMatchObject([{ reused: true }])
    expect(server.requests.length).toBe(before)
    expect((await generate({ ...KEYCLOAK, force: true }, folder)).minted).toMatchObject([{ reused: false }])
    expect(server.requests.length).toBe(before + 1)
  })

  test('are asked for at the URL and realm that were typed, else at their own', async () => {
    const { folder } = place({
      'agent-a.json': documented({ keycloak_url: 'https://kc.invalid', keycloak_realm: 'own' }),
      'agent-b.json': { client_id: 'b', client_secret: SECRET, gateway_url: 'https://kc.invalid/realms/own' },
    })
    const asked = async (wanted: DocumentedRun) => {
      const from = server.requests.length
      await generate(wanted, folder)
      return server.requests
        .slice(from)
        .map(({ path }) => path.split('/')[2])
        .sort()
    }
    const typed = { 'auth-provider': 'keycloak', 'keycloak-url': server.origin }
    expect(await asked(run(typed))).toEqual(['mcp-gateway', 'own'])
    expect(await asked(run({ ...typed, 'keycloak-realm': 'staff' }))).toEqual(['staff', 'staff'])
  })

  test('of another provider are one file; the list of Entra is the documented one', async () => {
    const entra = { tenant_id: 'tenant', client_id: 'app', client_secret: SECRET, scope: 'api://app/.default' }
    const { folder, read } = place({
      'entra-identities.json': [{ identity_name: 'my-ai-agent', ...entra }],
      'agent-other.json': documented(),
    })
    const wanted = run({ 'auth-provider': 'entra', 'entra-login-url': server.origin })
    expect((await generate(wanted, folder)).minted).toMatchObject([{ identity_name: 'my-ai-agent' }])
    expect(readdirSync(folder).sort()).toEqual(['agent-other.json', 'entra-identities.json', 'my-ai-agent.json'])
    expect(read('my-ai-agent.json')).toMatchObject({
      ...{ identity_name: 'my-ai-agent', provider: 'entra', tenant_id: 'tenant', client_id: 'app', token_type: 'Bearer', expires_in: 300 },
    })
  })

  test.each(['keycloak', 'entra', 'oidc'] as const)('that are not there are no failure: %s', async (authProvider) => {
    const folder = join(temporaryFolder(), '.oauth-tokens')
    expect(await generate({ ...KEYCLOAK, authProvider }, folder)).toMatchObject({ minted: [], failed: [] })
    expect(existsSync(folder)).toBe(false)
    const { folder: withTokens } = place({ 'agent-a-token.json': { access_token: 'x' }, 'entra-identities.json': [] })
    expect(await generate({ ...KEYCLOAK, authProvider }, withTokens)).toMatchObject({ minted: [], failed: [] })
  })

  test('that a flag names must be there', async () => {
    const wanted = { ...KEYCLOAK, identitiesFile: join(temporaryFolder(), 'missing.json') }
    await expect(generate(wanted, temporaryFolder())).rejects.toMatchObject({ code: 'not_found' })
  })

  test('of which one is refused by the server: the others have their tokens', async () => {
    const { folder } = place({ 'agent-a.json': documented(), 'agent-b.json': documented({ client_secret: 'wrong one' }) })
    const { minted, failed } = await generate(KEYCLOAK, folder)
    expect(minted).toMatchObject([{ identity_name: 'a' }])
    expect(failed).toMatchObject([{ identity_name: 'b', error: { code: 'token_refused' } }])
    expect(existsSync(join(folder, 'agent-a-token.json'))).toBe(true)
    expect(existsSync(join(folder, 'agent-b-token.json'))).toBe(false)
  })

  test('that are open to others, or wrong, are refused all at once, each by name, before any request', async () => {
    const { folder } = place({
      'agent-a.json': documented(),
      'agent-b.json': documented(),
      'agent-c.json': { client_id: 'c' },
      'agent-d.json': [],
    })
    chmodSync(join(folder, 'agent-a.json'), 0o644)
    chmodSync(join(folder, 'agent-b.json'), 0o640)
    const before = server.connections
    await expect(generate(KEYCLOAK, folder)).rejects.toMatchObject({
      code: 'invalid_input',
      message: expect.stringMatching(/agent-a\.json: closed[\s\S]*agent-b\.json: closed[\s\S]*agent-c\.json:1:1/),
      hint: expect.stringMatching(/chmod 600 .*agent-a\.json; chmod 600 .*agent-b\.json/),
    })
    expect(server.connections).toBe(before)
  })

  test.each([['env:AGENT_SECRET'], ['file:secret.txt'], [{ exec: ['echo', 'secret'] }]])(
    'of the current folder hold secrets themselves, those that a flag names may refer to them: %j',
    async (client_secret) => {
      const { folder } = place({ 'agent-a.json': documented({ client_secret }) })
      await expect(generate(KEYCLOAK, folder)).rejects.toMatchObject({ message: expect.stringContaining('the secret itself') })
      writeFileSync(join(folder, 'secret.txt'), SECRET, { mode: 0o600 })
      const named = { ...KEYCLOAK, identitiesFile: join(folder, 'agent-a.json') }
      const { failed } = await generate(named, folder, { AGENT_SECRET: SECRET })
      expect(failed.map(({ error }) => (error as { code: string }).code)).toEqual(
        typeof client_secret === 'string' ? [] : ['token_refused'],
      )
    },
  )

  test.each(['entra-identities', 'Agent-a'])('are never replaced by a token file: the name %s is refused', async (identity_name) => {
    const entra = { tenant_id: 't', client_id: 'c', client_secret: SECRET, scope: 's' }
    const { folder, read } = place({ 'entra-identities.json': [{ identity_name, ...entra }], 'agent-a.json': documented() })
    const refused = generate({ ...KEYCLOAK, authProvider: 'entra' }, folder)
    const message = expect.stringContaining(`${identity_name.toLowerCase()}.json`)
    await expect(refused).rejects.toMatchObject({ code: 'invalid_input', message })
    expect(read('agent-a.json')).toEqual(documented())
  })

  test('have a .env beside the token only when that is asked for, also when the token is kept', async () => {
    const { folder } = place({ 'agent-a.json': documented() })
    await generate(KEYCLOAK, folder)
    expect(existsSync(join(folder, 'agent-a.env'))).toBe(false)
    expect((await generate({ ...KEYCLOAK, envFiles: true }, folder)).minted).toMatchObject([{ reused: true }])
    const text = readFileSync(join(folder, 'agent-a.env'), 'utf8')
    expect(text).toMatch(/^export ACCESS_TOKEN='minted\.token\.\d+'$/m)
    expect(text).not.toContain(SECRET)
    await generate({ ...KEYCLOAK, envFiles: true, force: true }, folder)
    expect(readFileSync(join(folder, 'agent-a.env'), 'utf8')).not.toBe(text)
  })
})

describe.each(['the command', 'the script'] as const)('%s', (surface) => {
  let built: BuiltCli
  beforeAll(() => {
    built = buildCli()
  })
  afterAll(() => built.remove())
  const start = (args: readonly string[], cwd: string, variables: Variables = {}): Promise<Ran> => {
    const script = [join(ROOT, 'node_modules/tsx/dist/cli.mjs'), join(ROOT, 'credentials-provider/generate-creds.ts')]
    const words = surface === 'the script' ? script : [built.main, 'generate-creds']
    const home = { MCP_IDP_HOME: join(cwd, 'home'), MCP_IDP_PATIENCE: '0' }
    return startProcess(process.execPath, [...words, ...args], { ...home, ...variables }, cwd).ended
  }

  test('shows every option, and what is different from the original', async () => {
    const { exit, stdout, stderr } = await start(['-h'], temporaryFolder())
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' })
    for (const { name } of DOCUMENTED_OPTIONS) expect(stdout).toContain(`--${name}`)
    expect(stdout).toMatch(/Different from generate_creds\.sh: no \.env file is sourced/)
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([])
  })

  test('mints with the documented words, tells where, and each request with -v', async () => {
    const { cwd, folder } = place({ 'agent-a.json': documented({ keycloak_url: 'https://kc.invalid' }) })
    const { exit, stdout, stderr } = await start(['-a', 'keycloak', '-k', server.origin, '-v'], cwd)
    expect({ exit, stderr }).toMatchObject({ exit: 0, stderr: expect.stringContaining(`POST ${server.origin}/realms/mcp-gateway/`) })
    expect(stdout).toContain(join('.oauth-tokens', 'agent-a-token.json'))
    expect(existsSync(join(folder, 'agent-a-token.json'))).toBe(true)
    expect(stdout + stderr).not.toMatch(/minted\.token|a secret that nobody/)
    if (surface === 'the script') return
    const again = await start(['-a', 'keycloak', '-k', server.origin, '--json'], cwd)
    expect(JSON.parse(again.stdout)).toMatchObject({ tokens: [{ identity_name: 'a', reused: true, receipt: { mode: '0600' } }] })
  })

  test('reads no .env of the current folder, but the one that --env-file names', async () => {
    const { cwd } = place({ 'agent-a.json': documented() })
    writeFileSync(join(cwd, '.env'), 'AUTH_PROVIDER=keycloak\n')
    expect(await start([], cwd)).toMatchObject({ exit: 2, stderr: expect.stringContaining('--auth-provider') })
    expect(await start(['--env-file', '.env'], cwd)).toMatchObject({ exit: 0 })
  })

  test('warns of a secret among the words, and does not repeat it', async () => {
    const words = ['-a', 'entra', '--entra-client-secret', SECRET, '--entra-tenant-id', 'tenant', '-f']
    const { exit, stdout, stderr } = await start(words, temporaryFolder())
    expect({ exit, stdout }).toMatchObject({ exit: 0, stdout: expect.stringMatching(/^there is nothing to do/) })
    expect(stderr).toMatch(/warning: --entra-client-secret is in the process list/)
    expect(stderr).toMatch(/--entra-tenant-id is not used/)
    expect(stdout + stderr).not.toContain(SECRET)
  })

  test('ends with 9 and names what failed when the rest has its tokens', async () => {
    const { cwd, folder } = place({ 'agent-a.json': documented(), 'agent-b.json': documented({ client_secret: 'wrong one' }) })
    const { exit, stderr } = await start(['-a', 'keycloak'], cwd)
    expect({ exit, stderr }).toMatchObject({ exit: 9, stderr: expect.stringMatching(/1 of 2 identities got no token[\s\S]*token_refused/) })
    expect(existsSync(join(folder, 'agent-a-token.json'))).toBe(true)
  })

  test('refuses words that it does not know', async () => {
    const { exit, stdout, stderr } = await start(['-a', 'keycloak', 'hidden-value', '--bogus=hidden-value', '-k'], temporaryFolder())
    expect({ exit, stdout, stderr }).toMatchObject({ exit: 2, stdout: '', stderr: expect.stringContaining('--keycloak-url') })
    if (surface === 'the script') {
      expect(stderr).toMatch(/a word: an option[\s\S]*--bogus: an option[\s\S]*--keycloak-url: a value/)
      expect(stderr).not.toContain('hidden-value')
    }
  })
})

test('the script is executable as it lies in the repository', () => {
  const path = join(ROOT, 'credentials-provider/generate-creds.ts')
  expect(statSync(path).mode & 0o111).toBe(0o111)
  expect(readFileSync(path, 'utf8').startsWith('#!/usr/bin/env -S npx --no -- tsx\n')).toBe(true)
})
