/** A secret is shown by nothing, and what slips through as text is masked in every spelling it may have. */
import { format, inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { masked, Secret } from '../../core/secret.js'

const value = 'planted-secret/+=?&"\\ü-4711'
const secret = new Secret(value)

describe('a secret', () => {
  const printers: [string, () => string][] = [
    ['a template', () => `${secret}`],
    ['String', () => String(secret)],
    ['concatenation', () => `the word is ${[secret].join()}`],
    ['inspect', () => inspect(secret)],
    ['inspect of an object around it', () => inspect({ deep: { er: [secret] } }, { depth: 9, showHidden: true })],
    ['console.log', () => format('%s %o %O %j', secret, secret, secret, 'x')],
    ['an error message', () => new Error(`refused ${secret}`).message],
    ['a copy of its fields', () => JSON.stringify({ ...secret })],
    ['a structured clone', () => inspect(structuredClone({ ...secret }), { showHidden: true })],
    ['its property names', () => Reflect.ownKeys(secret).map(String).join()],
  ]
  test.for(printers)('is not shown by %s', ([, print]) => {
    expect(print()).not.toContain('planted')
  })
  test('cannot be serialised by accident, however deep it lies', () => {
    expect(() => JSON.stringify(secret)).toThrow(/cannot be serialised/)
    expect(() => JSON.stringify({ password: [secret] })).toThrow(/cannot be serialised/)
  })
  test('the error of serialising it does not tell it', () => {
    expect(() => JSON.stringify(secret)).not.toThrow(/planted/)
  })
  test('is revealed where asked for', () => {
    expect(secret.reveal()).toBe(value)
  })
  test('equals a secret of the same value only', () => {
    expect(secret.equals(new Secret(value))).toBe(true)
    expect(secret.equals(new Secret(`${value}x`))).toBe(false)
    expect(secret.equals(new Secret(value.replace('p', 'q')))).toBe(false)
    expect(secret.equals(new Secret(''))).toBe(false)
  })
})

describe('masking', () => {
  const spellings: [string, (text: string) => string][] = [
    ['raw', (text) => text],
    ['percent-encoded', encodeURIComponent],
    ['form-encoded', (text) => new URLSearchParams({ v: text }).toString().slice(2)],
    ['base64', (text) => Buffer.from(text).toString('base64')],
    ['base64url', (text) => Buffer.from(text).toString('base64url')],
    ['inside JSON', (text) => JSON.stringify(text).slice(1, -1)],
    ['hex', (text) => Buffer.from(text).toString('hex')],
    ['hex in capitals', (text) => Buffer.from(text).toString('hex').toUpperCase()],
  ]
  test.for(spellings)('a known secret is masked when it is spelled %s', ([, spell]) => {
    const text = `before ${spell(value)} between ${spell(value)} after`
    expect(masked(text)).toBe('before [secret] between [secret] after')
  })
  test('whatever the secret is, no spelling of it survives', () => {
    const texts = fc.string({ unit: 'grapheme', minLength: 8, maxLength: 60 })
    fc.assert(
      fc.property(texts, fc.constantFrom(...spellings), (text, [, spell]) => {
        fc.pre(!'[secret]'.includes(text))
        new Secret(text)
        expect(masked(`<${spell(text)}>`)).not.toContain(spell(text))
      }),
      { numRuns: 300 },
    )
  })
  test('a secret that begins like a shorter one is masked to its end', () => {
    new Secret('prefix-0123')
    new Secret('prefix-0123-and-its-long-tail')
    expect(masked('x prefix-0123-and-its-long-tail y')).toBe('x [secret] y')
  })
  test('of two secrets that overlap nothing is left, whichever is longer', () => {
    new Secret('overlap-0123-shared')
    new Secret('0123-shared-and-the-longer-one')
    expect(masked('x overlap-0123-shared-and-the-longer-one y')).toBe('x [secret] y')
  })
  test('one that follows another at once is masked too', () => {
    expect(masked(`${value}${value}`)).toBe('[secret][secret]')
  })
  test('a line is masked as fast beside ten thousand secrets as beside a few', () => {
    const line = 'minted reporter (https://idp.example.com), expires 2026-11-21T10:00:00.000Z'
    const timed = () => {
      const started = performance.now()
      for (let round = 0; round < 1000; round++) masked(line)
      return performance.now() - started
    }
    masked(line)
    const few = Math.min(timed(), timed(), timed())
    for (let index = 0; index < 10_000; index++) new Secret(`a-secret-of-many-${index}`)
    masked(line)
    expect(Math.min(timed(), timed(), timed())).toBeLessThan(20 * few + 50)
  })
  test('a secret that is not well-formed Unicode does not break masking', () => {
    new Secret('lonely-\ud800-surrogate')
    expect(masked('plain text')).toBe('plain text')
  })
  test('a word too short to be told from ordinary text is left alone', () => {
    new Secret('admin')
    expect(masked('admin made a plan')).toBe('admin made a plan')
  })
  test('text without secrets is returned as it is', () => {
    expect(masked('3 changes made')).toBe('3 changes made')
  })
})

test('the last thousand secrets are masked at least, and those of days ago do not pile up', () => {
  const values = Array.from({ length: 3_000 }, (_, index) => `a-secret-of-many-${index}-`)
  for (const value of values) new Secret(value)
  expect(masked(values.slice(-1_000).join(' '))).toBe(Array(1_000).fill('[secret]').join(' '))
  expect(masked(values[0] ?? '')).toBe(values[0])
})
