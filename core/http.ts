/**
 * The one outbound HTTP door. Every vendor SDK and every client of ours goes through it; nothing else opens a connection.
 * It sends credentials to configured origins only, never follows a redirect, bounds time and size, and stays shut for
 * writes until an approved plan is being applied. Reads wait for a server that is busy; a write is sent once.
 */
import { Agent, type Dispatcher, request as undiciRequest } from 'undici'
import { ToolkitError } from './errors.js'
import { bufferedBody, decodedBody, ENCODINGS } from './http-body.js'
import { networkFailure, refuseForeignFormat, refuseStatus } from './http-failure.js'
import { createPatience, type PatienceOptions } from './http-patience.js'
import { allowedUrl, configuredOrigins } from './origins.js'
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

export interface DoorOptions extends PatienceOptions {
  /** Origins that may be called (`https://idp.example.com`); anything else is refused before a socket opens. */
  readonly origins: readonly string[]
  /** Says which requests change nothing besides GET and HEAD: a token request, a vendor's reading POST. */
  readonly isRead?: (request: DoorRequest) => boolean
  readonly latch: WriteLatch
  /** Lets credentials travel unencrypted to an http origin that is not on this machine. */
  readonly allowHttp?: boolean
  /** Ends every request of the run, e.g. at Ctrl-C. */
  readonly signal?: AbortSignal
  /** One attempt including the body, milliseconds. */
  readonly timeoutMs?: number
  /** Largest answer after decompression, bytes. */
  readonly maxBytes?: number
  /** PEM of additional certificate authorities. */
  readonly ca?: string
  /** Called once an attempt has ended. */
  readonly onRequest?: (entry: JournalEntry) => void
}

/** A value that may be secret; the door alone opens it. */
type Field = string | Secret
/** A JSON value whose leaves may be secret. */
export type SecretJson =
  | string
  | number
  | boolean
  | null
  | Secret
  | readonly SecretJson[]
  | { readonly [key: string]: SecretJson | undefined }

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
  /** Ends every connection at once; a request still under way fails as `unavailable`. */
  close(): Promise<void>
}

/** One attempt of a request that may leave. */
interface Attempt {
  readonly method: string
  readonly url: URL
  readonly headers: Headers
  readonly body: Uint8Array<ArrayBuffer> | undefined
  readonly isRead: boolean
  /** Signals of the run and of the call. */
  readonly stops: readonly AbortSignal[]
  /** Held while it is under way: a Request that was collected no longer passes on the stop it was made with (Node 20). */
  readonly input: string | URL | Request
}

/** 1 MB after decompression, 30 s with the body, 5 s to connect (requirements NW4). */
const MAX_BYTES = 1_000_000
const TIMEOUT_MS = 30_000
const CONNECT_MS = 5_000
/** Statuses a Response may not give a body (Fetch standard, null body status). */
const BODILESS = new Set([204, 205, 304])

/**
 * Opens a door. @throws ToolkitError invalid_input for a plain http origin off this machine
 * Its requests throw ToolkitError `unexpected_response` (foreign URL, redirect, not JSON, too large), `unavailable` (no answer),
 * `rate_limited` (a read is asked to wait longer than its patience) or `internal` (a write while the latch is shut).
 */
export function createDoor(options: DoorOptions): Door {
  const origins = configuredOrigins(options.origins, options.allowHttp)
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS
  const maxBytes = options.maxBytes ?? MAX_BYTES
  const agent = new Agent({
    connections: 8,
    connect: { timeout: Math.min(CONNECT_MS, timeoutMs), ...(options.ca === undefined ? {} : { ca: options.ca }) },
    // The deadline of the request covers both; a second clock would only race it.
    headersTimeout: 0,
    bodyTimeout: 0,
  })
  const journal: JournalEntry[] = []
  const patience = createPatience(options)
  const closed = new AbortController()

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
    const stops = [options.signal, init.signal ?? request?.signal].filter((one) => one !== undefined && one !== null)
    const body = await bufferedBody(init.body ?? request?.body, headers)
    const attempt = () => answerTo({ method, url, headers, body, isRead, stops, input })
    return isRead ? patience.read(url.origin, attempt, [closed.signal, ...stops]) : patience.write(url.origin, attempt)
  }

  const answerTo = async ({ method, url, headers, body, isRead, stops }: Attempt): Promise<Response> => {
    const started = performance.now()
    const outcome: { status?: number; error?: string; request_id?: string } = {}
    const deadline = AbortSignal.timeout(timeoutMs)
    try {
      // Follows no redirect and sends once, whatever the answer; fetch would send again after a 421.
      const answer = await undiciRequest(url, {
        method: method as Dispatcher.HttpMethod,
        headers: { 'accept-encoding': ENCODINGS, ...Object.fromEntries(headers) },
        dispatcher: agent,
        signal: AbortSignal.any([deadline, ...stops]),
        ...(body === undefined ? {} : { body }),
      })
      const status = answer.statusCode
      outcome.status = status
      const answerHeaders = headersOf(answer.headers)
      const requestId = answerHeaders.get('x-request-id') ?? answerHeaders.get('x-okta-request-id')
      if (requestId !== null) outcome.request_id = requestId
      const isBodiless = method === 'HEAD' || BODILESS.has(status)
      const encoding = isBodiless ? null : answerHeaders.get('content-encoding')
      const bytes = await decodedBody(answer.body, encoding, { maxBytes, system: url.origin })
      refuseStatus(status, url.origin)
      if (!isBodiless) refuseForeignFormat(status, answerHeaders, bytes, url.origin)
      answerHeaders.delete('content-encoding')
      answerHeaders.delete('content-length')
      return new Response(isBodiless || bytes.byteLength === 0 ? null : bytes, { status, headers: answerHeaders })
    } catch (error) {
      const failure = networkFailure(error, url.origin, { deadline, timeoutMs, stops })
      outcome.error = failure.code
      throw failure
    } finally {
      const entry = {
        method,
        url: url.origin + url.pathname,
        class: isRead ? 'read' : 'write',
        ms: performance.now() - started,
        ...outcome,
      } as const
      journal.push(entry)
      options.onRequest?.(entry)
    }
  }

  return {
    fetch: guardedFetch,
    journal,
    async close() {
      closed.abort()
      await agent.destroy()
    },
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

function headersOf(received: Readonly<Record<string, string | string[] | undefined>>): Headers {
  const headers = new Headers()
  for (const [name, value] of Object.entries(received)) for (const one of [value ?? []].flat()) headers.append(name, one)
  return headers
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
