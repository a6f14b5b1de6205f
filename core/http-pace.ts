/**
 * When the next request to a server may leave: not before the time that it named, no more of them at once than there are
 * connections, none that its rate limit may not have left; first come, first served. All requests of a run to one server
 * share its pace, reads and writes alike.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { notInTime, stopped, waitTooLong } from './http-failure.js'

/** What a server has asked for; times in milliseconds of `performance.now()`. */
export interface Pace {
  /** Nothing may leave before; the status that said so. */
  hold?: { readonly until: number; readonly status: number }
  allowance?: Allowance
  /** Requests so far, and those without an answer yet. */
  sent?: number
  underWay?: number
  /** When it last answered anything. */
  answeredAt?: number
  /** Who waits for a turn, in the order of coming. */
  line?: Waiting[]
}
/** What a rate limit has left, at least. */
interface Allowance {
  left: number
  /** It starts anew: what was told first and last of this window. Infinity for a new one of which nothing is told yet. */
  readonly first: number
  until: number
  /** Of the answers that told of it, the one whose request left last. */
  newest: number
  readonly limit: number
}
interface Waiting {
  /** Ends its sleep. */
  wake?: AbortController
}

export interface Turn {
  readonly system: string
  /** Requests under way at once; more would queue where no pace is kept. */
  readonly connections: number
  /** The time of one request, milliseconds. */
  readonly timeoutMs: number
  readonly patienceMs: number
  readonly stops: readonly AbortSignal[]
  /** Told before a wait that the server asked for, milliseconds. */
  onWait(ms: number): void
}

/** The server itself asks to come back later. */
export const BUSY: ReadonlySet<number> = new Set([429, 503])
/** Okta and Auth0 count in whole seconds since the epoch, the IETF's draft in seconds from now. */
const EPOCH = 1_000_000_000
/** The end of one window is told this differently: servers count in whole seconds, some rounded up. */
const SAME_WINDOW_MS = 2_000
/** A longer timer would fire at once. */
const LONGEST_TIMER = 2 ** 31 - 1

/**
 * Waits until a request may leave; `done` must be called with its answer, or without one when it got none.
 * @throws ToolkitError rate_limited or unavailable when the server asks for more than the patience; unavailable when
 *   stopped, and when others wait in vain for so long as one request may take
 */
export async function turn(pace: Pace, asking: Turn): Promise<(answer?: Response) => void> {
  const { system, connections, timeoutMs, patienceMs, stops, onWait } = asking
  const began = performance.now()
  const line = pace.line ?? []
  pace.line = line
  const me: Waiting = {}
  line.push(me)
  try {
    for (;;) {
      const now = performance.now()
      const { until, status } = line[0] === me ? opening(pace, connections, now) : { until: Infinity }
      if (until <= now) break
      // What others are waiting for, too, is waited for no longer than an answer of one's own.
      const inVain = Math.max(began, pace.answeredAt ?? 0, pace.hold?.until ?? 0) + timeoutMs
      if (status === undefined) {
        if (inVain <= now) throw notInTime(system, timeoutMs)
      } else {
        const left = Math.max(0, patienceMs - (now - began))
        if (until - now > left) throw waitTooLong(system, status, { asked: until - now, left, patienceMs })
        onWait(until - now)
      }
      me.wake = new AbortController()
      await sleepUntil(status === undefined ? Math.min(until, inVain) : until, [me.wake.signal], stops, system)
    }
    pace.underWay = (pace.underWay ?? 0) + 1
  } finally {
    line.splice(line.indexOf(me), 1)
    line[0]?.wake?.abort()
  }
  const sent = (pace.sent ?? 0) + 1
  pace.sent = sent
  return (answer) => {
    pace.underWay = (pace.underWay ?? 1) - 1
    heed(pace, sent, answer)
    line[0]?.wake?.abort()
  }
}

/** When the first of the line may leave, as things stand; with a status where the server itself named that time. */
function opening(pace: Pace, connections: number, now: number): { until: number; status?: number } {
  const { hold, underWay = 0 } = pace
  if (hold && hold.until > now) return hold
  if (underWay >= connections) return { until: Infinity }
  const allowance = allowanceAt(pace, now)
  if (!allowance || allowance.left > underWay) return { until: now }
  // Those under way may be counted in it already: their answers tell.
  if (underWay > 0) return { until: allowance.until }
  return allowance.until === Infinity ? { until: now } : { until: allowance.until, status: 429 }
}

