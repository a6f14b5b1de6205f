/**
 * The IDE client, made by the CLI and by the setup script, is logged in to by a person through Keycloak's own form: at every
 * redirect URI that an MCP client sends, at no other, and with a token that opens the gateway and nothing else.
 */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { accessToken, administrator, askToken, claimsOf, cli, login, makeFolder, start, tokenEndpoint } from './product.js'
import { keycloak, makeRealm, type Realm } from './rig/keycloak.js'
import { exchange } from './rig/login.js'

const GROUP = 'registry-admins'
const IDE = 'mcp-gateway-ide'
const SERVER_URL = 'https://gateway.example.com/my-server/mcp'
/** What Codex was seen to send for that URL. */
const CODEX_ID = '4YytuSq7vmJ5'
const SCRIPT = 'setup/idp/keycloak/setup-ide-public-client.ts'
const person = { username: 'grace', password: 'correct horse 1', groups: [GROUP] }
const boss = { username: 'boss', password: 'correct horse 2', groups: [GROUP] }

/** A port of the range that systems give to clients. */
const port = () => 49_152 + Math.floor(Math.random() * 16_000)

const ACCEPTED = {
  'Claude Code, any port': () => `http://localhost:${port()}/callback`,
  'Codex where the server names itself (iss), any port': () => `http://127.0.0.1:${port()}/callback`,
  'Codex with the id of its server, any port': () => `http://127.0.0.1:${port()}/callback/${CODEX_ID}`,
  'Cursor, its own port': () => 'http://localhost:8787/callback',
}

/** Answered by a page and never by a redirect, or the code would go there. */
const REFUSED_PLACES = {
  'a host of somebody else': () => 'https://evil.example/callback',
  'a host that begins like ours': () => `http://localhost.evil.example:${port()}/callback`,
  'ours as the user name of another host': () => 'http://localhost@evil.example/callback',
  'another loopback address': () => `http://127.0.0.2:${port()}/callback`,
  'loopback of IPv6, which no client sends': () => `http://[::1]:${port()}/callback`,
  'another scheme': () => `https://localhost:${port()}/callback`,
  'a longer path': () => `http://localhost:${port()}/callbackX`,
  'a deeper path': () => `http://localhost:${port()}/callback/deeper`,
  'the Codex id of another server': () => `http://127.0.0.1:${port()}/callback/AAAAAAAAAAAA`,
  'a path that climbs': () => `http://localhost:${port()}/callback/../admin`,
  'a query': () => `http://localhost:${port()}/callback?next=1`,
  'the root': () => `http://localhost:${port()}/`,
}

/** Answered at the redirect URI (RFC 7636 section 4.4.1). */
const REFUSED_CHALLENGES = {
  none: 'Missing parameter: code_challenge_method',
  plain: 'Invalid parameter: code challenge method is not matching the configured one',
} as const

const WAYS = ['the CLI', 'the script'] as const
const counts = { loggedIn: 0, refused: 0 }
afterAll(() => {
  const { loggedIn, refused } = counts
  console.log(
    `keycloak-login: ${loggedIn} logins (${Object.keys(ACCEPTED).length} redirects x ${WAYS.length} ways), ${refused} refused as expected`,
  )
  expect(loggedIn).toBeGreaterThan(0)
  expect(refused).toBeGreaterThan(0)
})

