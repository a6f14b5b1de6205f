/**
 * The one outbound HTTP door. Every vendor SDK and every client of ours goes through it; nothing else opens a connection.
 * It sends credentials to configured origins only, never follows a redirect, bounds time and size, and stays shut for
 * writes until an approved plan is being applied.
 */
import { Agent, type BodyInit, fetch as undiciFetch } from 'undici'
import { ToolkitError } from './errors.js'
import { Secret } from './secret.js'

/** What a reader of the journal may know of a request: never a header, a body or a query. */
export interface JournalEntry {
  readonly method: string
  readonly url: string
  readonly class: 'read' | 'write'
  readonly status?: number
  readonly error?: string
  readonly ms: number
  readonly request_id?: string
}

/** A request as the read rule sees it. */
export interface DoorRequest {
  readonly method: string
  readonly url: URL
  readonly headers: Headers
}

/** Shut while planning; opened by converge for the length of one apply. One latch belongs to one run of an operation. */
export class WriteLatch {
  #open = false
  get isOpen(): boolean {
    return this.#open
  }
  async whileOpen<T>(work: () => Promise<T>): Promise<T> {
    this.#open = true
    try {
      return await work()
    } finally {
      this.#open = false
    }
  }
}

export interface DoorOptions {
  /** Origins that may be called (`https://idp.example.com`); anything else is refused before a socket opens. */
  readonly origins: readonly string[]
  /** Says which requests change nothing besides GET and HEAD: a token request, a vendor's reading POST. */
  readonly isRead?: (request: DoorRequest) => boolean
  readonly latch: WriteLatch
  /** Ends every request of the run, e.g. at Ctrl-C. */
  readonly signal?: AbortSignal
  /** Whole request including the body, milliseconds. */
  readonly timeoutMs?: number
  /** Largest answer after decompression, bytes. */
  readonly maxBytes?: number
  /** PEM of additional certificate authorities. */
  readonly ca?: string
  /** Called once a request has ended. */
  readonly onRequest?: (entry: JournalEntry) => void
}

/** A value that may be secret; the door alone opens it. */
type Field = string | Secret
/** A JSON value whose leaves may be secret. */
export type SecretJson = string | number | boolean | null | Secret | readonly SecretJson[] | { readonly [key: string]: SecretJson | undefined }

export interface Send {
  readonly method: string
  readonly url: string
  readonly bearer?: Secret
  readonly json?: SecretJson
  readonly form?: { readonly [key: string]: Field | undefined }
}

/** An answer with its parsed JSON; `undefined` for an empty body. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly json: unknown
}

export interface Door {
  /** fetch-compatible, for SDKs. Answers are buffered, and JSON when they are a success with a body. */
  readonly fetch: (input: string | URL | Request, init?: RequestInit) => Promise<Response>
  /** For our own clients: Secrets in fields, parsed JSON out, any status. */
  readonly send: (request: Send) => Promise<Answer>
  readonly journal: readonly JournalEntry[]
  close(): Promise<void>
}

/** 1 MB after decompression, 30 s with the body, 5 s to connect (requirements NW4). */
const MAX_BYTES = 1_000_000
const TIMEOUT_MS = 30_000
const CONNECT_MS = 5_000

/** @throws ToolkitError not_configured-free: options are checked by their callers; see `fetch` for what a request may throw. */
export function createDoor(options: DoorOptions): Door {
  const origins = new Set(options.origins.map((origin) => new URL(origin).origin))
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS
  const maxBytes = options.maxBytes ?? MAX_BYTES
  const agent = new Agent({
    connections: 8,
    connect: { timeout: Math.min(CONNECT_MS, timeoutMs), ...(options.ca === undefined ? {} : { ca: options.ca }) },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
  })
  const journal: JournalEntry[] = []

  const guardedFetch = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const request = input instanceof Request ? input : undefined
    const method = (init.method ?? request?.method ?? 'GET').toUpperCase()
    const headers = new Headers(init.headers ?? request?.headers)
    const url = allowedUrl(request?.url ?? String(input), origins)
    const isRead = method === 'GET' || method === 'HEAD' || options.isRead?.({ method, url, headers }) === true
    if (!isRead && !options.latch.isOpen) {
      throw new ToolkitError('internal', `${method} ${url.pathname} would change ${url.origin} while only reading is allowed`, {
        where: 'http door',
      })
    }
    const started = performance.now()
    const note = (outcome: { status?: number; error?: string; request_id?: string }) => {
      const entry = { method, url: url.origin + url.pathname, class: isRead ? 'read' : 'write', ms: performance.now() - started, ...outcome } as const
      journal.push(entry)
      options.onRequest?.(entry)
    }
    const deadline = AbortSignal.timeout(timeoutMs)
    const signal = AbortSignal.any([deadline, options.signal, init.signal ?? undefined].filter((one) => one !== undefined))
    try {
      const body = init.body ?? (request?.body ? await request.arrayBuffer() : undefined)
      const answer = await undiciFetch(url, {
        method,
        headers: Object.fromEntries(headers),
        redirect: 'manual',
        dispatcher: agent,
        signal,
        ...(body === undefined || body === null ? {} : { body: body as BodyInit }),
      })
      const bytes = await readCapped(answer.body as ReadableStream<Uint8Array> | null, maxBytes, url.origin)
      const requestId = answer.headers.get('x-request-id') ?? answer.headers.get('x-okta-request-id') ?? undefined
      note({ status: answer.status, ...(requestId === undefined ? {} : { request_id: requestId }) })
      refuseRedirect(answer.status, url.origin)
      const answerHeaders = new Headers([...answer.headers])
      refuseForeignFormat(answer.status, answerHeaders, bytes, url.origin)
      answerHeaders.delete('content-encoding')
      answerHeaders.delete('content-length')
      return new Response(bytes.byteLength === 0 ? null : bytes, { status: answer.status, headers: answerHeaders })
    } catch (error) {
      const failure = asToolkitError(error, url.origin, { deadline, timeoutMs, stopped: options.signal })
      if (journal.at(-1)?.url !== url.origin + url.pathname || failure.code === 'unavailable') note({ error: failure.code })
      throw failure
    }
  }

  return {
    fetch: guardedFetch,
    journal,
    close: () => agent.close(),
    async send({ method, url, bearer, json, form }) {
      const headers = new Headers({ accept: 'application/json' })
      if (bearer) headers.set('authorization', `Bearer ${bearer.reveal()}`)
      if (json !== undefined) headers.set('content-type', 'application/json')
      const body = form ? new URLSearchParams(revealedForm(form)) : json === undefined ? undefined : JSON.stringify(revealed(json))
      const response = await guardedFetch(url, { method, headers, ...(body === undefined ? {} : { body }) })
      const text = await response.text()
      return { status: response.status, headers: response.headers, json: text === '' ? undefined : parsed(text) }
    },
  }
}

