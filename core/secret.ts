/**
 * A value that must not be printed, and the last line of defence for texts that leave the process.
 * Secrets are revealed in few places only (the HTTP door, sinks, an adapter's connect.ts and token.ts); a test holds the list.
 */
import { timingSafeEqual } from 'node:crypto'
import { inspect } from 'node:util'

/** Below this length a value is too common a word to be searched for in texts. */
const SHORTEST_MASKED = 8
/** Every spelling of every known secret, by its value. */
const known = new Map<string, readonly string[]>()

/** A secret value. Prints as `[secret]`; serialising it throws, since an SDK would otherwise send that word as the password. */
export class Secret {
  readonly #value: string
  constructor(value: string) {
    this.#value = value
    if (value.length >= SHORTEST_MASKED) known.set(value, spellings(value))
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
 * The text with every known secret replaced by `[secret]`: raw, as JSON, percent- and form-encoded, in base64 and in hex.
 * Results are built from allow-listed fields; this only catches what slipped through, at the edge of a surface.
 */
export function masked(text: string): string {
  let result = text
  // The longest first: of two secrets that begin alike, the shorter one would leave the tail of the other.
  for (const [, forms] of [...known].sort(([a], [b]) => b.length - a.length)) {
    for (const form of forms) if (result.includes(form)) result = result.replaceAll(form, '[secret]')
  }
  return result
}

function spellings(value: string): string[] {
  const bytes = Buffer.from(value)
  // By way of bytes, since encodeURIComponent throws for text that is not well-formed Unicode.
  const percent = encodeURIComponent(bytes.toString())
  const form = new URLSearchParams({ v: value }).toString().slice('v='.length)
  const json = JSON.stringify(value).slice(1, -1)
  const hex = bytes.toString('hex')
  return [...new Set([value, json, percent, form, bytes.toString('base64'), bytes.toString('base64url'), hex, hex.toUpperCase()])]
}
