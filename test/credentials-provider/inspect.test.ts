/** What is said of a saved token: its claims by an allow-list, and each finding in the words that a person reads. */
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { inspectToken } from '../../credentials-provider/inspect.js'
import type { CredentialsContext } from '../../credentials-provider/operations.js'
import { temporaryFolder } from '../fakes/folder.js'

const SIGNATURE = 'c2lnbmF0dXJlLW9mLXRoZS10b2tlbg'
const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
const now = () => Math.floor(Date.now() / 1000)
type Claims = Readonly<Record<string, unknown>>

const GOOD = (): Claims => ({
  ...{ iss: 'https://idp.example.com', aud: 'mcp-gateway', azp: 'reporter', client_id: 'reporter', sub: 'reporter' },
  ...{ scope: 'openid mcp', groups: ['data', 'ops'], iat: now() - 60, exp: now() + 3540, typ: 'Bearer' },
})
const jwt = (claims: Claims, header: Claims = { alg: 'RS256', typ: 'at+jwt' }) => `${part(header)}.${part(claims)}.${SIGNATURE}`

interface Saved {
  readonly access_token?: string
  readonly claims?: Claims
  readonly header?: Claims
  readonly file?: Claims
}

/** A token file as a run writes it, with one thing changed. */
function saved({ claims = {}, header, access_token, file = {} }: Saved): string {
  const path = join(temporaryFolder(), 'reporter.json')
  const all = Object.fromEntries(Object.entries({ ...GOOD(), ...claims }).filter(([, value]) => value !== undefined))
  const content = {
    ...{ identity_name: 'reporter', access_token: access_token ?? jwt(all, header), token_type: 'Bearer', expires_in: 3600 },
    ...{ generated_at: new Date((now() - 60) * 1000).toISOString(), expires_at: new Date((now() + 3540) * 1000).toISOString() },
    ...{ provider: 'keycloak', issuer: 'https://idp.example.com', client_id: 'reporter', ...file },
  }
  writeFileSync(path, JSON.stringify(content), { mode: 0o600 })
  return path
}
const contextWith = (settings: Readonly<Record<string, string>> = {}, home = '/nonexistent') =>
  ({ home, profile: 'default', settings: (name: string) => settings[name], env: () => undefined }) as unknown as CredentialsContext
const inspect = async (what: Saved, settings?: Readonly<Record<string, string>>) =>
  inspectToken.run({ token_file: saved(what) }, contextWith(settings))
const findings = async (what: Saved, settings?: Readonly<Record<string, string>>) => (await inspect(what, settings))['findings']
const inSeconds = (seconds: number) => new Date((now() + seconds) * 1000).toISOString()

describe('the claims', () => {
  test('are those of the list, and nothing else of a token leaves it', async () => {
    const planted = {
      email: 'person@example.com',
      jti: 'id-of-this-token',
      realm_access: { roles: ['admin'] },
      sid: 'a-session',
      name: 'Ada',
    }
    const answer = await inspect({
      claims: { ...planted, sub: 'a-person', roles: ['r'], permissions: ['p'], scp: ['a', 'b'], cid: 'reporter', appid: 'x', nbf: 5 },
    })
    expect(answer).toMatchObject({ identity_name: 'reporter', state: 'fresh', token_type: 'Bearer', format: 'at+jwt', findings: [] })
    expect(Object.keys(answer['claims'] as object).toSorted()).toEqual(
      ['appid', 'aud', 'azp', 'cid', 'client_id', 'exp', 'groups', 'iat', 'iss', 'nbf', 'permissions', 'roles', 'scope', 'scp'].toSorted(),
    )
    const text = JSON.stringify(answer)
    for (const word of ['person', 'id-of-this', 'a-session', 'Ada', 'admin', SIGNATURE, part(GOOD()).slice(0, 20)])
      expect(text).not.toContain(word)
  })
  test('hold the subject where it is the client itself', async () => {
    expect((await inspect({}))['claims']).toMatchObject({ sub: 'reporter' })
    expect((await inspect({ claims: { sub: 'ada' } }))['claims']).not.toHaveProperty('sub')
  })
  test('that are written in another way are shown alike: one audience, scopes as a text', async () => {
    expect((await inspect({ claims: { aud: ['mcp-gateway'], scp: 'a b' } }))['claims']).toMatchObject({
      aud: ['mcp-gateway'],
      scp: ['a', 'b'],
    })
  })
  test('are data: characters that steer a terminal are taken out, and a list has an end', async () => {
    const groups = Array.from({ length: 5000 }, (_, index) => `group-${index}`)
    const answer = await inspect({ claims: { iss: 'https://idp\u001b[2Jexample.com\u202e', groups, client_id: 7, scope: ['x'] } })
    expect(answer['claims']).toMatchObject({ iss: 'https://idp[2Jexample.com' })
    expect((answer['claims'] as { groups: string[] }).groups).toHaveLength(200)
    expect(answer['claims']).not.toHaveProperty('scope')
  })
})

