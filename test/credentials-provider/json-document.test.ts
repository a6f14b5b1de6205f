/** JSON with places: what is wrong is told by line and column, all of it, and never by what stands there. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isToolkitError } from '../../core/errors.js'
import { structureFaults, valuePositions } from '../../core/json-structure.js'
import { parseJson } from '../../credentials-provider/json-document.js'
import { failureOf } from '../fakes/door.js'
import { scaled } from '../scale.js'
import { isPlaceIn } from './places.js'

const seed = Date.now()
console.log(`seed of JSON documents: ${seed}`)

const PLANTED = 'sqFaOkF8un1tAfKXjlgm2xjGQBfLlNS3'

async function placesOf(text: string): Promise<string[]> {
  const error = await failureOf(parseJson(text, 'f.json'))
  expect(isToolkitError(error, 'invalid_input')).toBe(true)
  return (error.details as { problems: { path: string }[] }).problems.map(({ path }) => path)
}

describe('a document', () => {
  test('knows the line and column of every value, and of the holder of one that is missing', async () => {
    const { value, place } = await parseJson('\n[\n  {"a": 1,\r\n   "b": [true, {"c": "x"}]},\n  "y"\n]', 'f.json')
    expect(value).toEqual([{ a: 1, b: [true, { c: 'x' }] }, 'y'])
    expect([[], [0], [0, 'a'], [0, 'b'], [0, 'b', 0], [0, 'b', 1, 'c'], [1]].map(place)).toEqual(
      ['2:1', '3:3', '3:9', '4:9', '4:10', '4:22', '5:3'].map((at) => `f.json:${at}`),
    )
    expect(place([0, 'b', 'nothing'])).toBe('f.json:4:9')
    expect(place([7, 'a'])).toBe('f.json:2:1')
  })
  test('may begin with a byte order mark', async () => {
    expect((await parseJson('\ufeff{"a":1}', 'f.json')).value).toEqual({ a: 1 })
  })
  test('finds a value at a key that is written with escapes or has a special name', async () => {
    const { place } = await parseJson('{"\\u0061": 1, "__proto__": {"constructor": 2}}', 'f.json')
    expect([place(['a']), place(['__proto__', 'constructor'])]).toEqual(['f.json:1:12', 'f.json:1:44'])
  })
  test('of any shape says of each of its values where it stands', async () => {
    let values = 0
    await fc.assert(
      fc.asyncProperty(fc.jsonValue({ maxDepth: 6 }), fc.constantFrom(undefined, 1, '\t'), async (value, indent) => {
        const text = JSON.stringify(value, null, indent)
        const find = valuePositions(text)
        const walk = (inner: unknown, path: readonly PropertyKey[]) => {
          values++
          const head = JSON.stringify(inner, null, indent).slice(0, 1)
          expect(text[find(path)]).toBe(head)
          if (typeof inner !== 'object' || inner === null) return
          for (const [key, child] of Object.entries(inner)) walk(child, [...path, Array.isArray(inner) ? Number(key) : key])
        }
        walk(JSON.parse(text), [])
      }),
      { seed, numRuns: scaled(5000) },
    )
    expect(values).toBeGreaterThan(1000)
  })
})

describe('what is no document', () => {
  test.for([
    ['nothing', '', ['1:1']],
    ['two slips', '[1 2,\n {"a" 3}]', ['1:4', '2:7']],
    ['a trailing comma', '{"a": 1,}', ['1:9']],
    ['a comment', '{} // x', ['1:4']],
    ['a NUL byte', '{"a": 1}\0', ['1:9']],
    ['a control character in text', '["a\u0001b"]', ['1:2']],
    ['bytes that are no UTF-8', '{"a":\n "\ufffd"}', ['2:3']],
    ['a key twice', '{"a": 1,\n"\\u0061": 2, "a": 3}', ['2:1', '2:14']],
    ['33 levels', `${'['.repeat(33)}${']'.repeat(33)}`, ['1:33']],
    ['33 levels that are not closed', '['.repeat(33), ['1:33']],
    ['brackets that close nothing', '[},'.repeat(100_000), ['1:97']],
    ['brackets in comments', '[/*]*/,'.repeat(50_000), ['1:225']],
    ['brackets behind a broken text', '["\n'.repeat(50_000), ['33:1']],
    ['a number that JSON has not', '[01]', ['1:3']],
  ] as const)('is refused with its places: %s', async ([, text, places]) => {
    const told = await placesOf(text)
    expect(told.slice(0, places.length)).toEqual(places.map((place) => `f.json:${place}`))
    for (const place of told) expect(isPlaceIn(place, text)).toBe(true)
  })
  test('of 32 levels is one, and of 32 is none too many', async () => {
    expect((await parseJson(`${'['.repeat(32)}${']'.repeat(32)}`, 'f.json')).value).toBeDefined()
  })
  test('is never quoted', async () => {
    for (const text of [`{"client_secret": "${PLANTED}" x}`, `${PLANTED}`, `{"${PLANTED}": }`, `{"a": "${PLANTED}`, `"${PLANTED}\u0000"`]) {
      const error = await failureOf(parseJson(text, 'f.json'))
      expect(`${error.message} ${JSON.stringify(error.details)} ${error.hint} ${error.stack}`).not.toContain(PLANTED.slice(0, 8))
    }
  })
  test('is exactly what the engine refuses, but for double keys and depth; its places are in the text', async () => {
    const counts = { accepted: 0, refused: 0 }
    const damaged = fc
      .tuple(
        fc.jsonValue({ maxDepth: 4 }),
        fc.array(fc.tuple(fc.nat(), fc.constantFrom('', '"', '{', ']', ',', '\\', '\n', '0', '/*', '\0'))),
      )
      .map(([value, slips]) => {
        let text = JSON.stringify(value, null, 1)
        for (const [at, put] of slips.slice(0, 3)) {
          const offset = at % (text.length + 1)
          text = text.slice(0, offset) + put + text.slice(offset + 1)
        }
        return text
      })
    await fc.assert(
      fc.asyncProperty(damaged, async (text) => {
        let isJson = true
        try {
          JSON.parse(text)
        } catch {
          isJson = false
        }
        if (isJson && structureFaults(text).length === 0 && !text.includes('\ufffd')) {
          counts.accepted++
          expect((await parseJson(text, 'f.json')).value).toEqual(JSON.parse(text))
        } else {
          counts.refused++
          const places = await placesOf(text)
          expect(places.length).toBeGreaterThan(0)
          for (const place of places) expect(isPlaceIn(place, text)).toBe(true)
        }
      }),
      { seed, numRuns: scaled(10_000) },
    )
    expect(Math.min(counts.accepted, counts.refused)).toBeGreaterThan(50)
  })
})
