/** What a bench tells is right: medians, ratios of the same round only, goals, and a table that says what was measured. */
import { describe, expect, test } from 'vitest'
import { fastestPair, goalsOf, goalText, median, type Round, type Run, rowsOf, tableOf } from '../../bench/figures.js'

const run = (ms: number, counts: Partial<Run> = {}): Run => ({ ms, requests: 10, reads: 4, writes: 5, ...counts })
const quiet = (counts: Partial<Run> = {}) => run(50, { reads: 28, writes: 0, ...counts })
const round = (ours: number, floor: number, more: Partial<Round> = {}): Round => ({
  first_apply: run(ours),
  no_op: quiet(),
  floor: { ...run(floor), list_ms: 5, writes_per_second: 100 },
  others: {},
  ...more,
})

describe('the median', () => {
  test.for([
    [[3], 3],
    [[9, 1, 5], 5],
    [[1, 2, 10, 4], 3],
    // As text 10 comes before 9.
    [[10, 9, 100], 10],
  ] as const)('of %j is %d', ([values, expected]) => {
    expect(median(values)).toBe(expected)
  })
  test('leaves the values in their order', () => {
    const values = [3, 1, 2]
    median(values)
    expect(values).toEqual([3, 1, 2])
  })
  test('of nothing is refused', () => {
    expect(() => median([])).toThrow('nothing has no median')
  })
})

describe('rows', () => {
  // Each round is slower than the one before: times say little, ratios of a round much.
  const rounds = [round(100, 50), round(200, 160), round(900, 600)]
  test('compare within a round, never across rounds', () => {
    const [ours, floor] = rowsOf(rounds)
    expect(ours).toMatchObject({ what: 'first apply, ours', median_ms: 200, fastest_ms: 100, to_floor: 1.5, to_ours: null })
    expect(floor).toMatchObject({ what: 'floor', median_ms: 160, fastest_ms: 50, to_floor: 1 })
  })
  test('tell the most requests of any round', () => {
    const [, , noOp] = rowsOf([round(1, 1), round(1, 1, { no_op: quiet({ requests: 31, reads: 30 }) })])
    expect(noOp).toMatchObject({ what: 'no-op, ours', requests: 31, reads: 30, writes: 0 })
  })
  test('hold every other tool, from the rounds that have it, and no counts that nobody made', () => {
    const others = rowsOf([round(100, 50, { others: { slow: { ms: 400 } } }), round(100, 50)]).slice(3)
    expect(others).toEqual([
      { what: 'slow', median_ms: 400, fastest_ms: 400, to_floor: 8, to_ours: 4, requests: null, reads: null, writes: null },
    ])
  })
  test('of a tool that made a part compare with nothing', () => {
    const [part] = rowsOf([round(100, 50, { others: { slow: { ms: 400, is_part: true } } })]).slice(3)
    expect(part).toMatchObject({ what: 'slow', median_ms: 400, to_floor: null, to_ours: null })
  })
})

describe('goals', () => {
  const ratioGoal = (machines: number, rounds: readonly Round[]) => goalsOf(machines, rounds).find(({ is_count }) => !is_count)
  test('are met by the median', () => {
    expect(ratioGoal(100, [round(140, 100), round(150, 100), round(900, 100)])).toMatchObject({ found: 1.5, limit: 1.5, is_met: true })
  })
  test('are met by the fastest pair where the median was disturbed', () => {
    const rounds = [round(130, 100), round(400, 200), round(600, 300)]
    expect(fastestPair(rounds)).toBe(rounds[0])
    expect(ratioGoal(100, rounds)).toMatchObject({ found: 2, fastest: 1.3, is_met: true })
  })
  test('are missed when both miss, although some other pair is within them', () => {
    expect(ratioGoal(100, [round(160, 100), round(320, 200), round(300, 300)])).toMatchObject({ found: 1.6, fastest: 1.6, is_met: false })
  })
  test('of time exist for the sizes of the requirements only', () => {
    expect([10, 100, 101, 1000, 2000].filter((machines) => ratioGoal(machines, [round(1, 1)]))).toEqual([100, 1000])
    expect(ratioGoal(1000, [round(1, 1)])).toMatchObject({ limit: 1.15 })
  })
  test('of counts are missed by one write in one round', () => {
    const missed = goalsOf(10, [round(1, 1), round(1, 1, { no_op: quiet({ writes: 1 }) }), round(1, 1)]).filter(({ is_met }) => !is_met)
    expect(missed).toMatchObject([{ what: 'writes of a no-op', found: 1, limit: 0, is_count: true }])
  })
  test.for([
    [100, 30, true],
    [100, 31, false],
    [101, 31, true],
    [1000, 50, true],
    [1000, 51, false],
  ] as const)('let a no-op over %d machines make %d GETs: %s', ([machines, reads, is_met]) => {
    expect(goalsOf(machines, [round(1, 1, { no_op: quiet({ reads }) })]).find(({ what }) => what === 'GETs of a no-op')).toMatchObject({
      found: reads,
      is_met,
    })
  })
  test('bound no reads beyond the sizes of the requirements', () => {
    expect(goalsOf(1001, [round(1, 1, { no_op: quiet({ reads: 900 }) })]).map(({ what }) => what)).toEqual(['writes of a no-op'])
  })
  test('are told with their limit and the fastest pair', () => {
    const told = goalsOf(100, [round(160, 100, { no_op: quiet({ reads: 31 }) })]).map(goalText)
    expect(told).toEqual([
      'short: first apply / floor 1.60, at most 1.50 (fastest pair 1.60)',
      'met: writes of a no-op 0, at most 0',
      'short: GETs of a no-op 31, at most 30',
    ])
  })
})

test('the table has a line a row under its heads, in seconds, aligned', () => {
  const others = { 'documented scripts': run(12_345.6, { requests: 700 }), terraform: { ms: 23_000 } }
  expect(tableOf(rowsOf([round(1300, 1000, { others })]))).toEqual([
    '                    median s  fastest s  x floor  x ours  requests  GETs  writes',
    'first apply, ours      1.300      1.300     1.30       -        10     4       5',
    'floor                  1.000      1.000     1.00       -        10     4       5',
    'no-op, ours            0.050      0.050        -    0.04        10    28       0',
    'documented scripts    12.346     12.346    12.35    9.50       700     4       5',
    'terraform             23.000     23.000    23.00   17.69         -     -       -',
  ])
})
