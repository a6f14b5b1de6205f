/**
 * A value that must not be printed, and the last line of defence for texts that leave the process.
 * Secrets are revealed in few places only (the HTTP door, sinks, an adapter's connect.ts and token.ts); a test holds the list.
 */
import { timingSafeEqual } from 'node:crypto'
import { inspect } from 'node:util'

/** Below this length a value is too common a word to be searched for in texts. */
const SHORTEST_MASKED = 8
/** Secrets of a generation; what runs for days, as a watch over tokens, forgets the generation before the last. */
const GENERATION = 1_000

interface Known {
  readonly values: Set<string>
  /** Those that are not in `forms` yet: a run that prints nothing does not pay for it. */
  readonly unspelled: string[]
  /** Every spelling, by its first eight characters: a text is searched once, however many secrets there are. */
  readonly forms: Map<string, string[]>
  /** Which beginnings of three characters there are, by a number for each: most of a text is passed over by it. */
  readonly beginnings: Uint8Array
}
const BEGINNINGS = 65_536
const nothingKnown = (): Known => ({ values: new Set(), unspelled: [], forms: new Map(), beginnings: new Uint8Array(BEGINNINGS) })
let [current, previous] = [nothingKnown(), nothingKnown()]

/** A secret value. Prints as `[secret]`; serialising it throws, since an SDK would otherwise send that word as the password. */
export class Secret {
  readonly #value: string
  constructor(value: string) {
    this.#value = value
    if (value.length < SHORTEST_MASKED || current.values.has(value)) return
    if (current.values.size >= GENERATION) [current, previous] = [nothingKnown(), current]
    current.values.add(value)
    current.unspelled.push(value)
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
 * The text with every known secret, or the last thousand at least, replaced by `[secret]`: raw, as JSON, percent- and form-encoded, in base64 and in hex.
 * Results are built from allow-listed fields; this only catches what slipped through, at the edge of a surface.
 */
export function masked(text: string): string {
  let result = ''
  let told = 0
  for (const { start, end } of secretsIn(text)) {
    result += `${text.slice(told, start)}[secret]`
    told = end
  }
  return result + text.slice(told)
}

/** Where secrets stand; those that overlap are one. */
function secretsIn(text: string): { start: number; end: number }[] {
  spell(current)
  spell(previous)
  const found: { start: number; end: number }[] = []
  for (let at = 0; at <= text.length - SHORTEST_MASKED; at++) {
    const beginning = beginningAt(text, at)
    if (current.beginnings[beginning] === 0 && previous.beginnings[beginning] === 0) continue
    const length = secretLength(text, at)
    if (length === 0) continue
    const last = found.at(-1)
    if (last && at < last.end) last.end = Math.max(last.end, at + length)
    else found.push({ start: at, end: at + length })
  }
  return found
}

/** Length of the longest spelling that stands here; 0 for none. */
function secretLength(text: string, at: number): number {
  const head = text.slice(at, at + SHORTEST_MASKED)
  const candidates = [current, previous].flatMap(({ forms }) => forms.get(head) ?? [])
  return candidates.reduce((longest, form) => (form.length > longest && text.startsWith(form, at) ? form.length : longest), 0)
}

function beginningAt(text: string, at: number): number {
  return (text.charCodeAt(at) * 961 + text.charCodeAt(at + 1) * 31 + text.charCodeAt(at + 2)) % BEGINNINGS
}

function spell({ unspelled, forms, beginnings }: Known): void {
  for (const form of unspelled.splice(0).flatMap(spellings)) {
    const head = form.slice(0, SHORTEST_MASKED)
    beginnings[beginningAt(form, 0)] = 1
    const others = forms.get(head)
    if (others) others.push(form)
    else forms.set(head, [form])
  }
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
