/** How long something is, for people. Loads nothing. */

const UNITS = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
] as const

/** `45 s`, `12 min`, `3 h`, `5 d`: the largest unit of which there are two, rounded down. */
export function spanText(seconds: number): string {
  const length = Math.abs(seconds)
  const [unit, size] = UNITS.find(([, one]) => length >= 2 * one) ?? ['s', 1]
  return `${Math.floor(length / size)} ${unit}`
}
