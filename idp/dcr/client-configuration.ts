/**
 * The four requests of RFC 7591 and RFC 7592: register, read, replace, remove. Statuses become our errors; a server's own
 * words are not repeated, except error codes of the registered form.
 */
import { ToolkitError } from '../../core/errors.js'
import type { Answer, Door } from '../../core/http.js'
import type { SecretJson } from '../../core/http-body.js'
import type { Secret } from '../../core/secret.js'
import { type ClientInformation, clientInformationOf } from './metadata.js'
import type { Registration } from './registrations.js'

type Metadata = Readonly<Record<string, SecretJson>>

/** RFC 7591 section 3. @throws ToolkitError unauthenticated or forbidden without a good initial access token, unexpected_response for refused metadata */
export async function register(
  door: Door,
  at: { issuer: string; endpoint: string; token: Secret | undefined },
  metadata: Metadata,
): Promise<ClientInformation> {
  const { issuer, endpoint, token } = at
  const answer = await door.send({ method: 'POST', url: endpoint, json: metadata, ...(token ? { bearer: token } : {}) })
  if (answer.status === 201) return clientInformationOf(answer.json, issuer)
  if (answer.status === 401 || answer.status === 403) throw refusedToRegister(answer, issuer, token !== undefined)
  throw failure(answer, issuer, 'registering a client')
}

/**
 * RFC 7592 section 2.1; undefined when the server says that the client is gone. It does so by 401 `invalid_token`, which is
 * also what a token revoked by somebody else looks like: the two cannot be told apart.
 */
export async function readClient(door: Door, registration: Registration): Promise<ClientInformation | undefined> {
  const answer = await configure(door, registration, 'GET')
  if (answer.status === 200) return informationOf(answer, registration)
  if (isGone(answer)) return undefined
  throw failure(answer, registration.issuer, 'reading a client')
}

/** RFC 7592 section 2.2: the metadata replaces everything. @throws ToolkitError unsupported where clients cannot be changed */
export async function replaceClient(door: Door, registration: Registration, metadata: Metadata): Promise<ClientInformation> {
  const answer = await configure(door, registration, 'PUT', metadata)
  if (answer.status === 200) return informationOf(answer, registration)
  throw failure(answer, registration.issuer, 'changing a client')
}

/** RFC 7592 section 2.3; a client that is gone already is as good. @throws ToolkitError unsupported where clients cannot be removed */
export async function removeClient(door: Door, registration: Registration): Promise<void> {
  const answer = await configure(door, registration, 'DELETE')
  if (answer.status === 204 || isGone(answer)) return
  throw failure(answer, registration.issuer, 'removing a client')
}

function configure(
  door: Door,
  { registration_client_uri, registration_access_token }: Registration,
  method: string,
  json?: Metadata,
): Promise<Answer> {
  return door.send({ method, url: registration_client_uri, bearer: registration_access_token, ...(json === undefined ? {} : { json }) })
}

function informationOf({ json, status }: Answer, { issuer, client_id }: Registration): ClientInformation {
  const information = clientInformationOf(json, issuer)
  if (information.client_id === client_id) return information
  throw new ToolkitError('unexpected_response', `${issuer} answered for another client than ${client_id}`, {
    system: issuer,
    reason: 'other_client',
    status,
  })
}

function isGone(answer: Answer): boolean {
  return answer.status === 404 || (answer.status === 401 && codeOf(answer) === 'invalid_token')
}

function refusedToRegister(answer: Answer, issuer: string, hadToken: boolean): ToolkitError {
  const { status } = answer
  const what = hadToken ? 'does not accept the initial access token' : 'wants an initial access token'
  const hint = 'get an initial access token from the server (RFC 7591 section 3)'
  if (status === 403)
    return new ToolkitError('forbidden', `${issuer} ${what}`, { system: issuer, needs: ['initial access token'], status }, hint)
  return new ToolkitError('unauthenticated', `${issuer} ${what}`, { system: issuer, status, ...vendorCode(answer) }, hint)
}

function failure(answer: Answer, issuer: string, doing: string): ToolkitError {
  const { status } = answer
  const message = `${issuer} answered ${status} to ${doing}`
  if (status === 401) return new ToolkitError('unauthenticated', message, { system: issuer, status, ...vendorCode(answer) })
  if (status === 403) return new ToolkitError('forbidden', message, { system: issuer, needs: ['management of this client'], status })
  if (status === 405 || status === 501) {
    return new ToolkitError(
      'unsupported',
      `${issuer} does not offer ${doing}`,
      { system: issuer, capability: doing, why: 'RFC 7592 is optional' },
      'do it at the server',
    )
  }
  if (status === 429)
    return new ToolkitError(
      'rate_limited',
      `${issuer} asks to slow down`,
      { system: issuer, ...retryAfter(answer) },
      'wait, then run again',
    )
  if (status >= 500) return new ToolkitError('unavailable', message, { system: issuer, reason: 'server_error', status }, 'run again')
  const code = vendorCode(answer)
  const why = code.vendor_code === undefined ? '' : `: ${code.vendor_code}`
  return new ToolkitError('unexpected_response', `${message}${why}`, { system: issuer, reason: 'refused', status, ...code })
}

/** Codes as RFC 6750 section 3.1 and RFC 7591 section 3.2.2 form them. */
function codeOf({ json, headers }: Answer): string | undefined {
  const inBody = typeof json === 'object' && json !== null && 'error' in json ? json.error : undefined
  const code = inBody ?? /\berror="?([a-z_]{1,40})/.exec(headers.get('www-authenticate') ?? '')?.[1]
  return typeof code === 'string' && /^[a-z_]{1,40}$/.test(code) ? code : undefined
}

function vendorCode(answer: Answer): { vendor_code?: string } {
  const code = codeOf(answer)
  return code === undefined ? {} : { vendor_code: code }
}

function retryAfter({ headers }: Answer): { retry_after_seconds?: number } {
  const seconds = headers.get('retry-after')
  return seconds !== null && /^\d{1,6}$/.test(seconds) ? { retry_after_seconds: Number(seconds) } : {}
}
