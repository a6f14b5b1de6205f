/** A person's login at the embedded provider, over HTTP and through its own page. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  authorizationUrl,
  browser,
  csrfOf,
  logIn,
  MCP_SERVER,
  providerInTemporaryFolder,
  REDIRECT_URIS,
  registerClient,
  type TestProvider,
  tokenRequest,
  tokensFor,
  verified,
} from './provider.js'

let provider: TestProvider
let client_id: string

beforeAll(async () => {
  provider = await providerInTemporaryFolder()
  client_id = String((await registerClient(provider))['client_id'])
})
afterAll(() => provider.stop())

describe('the redirect URIs that MCP clients send', () => {
  const sent = [
    'http://localhost:41001/callback',
    'http://127.0.0.1:41002/callback',
    'http://127.0.0.1:41003/callback/abcDEF123_-x',
    'cursor://anysphere.cursor-mcp/oauth/callback',
    'https://www.cursor.com/agents/mcp/oauth/callback',
  ]
  test.each(sent)('%s gets a code and a token for the gateway with the groups of the person', async (redirect_uri) => {
    const tokens = await tokensFor(provider, { client_id, redirect_uri, scope: 'openid profile groups' })
    const { header, claims } = await verified(provider, tokens['access_token'])
    expect(header).toMatchObject({ alg: 'RS256', typ: 'at+jwt' })
    expect(claims).toMatchObject({ iss: provider.running.issuer, aud: 'mcp-gateway', sub: 'ada', client_id, groups: ['demo-readers'] })
    expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBe(3600)
    expect(tokens['refresh_token']).toMatch(/^.{43}$/)
  })

  const foreign = [
    'http://127.0.0.1:41002/other',
    'http://127.0.0.1:41002/callback/',
    'http://127.0.0.1:41002/callback/another-id-x',
    'http://127.0.0.2:41002/callback',
    'http://[::1]:41002/callback',
    'https://localhost:41001/callback',
    'http://localhost.attacker.example:41001/callback',
    'cursor://anysphere.other/oauth/callback',
    'https://www.cursor.com/agents/mcp/oauth/callback?more=1',
  ]
  test.each(foreign)('%s is refused on a page, without a redirect', async (redirect_uri) => {
    const answer = await browser().visit(authorizationUrl(provider, client_id, { redirect_uri }))
    expect(answer).toMatchObject({ status: 400, next: undefined })
    expect(answer.html).toContain('invalid_redirect_uri')
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'")
  })
})

describe('PKCE (RFC 7636)', () => {
  test.each(['plain', 'none'] as const)('%s is refused', async (pkce) => {
    expect(await logIn(provider, { client_id, pkce })).toMatchObject({ error: 'invalid_request' })
  })

  test('a code without its verifier gives no token', async () => {
    const result = await logIn(provider, { client_id })
    if (!('code' in result)) throw new Error('no code')
    const form = { grant_type: 'authorization_code', code: result.code, redirect_uri: 'http://127.0.0.1:50123/callback', client_id }
    expect(await tokenRequest(provider, { ...form, code_verifier: 'x'.repeat(43) })).toMatchObject({
      status: 400,
      body: { error: 'invalid_grant' },
    })
  })
})

describe('resources (RFC 8707)', () => {
  test('a token for a registered MCP server is for the gateway, and stays so when refreshed', async () => {
    const tokens = await tokensFor(provider, { client_id, extra: { resource: MCP_SERVER }, scope: 'openid groups' })
    expect((await verified(provider, tokens['access_token'])).claims.aud).toBe('mcp-gateway')
    const form = { grant_type: 'refresh_token', refresh_token: tokens['refresh_token'] ?? '', client_id, resource: MCP_SERVER }
    const { body } = await tokenRequest(provider, form)
    expect((await verified(provider, body['access_token'])).claims).toMatchObject({ aud: 'mcp-gateway', groups: ['demo-readers'] })
  })

  test.each(['http://127.0.0.1:7860/other/mcp', `${MCP_SERVER}/`, 'mcp-gateway', 'urn:other'])(
    '%s is no resource of ours',
    async (resource) => {
      expect(await logIn(provider, { client_id, extra: { resource } })).toMatchObject({ error: 'invalid_target' })
    },
  )

  test('a client that asks for no scope still learns who the person is', async () => {
    const url = authorizationUrl(provider, client_id)
    url.searchParams.delete('scope')
    const tab = browser()
    const page = await tab.follow(url)
    const done = await tab.follow(page.url, {
      csrf: csrfOf(page.html),
      action: 'login',
      username: 'ada',
      password: await provider.password('ada'),
    })
    expect(done.next?.searchParams.get('error')).toBeNull()
    expect(done.next?.searchParams.get('code')).toMatch(/^.{43}$/)
  })
})

describe('the page', () => {
  test('names the client and where the answer goes, escaped, and allows no script', async () => {
    const named = await registerClient(provider, { client_name: '<script>alert(1)</script> & "co"\u202e' })
    const page = await browser().follow(authorizationUrl(provider, named['client_id']))
    expect(page.html).toContain('&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;co&quot;</q>')
    expect(page.html).not.toContain('<script')
    expect(page.html).toContain('<code>127.0.0.1:50123</code>')
    const policy = page.headers.get('content-security-policy') ?? ''
    expect(policy).toMatch(/^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]+'; /)
    // Browsers hold the redirects that follow the form to this list.
    expect(policy).toContain("form-action 'self' http://127.0.0.1:50123;")
    expect(page.headers.get('cache-control')).toBe('no-store')
  })

  test('a client of a private scheme is shown by its whole URI', async () => {
    const page = await browser().follow(authorizationUrl(provider, client_id, { redirect_uri: REDIRECT_URIS[3] ?? '' }))
    expect(page.html).toContain('<code>cursor://anysphere.cursor-mcp/oauth/callback</code>')
    expect(page.headers.get('content-security-policy')).toContain("form-action 'self' cursor:;")
  })

  test('every input has a label', async () => {
    const { html } = await browser().follow(authorizationUrl(provider, client_id))
    const inputs = [...html.matchAll(/<input id="([a-z]+)"/g)].map(([, id]) => id)
    expect(inputs).toEqual(['username', 'password'])
    for (const id of inputs) expect(html).toContain(`<label for="${id}">`)
  })

  test('a form without its guard, or with that of another login, is refused although the password is right', async () => {
    const [tab, other] = [browser(), browser()]
    const page = await tab.follow(authorizationUrl(provider, client_id))
    const foreign = csrfOf((await other.follow(authorizationUrl(provider, client_id))).html)
    const login = { action: 'login', username: 'ada', password: await provider.password('ada') }
    for (const csrf of ['', 'x'.repeat(43), foreign])
      expect(await tab.visit(page.url, { ...login, csrf })).toMatchObject({ status: 403, next: undefined })
    expect(await tab.visit(page.url, { ...login, csrf: csrfOf(page.html) })).toMatchObject({ status: 303 })
  })

  test("somebody else's login cannot be opened without its cookie", async () => {
    const page = await browser().follow(authorizationUrl(provider, client_id))
    expect(await browser().visit(page.url)).toMatchObject({ status: 400 })
    expect(
      await browser().visit(page.url, {
        csrf: csrfOf(page.html),
        action: 'login',
        username: 'ada',
        password: await provider.password('ada'),
      }),
    ).toMatchObject({ status: 400 })
  })

  test('cancelling tells the client access_denied', async () => {
    const tab = browser()
    const page = await tab.follow(authorizationUrl(provider, client_id))
    const done = await tab.follow(page.url, { csrf: csrfOf(page.html), action: 'cancel' })
    expect(done.next?.searchParams.get('error')).toBe('access_denied')
  })

  test('a body of a megabyte is refused', async () => {
    const tab = browser()
    const page = await tab.follow(authorizationUrl(provider, client_id))
    const csrf = csrfOf(page.html)
    expect(await tab.visit(page.url, { csrf, action: 'cancel', more: 'x'.repeat(1_000_000) })).toMatchObject({
      status: 413,
      next: undefined,
    })
    expect(await tab.visit(page.url, { csrf, action: 'cancel', more: 'x'.repeat(10_000) })).toMatchObject({ status: 303 })
  })
})

describe('a session', () => {
  async function loggedIn() {
    const tab = browser()
    const page = await tab.follow(authorizationUrl(provider, client_id))
    const done = await tab.follow(page.url, {
      csrf: csrfOf(page.html),
      action: 'login',
      username: 'ada',
      password: await provider.password('ada'),
    })
    expect(done.next?.searchParams.get('code')).toBeTruthy()
    return tab
  }

  test('offers to continue as the same person, who is still asked', async () => {
    const tab = await loggedIn()
    const page = await tab.follow(authorizationUrl(provider, client_id))
    expect(page.html).toContain('Continue as ada')
    const done = await tab.follow(page.url, { csrf: csrfOf(page.html), action: 'continue' })
    expect(done.next?.searchParams.get('code')).toMatch(/^.{43}$/)
  })

  test('prompt=consent, which Claude Code sends, ends in a code too', async () => {
    const tab = await loggedIn()
    const page = await tab.follow(authorizationUrl(provider, client_id, { prompt: 'consent' }))
    const done = await tab.follow(page.url, { csrf: csrfOf(page.html), action: 'continue' })
    expect(done.next?.searchParams.get('code')).toMatch(/^.{43}$/)
  })

  test('prompt=login asks for the password, and continuing without it is no way around', async () => {
    const tab = await loggedIn()
    const page = await tab.follow(authorizationUrl(provider, client_id, { prompt: 'login' }))
    expect(page.html).not.toContain('Continue as')
    const answer = await tab.visit(page.url, { csrf: csrfOf(page.html), action: 'continue' })
    expect(answer).toMatchObject({ status: 200, next: undefined })
  })

  test('of one person gives way to the login of another', async () => {
    const tab = await loggedIn()
    const page = await tab.follow(authorizationUrl(provider, client_id))
    const leaving = await tab.follow(page.url, {
      csrf: csrfOf(page.html),
      action: 'login',
      username: 'grace',
      password: await provider.password('grace'),
    })
    const fields = Object.fromEntries(
      [...leaving.html.matchAll(/name="(\w+)" value="([^"]*)"/g)].map(([, name = '', value = '']) => [name, value]),
    )
    const done = await tab.follow(`${provider.running.issuer}/session/end/confirm`, fields)
    const code = done.next?.searchParams.get('code') ?? ''
    // RFC 7636 appendix B.
    const code_verifier = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
    const { body } = await tokenRequest(provider, {
      grant_type: 'authorization_code',
      code,
      code_verifier,
      redirect_uri: 'http://127.0.0.1:50123/callback',
      client_id,
    })
    expect((await verified(provider, body['access_token'])).claims).toMatchObject({ sub: 'grace', groups: ['registry-admins'] })
  })
})

describe('refresh tokens', () => {
  test('serve two parallel refreshes, and the person stays logged in', async () => {
    const { refresh_token = '' } = await tokensFor(provider, { client_id })
    const refresh = () => tokenRequest(provider, { grant_type: 'refresh_token', refresh_token, client_id })
    const answers = [...(await Promise.all([refresh(), refresh()])), await refresh()]
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
  })

  test('end when their client revokes them, not when another client tries', async () => {
    const { refresh_token = '' } = await tokensFor(provider, { client_id })
    const stranger = String((await registerClient(provider))['client_id'])
    const revoke = (by: string) =>
      fetch(`${provider.running.issuer}/token/revocation`, {
        method: 'POST',
        body: new URLSearchParams({ token: refresh_token, client_id: by }),
      })
    const refresh = () => tokenRequest(provider, { grant_type: 'refresh_token', refresh_token, client_id })
    await revoke(stranger)
    expect((await refresh()).status).toBe(200)
    expect((await revoke(client_id)).status).toBe(200)
    expect(await refresh()).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
  })
})

describe('passwords', () => {
  test('a wrong one shows the page again; after five in a minute the right one is refused too, for that name only', async () => {
    const mine = await providerInTemporaryFolder()
    try {
      const { client_id } = await registerClient(mine)
      const tab = browser()
      const page = await tab.follow(authorizationUrl(mine, client_id))
      const attempt = (username: string, password: string) =>
        tab.visit(page.url, { csrf: csrfOf(page.html), action: 'login', username, password })
      // At once: guesses in parallel must count as well.
      const wrong = await Promise.all(Array.from({ length: 5 }, () => attempt('ada', 'guess')))
      expect(wrong.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
      expect(wrong[0]?.html).toContain('User name or password is wrong.')
      expect(wrong[0]?.html).not.toContain('guess')
      const late = await attempt('ada', await mine.password('ada'))
      expect(late).toMatchObject({ status: 429, next: undefined })
      expect(await attempt('grace', await mine.password('grace'))).toMatchObject({ status: 303 })
    } finally {
      await mine.stop()
    }
  })

  test('a name that nobody has is answered as a wrong password is', async () => {
    const tab = browser()
    const page = await tab.follow(authorizationUrl(provider, client_id))
    const attempt = (username: string) => tab.visit(page.url, { csrf: csrfOf(page.html), action: 'login', username, password: 'guess' })
    const [known, unknown] = [await attempt('grace'), await attempt('nobody')]
    expect(unknown.html).toBe(known.html.replaceAll('grace', 'nobody'))
    expect(unknown.status).toBe(known.status)
  })
})