/** Once a window is over, the next one allows as much as the limit that was told. */
function allowanceAt(pace: Pace, now: number): Allowance | undefined {
  const { allowance } = pace
  if (!allowance || allowance.until > now) return allowance
  const { limit } = allowance
  if (limit === Infinity) delete pace.allowance
  else pace.allowance = { left: limit, first: now, until: Infinity, newest: allowance.newest, limit }
  return pace.allowance
}

/** The wait that an answer asks for, milliseconds; 0 when it names none. */
export function askedWait({ status, headers }: Response): number {
  const wait = retryAfter(headers)
  return wait > 0 || status !== 429 ? wait : resetWait(headers)
}

function heed(pace: Pace, sent: number, answer: Response | undefined): void {
  const now = performance.now()
  if (answer) pace.answeredAt = now
  if (answer && BUSY.has(answer.status)) holdUntil(pace, now + askedWait(answer), answer.status)
  const left = answer && rateLimit(answer.headers, 'remaining')
  const until = answer ? now + resetWait(answer.headers) : now
  const known = allowanceAt(pace, now)
  if (answer === undefined || left === undefined || until <= now) {
    // It may have been counted all the same.
    if (known) known.left -= 1
    return
  }
  if (left === 0) holdUntil(pace, until, 429)
  // Answers overtake each other: of one window the least counts, and who left earlier tells of no newer window.
  const isNew = known === undefined || known.until === Infinity || (sent > known.newest && until > known.first + SAME_WINDOW_MS)
  if (isNew) {
    const limit = Math.max(1, rateLimit(answer.headers, 'limit') ?? Infinity)
    pace.allowance = { left, first: until, until, newest: sent, limit }
  } else if (until > known.first - SAME_WINDOW_MS) {
    known.left = Math.min(known.left, left)
    known.until = Math.max(known.until, until)
    known.newest = Math.max(known.newest, sent)
  }
}

function holdUntil(pace: Pace, until: number, status: number): void {
  if (until > (pace.hold?.until ?? 0)) pace.hold = { until, status }
}

/**
 * The wait of a `Retry-After`, milliseconds (RFC 9110 section 10.2.3). A date, in any of the spellings of section 5.6.7,
 * counts from the server's own clock.
 */
function retryAfter(headers: Headers): number {
  const text = headers.get('retry-after') ?? ''
  if (/^\d+$/.test(text)) return Math.min(Number(text), Number.MAX_SAFE_INTEGER / 1000) * 1000
  const date = httpDate(text)
  return date === undefined ? 0 : Math.max(0, date - serverTime(headers))
}

/** Until the rate limit starts anew, milliseconds: `X-Rate-Limit-Reset` (Okta), `X-RateLimit-Reset` (Auth0), `RateLimit-Reset`. */
function resetWait(headers: Headers): number {
  const reset = rateLimit(headers, 'reset')
  if (reset === undefined) return 0
  return Math.max(0, reset < EPOCH ? reset * 1000 : reset * 1000 - serverTime(headers))
}

function rateLimit(headers: Headers, what: 'limit' | 'remaining' | 'reset'): number | undefined {
  const text = headers.get(`x-rate-limit-${what}`) ?? headers.get(`x-ratelimit-${what}`) ?? headers.get(`ratelimit-${what}`) ?? ''
  return /^\d{1,12}$/.test(text) ? Number(text) : undefined
}

/** The server's clock where it tells it, else ours; milliseconds since the epoch. */
function serverTime(headers: Headers): number {
  return httpDate(headers.get('date') ?? '') ?? Date.now()
}

function httpDate(text: string): number | undefined {
  if (!/^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text)) return undefined
  // The oldest spelling leaves the zone out, which is GMT too.
  const date = Date.parse(text.endsWith(' GMT') ? text : `${text} GMT`)
  return Number.isNaN(date) ? undefined : date
}

/** Sleeps to a moment of `performance.now()`; `wakes` end it early. @throws ToolkitError unavailable when stopped */
export async function sleepUntil(
  until: number,
  wakes: readonly AbortSignal[],
  stops: readonly AbortSignal[],
  system: string,
): Promise<void> {
  // A timer may fire up to a millisecond early.
  const ms = Math.min(LONGEST_TIMER, Math.ceil(until - performance.now()) + 1)
  await sleep(ms, undefined, { signal: AbortSignal.any([...wakes, ...stops]) }).catch(() => undefined)
  if (stops.some(({ aborted }) => aborted)) throw stopped(system)
}
