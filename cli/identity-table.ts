/** Identities of a batch as a table for a terminal: as many rows as it has lines, those that need a look first. Pure. */
import type { IdentityState } from '../credentials-provider/identity-state.js'
import { spanText } from '../credentials-provider/time-span.js'

/** What is known of an identity so far; a failed one may still have its old token. */
export interface IdentityRow {
  readonly state: IdentityState
  /** RFC 3339, UTC. */
  readonly expires_at?: string
}

export interface TableSize {
  readonly columns: number
  /** Lines of the screen. */
  readonly rows: number
}

const WORDS = { failed: 'failed', minting: 'minting', due: 'waiting', minted: 'minted', kept: 'kept' } as const
/** The order of rows: what failed or runs, what waits, what is done. */
const RANK = { failed: 0, minting: 1, due: 2, minted: 3, kept: 3 } as const
const STATE_WIDTH = 'minting'.length
/** What failed, why, and what to do. */
const FAILED_LINES = 3
const GAP = '  '

/** The rows by identity, brought up to date; a failure keeps the end of the token that was there. */
export function withState(rows: Map<string, IdentityRow>, state: IdentityState): void {
  const before = rows.get(state.identity_name)
  const expires_at = state.state === 'kept' || state.state === 'minted' ? state.expires_at : before?.expires_at
  rows.set(state.identity_name, { state, ...(expires_at === undefined || expires_at === '' ? {} : { expires_at }) })
}

/**
 * Lines no longer than the terminal is wide, at most as many as it has but one, the last being the summary.
 * @param now milliseconds since the epoch
 */
export function identityTable(rows: readonly IdentityRow[], { columns, rows: height }: TableSize, now: number): string[] {
  const sorted = [...rows].sort((a, b) => RANK[a.state.state] - RANK[b.state.state] || ends(a) - ends(b))
  // The heading, the summary, the line that tells of more, and the one that the cursor stands on.
  const shown = fitting(sorted, height - 4)
  const widths = widthsOf(shown, columns, now)
  const more = rows.length - shown.length
  return [
    line(['identity', 'issuer', 'state', 'expiry'], widths),
    ...shown.flatMap((row) => rowLines(row, widths, { columns, now })),
    ...(more > 0 ? [`… and ${more} more`] : []),
    cut(identitySummary(rows), columns),
  ]
}

/** The first rows that so many lines hold; a failed one takes three. */
function fitting(rows: readonly IdentityRow[], lines: number): readonly IdentityRow[] {
  let taken = 0
  const end = rows.findIndex(({ state }) => {
    taken += state.state === 'failed' ? FAILED_LINES : 1
    return taken > lines
  })
  return end === -1 ? rows : rows.slice(0, end)
}

/** `60 identities: 2 failed, 55 minted, 3 kept`. */
export function identitySummary(rows: readonly IdentityRow[]): string {
  const counts = Object.entries(WORDS).flatMap(([state, word]) => {
    const count = rows.filter((row) => row.state.state === state).length
    return count === 0 ? [] : [`${count} ${word}`]
  })
  return `${rows.length} ${rows.length === 1 ? 'identity' : 'identities'}: ${counts.join(', ')}`
}

type Widths = readonly [name: number, issuer: number]

/** Names get what they need up to a third of the line, issuers the rest. */
function widthsOf(rows: readonly IdentityRow[], columns: number, now: number): Widths {
  const longest = (texts: readonly string[], least: number) => Math.max(least, ...texts.map((text) => text.length))
  const [name, issuer, expiry] = [
    longest(
      rows.map(({ state }) => state.identity_name),
      'identity'.length,
    ),
    longest(
      rows.map(({ state }) => shortIssuer(state.issuer)),
      'issuer'.length,
    ),
    longest(
      rows.map(({ expires_at }) => expiryText(expires_at, now)),
      'in 119 min'.length,
    ),
  ]
  const free = Math.max(8, columns - STATE_WIDTH - expiry - 3 * GAP.length)
  const nameWidth = Math.min(name, Math.max(Math.floor(free / 2), free - issuer))
  return [nameWidth, Math.min(issuer, free - nameWidth)]
}

function rowLines({ state, expires_at }: IdentityRow, widths: Widths, { columns, now }: { columns: number; now: number }): string[] {
  const first = line([state.identity_name, shortIssuer(state.issuer), WORDS[state.state], expiryText(expires_at, now)], widths)
  if (state.state !== 'failed') return [first]
  const why = state.cause.replace(/\s+/g, ' ').replace(`${state.issuer} `, '')
  const next = state.hint ?? 'run it again with --json, which tells more'
  return [first, cut(`${GAP}${why}`, columns), cut(`${GAP}next: ${next}`, columns)]
}

function line([name = '', issuer = '', state = '', expiry = '']: readonly string[], [nameWidth, issuerWidth]: Widths): string {
  const cells = [
    cut(name, nameWidth).padEnd(nameWidth),
    cutInside(issuer, issuerWidth).padEnd(issuerWidth),
    state.padEnd(STATE_WIDTH),
    expiry,
  ]
  return cells.join(GAP).trimEnd()
}

/** An issuer without its scheme, which is the same for nearly all. */
function shortIssuer(issuer: string): string {
  return issuer.replace(/^https?:\/\//, '')
}

function expiryText(expires_at: string | undefined, now: number): string {
  if (expires_at === undefined) return ''
  const left = (Date.parse(expires_at) - now) / 1000
  return left > 0 ? `in ${spanText(left)}` : `expired ${spanText(left)} ago`
}

function ends({ expires_at }: IdentityRow): number {
  return expires_at === undefined ? 0 : Date.parse(expires_at)
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`
}

/** Issuers begin alike and end in what tells them apart. */
function cutInside(text: string, width: number): string {
  if (text.length <= width) return text
  const tail = Math.floor((width - 1) / 2)
  return `${text.slice(0, width - 1 - tail)}…${text.slice(text.length - tail)}`
}