describe.each(WAYS)('a client made by %s', (way) => {
  let realm: Realm
  let home: Awaited<ReturnType<typeof makeFolder>>
  beforeAll(async () => {
    home = await makeFolder()
    realm = await makeRealm({ groups: [GROUP, 'data-readers'], people: [person, boss] })
    await makeRealmAdmin(realm, boss.username)
  })
  afterAll(async () => {
    await realm?.remove()
    await home?.remove()
  })

  if (way === 'the CLI') {
    test('is made after a plan that writes nothing', async () => {
      const words = ['setup', 'ide-client', '--idp', 'keycloak', '--server-url', SERVER_URL]
      const before = await realm.writes()
      const planned = await cli([...words, '--plan'], administrator(realm, home.path))
      expect(planned).toMatchObject({ exit: 0, stdout: expect.stringContaining(`+ public-client ${IDE}`) })
      expect(await realm.writes()).toBe(before)
      expect(await cli([...words, '--yes'], administrator(realm, home.path))).toMatchObject({ exit: 0 })
      expect(await realm.writes()).toBeGreaterThan(before)
    })
  } else {
    const run = (...args: string[]) => start(`./${SCRIPT}`, args, { ...documented(realm, home.path), MCP_SERVER_URLS: SERVER_URL }).ended

    test('with --plan writes nothing and says what it would do', async () => {
      const before = await realm.writes()
      expect(await run('--plan')).toMatchObject({ exit: 0, stderr: expect.stringContaining(`+ public-client ${IDE}`) })
      expect(await realm.writes()).toBe(before)
    })

    test('is told on standard output in lines that a shell can source, and in no others', async () => {
      const before = await realm.writes()
      const { exit, stdout, stderr } = await run()
      expect({ exit, stderr }).toMatchObject({ exit: 0 })
      expect(await realm.writes()).toBeGreaterThan(before)
      const lines = stdout.trimEnd().split('\n')
      for (const line of lines) expect(line).toMatch(/^[A-Z][A-Z0-9_]*=\S.*$/)
      const names = lines.map((line) => line.slice(0, line.indexOf('=')))
      expect(names.toSorted()).toEqual(['IDE_OAUTH_CLIENT_ID', 'MCP_ADVERTISED_SCOPES'])
      const file = join(home.path, 'ide.env')
      await writeFile(file, stdout)
      const words = ['-euc', '. "$1"; printf "%s|%s" "$IDE_OAUTH_CLIENT_ID" "$MCP_ADVERTISED_SCOPES"', 'sh', file]
      const sourced = await promisify(execFile)('sh', words)
      expect(sourced.stdout).toBe(`${IDE}|openid email profile`)
    })
  }

  const as = (redirect_uri: string, who = person) => ({ client_id: IDE, redirect_uri, username: who.username, password: who.password })

  test.each(Object.entries(ACCEPTED))('lets a person log in at %s', async (_, redirectUri) => {
    const { groups, aud, azp, preferred_username } = claimsOf(await accessToken(realm, as(redirectUri())))
    expect({ groups, audience: [aud].flat(), azp, preferred_username }).toEqual({
      groups: [GROUP],
      audience: ['mcp-gateway'],
      azp: IDE,
      preferred_username: person.username,
    })
    counts.loggedIn++
  })

  test.each(Object.entries(REFUSED_PLACES))('answers %s with a page and sends nothing there', async (_, redirectUri) => {
    const result = await login(realm, as(redirectUri()))
    expect(result).toMatchObject({ status: 400, page: expect.stringContaining('Invalid parameter: redirect_uri') })
    counts.refused++
  })

  test.each(Object.entries(REFUSED_CHALLENGES))('refuses a login with the code challenge method %s', async (pkce, error_description) => {
    const result = await login(realm, { ...as(`http://localhost:${port()}/callback`), pkce: pkce as keyof typeof REFUSED_CHALLENGES })
    expect(result).toEqual({ error: 'invalid_request', error_description })
    counts.refused++
  })

  test.each([
    ['another verifier', { verifier: 'x'.repeat(43) }, 'PKCE verification failed: Code mismatch'],
    ['another port', { redirect_uri: 'http://localhost:1/callback' }, 'Incorrect redirect_uri'],
  ])('gives no token for a code shown with %s', async (_, change, error_description) => {
    const redirect_uri = `http://localhost:${port()}/callback`
    const result = await login(realm, as(redirect_uri))
    if (!('code' in result)) throw new Error(`no code: ${JSON.stringify(result).slice(0, 300)}`)
    const { code, verifier } = result
    const answer = await exchange({ tokenEndpoint: tokenEndpoint(realm), code, verifier, redirect_uri, client_id: IDE, ...change })
    expect(answer).toEqual({ status: 400, body: { error: 'invalid_grant', error_description } })
    counts.refused++
  })

  test('does not lend the rights of an administrator of the realm to an IDE', async () => {
    const { username, password } = boss
    const direct = await askToken(realm, { grant_type: 'password', client_id: 'admin-cli', username, password })
    // The same person with the same rights: the 403 below is the doing of the client.
    expect(await listClients(realm, direct.access_token)).toBe(200)
    const token = await accessToken(realm, as(`http://localhost:${port()}/callback`, boss))
    expect(await listClients(realm, token)).toBe(403)
    counts.refused++
  })
})

/** The variables that the script documents, and a home so that its locks stay out of the user's. */
function documented({ realm }: Realm, home: string): Record<string, string> {
  const { url, adminUser, adminPassword } = keycloak()
  return {
    MCP_IDP_HOME: home,
    KEYCLOAK_ADMIN_URL: url,
    KEYCLOAK_REALM: realm,
    KEYCLOAK_ADMIN: adminUser,
    KEYCLOAK_ADMIN_PASSWORD: adminPassword,
  }
}

async function makeRealmAdmin(realm: Realm, username: string): Promise<void> {
  const users = await realm.admin<{ id: string }[]>('GET', `/users?username=${username}&exact=true`)
  const clients = await realm.admin<{ id: string }[]>('GET', '/clients?clientId=realm-management')
  const management = clients.body[0]?.id
  const role = await realm.admin('GET', `/clients/${management}/roles/realm-admin`)
  const mapped = await realm.admin('POST', `/users/${users.body[0]?.id}/role-mappings/clients/${management}`, [role.body])
  expect(mapped.status).toBe(204)
}

async function listClients({ realm }: Realm, token: string): Promise<number> {
  const url = `${keycloak().url}/admin/realms/${realm}/clients`
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` }, signal: AbortSignal.timeout(30_000) })
  await response.body?.cancel()
  return response.status
}
