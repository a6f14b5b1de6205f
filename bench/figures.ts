/** What the runs of a bench come to: medians, ratios round by round, goals, and all of it as a table. Pure. */

/** A run of which only the time is known. */
export interface TimedRun {
  readonly ms: number
  /** It made a part of what the others made, so that its time compares with none of theirs. */
  readonly is_part?: true
}

/** One measured run. Requests include tokens, which are neither reads nor writes. */
export interface Run extends TimedRun {
  readonly requests: number
  readonly reads: number
  readonly writes: number
}

/** `ms` is `list_ms` and the time that the writes take at `writes_per_second`. */
export interface FloorRun extends Run {
  readonly list_ms: number
  readonly writes_per_second: number
}

/** Runs that followed each other at once, each on a realm of its own: only they may be compared. */
export interface Round {
  readonly first_apply: Run
  readonly no_op: Run
  readonly floor: FloorRun
  /** The documented scripts' pattern and other tools, by name. */
  readonly others: Readonly<Record<string, TimedRun | Run>>
}

export interface Row {
  readonly what: string
  readonly median_ms: number
  readonly fastest_ms: number
  /** Median of the ratios to the floor of the same round; null where that compares nothing. */
  readonly to_floor: number | null
  /** The same, to our first apply. */
  readonly to_ours: number | null
  /** Null where nobody counted. */
  readonly requests: number | null
  readonly reads: number | null
  readonly writes: number | null
}

export interface Goal {
  readonly what: string
  readonly limit: number
  readonly found: number
  /** Of the round that took the least time in all; a ratio is short of its goal only where this is, too. */
  readonly fastest?: number
  readonly is_met: boolean
  /** The limit is a least one. */
  readonly is_least?: true
  /** A count does not depend on the machine: missing it is an error. */
  readonly is_count: boolean
}

/** Limits of the requirements, up to this many machines; ratios are for exactly this many. */
const GOALS = [
  { machines: 100, first_apply: 1.5, reads: 30 },
  { machines: 1000, first_apply: 1.15, reads: 50 },
] as const

export function median(values: readonly number[]): number {
  if (values.length === 0) throw new Error('nothing has no median')
  const sorted = [...values].sort((a, b) => a - b)
  const [low = 0, high = 0] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.floor(sorted.length / 2)]]
  return (low + high) / 2
}

export function rowsOf(rounds: readonly Round[]): Row[] {
  const names = [...new Set(rounds.flatMap(({ others }) => Object.keys(others)))]
  return [
    row('first apply, ours', rounds, (round) => round.first_apply, { floor: true }),
    row('floor', rounds, (round) => round.floor, { floor: true }),
    row('no-op, ours', rounds, (round) => round.no_op, { ours: true }),
    ...names.map((name) => row(name, rounds, ({ others }) => others[name], { floor: true, ours: true })),
  ]
}

/** Counts are the most of any round; `to` says which comparisons mean something. */
function row(
  what: string,
  rounds: readonly Round[],
  runOf: (round: Round) => TimedRun | Run | undefined,
  to: { readonly floor?: true; readonly ours?: true },
): Row {
  const found = rounds.flatMap((round) => {
    const run = runOf(round)
    return run ? [{ run, round }] : []
  })
  const isWhole = found.every(({ run }) => !run.is_part)
  const ratios = (against: (round: Round) => Run) => median(found.map(({ run, round }) => run.ms / against(round).ms))
  const counted = found.flatMap(({ run }) => ('requests' in run ? [run] : []))
  const most = (field: 'requests' | 'reads' | 'writes') => (counted.length === 0 ? null : Math.max(...counted.map((run) => run[field])))
  return {
    what,
    median_ms: median(found.map(({ run }) => run.ms)),
    fastest_ms: Math.min(...found.map(({ run }) => run.ms)),
    to_floor: to.floor && isWhole ? ratios(({ floor }) => floor) : null,
    to_ours: to.ours && isWhole ? ratios(({ first_apply }) => first_apply) : null,
    requests: most('requests'),
    reads: most('reads'),
    writes: most('writes'),
  }
}

/** The pair of runs that was disturbed least. */
export function fastestPair(rounds: readonly Round[]): Pick<Round, 'first_apply' | 'floor'> {
  const [fastest] = [...rounds].sort((a, b) => a.first_apply.ms + a.floor.ms - b.first_apply.ms - b.floor.ms)
  if (fastest === undefined) throw new Error('nothing has no fastest pair')
  return fastest
}

export function goalsOf(machines: number, rounds: readonly Round[]): Goal[] {
  const goals: Goal[] = []
  const exact = GOALS.find((one) => one.machines === machines)
  if (exact) {
    const pair = fastestPair(rounds)
    const found = median(rounds.map(({ first_apply, floor }) => first_apply.ms / floor.ms))
    const fastest = pair.first_apply.ms / pair.floor.ms
    const limit = exact.first_apply
    goals.push({ what: 'first apply / floor', limit, found, fastest, is_met: Math.min(found, fastest) <= limit, is_count: false })
  }
  const count = (what: string, limit: number, found: number): Goal => ({ what, limit, found, is_met: found <= limit, is_count: true })
  goals.push(count('writes of a no-op', 0, Math.max(...rounds.map(({ no_op }) => no_op.writes))))
  const bound = GOALS.find((one) => machines <= one.machines)
  if (bound) goals.push(count('GETs of a no-op', bound.reads, Math.max(...rounds.map(({ no_op }) => no_op.reads))))
  return goals
}

/** Rows under their heads, numbers to the right. */
export function tableOf(rows: readonly Row[]): string[] {
  const heads = ['', 'median s', 'fastest s', 'x floor', 'x ours', 'requests', 'GETs', 'writes']
  const seconds = (ms: number) => (ms / 1000).toFixed(3)
  const ratio = (value: number | null) => (value === null ? '-' : value.toFixed(2))
  const lines = rows.map(({ what, median_ms, fastest_ms, to_floor, to_ours, requests, reads, writes }) => [
    what,
    seconds(median_ms),
    seconds(fastest_ms),
    ratio(to_floor),
    ratio(to_ours),
    ...[requests, reads, writes].map((count) => (count === null ? '-' : String(count))),
  ])
  const widths = heads.map((_, column) => Math.max(...[heads, ...lines].map((line) => line[column]?.length ?? 0)))
  return [heads, ...lines].map((line) =>
    line
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
}

/** `met: first apply / floor 1.31, at most 1.5 (fastest pair 1.22)` */
export function goalText({ what, limit, found, fastest, is_met, is_least }: Goal): string {
  const number = (value: number) => (Number.isInteger(value) ? String(value) : value.toFixed(2))
  const pair = fastest === undefined ? '' : ` (fastest pair ${number(fastest)})`
  return `${is_met ? 'met' : 'short'}: ${what} ${number(found)}, at ${is_least ? 'least' : 'most'} ${number(limit)}${pair}`
}
