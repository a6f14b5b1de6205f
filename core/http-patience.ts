/**
 * How the door waits for a server that is busy or restarting: which answers to a read are worth another try, when, and
 * for how long. A write is sent once; whoever applies looks before it writes again.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { isConnectionLost, stopped, waitTooLong } from './http-failure.js'
import { type SettingSource, SettingsReader } from './settings.js'

/** What a run has seen of each server, by origin. */
export type KnownServers = Map<string, KnownServer>
interface KnownServer {
  /** A server that never answered may be a wrong URL, which is told at once. */
  hasAnswered?: boolean
  /** Since when reads get nothing but refusals. */
  refusingSince?: number
  toldAt?: number
}

export interface PatienceOptions {
  /** How long reads go on asking, milliseconds from the first refusal of a server that then answers none; 0 asks once. */
  readonly patienceMs?: number
  /** One for all doors of a run, so that they share what they know. */
  readonly servers?: KnownServers
  /** Told before a wait, every 2 s a server at most: `http://127.0.0.1:8080 answers 503; waiting (12 s of 60 s)`. */
  readonly onWait?: (words: string) => void
}

export interface Patience {
  /** Attempts a read until it is answered or the patience has run out; then its last end is returned or thrown. */
  read(system: string, attempt: () => Promise<Response>, stops: readonly AbortSignal[]): Promise<Response>
  /** Attempts a write, once. */
  write(system: string, attempt: () => Promise<Response>): Promise<Response>
}

/** Milliseconds: full jitter, doubling from the first to the longest pause. */
const FIRST_PAUSE = 250
const LONGEST_PAUSE = 5_000
const TELL_EVERY = 2_000

/** The server itself asks to come back later. */
const BUSY = new Set([429, 503])
/** A proxy stands there, and nothing behind it. */
const AWAY = new Set([502, 504])

/** The end of one attempt; exactly one of the two is there. */
type End = { readonly response: Response; readonly failure?: never } | { readonly failure: unknown; readonly response?: never }

/** The times of a door, from `MCP_IDP_TIMEOUT` and `MCP_IDP_PATIENCE`. @throws ToolkitError invalid_input */
export function doorTimes(settings: SettingSource): { timeoutMs: number; patienceMs: number } {
  const reader = new SettingsReader(settings)
  const times = { timeoutMs: reader.seconds('MCP_IDP_TIMEOUT') * 1000, patienceMs: reader.seconds('MCP_IDP_PATIENCE') * 1000 }
  reader.check('the outbound door')
  return times
}

/** Reads throw, besides what their attempts throw, rate_limited or unavailable where a server asks for a longer wait than is left. */
export function createPatience({ patienceMs = 0, servers = new Map(), onWait }: PatienceOptions): Patience {
  const known = (system: string): KnownServer => {
    const server = servers.get(system) ?? {}
    servers.set(system, server)
    return server
  }
  const tell = (server: KnownServer, what: string, waitedMs: number): void => {
    const now = performance.now()
    if (server.toldAt !== undefined && now - server.toldAt < TELL_EVERY) return
    server.toldAt = now
    onWait?.(`${what}; waiting (${Math.round(waitedMs / 1000)} s of ${patienceMs / 1000} s)`)
  }

  return {
    async write(system, attempt) {
      const response = await attempt()
      note(known(system), response)
      return response
    },
    async read(system, attempt, stops) {
      const server = known(system)
      let began: number | undefined
      for (let tries = 0; ; tries++) {
        const end = await endOf(attempt)
        if (end.response) note(server, end.response)
        const refusal = refusalIn(end, server, system)
        if (refusal === undefined) return result(end)
        const now = performance.now()
        began ??= now
        server.refusingSince ??= now
        // The server's clock keeps a batch from waiting once an item; the request's own ends one that alone is refused.
        const waited = now - Math.min(began, server.refusingSince)
        const left = Math.max(0, patienceMs - waited)
        const asked = end.response ? retryAfter(end.response.headers) : 0
        if (end.response && asked > left) throw waitTooLong(system, end.response.status, { asked, left, patienceMs })
        if (left === 0) return result(end)
        tell(server, refusal, waited)
        const pause = Math.max(asked, Math.random() * Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** tries))
        await sleepUnless(stops, Math.min(pause, left), system)
      }
    },
  }
}

function note(server: KnownServer, { status }: Response): void {
  if (AWAY.has(status)) return
  server.hasAnswered = true
  if (!BUSY.has(status)) delete server.refusingSince
}

async function endOf(attempt: () => Promise<Response>): Promise<End> {
  try {
    return { response: await attempt() }
  } catch (failure) {
    return { failure }
  }
}

function result(end: End): Response {
  if (end.response) return end.response
  throw end.failure
}

/** What to tell of an end that the next attempt may not have; undefined for any other. */
function refusalIn({ response, failure }: End, { hasAnswered = false }: KnownServer, system: string): string | undefined {
  if (!response) return hasAnswered && isConnectionLost(failure) ? failure.message : undefined
  const { status } = response
  return BUSY.has(status) || (hasAnswered && AWAY.has(status)) ? `${system} answers ${status}` : undefined
}

/**
 * The wait that a server asks for in milliseconds, 0 when it names none (RFC 9110 section 10.2.3). A date, in any of the
 * spellings of section 5.6.7, counts from the server's own clock.
 */
function retryAfter(headers: Headers): number {
  const text = headers.get('retry-after') ?? ''
  if (/^\d+$/.test(text)) return Math.min(Number(text), Number.MAX_SAFE_INTEGER / 1000) * 1000
  const date = httpDate(text)
  if (date === undefined) return 0
  return Math.max(0, date - (httpDate(headers.get('date') ?? '') ?? Date.now()))
}

function httpDate(text: string): number | undefined {
  if (!/^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text)) return undefined
  // The oldest spelling leaves the zone out, which is GMT too.
  const date = Date.parse(text.endsWith(' GMT') ? text : `${text} GMT`)
  return Number.isNaN(date) ? undefined : date
}

async function sleepUnless(stops: readonly AbortSignal[], ms: number, system: string): Promise<void> {
  try {
    // A timer may fire up to a millisecond early.
    await sleep(Math.ceil(ms) + 1, undefined, { signal: AbortSignal.any([...stops]) })
  } catch {
    throw stopped(system)
  }
}
