/**
 * The one outbound HTTP door. Every vendor SDK and every client of ours goes through it; nothing else opens a connection.
 * It sends credentials to configured origins only, never follows a redirect, bounds time and size, and stays shut for
 * writes until an approved plan is being applied. Reads wait for a server that is busy; a write is sent once.
 */
import type { Dispatcher } from 'undici'
import { ToolkitError } from './errors.js'
import { bufferedBody, decodedBody, ENCODINGS, type SecretForm, type SecretJson, sentBody } from './http-body.js'
import { networkFailure, refuseForeignFormat, refuseStatus } from './http-failure.js'
import { createPatience, type PatienceOptions } from './http-patience.js'
import { createTransport, type ProxySettings } from './http-transport.js'
import { jsonOf } from './json-text.js'
import { allowedUrl, configuredOrigins } from './origins.js'
import type { Secret } from './secret.js'

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
  /**
   * Says which requests change nothing besides GET and HEAD: a vendor's reading POST. `once` for one that must be made anew
   * to be sent again: a token request, whose client assertion is single-use (RFC 7523 section 3).
   */
  readonly isRead?: (request: DoorRequest) => boolean | 'once'
  readonly latch: WriteLatch
  /** Lets credentials travel unencrypted to an http origin that is not on this machine. */
  readonly allowHttp?: boolean
  /** Ends every request of the run, e.g. at Ctrl-C. */
  readonly signal?: AbortSignal
  /** Largest answer after decompression, bytes. */
  readonly maxBytes?: number
  /** PEM of additional certificate authorities. */
  readonly ca?: string
  readonly proxy?: ProxySettings
  /** Called once an attempt has ended. */
  readonly onRequest?: (entry: JournalEntry) => void
}

export interface Send {
  readonly method: string
  readonly url: string
  readonly bearer?: Secret
  readonly json?: SecretJson
  readonly form?: SecretForm
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
  /** Repeats a request that is made anew each time, with the patience of a read; `attempt` sends it through this door. */
  readonly patiently: (url: string, attempt: () => Promise<Response>) => Promise<Response>
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
const CONNECTIONS = 8
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
  const connections = options.connections ?? CONNECTIONS
  const transport = createTransport({
    connections,
    connectMs: Math.min(CONNECT_MS, timeoutMs),
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    ...(options.proxy === undefined ? {} : { proxy: options.proxy }),
  })
  const journal: JournalEntry[] = []
  const patience = createPatience({ ...options, connections, timeoutMs })
  const closed = new AbortController()

  const guardedFetch = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const request = input instanceof Request ? input : undefined
    const method = (init.method ?? request?.method ?? 'GET').toUpperCase()
    const headers = new Headers(init.headers ?? request?.headers)
    const url = allowedUrl(request?.url ?? String(input), origins)
    const isRead = method === 'GET' || method === 'HEAD' || (options.isRead?.({ method, url, headers }) ?? false)
    if (isRead === false && !options.latch.isOpen) {
      throw new ToolkitError('internal', `${method} ${url.pathname} would change ${url.origin} while only reading is allowed`, {
        where: 'http door',
      })
    }
    const stops = [options.signal, init.signal ?? request?.signal].filter((one) => one !== undefined && one !== null)
    const body = await bufferedBody(init.body ?? request?.body, headers)
    const waits = [closed.signal, ...stops]
    const attempt = () =>
      patience.once(url.origin, () => answerTo({ method, url, headers, body, isRead: isRead !== false, stops, input }), waits)
    return isRead === true ? patience.until(url.origin, attempt, waits) : attempt()
  }

  const answerTo = async ({ method, url, headers, body, isRead, stops }: Attempt): Promise<Response> => {
    const { request, dispatcher } = await transport.open()
    const started = performance.now()
    const outcome: { status?: number; error?: string; request_id?: string } = {}
    const deadline = AbortSignal.timeout(timeoutMs)
    try {
      // Follows no redirect and sends once, whatever the answer; fetch would send again after a 421.
      const answer = await request(url, {
        method: method as Dispatcher.HttpMethod,
        headers: { 'accept-encoding': ENCODINGS, ...Object.fromEntries(headers) },
        dispatcher,
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
    patiently: (url, attempt) =>
      patience.until(new URL(url).origin, attempt, [closed.signal, ...(options.signal ? [options.signal] : [])], 'new'),
    async close() {
      closed.abort()
      await transport.close()
    },
    async send({ method, url, bearer, json, form }) {
      const headers = new Headers({ accept: 'application/json' })
      if (bearer) headers.set('authorization', `Bearer ${bearer.reveal()}`)
      if (json !== undefined) headers.set('content-type', 'application/json')
      const body = sentBody(json, form)
      const response = await guardedFetch(url, { method, headers, ...(body === undefined ? {} : { body }) })
      const text = await response.text()
      return { status: response.status, headers: response.headers, json: text === '' ? undefined : jsonOf(text) }
    },
  }
}

function headersOf(received: Readonly<Record<string, string | string[] | undefined>>): Headers {
  const headers = new Headers()
  for (const [name, value] of Object.entries(received)) for (const one of [value ?? []].flat()) headers.append(name, one)
  return headers
}
