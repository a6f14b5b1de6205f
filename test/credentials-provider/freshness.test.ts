/** Freshness: when a saved token is still good, whatever its file spells the time like. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isFresh, isoOf, MOST_MARGIN, marginOf, secondsOf } from '../../credentials-provider/freshness.js'

const NOW = 1_800_000_000

describe('the margin', () => {
  test.for([
    [60, 12],
    [300, 60],
    [3_000, 600],
    [3_600, 600],
    [86_400, 600],
    [0, 0],
    [-5, 0],
  ])('of a token that lives %i seconds is %i', ([lifetime = 0, margin]) => {
    expect(marginOf({ expires_at: NOW, lifetime })).toBe(margin)
  })
  test('of a token whose lifetime nobody tells is a minute', () => {
    expect(marginOf({ expires_at: NOW })).toBe(60)
  })
  test('is never more than ten minutes, nor a fifth of the lifetime', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), (lifetime) => {
        const margin = marginOf({ expires_at: NOW, lifetime })
        expect(margin).toBeLessThanOrEqual(Math.min(MOST_MARGIN, lifetime / 5 + 1e-6))
      }),
    )
  })
})

describe('a token', () => {
  const token = { expires_at: NOW + 300, lifetime: 300, generated_at: NOW }
  test('is fresh until its margin begins', () => {
    expect(isFresh(token, NOW)).toBe(true)
    expect(isFresh(token, NOW + 239)).toBe(true)
    expect(isFresh(token, NOW + 240)).toBe(false)
    expect(isFresh(token, NOW + 300)).toBe(false)
  })
  test('that was saved over a minute in the future was saved by another clock', () => {
    expect(isFresh(token, NOW - 60)).toBe(true)
    expect(isFresh(token, NOW - 61)).toBe(false)
  })
  test('of no lifetime at all is never fresh', () => {
    expect(isFresh({ expires_at: NOW, lifetime: 0, generated_at: NOW }, NOW)).toBe(false)
  })
})

describe('a time', () => {
  test.for<[unknown, number | undefined]>([
    [NOW, NOW],
    [NOW + 0.5, NOW + 0.5],
    [String(NOW), NOW],
    ['1800000000.25', NOW + 0.25],
    ['2027-01-15T08:00:00Z', NOW],
    ['2027-01-15T08:00:00.000Z', NOW],
    ['2027-01-15T09:00:00+01:00', NOW],
    ['2027-01-15T09:00:00+0100', NOW],
    ['2027-01-15T08:00:00', NOW],
    ['2027-01-15T08:00:00.123456', NOW + 0.123],
    ['tomorrow', undefined],
    ['', undefined],
    [Number.NaN, undefined],
    [Number.POSITIVE_INFINITY, undefined],
    [1e300, undefined],
    ['9'.repeat(40), undefined],
    [null, undefined],
    [undefined, undefined],
    [{}, undefined],
    [true, undefined],
  ])('written %j is %j seconds since the epoch', ([time, seconds]) => {
    expect(secondsOf(time)).toBe(seconds)
  })
  test('without a zone means UTC wherever it is read', () => {
    expect(secondsOf('2027-07-15T08:00:00')).toBe(secondsOf('2027-07-15T08:00:00Z'))
  })
  test('that we wrote is read as it was, to the millisecond', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 8e12 }), (ms) => {
        expect(secondsOf(isoOf(ms / 1000))).toBeCloseTo(ms / 1000, 2)
      }),
    )
  })
})
