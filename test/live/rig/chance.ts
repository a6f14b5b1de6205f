/** Choices that look random and are the same for the same seed; `RIG_SEED` repeats those of an earlier run. */
import { randomInt } from 'node:crypto'

export interface Chance {
  readonly seed: number
  /** At least 0, less than 1. */
  next(): number
}

/** The generator mulberry32: 32 bits of state, evenly spread. Print the seed. */
export function chance(seed = Number(process.env['RIG_SEED'] ?? randomInt(2 ** 31))): Chance {
  let state = seed
  return {
    seed,
    next() {
      state = (state + 0x6d2b79f5) | 0
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
    },
  }
}