function allowedUrl(text: string, origins: ReadonlySet<string>): URL {
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') {
    throw new ToolkitError('internal', 'a URL with a user name or password inside was refused', { where: 'http door' })
  }
  if (!origins.has(url.origin)) {
    throw new ToolkitError('unexpected_response', `${url.origin} is not a configured origin; nothing was sent to it`, {
      system: url.origin,
      reason: 'foreign_origin',
    })
  }
  return url
}

async function readCapped(stream: ReadableStream<Uint8Array> | null, maxBytes: number, system: string): Promise<Uint8Array<ArrayBuffer>> {
  if (stream === null) return new Uint8Array()
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of stream) {
    size += chunk.byteLength
    if (size > maxBytes) {
      throw new ToolkitError('unexpected_response', `${system} sent more than ${maxBytes} bytes`, { system, reason: 'too_large' })
    }
    chunks.push(chunk)
  }
  return new Uint8Array(Buffer.concat(chunks))
}

function refuseRedirect(status: number, system: string): void {
  if (status < 300 || status >= 400) return
  throw new ToolkitError(
    'unexpected_response',
    `${system} answered with a redirect (${status}); redirects are not followed`,
    { system, reason: 'redirect', status },
    'check the URL: scheme, host, port and path prefix',
  )
}

/** A success that is not JSON would be read as an empty directory by some SDKs. */
function refuseForeignFormat(status: number, headers: Headers, bytes: Uint8Array, system: string): void {
  if (status >= 300 || bytes.byteLength === 0) return
  const type = headers.get('content-type') ?? 'no content type'
  if (/^application\/(?:[a-z.+-]+\+)?json\b/i.test(type)) return
  throw new ToolkitError(
    'unexpected_response',
    `${system} answered ${status} with ${type.split(';')[0]} where JSON is due`,
    { system, reason: 'not_json', status },
    'check the URL: a proxy or a login page may answer there',
  )
}

/** TLS failures all carry one of these prefixes in Node. */
const TLS_CODE = /^(?:ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|EPROTO)/
const REASONS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'its name cannot be resolved',
  EAI_AGAIN: 'its name cannot be resolved now',
  ECONNREFUSED: 'it refuses the connection',
  ECONNRESET: 'it cut the connection',
  EHOSTUNREACH: 'there is no route to it',
  ENETUNREACH: 'there is no route to it',
  UND_ERR_CONNECT_TIMEOUT: 'it does not accept the connection in time',
  UND_ERR_SOCKET: 'it cut the connection',
  UND_ERR_HEADERS_TIMEOUT: 'it does not answer in time',
  UND_ERR_BODY_TIMEOUT: 'its answer does not end in time',
}

function asToolkitError(
  error: unknown,
  system: string,
  run: { deadline: AbortSignal; timeoutMs: number; stopped: AbortSignal | undefined },
): ToolkitError {
  if (error instanceof ToolkitError) return error
  if (run.stopped?.aborted) return new ToolkitError('unavailable', `stopped while waiting for ${system}`, { system, reason: 'stopped' })
  if (run.deadline.aborted) {
    return new ToolkitError('unavailable', `${system} did not answer within ${run.timeoutMs / 1000} s`, { system, reason: 'deadline' })
  }
  const code = networkCode(error)
  const tls = TLS_CODE.test(code)
  const why = tls ? `its TLS certificate does not verify (${code})` : (REASONS[code] ?? 'the request failed')
  const hint = tls ? 'name the issuing authority with NODE_EXTRA_CA_CERTS' : 'check the URL, and that the server is up'
  return new ToolkitError('unavailable', `${system} cannot be reached: ${why}`, { system, reason: code }, hint)
}

function networkCode(error: unknown): string {
  for (let current = error, depth = 0; typeof current === 'object' && current !== null && depth < 5; depth++) {
    const { code, cause, errors } = current as { code?: unknown; cause?: unknown; errors?: unknown[] }
    if (typeof code === 'string') return code
    current = cause ?? errors?.[0]
  }
  return 'request_failed'
}

function revealedForm(form: NonNullable<Send['form']>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(form).flatMap(([key, value]) => (value === undefined ? [] : [[key, value instanceof Secret ? value.reveal() : value]])),
  )
}

function revealed(value: SecretJson): unknown {
  if (value instanceof Secret) return value.reveal()
  if (Array.isArray(value)) return value.map(revealed)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]) => (inner === undefined ? [] : [[key, revealed(inner as SecretJson)]])),
  )
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
