/** An embedded provider in a temporary folder, a client of it, and a browser that follows its forms. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import type { LogEntry } from '../../../idp/embedded/events.js'
import { type EmbeddedProviderOptions, type RunningProvider, startEmbeddedProvider } from '../../../idp/embedded/server.js'
import { cookieJar } from '../../live/rig/cookies.js'
import { exchange, type LoginRequest, type LoginResult, loginByForm } from '../../live/rig/login.js'

export const SEED: EmbeddedProviderOptions['seed'] = {
  groups: ['registry-admins', 'demo-readers'],
  people: [
    { username: 'ada', name: 'Ada Demo', email: 'ada@demo.example', groups: ['demo-readers'] },
    { username: 'grace', name: 'Grace Demo', email: 'grace@demo.example', groups: ['registry-admins'] },
  ],
  machine: { client_name: 'mcp-gateway-m2m' },
}

export const MCP_SERVER = 'http://127.0.0.1:7860/demo/mcp'
/** What the MCP clients register together (Claude Code, Codex with and without an id, Cursor). */
export const REDIRECT_URIS = [
  'http://localhost/callback',
  'http://127.0.0.1/callback',
  'http://127.0.0.1/callback/abcDEF123_-x',
  'cursor://anysphere.cursor-mcp/oauth/callback',
  'https://www.cursor.com/agents/mcp/oauth/callback',
]

export interface TestProvider {
  readonly running: RunningProvider
  readonly folder: string
  readonly log: LogEntry[]
  password(username: string): Promise<string>
  /** Stops it and starts it again in the same folder, at the same port. */
  restart(): Promise<TestProvider>
  stop(): Promise<void>
}

export async function providerInTemporaryFolder(options: Partial<EmbeddedProviderOptions> = {}): Promise<TestProvider> {
  const parent = await mkdtemp(join(tmpdir(), 'embedded-'))
  return startIn(parent, { port: 0, ...options })
}

async function startIn(parent: string, options: Partial<EmbeddedProviderOptions> & { port: number }): Promise<TestProvider> {
  const folder = join(parent, 'provider')
  const log: LogEntry[] = []
  const running = await startEmbeddedProvider({
    folder,
    seed: SEED,
    resources: () => [MCP_SERVER],
    onLog: (entry) => log.push(entry),
    ...options,
  })
  return {
    ...{ running, folder, log },
    password: async (username) => (JSON.parse(await readFile(running.files.people, 'utf8')) as Record<string, string>)[username] ?? '',
    async restart() {
      await running.close()
      return startIn(parent, { ...options, port: Number(new URL(running.url).port) })
    },
    async stop() {
      await running.close()
      await rm(parent, { recursive: true, force: true })
    },
  }
}

