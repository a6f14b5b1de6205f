/** `credentials get`: the token and nothing else on stdout, a saved one only when it is certainly the one that is asked for. */
import { chmodSync, existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type BuiltCli, buildCli, type Ran } from './built.js'
import { CLIENT_SECRET, startIssuer, type TokenIssuer } from './token-issuer.js'

let built: BuiltCli
let issuer: TokenIssuer
beforeAll(() => {
  built = buildCli()
})
afterAll(() => built.remove())
beforeEach(async () => {
  issuer = await startIssuer()
  issuer.identity()
})
afterEach(() => issuer.close())

const get = (...words: string[]): Promise<Ran> => built.run(['credentials', 'get', ...words], { MCP_IDP_HOME: issuer.home })
const tokenFile = () => join(issuer.home, '.oauth-tokens/reporter.json')
const last = () => issuer.tokens.at(-1) ?? ''

describe('prints', () => {
  const AS: readonly (readonly [string, readonly string[], (token: string) => string])[] = [
    ['the token alone', [], (token) => `${token}\n`],
    ['the token alone, asked for by name', ['--format', 'raw'], (token) => `${token}\n`],
    ['a header for those who send it as it is', ['--format=headers'], (token) => `{"Authorization":"Bearer ${token}"}\n`],
    ['another header', ['--format', 'headers', '--header', 'X-Authorization'], (token) => `{"X-Authorization":"Bearer ${token}"}\n`],
    ['a variable', ['--format', 'dotenv'], (token) => `ACCESS_TOKEN='${token}'\n`],
  ]
  test.each(AS)('%s, the same when new and when saved', async (_, words, expected) => {
    const fresh = await get('reporter', ...words)
    const saved = await get('reporter', ...words)
    expect(fresh).toMatchObject({ exit: 0, stdout: expected(last()), stderr: '' })
    expect(saved).toMatchObject({ exit: 0, stdout: expected(last()), stderr: '' })
    expect(issuer.tokens).toHaveLength(1)
  })

  test.each([[['--format', 'json']], [['--json']]])('with %j what is left of its time', async (words) => {
    for (const ran of [await get('reporter', ...words), await get('reporter', ...words)]) {
      expect(ran).toMatchObject({ exit: 0, stderr: '' })
      const { expires_in, ...told } = JSON.parse(ran.stdout) as { expires_in: number; expires_at: string }
      expect(told).toEqual({ access_token: last(), token_type: 'Bearer', expires_at: expect.stringMatching(/^\d{4}-.*Z$/) })
      expect(Math.abs(Date.parse(told.expires_at) / 1000 - Date.now() / 1000 - expires_in)).toBeLessThan(30)
      expect(expires_in).toBeGreaterThan(3500)
      expect(expires_in).toBeLessThanOrEqual(3600)
    }
    expect(issuer.tokens).toHaveLength(1)
  })
})

describe('the saved token', () => {
  test('is the one that credentials generate made', async () => {
    await built.run(['credentials', 'generate'], { MCP_IDP_HOME: issuer.home })
    expect((await get('reporter')).stdout).toBe(`${last()}\n`)
    expect(issuer.tokens).toHaveLength(1)
  })

  test('is found for the documented name of a Keycloak identity, too', async () => {
    const file = join(issuer.home, 'identities/agent-night.json')
    const entry = { keycloak_url: issuer.server.origin, client_id: 'agent-night', client_secret: CLIENT_SECRET }
    writeFileSync(file, JSON.stringify(entry), { mode: 0o600 })
    expect((await get('night')).stdout).toBe(`${last()}\n`)
    expect((await get('night')).stdout).toBe(`${last()}\n`)
    expect(issuer.tokens).toHaveLength(1)
    expect(readdirSync(join(issuer.home, '.oauth-tokens'))).toContain('agent-night-token.json')
  })

  test.each([
    ['another client', { client_id: 'another' }],
    ['another scope', { scope: 'more' }],
    ['another audience', { audience: 'https://api.example' }],
  ])('is not used when its identity asks for %s, though its file is as old as before', async (_, fields) => {
    await get('reporter')
    const file = issuer.identity(fields)
    utimesSync(file, new Date(0), new Date(0))
    expect((await get('reporter')).stdout).toBe(`${issuer.tokens[1]}\n`)
  })

  test('is not used when another file of that name asked for it', async () => {
    const staging = issuer.identity({ client_id: 'staging' }, join(issuer.home, 'staging.json'))
    expect((await get('reporter', '--identities-file', staging)).stdout).toBe(`${issuer.tokens[0]}\n`)
    expect((await get('reporter')).stdout).toBe(`${issuer.tokens[1]}\n`)
    expect((await get('reporter', '--identities-file', staging)).stdout).toBe(`${issuer.tokens[2]}\n`)
  })

  test('is used whatever the secret is now: the same token answers to it', async () => {
    await get('reporter')
    issuer.identity({ client_secret: 'turned-meanwhile' })
    expect((await get('reporter')).stdout).toBe(`${issuer.tokens[0]}\n`)
  })

  test('is not used when it has run out', async () => {
    await get('reporter')
    const saved = JSON.parse(readFileSync(tokenFile(), 'utf8')) as object
    const past = { generated_at: '2026-01-01T00:00:00.000Z', expires_at: '2026-01-01T01:00:00.000Z' }
    writeFileSync(tokenFile(), JSON.stringify({ ...saved, ...past }))
    expect((await get('reporter')).stdout).toBe(`${issuer.tokens[1]}\n`)
  })

  test('is not told while the file of its identity is open to others', async () => {
    await get('reporter')
    chmodSync(issuer.identity(), 0o644)
    expect(await get('reporter')).toMatchObject({ exit: 2, stdout: '', stderr: expect.stringContaining('chmod 600') })
  })

  test('is in no file with --no-save', async () => {
    expect((await get('reporter', '--no-save')).stdout).toBe(`${issuer.tokens[0]}\n`)
    expect(existsSync(tokenFile())).toBe(false)
    expect((await get('reporter', '--no-save')).stdout).toBe(`${issuer.tokens[1]}\n`)
  })
})

describe('nothing is on stdout', () => {
  const WRONG: readonly (readonly [string, readonly string[], number])[] = [
    ['an identity that is not there', ['nobody'], 3],
    ['a name that leads elsewhere', ['../identities/reporter'], 3],
    ['no name', [], 2],
    ['a format that is none', ['reporter', '--format', 'xml'], 2],
    ['a header that is none', ['reporter', '--format', 'headers', '--header', 'a b'], 2],
    ['an unknown flag', ['reporter', '--loud'], 2],
    ['a file that is not there', ['reporter', '--identities-file', '/nonexistent/identities.json'], 3],
  ]
  test.each(WRONG)('for %s', async (_, words, exit) => {
    expect(await get(...words)).toMatchObject({ exit, stdout: '', stderr: expect.stringMatching(/\S/) })
    expect(issuer.tokens).toEqual([])
  })

  test('when the server refuses', async () => {
    issuer.status = 401
    expect(await get('reporter')).toMatchObject({ exit: 4, stdout: '', stderr: expect.stringContaining('invalid_client') })
    expect(existsSync(tokenFile())).toBe(false)
  })
})
