/**
 * What goes wrong at the outbound door, told as a ToolkitError: answers that are refused, and requests that got none.
 * No text of the server travels inside; reasons are words of ours or Node's error codes.
 */
import { isToolkitError, ToolkitError } from './errors.js'

/**
 * @throws ToolkitError unexpected_response for any 3xx, since a followed redirect would replay credentials
 * (RFC 9700 section 4.12), and for a number that is no HTTP status
 */
export function refuseStatus(status: number, system: string): void {
  if (status > 599) {
    throw new ToolkitError('unexpected_response', `${system} answered with ${status}, which is no HTTP status`, {
      system,
      reason: 'status',
      status,
    })
  }
  if (status < 300 || status >= 400) return
  throw new ToolkitError(
    'unexpected_response',
    `${system} answered with a redirect (${status}); redirects are not followed`,
    { system, reason: 'redirect', status },
    'check the URL: scheme, host, port and path prefix',
  )
}

/** A success that is not JSON would be read as an empty directory by some SDKs. @throws ToolkitError unexpected_response */
export function refuseForeignFormat(status: number, headers: Headers, bytes: Uint8Array, system: string): void {
  const type = headers.get('content-type') ?? 'no content type'
  const isTypedJson = /^application\/(?:[a-z.+-]+\+)?json\s*(?:;|$)/i.test(type)
  // Half a gzip stream decodes to nothing without an error, so JSON that was encoded may not be empty.
  const mayBeEmpty = !(isTypedJson && headers.has('content-encoding'))
  if (status >= 300 || (bytes.byteLength === 0 && mayBeEmpty)) return
  if (!isTypedJson) {
    throw new ToolkitError(
      'unexpected_response',
      `${system} answered ${status} with ${mediaType(type)} where JSON is due`,
      { system, reason: 'not_json', status },
      'check the URL: a proxy or a login page may answer there',
    )
  }
  if (isJson(bytes)) return
  const message = `${system} answered ${status} with something that calls itself JSON and is not`
  throw new ToolkitError('unexpected_response', message, { system, reason: 'bad_json', status }, 'check the URL, and try again')
}

/** A type that is no plain word is not repeated. */
function mediaType(type: string): string {
  return /^[\w.+-]+\/[\w.+-]+/.exec(type)?.[0] ?? (type === 'no content type' ? type : 'an odd content type')
}

function isJson(bytes: Uint8Array): boolean {
  try {
    JSON.parse(Buffer.from(bytes).toString())
    return true
  } catch {
    return false
  }
}

/** A certificate that does not verify; what remains of TLS failed before there was one. */
const CERTIFICATE_CODE = /^(?:ERR_TLS|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/
const TLS_CODE = /^(?:ERR_SSL|EPROTO)/
/** What was sent is not HTTP, or not in the encoding it names: llhttp, zlib and brotli codes, undici's limit for headers. */
const GARBAGE_CODE = /^(?:HPE_|Z_|ERR_|UND_ERR_HEADERS_OVERFLOW|UND_ERR_INVALID)/
const REASONS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'its name cannot be resolved',
  EAI_AGAIN: 'its name cannot be resolved now',
  ECONNREFUSED: 'it refuses the connection',
  ECONNRESET: 'it cut the connection',
  EPIPE: 'it cut the connection',
  EHOSTUNREACH: 'there is no route to it',
  ENETUNREACH: 'there is no route to it',
  UND_ERR_CONNECT_TIMEOUT: 'it does not accept the connection in time',
  UND_ERR_SOCKET: 'it cut the connection',
  UND_ERR_HEADERS_TIMEOUT: 'it does not answer in time',
  UND_ERR_BODY_TIMEOUT: 'its answer does not end in time',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'its answer broke off',
  UND_ERR_DESTROYED: 'the run has ended',
  UND_ERR_CLOSED: 'the run has ended',
}

/** A connection that is refused, reset or breaks off: what a restart looks like from here. */
const LOST: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET', 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH'])

/** True for a failure that a server which is starting again would explain. */
export function isConnectionLost(failure: unknown): failure is ToolkitError<'unavailable'> {
  return isToolkitError(failure, 'unavailable') && LOST.has(failure.details.reason)
}

/** True for a connection that was there and broke: unlike a refused one, no sign of a wrong URL. */
export function isConnectionCut(failure: unknown): boolean {
  return isConnectionLost(failure) && failure.details.reason !== 'ECONNREFUSED'
}

/** The run or the call was stopped. */
export function stopped(system: string): ToolkitError<'unavailable'> {
  return new ToolkitError('unavailable', `stopped while waiting for ${system}`, { system, reason: 'stopped' })
}

/** No answer within the time of one request. */
export function notInTime(system: string, timeoutMs: number): ToolkitError<'unavailable'> {
  return new ToolkitError('unavailable', `${system} did not answer within ${timeoutMs / 1000} s`, { system, reason: 'deadline' })
}

/** A server asks for a longer wait than we have patience for; all times in milliseconds. */
export function waitTooLong(
  system: string,
  status: number,
  { asked, left, patienceMs }: { asked: number; left: number; patienceMs: number },
): ToolkitError {
  const seconds = Math.ceil(asked / 1000)
  const message = `${system} answers ${status} and asks to wait ${seconds} s; ${Math.floor(left / 1000)} s of ${patienceMs / 1000} s are left`
  const hint = 'wait that long and run again, or raise MCP_IDP_PATIENCE'
  return status === 429
    ? new ToolkitError('rate_limited', message, { system, retry_after_seconds: seconds }, hint)
    : new ToolkitError('unavailable', message, { system, reason: 'retry_after', status }, hint)
}

/** The error a request ended with as ours; `stops` are the signals of the run and of the call. */
export function networkFailure(
  error: unknown,
  system: string,
  run: { deadline: AbortSignal; timeoutMs: number; stops: readonly AbortSignal[] },
): ToolkitError {
  if (error instanceof ToolkitError) return error
  if (run.stops.some(({ aborted }) => aborted)) return stopped(system)
  if (run.deadline.aborted) return notInTime(system, run.timeoutMs)
  const code = networkCode(error)
  if (CERTIFICATE_CODE.test(code)) {
    const hint = 'name the issuing authority with NODE_EXTRA_CA_CERTS'
    return new ToolkitError(
      'unavailable',
      `${system} cannot be reached: its TLS certificate does not verify (${code})`,
      { system, reason: code },
      hint,
    )
  }
  if (TLS_CODE.test(code)) {
    const hint = 'check the scheme and the port: a plain http server may answer there'
    return new ToolkitError('unavailable', `${system} cannot be reached: it does not speak TLS (${code})`, { system, reason: code }, hint)
  }
  const hint = 'check the URL, and that the server is up'
  if (GARBAGE_CODE.test(code)) {
    return new ToolkitError('unexpected_response', `${system} sent something that cannot be read (${code})`, { system, reason: code }, hint)
  }
  const why = REASONS[code] ?? 'the request failed'
  return new ToolkitError('unavailable', `${system} cannot be reached: ${why}`, { system, reason: code }, hint)
}

function networkCode(error: unknown): string {
  for (let current = error, depth = 0; typeof current === 'object' && current !== null && depth < 5; depth++) {
    const { name, code, cause, errors } = current as { name?: unknown; code?: unknown; cause?: unknown; errors?: unknown[] }
    if (typeof code === 'string') return code
    // undici leaves the code out when the first bytes are not HTTP.
    if (name === 'HTTPParserError') return 'HPE_INVALID'
    current = cause ?? errors?.[0]
  }
  return 'request_failed'
}
