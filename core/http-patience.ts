/**
 * How the door waits for a server that is busy or restarting: which answers to a read are worth another try, when, and
 * for how long. A write is sent once; whoever applies looks before it writes again.
 */
import { isConnectionCut, isConnectionLost, waitTooLong } from './http-failure.js'
import { askedWait, BUSY, type Pace, sleepUntil, turn } from './http-pace.js'
import { type SettingSource, SettingsReader } from './settings.js'

/** What a run has seen of each server, by origin. */
export type KnownServers = Map<string, KnownServer>
interface KnownServer extends Pace {
  /** A server that never answered may be a wrong URL, which is told at once. */
  hasAnswered?: boolean
  /** Since when it serves nothing. */
  refusingSince?: number
  /** When it last served a request. */
  servedAt?: number
  toldAt?: number
}

export interface PatienceOptions {
  /** How long reads go on asking, milliseconds from the first refusal of a server that then answers none; 0 asks once. */
  readonly patienceMs?: number
  /** One for all doors of a run, so that they share what they know. */
  readonly servers?: KnownServers
  /** Told before a wait, every 2 s a server at most: `http://127.0.0.1:8080 answers 503; waiting (12 s of 60 s)`. */
  readonly onWait?: (words: string) => void
  /** Connections at once to one server. */
  readonly connections?: number
  /** One attempt including the body, milliseconds. */
  readonly timeoutMs?: number
}

export interface Patience {
  /** Attempts a request once, when the pace of its server allows. */
  once(system: string, attempt: () => Promise<Response>, stops: readonly AbortSignal[]): Promise<Response>
  /** Repeats attempts until one is answered or the patience has run out; then the last end is returned or thrown. */
  until(system: string, attempt: () => Promise<Response>, stops: readonly AbortSignal[], kind?: AttemptKind): Promise<Response>
}

/**
 * `read`: repeated as it is. `new`: made anew for each try, and changing nothing that matters, as a token request; so it may
 * be tried again after a 500 and a bad beginning, yet not for long while the server serves others.
 */
export type AttemptKind = 'read' | 'new'
/** Tries of a `new` request that fails alone, and of one whose server never answered. */
const TRIES_ALONE = 5
const TRIES_UNKNOWN = 3

/** Milliseconds: full jitter, doubling from the first to the longest pause. */
const FIRST_PAUSE = 250
const LONGEST_PAUSE = 5_000
const TELL_EVERY = 2_000

/** A proxy stands there, and nothing behind it. */
const AWAY = new Set([502, 504])

/** The end of one attempt; exactly one of the two is there. */
type End = { readonly response: Response; readonly failure?: never } | { readonly failure: unknown; readonly response?: never }

/** The times of a door, from `MCP_IDP_TIMEOUT`, `MCP_IDP_TOKEN_TIMEOUT` and `MCP_IDP_PATIENCE`. @throws ToolkitError invalid_input */
export function doorTimes(settings: SettingSource): { timeoutMs: number; tokenTimeoutMs: number; patienceMs: number } {
  const reader = new SettingsReader(settings)
  const times = {
    timeoutMs: reader.seconds('MCP_IDP_TIMEOUT') * 1000,
    tokenTimeoutMs: reader.seconds('MCP_IDP_TOKEN_TIMEOUT') * 1000,
    patienceMs: reader.seconds('MCP_IDP_PATIENCE') * 1000,
  }
  reader.check('the outbound door')
  return times
}

/** Both throw, besides what attempts throw, rate_limited or unavailable where a server asks for a longer wait than is left. */
export function createPatience(options: PatienceOptions): Patience {
  const { patienceMs = 0, servers = new Map<string, KnownServer>(), onWait, connections = Infinity, timeoutMs = Infinity } = options
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
    async once(system, attempt, stops) {
      const server = known(system)
      const waits = (ms: number) => tell(server, `${system} asks to wait ${Math.ceil(ms / 1000)} s`, 0)
      const done = await turn(server, { system, connections, timeoutMs, patienceMs, stops, onWait: waits })
      try {
        const response = await attempt()
        note(server, response)
        done(response)
        return response
      } catch (failure) {
        done()
        throw failure
      }
    },
    async until(system, attempt, stops, kind = 'read') {
      const server = known(system)
      let began: number | undefined
      let unasked = 0
      for (let tries = 0; ; tries++) {
        const end = await endOf(attempt)
        const refusal = refusalIn(end, server, { system, kind, tries })
        if (refusal === undefined) return result(end)
        const now = performance.now()
        began ??= now
        server.refusingSince ??= now
        // The server's clock keeps a batch from waiting once an item; the request's own ends one that alone is refused.
        const waited = now - Math.min(began, server.refusingSince)
        const left = Math.max(0, patienceMs - waited)
        const asked = end.response ? askedWait(end.response) : 0
        if (end.response && asked > left) throw waitTooLong(system, end.response.status, { asked, left, patienceMs })
        if (asked === 0) unasked += 1
        const isAlone = kind === 'new' && unasked >= TRIES_ALONE && (server.servedAt ?? 0) > began
        if (left === 0 || isAlone) return result(end)
        tell(server, refusal, waited)
        const pause = Math.max(asked, Math.random() * Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** tries))
        await sleepUntil(now + Math.min(pause, left), [], stops, system)
      }
    },
  }
}

function note(server: KnownServer, { status }: Response): void {
  if (AWAY.has(status)) return
  server.hasAnswered = true
  // A server that says 500 to all is as little use as one that says 503.
  if (status >= 500 || BUSY.has(status)) return
  delete server.refusingSince
  server.servedAt = performance.now()
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
function refusalIn(
  { response, failure }: End,
  { hasAnswered = false }: KnownServer,
  { system, kind, tries }: { system: string; kind: AttemptKind; tries: number },
): string | undefined {
  const isBeginning = kind === 'new' && tries < TRIES_UNKNOWN
  if (!response) {
    const mayTry = hasAnswered || (isBeginning && isConnectionCut(failure))
    return mayTry && isConnectionLost(failure) ? failure.message : undefined
  }
  const { status } = response
  const isAway = AWAY.has(status) && (hasAnswered || isBeginning)
  const isRefusal = BUSY.has(status) || isAway || (kind === 'new' && status === 500)
  return isRefusal ? `${system} answers ${status}` : undefined
}