describe('the findings', () => {
  const CASES: readonly (readonly [string, Saved, readonly (string | RegExp)[]])[] = [
    ['none of a token as it should be', {}, []],
    ['no groups', { claims: { groups: [] } }, [/^no groups in the token: .*m2m get$/]],
    ['no groups of a provider that has roles', { claims: { groups: undefined, roles: ['Reader'] }, file: { provider: 'entra' } }, []],
    [
      'no groups of the embedded provider, which keeps them in records',
      { claims: { groups: undefined }, file: { provider: 'embedded' } },
      [],
    ],
    [
      'a wrong audience',
      { claims: { aud: 'account' } },
      ['wrong audience: account, the gateway accepts mcp-gateway (setting MCP_GATEWAY_AUDIENCE)'],
    ],
    [
      'no audience',
      { claims: { aud: undefined } },
      ['wrong audience: none, the gateway accepts mcp-gateway (setting MCP_GATEWAY_AUDIENCE)'],
    ],
    ['no audience of Cognito, which has none', { claims: { aud: undefined, token_use: 'access' }, file: { provider: 'cognito' } }, []],
    ['a further audience', { claims: { aud: ['mcp-gateway', 'account'] } }, ['further audience account']],
    ['no subject', { claims: { sub: undefined } }, ['scope dropped: the token has no sub']],
    ['soon to expire', { file: { expires_at: inSeconds(300) } }, [/^expires in (?:4|5) min: run mcp-idp credentials generate$/]],
    ['expired', { file: { expires_at: inSeconds(-300) } }, [/^expired 5 min ago: run mcp-idp credentials generate$/]],
    ['a clock that is off', { claims: { iat: now() + 600 } }, [/^clock off: issued (?:9|10) min in the future; set the clock/]],
    ['not valid yet', { claims: { nbf: now() + 600 } }, [/^not valid before 20/]],
    ['a token that is no access token', { claims: { typ: 'ID' } }, [/^not an access token/]],
    ['an opaque token', { access_token: 'opaque-token-of-somebody' }, [/^opaque token: only its issuer/]],
    ['an encrypted token', { access_token: 'a.b.c.d.e' }, [/^opaque token: only its issuer/]],
    [
      'an opaque token of Auth0',
      { access_token: 'opaque-token-of-auth0', file: { provider: 'auth0' } },
      [/^opaque token: Auth0 .* add audience/],
    ],
    [
      'an opaque token of Auth0 that is called any OpenID provider',
      { access_token: 'opaque-token-of-auth0', file: { provider: 'oidc', issuer: 'https://tenant.eu.auth0.com' } },
      [/^opaque token: Auth0 .* add audience/],
    ],
    [
      'an Entra token of version 1',
      { claims: { ver: '1.0', tid: 'a-tenant', appid: 'reporter' }, file: { provider: 'entra' } },
      [/^Entra v1 token: set requestedAccessTokenVersion to 2/],
    ],
  ]
  test.each(CASES)('%s', async (_, what, words) => {
    const found = (await findings(what)) as string[]
    expect(found).toHaveLength(words.length)
    for (const [index, word] of words.entries()) expect(found[index]).toMatch(word)
  })
  test('go by the audience that is configured', async () => {
    expect(await findings({ claims: { aud: 'api://gateway' } }, { MCP_GATEWAY_AUDIENCE: 'api://gateway' })).toEqual([])
    expect(await findings({}, { MCP_GATEWAY_AUDIENCE: 'api://gateway' })).toHaveLength(1)
  })
  test('are all told at once, the times first', async () => {
    const found = await findings({ claims: { aud: 'account', groups: [], sub: undefined }, file: { expires_at: inSeconds(-10) } })
    expect(found).toHaveLength(4)
    expect((found as string[])[0]).toMatch(/^expired 10 s ago|^expired 11 s ago/)
  })
})

describe('what is asked for', () => {
  test.each([[{}], [{ identity: 'a', token_file: 'b' }]])('%j is refused: an identity or a file', async (input) => {
    await expect(inspectToken.run(input, contextWith())).rejects.toMatchObject({ code: 'invalid_input' })
  })
  test('a file that is none, or holds no token, is told without a word of what is in it', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'notes.txt')
    writeFileSync(path, 'a diary that is nobody’s business')
    for (const token_file of [path, join(folder, 'missing.json')]) {
      const failure = await inspectToken.run({ token_file }, contextWith()).catch((error: unknown) => error)
      expect(failure).toMatchObject({ code: 'not_found', hint: expect.stringContaining('credentials generate') })
      expect(String(failure)).not.toContain('diary')
    }
    await expect(inspectToken.run({ token_file: folder }, contextWith())).rejects.toMatchObject({ code: 'invalid_input' })
  })
  test('an identity is found by its name, and its provider goes before what the file says', async () => {
    const folder = temporaryFolder()
    const identities_file = join(folder, 'identities.json')
    const identity = {
      identity_name: 'reporter',
      auth_provider: 'auth0-not',
      client_id: 'reporter',
      client_secret: 'a long secret',
      issuer: 'https://idp.example.com',
    }
    writeFileSync(identities_file, JSON.stringify([{ ...identity, auth_provider: 'oidc' }]))
    chmodSync(identities_file, 0o600)
    writeFileSync(join(folder, 'reporter.json'), JSON.stringify({ access_token: jwt(GOOD()), expires_at: now() + 3000, expires_in: 3600 }))
    const answer = await inspectToken.run({ identity: 'reporter', identities_file, output_dir: folder }, contextWith({}, folder))
    expect(answer).toMatchObject({ token_file: join(folder, 'reporter.json'), state: 'fresh', claims: { groups: ['data', 'ops'] } })
    await expect(
      inspectToken.run({ identity: 'nobody', identities_file, output_dir: folder }, contextWith({}, folder)),
    ).rejects.toMatchObject({
      code: 'not_found',
    })
  })
})
