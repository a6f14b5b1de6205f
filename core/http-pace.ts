/**
 * When the next request to a server may leave: not before the time that it named, and no more of them than its rate limit
 * has left. All requests of a run to one server share its pace, reads and writes alike.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { stopped, waitTooLong } from './http-failure.js'

/** What a server has asked for; times in milliseconds of `performance.now()`. */
export interface Pace {
  notBefore?: number
  /** Requests that its rate limit still allows before `until`. */
  allowance?: { left: number; readonly until: number }
  underWay?: number
  /** Ends the sleep of whoever waits for a turn. */
  wake?: AbortController
}

/** The server itself asks to come back later. */
export const BUSY: ReadonlySet<number> = new Set([429, 503])
/** Okta and Auth0 count in whole seconds since the epoch, the IETF's draft in seconds from now. */
const EPOCH = 1_000_000_000

/**
 * Waits until a request may leave; `done` must be called with its answer, or without one when it got none.
 * @throws ToolkitError rate_limited when that is further away than the patience; unavailable when stopped
 */
export async function turn(
  pace: Pace,
  { system, patienceMs, stops, onWait }: { system: string; patienceMs: number; stops: readonly AbortSignal[]; onWait(ms: number): void },
): Promise<(answer?: Response) => void> {
  const began = performance.now()
  for (;;) {
    const now = performance.now()
    const until = Math.max(pace.notBefore ?? 0, pace.allowance && pace.allowance.left <= 0 ? pace.allowance.until : 0)
    if (until <= now) break
    const left = patienceMs - (now - began)
    if (until - now > left) throw waitTooLong(system, 429, { asked: until - now, left: Math.max(0, left), patienceMs })
    onWait(until - now)
    pace.wake ??= new AbortController()
    await sleepUntil(until, [pace.wake.signal], stops, system)
  }
  if (pace.allowance) pace.allowance.left -= 1
  pace.underWay = (pace.underWay ?? 0) + 1
  return (answer) => {
    pace.underWay = (pace.underWay ?? 1) - 1
    if (answer) heed(pace, answer)
    pace.wake?.abort()
    delete pace.wake
  }
}

/** The wait that an answer asks for, milliseconds; 0 when it names none. */
export function askedWait({ status, headers }: Response): number {
  const wait = retryAfter(headers)
  return wait > 0 || status !== 429 ? wait : resetWait(headers)
}

function heed(pace: Pace, answer: Response): void {
  const now = performance.now()
  if (BUSY.has(answer.status)) pace.notBefore = Math.max(pace.notBefore ?? 0, now + askedWait(answer))
  const remaining = rateLimit(answer.headers, 'remaining')
  const wait = resetWait(answer.headers)
  if (remaining === undefined || wait === 0) delete pace.allowance
  // Those under way may not be counted in it yet.
  else pace.allowance = { left: remaining - (pace.underWay ?? 0), until: now + wait }
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

function rateLimit(headers: Headers, what: 'remaining' | 'reset'): number | undefined {
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
  const ms = Math.ceil(until - performance.now()) + 1
  await sleep(ms, undefined, { signal: AbortSignal.any([...wakes, ...stops]) }).catch(() => undefined)
  if (stops.some(({ aborted }) => aborted)) throw stopped(system)
}
