/** What pairs of runs come to: medians of each side, and goals for what is between the two of a pair. Pure. */
import { type Goal, median } from './figures.js'
import type { Pair } from './starts.js'

/** One side of all pairs. */
export interface Timing {
  readonly what: string
  readonly median_ms: number
  readonly fastest_ms: number
}

export function timingsOf(pairs: readonly Pair[], ours: string, other: string): Timing[] {
  const timing = (what: string, times: readonly number[]) => ({ what, median_ms: median(times), fastest_ms: Math.min(...times) })
  return [
    timing(
      ours,
      pairs.map((pair) => pair.ours),
    ),
    timing(
      other,
      pairs.map((pair) => pair.other),
    ),
  ]
}

/** Met when the median, or the pair that was disturbed least, is at most the limit. */
export function atMost(what: string, limit: number, pairs: readonly Pair[], between: (pair: Pair) => number): Goal {
  const { found, fastest } = middleAndFastest(pairs, between)
  return { what, limit, found, fastest, is_met: Math.min(found, fastest) <= limit, is_count: false }
}

/** The same, for what should be large. */
export function atLeast(what: string, limit: number, pairs: readonly Pair[], between: (pair: Pair) => number): Goal {
  const { found, fastest } = middleAndFastest(pairs, between)
  return { what, limit, found, fastest, is_met: Math.max(found, fastest) >= limit, is_count: false, is_least: true }
}

function middleAndFastest(pairs: readonly Pair[], between: (pair: Pair) => number): { found: number; fastest: number } {
  const [quietest] = [...pairs].sort((a, b) => a.ours + a.other - b.ours - b.other)
  if (quietest === undefined) throw new Error('nothing has no fastest pair')
  return { found: median(pairs.map(between)), fastest: between(quietest) }
}

/** A line a side, in seconds. */
export function timingLines(timings: readonly Timing[]): string[] {
  const seconds = (ms: number) => (ms / 1000).toFixed(3)
  return timings.map(
    ({ what, median_ms, fastest_ms }) =>
      `${what.padEnd(34)}  median ${seconds(median_ms).padStart(7)} s  fastest ${seconds(fastest_ms).padStart(7)} s`,
  )
}
