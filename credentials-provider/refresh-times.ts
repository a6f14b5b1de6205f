/** When tokens are refreshed, as pure functions of their times: before their margin begins, and never many at once. */
import { marginOf, type TokenTimes } from './freshness.js'

/** Refreshes lie this far before the margin at most: the smaller of ten minutes and three tenths of the lifetime, seconds. */
const MOST_SPREAD = 600
const SPREAD_SHARE = 0.3
/** Of a token whose lifetime is not known. */
const SPREAD_UNKNOWN = 60
/** Pauses after failures, seconds: doubled each time. */
const FIRST_PAUSE = 5
const LONGEST_PAUSE = 300

/**
 * When to refresh a token, seconds since the epoch: somewhere in the stretch that ends where its margin begins, so that
 * tokens that were minted together part, and whoever asks for one meets a fresh one.
 * @param random 0 up to 1, the token's own place in the stretch
 */
export function refreshTime(times: TokenTimes, random: number): number {
  const { lifetime } = times
  const spread = lifetime === undefined ? SPREAD_UNKNOWN : Math.max(0, Math.min(MOST_SPREAD, lifetime * SPREAD_SHARE))
  return times.expires_at - marginOf(times) - spread * (1 - random)
}

/** How long to wait after the `failures`th failure in a row, seconds: 5 to 300, half of it by `random`, so that failures part too. */
export function retryPause(failures: number, random: number): number {
  const pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.min(failures - 1, 16))
  return pause * (0.5 + random / 2)
}
