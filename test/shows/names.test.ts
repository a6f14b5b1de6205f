/**
 * Names and identities files at random, through the whole of `generate_credentials`: what is accepted lands at exactly its
 * own file, what is refused is refused before the first request, and each error names a place that the file has.
 */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isToolkitError, type Problem } from '../../core/errors.js'
import { generateCredentials } from '../../credentials-provider/operations.js'
import { createContext } from '../../toolkit/context.js'
import { isPlaceIn } from '../credentials-provider/places.js'
import { answerJson, type FakeServer, serve } from '../fakes/server.js'
import { scaled } from '../scale.js'

const seed = Date.now()
const SECRET = 'a-planted-secret-of-nobody'
const TOKEN = 'a-token-that-is-opaque'
/** What Windows keeps for devices, written out: the rule under test is a pattern. */
const DEVICES = 'con prn aux nul com0 com1 com2 com3 com4 com5 com6 com7 com8 com9 lpt0 lpt1 lpt2 lpt3 lpt4 lpt5 lpt6 lpt7 lpt8 lpt9'.split(
  ' ',
)
const TIMEOUT = scaled(1_200_000)
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

let server: FakeServer
let root: string
const counts = { names: 0, files: 0, accepted: 0, refused: 0, tokens: 0, places: 0 }

beforeAll(async () => {
  server = await serve((_, response) => answerJson(response, 200, { access_token: TOKEN, token_type: 'Bearer', expires_in: 3600 }))
  root = mkdtempSync(join(tmpdir(), 'mcp-idp-names-'))
  // What an escape would hit: a neighbour of each folder that a run writes to.
  for (const place of ['outside', 'home/outside', 'work/outside']) {
    mkdirSync(join(root, place), { recursive: true })
    writeFileSync(join(root, place, 'x.json'), 'as it was')
  }
})
afterAll(async () => {
  await server.close()
  rmSync(root, { recursive: true, force: true })
})

/** Every file below the root but the locks of the home, with its size and time, so that a write shows. */
function listing(): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .map((entry) => ({ path: join(entry.parentPath, entry.name), isFile: entry.isFile() }))
    .filter(({ path }) => !path.startsWith(join(root, 'home', 'locks')))
    .map(({ path, isFile }) => (isFile ? `${path} ${statSync(path).size} ${statSync(path).mtimeMs}` : path))
    .sort()
}

interface Ran {
  readonly saved: readonly string[]
  readonly requests: number
  readonly error?: unknown
}

/** One run on a file of its own; throws if anything but token files was made, or anything else was touched. */
async function run(text: string): Promise<Ran> {
  const folder = mkdtempSync(join(root, 'work', 'run-'))
  const [input, output] = [join(folder, 'in.json'), join(folder, 'tokens')]
  writeFileSync(input, text)
  chmodSync(input, 0o600)
  const before = listing()
  const sent = server.requests.length
  const context = createContext({ home: join(root, 'home'), profile: 'default', settings: () => undefined, approve: async () => false })
  let error: unknown
  try {
    await generateCredentials.run({ identities_file: input, output_dir: output }, context)
  } catch (thrown) {
    error = thrown
  } finally {
    await context.close()
  }
  const after = listing()
  const made = after.filter((line) => !before.includes(line))
  const escaped = made.filter((line) => line !== output && !line.startsWith(`${output}/`))
  const missing = before.filter((line) => !after.includes(line))
  expect({ escaped, missing }).toEqual({ escaped: [], missing: [] })
  const saved = made.filter((line) => line !== output).map((line) => line.slice(output.length + 1).replace(/ [\d.]+ [\d.]+$/, ''))
  rmSync(folder, { recursive: true })
  return { saved, requests: server.requests.length - sent, ...(error === undefined ? {} : { error }) }
}

/** Of a run that failed: it was the file's fault, nothing was asked or written, and each problem is somewhere in the file. */
function expectRefused(ran: Ran, text: string): readonly Problem[] {
  if (!isToolkitError(ran.error, 'invalid_input')) throw ran.error
  expect({ requests: ran.requests, saved: ran.saved }).toEqual({ requests: 0, saved: [] })
  expect(`${ran.error.message} ${ran.error.hint}`).not.toContain(SECRET.slice(0, 8))
  const { problems } = ran.error.details as { problems: readonly Problem[] }
  expect(problems.length).toBeGreaterThan(0)
  for (const { path } of problems) {
    expect([path, isPlaceIn(path, text)]).toEqual([path, true])
    counts.places++
  }
  counts.refused++
  return problems
}

interface Named {
  readonly identity_name: string
  readonly auth_provider: 'oidc' | 'keycloak'
}

const entry = ({ identity_name, auth_provider }: Named) => {
  const url =
    auth_provider === 'oidc' ? { issuer: server.origin, token_endpoint: `${server.origin}/token` } : { keycloak_url: server.origin }
  return { identity_name, auth_provider, client_id: 'reporter', client_secret: SECRET, ...url }
}

/** The rule for one name, said a second way. */
function isName(name: string): boolean {
  const characters = [...name]
  const isAllowed = characters.every((one) => LETTERS.includes(one) || '0123456789._-'.includes(one))
  const isFirst = characters[0] !== undefined && !'._-'.includes(characters[0])
  return isAllowed && isFirst && name.length <= 64 && !name.endsWith('.') && !DEVICES.includes((name.split('.')[0] ?? '').toLowerCase())
}

