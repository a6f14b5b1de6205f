/** When a saved token is still good to use. Loads nothing: the shortest way to a cached token passes here. */

/** Times of a token in seconds since the epoch; its lifetime in seconds. */
export interface TokenTimes {
  readonly expires_at: number
  readonly lifetime?: number
  readonly generated_at?: number
}

/** A token is replaced this long before its end, seconds: the smaller of ten minutes and a fifth of its lifetime. */
export const MOST_MARGIN = 600
const MARGIN_SHARE = 0.2
/** Of a token whose lifetime is not known. */
const MARGIN_UNKNOWN = 60
/** A token from the future was saved by another clock. */
const CLOCK_TOLERANCE = 60

/** How long before its end a token is replaced, seconds. */
export function marginOf({ lifetime }: TokenTimes): number {
  return lifetime === undefined ? MARGIN_UNKNOWN : Math.max(0, Math.min(MOST_MARGIN, lifetime * MARGIN_SHARE))
}

/** @param now seconds since the epoch */
export function isFresh(times: TokenTimes, now: number): boolean {
  if (times.generated_at !== undefined && times.generated_at > now + CLOCK_TOLERANCE) return false
  return times.expires_at - marginOf(times) > now
}

/** ISO 8601 or seconds since the epoch, as both are in use; undefined for anything else. */
export function secondsOf(time: unknown): number | undefined {
  const seconds = typeof time === 'number' ? time : typeof time === 'string' ? secondsIn(time) : Number.NaN
  return Number.isFinite(seconds) && Math.abs(seconds) < 8.64e12 ? seconds : undefined
}

/** RFC 3339, UTC, of seconds since the epoch. */
export function isoOf(seconds: number): string {
  return new Date(seconds * 1000).toISOString()
}

function secondsIn(text: string): number {
  if (/^\d{1,12}(?:\.\d+)?$/.test(text)) return Number(text)
  // A time without a zone is UTC here, as the documented files mean it; Date would read it as local time.
  const hasZone = /(?:Z|[+-]\d\d:?\d\d)$/i.test(text)
  return Date.parse(hasZone ? text : `${text}Z`) / 1000
}
