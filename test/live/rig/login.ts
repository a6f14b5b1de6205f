/**
 * A person's login without a browser: the authorization endpoint, the provider's own form, and back to the redirect URI.
 * It works for any provider whose pages are plain forms; it never leaves the provider's origin and never opens the redirect URI.
 */
import { createHash, randomBytes } from 'node:crypto'
import { type CookieJar, cookieJar } from './cookies.js'
import { asksPassword, type Form, filled, formsOf, type Typed } from './form.js'

const CALL_MS = 30_000
const MOST_STEPS = 12

export interface LoginRequest {
  readonly authorizationEndpoint: string
  readonly client_id: string
  readonly redirect_uri: string
  readonly username: string
  readonly password: string
  readonly pkce: 'S256' | 'plain' | 'none'
  readonly scope?: string
  /** Given where the password must be changed at this login, in a form that asks for the new one twice. */
  readonly newPassword?: string
  /** For text fields of further pages, by name: Keycloak asks for a missing address and name at the first login. */
  readonly answers?: Readonly<Record<string, string>>
  /** Further parameters of the authorization request, such as `resource`. */
  readonly extra?: Readonly<Record<string, string>>
}

/** What came back: a code, an error at the redirect URI (RFC 6749 section 4.1.2.1), or a page that leads nowhere. */
export type LoginResult =
  | { readonly code: string; readonly state: string; readonly iss: string | undefined; readonly verifier: string | undefined }
  | { readonly error: string; readonly error_description: string | undefined }
  | { readonly page: string; readonly status: number }

/** Logs in. A wrong password ends as the login page, shown again. @throws Error when the flow leaves the provider or swaps `state`. */
export async function loginByForm(request: LoginRequest): Promise<LoginResult> {
  const state = randomBytes(12).toString('base64url')
  const verifier = request.pkce === 'none' ? undefined : randomBytes(32).toString('base64url')
  const start = authorizationUrl(request, state, verifier)
  const jar = cookieJar()
  let next: Step = { url: start, method: 'GET' }
  // Each is typed once, in this order.
  const passwords = [request.password, ...(request.newPassword === undefined ? [] : [request.newPassword])]
  for (let step = 0; step < MOST_STEPS; step++) {
    const response = await visit(next, jar)
    const location = response.headers.get('location')
    if (response.status >= 300 && response.status < 400 && location !== null) {
      await response.body?.cancel()
      const target = new URL(location, next.url)
      if (isAt(target, request.redirect_uri)) return backAtClient(target, state, verifier)
      if (target.origin !== start.origin) throw new Error(`the login left ${start.origin} for ${target.origin}${target.pathname}`)
      // Only 307 and 308 keep the method and the body.
      next = response.status >= 307 ? { ...next, url: target } : { url: target, method: 'GET' }
      continue
    }
    const page = await response.text()
    const form = formToSubmit(page)
    const password = form && asksPassword(form) ? passwords.shift() : ''
    if (response.status !== 200 || !form || password === undefined) return { page, status: response.status }
    next = submission(form, next.url, { ...request, password })
    if (next.url.origin !== start.origin) throw new Error(`the login form posts to ${next.url.origin}`)
  }
  throw new Error(`no end after ${MOST_STEPS} steps of the login at ${start.origin}`)
}

/** Trades a code for tokens (RFC 6749 section 4.1.3); any status is an answer. */
export async function exchange(request: {
  tokenEndpoint: string
  code: string
  verifier: string | undefined
  redirect_uri: string
  client_id: string
  extra?: Readonly<Record<string, string>>
}): Promise<{ status: number; body: Record<string, unknown> }> {
  const { tokenEndpoint, code, verifier, redirect_uri, client_id, extra } = request
  const form = new URLSearchParams({ grant_type: 'authorization_code', code, redirect_uri, client_id, ...extra })
  if (verifier !== undefined) form.set('code_verifier', verifier)
  const response = await fetch(tokenEndpoint, { method: 'POST', body: form, redirect: 'manual', signal: AbortSignal.timeout(CALL_MS) })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

interface Step {
  readonly url: URL
  readonly method: 'GET' | 'POST'
  readonly body?: URLSearchParams
}

function authorizationUrl(request: LoginRequest, state: string, verifier: string | undefined): URL {
  const url = new URL(request.authorizationEndpoint)
  const parameters = {
    response_type: 'code',
    client_id: request.client_id,
    redirect_uri: request.redirect_uri,
    scope: request.scope ?? 'openid',
    state,
    ...(verifier === undefined ? {} : { code_challenge: challengeOf(verifier, request.pkce), code_challenge_method: request.pkce }),
    ...request.extra,
  }
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  return url
}

/** RFC 7636 section 4.2. */
function challengeOf(verifier: string, method: LoginRequest['pkce']): string {
  return method === 'S256' ? createHash('sha256').update(verifier).digest('base64url') : verifier
}

async function visit({ url, method, body }: Step, jar: CookieJar): Promise<Response> {
  const response = await fetch(url, {
    method,
    redirect: 'manual',
    headers: { accept: 'text/html', cookie: jar.header(url) },
    signal: AbortSignal.timeout(CALL_MS),
    ...(body === undefined ? {} : { body }),
  })
  jar.keep(url, response.headers)
  return response
}

/** The password form when there is one (pages carry language and search forms too), the first that posts otherwise. */
function formToSubmit(page: string): Form | undefined {
  const forms = formsOf(page)
  return forms.find(asksPassword) ?? forms.find(({ method }) => method === 'POST')
}

function submission(form: Form, page: URL, login: Typed): Step {
  const url = new URL(form.action, page)
  const fields = filled(form, login)
  if (form.method === 'POST') return { url, method: 'POST', body: fields }
  url.search = fields.toString()
  return { url, method: 'GET' }
}

/** Custom schemes have no origin, so everything before the query is compared. */
function isAt(target: URL, redirectUri: string): boolean {
  const place = (url: URL) => url.href.replace(/[?#].*$/, '')
  return place(target) === place(new URL(redirectUri))
}

function backAtClient(target: URL, state: string, verifier: string | undefined): LoginResult {
  const answer = target.searchParams
  if (answer.get('state') !== state) throw new Error('the answer carries another state than the request')
  const error = answer.get('error')
  if (error !== null) return { error, error_description: answer.get('error_description') ?? undefined }
  const code = answer.get('code')
  if (code === null) throw new Error('the answer carries neither a code nor an error')
  return { code, state, iss: answer.get('iss') ?? undefined, verifier }
}