function tokenFile({ identity_name, auth_provider }: Named): string {
  if (auth_provider === 'oidc') return `${identity_name}.json`
  return `${identity_name.startsWith('agent-') ? '' : 'agent-'}${identity_name}-token.json`
}

/** Whether all of them can be files side by side. */
function areApart(rows: readonly Named[]): boolean {
  const names = new Set(rows.map(({ identity_name }) => identity_name.toLowerCase()))
  const files = new Set(rows.map((row) => tokenFile(row).toLowerCase()))
  const isInput = ['identities.json', 'entra-identities.json'].some((name) => files.has(name))
  return names.size === rows.length && files.size === rows.length && !isInput
}

const plain = fc.string({ unit: fc.constantFrom(...'abcXYZ019._-'), minLength: 1, maxLength: 12 })
const name = fc.oneof(
  { weight: 6, arbitrary: plain },
  { weight: 1, arbitrary: plain.map((text) => `agent-${text}`) },
  { weight: 1, arbitrary: plain.map((text) => `${text}-token`) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('x', 'X', 'agent-x', 'agent-x-token', 'entra-identities', 'Identities', 'in', '__proto__', 'constructor'),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constantFrom(...DEVICES), fc.constantFrom('', '.txt', 'x', '.')).map(([device, end]) => device + end),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom('../', '..\\', '/', '../../outside/', './', '~/', '%2e%2e%2f', 'a/../../', '\0', '..'), plain)
      .map(([start, end]) => start + end),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 20 }) },
  { weight: 1, arbitrary: fc.string({ unit: fc.constantFrom('a', 'Z', '9'), minLength: 62, maxLength: 300 }) },
)
const rows = fc.array(fc.record({ identity_name: name, auth_provider: fc.constantFrom('oidc' as const, 'keycloak' as const) }), {
  minLength: 1,
  maxLength: 3,
})

test('every accepted name is exactly its own file, and no request is made while any name is bad', { timeout: TIMEOUT }, async () => {
  await fc.assert(
    fc.asyncProperty(rows, async (named) => {
      const text = JSON.stringify(named.map(entry), null, 1)
      const ran = await run(text)
      counts.names += named.length
      const bad = named.filter(({ identity_name }) => !isName(identity_name))
      if (bad.length === 0 && areApart(named)) {
        expect(ran.error).toBeUndefined()
        expect(ran.saved.toSorted()).toEqual(named.map(tokenFile).toSorted())
        expect(ran.requests).toBe(named.length)
        counts.accepted++
        counts.tokens += ran.saved.length
      } else {
        const problems = expectRefused(ran, text)
        // All bad names at once, and the clashes of the others besides.
        expect(problems.filter(({ path }) => path.endsWith(' identity_name'))).toHaveLength(bad.length)
      }
    }),
    { seed, numRuns: scaled(5000) },
  )
})

test('no file, however damaged, crashes a run, makes a request or is told without its place', { timeout: TIMEOUT }, async () => {
  const slip = fc.tuple(
    fc.nat(),
    fc.constantFrom('', '"', '{', '}', '[', ']', ',', ':', '\\', '\n', '\0', '\ufeff', '/*', '9', 'null', '"x"'),
  )
  const value = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.constant(SECRET), fc.constant(`env:${SECRET}`), fc.constant(`file:/${SECRET}\0`))
  const key = fc.constantFrom('identity_name', 'auth_provider', 'client_id', 'client_secret', 'private_key', 'issuer', 'scope', '__proto__')
  const file = fc
    .tuple(rows, fc.array(fc.tuple(fc.nat(), fc.oneof(key, fc.string()), value), { maxLength: 3 }), fc.array(slip, { maxLength: 3 }))
    .map(([named, changes, slips]) => {
      const content: unknown[] = named.map(entry)
      for (const [at, field, put] of changes) {
        const index = at % content.length
        content[index] = Object.fromEntries([...Object.entries(content[index] as object), [field, put]])
      }
      let text = JSON.stringify(content.length === 1 ? content[0] : content, null, 2)
      for (const [at, put] of slips) {
        const offset = at % (text.length + 1)
        text = text.slice(0, offset) + put + text.slice(offset + put.length)
      }
      return text
    })
  const prototype = Object.getOwnPropertyNames(Object.prototype).sort()
  await fc.assert(
    fc.asyncProperty(file, async (text) => {
      const ran = await run(text)
      counts.files++
      // A change may leave a file as good as it was, or point it at a server that is not there.
      if (ran.error === undefined) counts.accepted++
      else if (isToolkitError(ran.error, 'invalid_input')) expectRefused(ran, text)
      else expect(isToolkitError(ran.error) && ran.error.code).toMatch(/^(?:not_found|unavailable|partial)$/)
    }),
    { seed, numRuns: scaled(5000) },
  )
  expect(Object.getOwnPropertyNames(Object.prototype).sort()).toEqual(prototype)
})

test('both ways were taken, often', () => {
  const told = `${counts.names} names, ${counts.files} damaged files: ${counts.accepted} accepted with ${counts.tokens} tokens, ${counts.refused} refused`
  console.log(`names (seed ${seed}): ${told}; ${counts.places} places, all in their files; 0 escapes, 0 crashes, 0 requests too early`)
  expect(Math.min(counts.accepted, counts.refused)).toBeGreaterThan(20)
  expect(counts.tokens).toBeGreaterThan(20)
  expect(readFileSync(join(root, 'outside', 'x.json'), 'utf8')).toBe('as it was')
})