/** Registers a client by hand, as any DCR client would. */
export async function registerClient({ running }: TestProvider, metadata: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
  const response = await fetch(`${running.issuer}/reg`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${running.initialAccessToken.reveal()}` },
    body: JSON.stringify({
      client_name: 'My IDE client',
      redirect_uris: REDIRECT_URIS,
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'none',
      application_type: 'native',
      ...metadata,
    }),
  })
  const body = (await response.json()) as Record<string, unknown>
  if (response.status !== 201) throw new Error(`registration refused: ${JSON.stringify(body)}`)
  return body
}

export type LoginWish = Partial<LoginRequest> & { readonly client_id: string }

/** Ada's login with PKCE S256 unless wished otherwise. */
export async function logIn(provider: TestProvider, wish: LoginWish): Promise<LoginResult> {
  const username = wish.username ?? 'ada'
  return loginByForm({
    authorizationEndpoint: `${provider.running.issuer}/auth`,
    redirect_uri: 'http://127.0.0.1:50123/callback',
    username,
    password: await provider.password(username),
    pkce: 'S256',
    ...wish,
  })
}

/** Logs in and trades the code. @throws Error when either is refused */
export async function tokensFor(provider: TestProvider, wish: LoginWish): Promise<Record<string, string>> {
  const result = await logIn(provider, wish)
  if (!('code' in result)) throw new Error(`no code: ${JSON.stringify(result).slice(0, 400)}`)
  const { code, verifier } = result
  const redirect_uri = wish.redirect_uri ?? 'http://127.0.0.1:50123/callback'
  const { status, body } = await exchange({
    tokenEndpoint: `${provider.running.issuer}/token`,
    code,
    verifier,
    redirect_uri,
    client_id: wish.client_id,
  })
  if (status !== 200) throw new Error(`no token: ${JSON.stringify(body)}`)
  return body as Record<string, string>
}

/** A token request of any grant. */
export async function tokenRequest({ running }: TestProvider, form: Record<string, string>, basic?: { client_id: string; secret: string }) {
  const authorization = basic && `Basic ${Buffer.from(`${basic.client_id}:${basic.secret}`).toString('base64')}`
  const response = await fetch(`${running.issuer}/token`, {
    method: 'POST',
    body: new URLSearchParams(form),
    headers: authorization ? { authorization } : {},
  })
  return { status: response.status, body: (await response.json()) as Record<string, string> }
}

/** Header and claims of a token that the provider's own keys verify. */
export async function verified({ running }: TestProvider, token: string | undefined) {
  const jwks = (await (await fetch(`${running.issuer}/jwks`)).json()) as JSONWebKeySet
  const { protectedHeader, payload } = await jwtVerify(token ?? '', createLocalJWKSet(jwks), {
    issuer: running.issuer,
    algorithms: ['RS256'],
  })
  return { header: protectedHeader, claims: payload }
}

/** One browser: its cookies stay between requests; redirects are followed by hand. */
export function browser() {
  const jar = cookieJar()
  const visit = async (at: string | URL, form?: Record<string, string>, headers: Record<string, string> = {}) => {
    const url = new URL(at)
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { accept: 'text/html', cookie: jar.header(url), ...headers },
      ...(form ? { method: 'POST', body: new URLSearchParams(form) } : {}),
    })
    jar.keep(url, response.headers)
    const location = response.headers.get('location')
    return {
      url,
      status: response.status,
      headers: response.headers,
      html: await response.text(),
      next: location === null ? undefined : new URL(location, url),
    }
  }
  return {
    visit,
    /** Follows redirects until there is a page, or a redirect that leaves the provider. */
    async follow(at: string | URL, form?: Record<string, string>) {
      let answer = await visit(at, form)
      while (answer.next && answer.next.origin === answer.url.origin) answer = await visit(answer.next)
      return answer
    },
  }
}

/** An authorization request as a URL. Its challenge belongs to the verifier of RFC 7636 appendix B. */
export function authorizationUrl({ running }: TestProvider, client_id: unknown, more: Record<string, string> = {}): URL {
  const url = new URL(`${running.issuer}/auth`)
  url.search = new URLSearchParams({
    ...{
      client_id: String(client_id),
      response_type: 'code',
      redirect_uri: 'http://127.0.0.1:50123/callback',
      scope: 'openid',
      state: 'a-state',
    },
    ...{ code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256' },
    ...more,
  }).toString()
  return url
}

/** The guard of a login page's form. */
export function csrfOf(html: string): string {
  return /name="csrf" value="([^"]+)"/.exec(html)?.[1] ?? ''
}

/** One answer of the admin API, whole. */
export interface AdminAnswer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly json: Record<string, unknown>
}

/** The admin API by hand, with its own token unless another is given; an object goes out as JSON, a text as it is. */
export async function admin(
  { running }: TestProvider,
  method: string,
  path: string,
  { token = running.adminToken.reveal(), body }: { token?: string; body?: unknown } = {},
): Promise<AdminAnswer> {
  const response = await fetch(`${running.url}/admin${path}`, {
    method,
    headers: { authorization: `Bearer ${token}` },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  const json = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
  return { status: response.status, headers: response.headers, text, json }
}

/** A person made by the admin API, with the temporary password. */
export async function newPerson(provider: TestProvider, username: string, more: Record<string, unknown> = {}): Promise<string> {
  const password = `temporary-of-${username}-${randomBytes(6).toString('hex')}`
  const { status, text } = await admin(provider, 'POST', '/users', { body: { username, password, temporary: true, ...more } })
  if (status !== 201) throw new Error(`no person: ${status} ${text}`)
  return password
}
