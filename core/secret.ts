/**
 * A value that must not be printed, and the last line of defence for texts that leave the process.
 * Secrets are revealed in few places only (the HTTP door, sinks, an adapter's connect.ts and token.ts); a test holds the list.
 */
import { timingSafeEqual } from 'node:crypto'
import { inspect } from 'node:util'

/** Below this length a value is too common a word to be searched for in texts. */
const SHORTEST_MASKED = 8
const known = new Set<string>()

/** A secret value. Prints as `[secret]`; serialising it throws, since an SDK would otherwise send that word as the password. */
export class Secret {
  readonly #value: string
  constructor(value: string) {
    this.#value = value
    if (value.length >= SHORTEST_MASKED) known.add(value)
  }
  /** The value itself, for the place that must send or store it. */
  reveal(): string {
    return this.#value
  }
  /** Compares without telling how much of the value agrees. */
  equals(other: Secret): boolean {
    const mine = Buffer.from(this.#value)
    const theirs = Buffer.from(other.#value)
    return mine.length === theirs.length && timingSafeEqual(mine, theirs)
  }
  toString(): string {
    return '[secret]'
  }
  /** @throws Error always */
  toJSON(): never {
    throw new Error('a Secret cannot be serialised; reveal it in a sink or send it through the HTTP door')
  }
  [inspect.custom](): string {
    return '[secret]'
  }
}

/**
 * The text with every known secret replaced by `[secret]`, raw, percent-encoded and in base64.
 * Results are built from allow-listed fields; this only catches what slipped through, at the edge of a surface.
 */
export function masked(text: string): string {
  let result = text
  for (const value of known) {
    for (const form of [value, encodeURIComponent(value), Buffer.from(value).toString('base64'), Buffer.from(value).toString('base64url')]) {
      if (result.includes(form)) result = result.replaceAll(form, '[secret]')
    }
  }
  return result
}
