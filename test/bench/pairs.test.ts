/** What pairs of runs tell is right: what is between the two of a pair, never across pairs, and which way a goal points. */
import { expect, test } from 'vitest'
import { goalText } from '../../bench/figures.js'
import { atLeast, atMost, timingLines, timingsOf } from '../../bench/pairs.js'
import { pairsOf } from '../../bench/starts.js'

const pair = (ours: number, other: number) => ({ ours, other })
const faster = (pairs: readonly { ours: number; other: number }[]) => atLeast('other / ours', 15, pairs, ({ ours, other }) => other / ours)
const more = (pairs: readonly { ours: number; other: number }[]) => atMost('ms more', 30, pairs, ({ ours, other }) => ours - other)

test('each pair has a round of both, and who goes first alternates', async () => {
  const order: string[] = []
  const side = (name: string) => (index: number) => {
    order.push(`${name} ${index}`)
    return index + (name === 'ours' ? 100 : 200)
  }
  expect(await pairsOf(3, side('ours'), side('other'))).toEqual([pair(100, 200), pair(101, 201), pair(102, 202)])
  expect(order).toEqual(['ours 0', 'other 0', 'other 1', 'ours 1', 'ours 2', 'other 2'])
})

test('a ratio that should be large is met by the median of the pairs', () => {
  expect(faster([pair(1, 14), pair(2, 30), pair(100, 1600)])).toMatchObject({ found: 15, is_met: true, is_count: false })
})

test('it is met by the pair that was disturbed least where the median is short', () => {
  expect(faster([pair(1, 16), pair(10, 100), pair(20, 200)])).toMatchObject({ found: 10, fastest: 16, is_met: true })
})

test('it is missed when both are short, although some other pair is not', () => {
  expect(faster([pair(1, 10), pair(10, 100), pair(20, 400)])).toMatchObject({ found: 10, fastest: 10, is_met: false })
})

test('a difference that should be small is met up to its limit', () => {
  expect(more([pair(55, 25), pair(99, 20), pair(50, 25)])).toMatchObject({ found: 30, is_met: true })
  expect(more([pair(56, 25), pair(99, 20), pair(60, 25)])).toMatchObject({ found: 35, fastest: 31, is_met: false })
})

test('goals without pairs are refused', () => {
  expect(() => more([])).toThrow('nothing has no fastest pair')
})

test('a goal is told with the side on which its limit lies', () => {
  expect([faster([pair(1, 16)]), faster([pair(1, 14)]), more([pair(60, 25)])].map(goalText)).toEqual([
    'met: other / ours 16, at least 15 (fastest pair 16)',
    'short: other / ours 14, at least 15 (fastest pair 14)',
    'short: ms more 35, at most 30 (fastest pair 35)',
  ])
})

test('both sides are told by median and fastest, in seconds', () => {
  expect(timingLines(timingsOf([pair(900, 13_000), pair(800, 12_000), pair(1000, 14_000)], 'ours', 'documented pattern'))).toEqual([
    'ours                                median   0.900 s  fastest   0.800 s',
    'documented pattern                  median  13.000 s  fastest  12.000 s',
  ])
})
