/**
 * A batch in bad weather, through the built CLI: servers that refuse, drop and fail, identities that are broken, an issuer
 * that hangs, clocks that are wrong, error texts that repeat a secret. The servers' own log judges.
 */
import { readdirSync, readFileSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type BuiltCli, buildCli, type Ran, type Variables } from '../cli/built.js'
import { temporaryFolder } from '../fakes/folder.js'
import { chance as newChance } from '../live/rig/chance.js'
import { EXHAUSTIVE, scaled } from '../scale.js'
import {
  type Answering,
  deckOf,
  json,
  oldToken,
  type Scene,
  type SceneIdentity,
  secretOf,
  type TokenEndpoint,
  tokenEndpoint,
  tokenFile,
  tokenOf,
  tooEarly,
  writeScene,
} from './weather.js'

let built: BuiltCli
beforeAll(() => {
  built = buildCli()
})
afterAll(() => built?.remove())

async function endpoint(answer: Answering, options: { skewMs?: number } = {}): Promise<TokenEndpoint> {
  const one = await tokenEndpoint(answer, options)
  onTestFinished(() => one.close())
  return one
}
const names = (count: number, prefix: string) => Array.from({ length: count }, (_, index) => `${prefix}-${index}`)
const at = ({ issuer }: TokenEndpoint, all: readonly string[]): SceneIdentity[] => all.map((identity_name) => ({ identity_name, issuer }))

/** `credentials generate` of the scene. */
async function generate(
  scene: Scene,
  { concurrency = 8, variables = {}, node = [], flags = ['--json'] }: Partial<Options> = {},
): Promise<Ran & { ms: number }> {
  const words = ['credentials', 'generate', '--identities-file', scene.identitiesFile, '--output-dir', scene.tokens]
  const began = performance.now()
  const ran = await built.run([...words, '--concurrency', String(concurrency), ...flags], { MCP_IDP_HOME: scene.home, ...variables }, node)
  return { ...ran, ms: performance.now() - began }
}
interface Options {
  readonly concurrency: number
  readonly variables: Variables
  readonly node: readonly string[]
  readonly flags: readonly string[]
}
const contentOf = (scene: Scene, name: string) => readFileSync(tokenFile(scene, name), 'utf8')
const hasToken = (scene: Scene, name: string) =>
  (JSON.parse(contentOf(scene, name)) as { access_token: string }).access_token === tokenOf(name)
const cut = (response: ServerResponse) => void response.socket?.destroy()
const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`

test('refusals, dropped connections and server errors: every identity gets its token, nothing leaves too early', async () => {
  const { seed, next: chance } = newChance()
  const failing = deckOf([500, 502, 503, 504], chance)
  const dealt = { good: 0, busy: 0, 'dropped before': 0, 'dropped after': 0, 'server error': 0 }
  const share = (count: number, card: keyof typeof dealt) => Array.from({ length: count }, () => card)
  // A tenth of the identities draws less than a hundred cards: a deck of fifty, no milder, still deals some of each.
  const [busy, before, after, error, good] = EXHAUSTIVE ? [30, 3, 2, 1, 64] : [15, 2, 1, 1, 31]
  const drops = [...share(before, 'dropped before'), ...share(after, 'dropped after')]
  const deal = deckOf([...share(busy, 'busy'), ...drops, ...share(error, 'server error'), ...share(good, 'good')], chance)
  let issued = 0
  const idp = await endpoint(async (_, response, token) => {
    await sleep(20)
    const card = deal()
    dealt[card] += 1
    if (card === 'good' || card === 'dropped after') issued += 1
    if (card === 'good') return token()
    if (card === 'busy') return json(response, 429, { error: 'slow_down' }, { 'retry-after': '1' })
    if (card === 'server error') return json(response, failing(), { error: 'server_error' })
    return cut(response)
  })
  const count = scaled(500)
  const scene = writeScene(temporaryFolder(), at(idp, names(count, 'agent')))
  const ran = await generate(scene)
  const tokens = scene.names.filter((name) => hasToken(scene, name)).length
  const { early, underWay } = tooEarly(idp.log, 1_000)
  const requests = idp.log.filter(({ path }) => path === '/token').length
  console.log(`weather: seed ${seed}; ${JSON.stringify(dealt)}`)
  console.log(
    `weather: ${tokens} of ${count} tokens, ${requests} token requests, ${early.length} early, ${underWay} under way, ${seconds(ran.ms)}`,
  )
  expect(ran).toMatchObject({ exit: 0 })
  expect(tokens).toBe(count)
  expect(early).toEqual([])
  expect(requests).toBeLessThanOrEqual(scaled(900))
  expect(issued).toBe(count + dealt['dropped after'])
  for (const happened of Object.values(dealt)) expect(happened).toBeGreaterThan(0)
  expect(ran.ms).toBeLessThan(120_000)
}, 200_000)

/** How an identity can be broken, and what is then said of it. */
interface Way {
  readonly answer?: (response: ServerResponse, client_id: string) => void
  readonly secret?: string
  plant?(scene: Scene, name: string): void
  readonly cause: RegExp
  /** Whether it asks for a token at all. */
  readonly asks: boolean
}
const answers = (answer: NonNullable<Way['answer']>, cause: RegExp): Way => ({ answer, cause, asks: true })
const token = (change: Readonly<Record<string, unknown>>) => (response: ServerResponse, client_id: string) =>
  json(response, 200, { access_token: tokenOf(client_id), token_type: 'Bearer', expires_in: 3600, ...change })

const WAYS: Readonly<Record<string, Way>> = {
  refused: answers((response) => json(response, 401, { error: 'invalid_client' }), /token_refused.*invalid_client/),
  disabled: answers((response) => json(response, 400, { error: 'unauthorized_client' }), /token_refused.*unauthorized_client/),
  html: answers((response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<html>log in</html>')
  }, /unexpected_response.*text\/html/),
  huge: answers((response) => pour(response, 100_000_000), /unexpected_response.*more than \d+ bytes/),
  redirect: answers((response) => {
    response.writeHead(307, { location: '/elsewhere' }).end()
  }, /unexpected_response.*redirect/),
  'token-type': answers(token({ token_type: 'mac' }), /unexpected_response.*token_type/),
  'no-expiry': answers(token({ expires_in: undefined }), /unexpected_response.*expires_in/),
  'negative-expiry': answers(token({ expires_in: -60 }), /unexpected_response.*expires_in/),
  'text-expiry': answers(token({ expires_in: '3600' }), /unexpected_response.*expires_in/),
  failing: answers((response) => json(response, 500, { error: 'server_error' }), /unavailable.*500/),
  cut: answers(cut, /unavailable.*cut the connection/),
  symlink: {
    plant(scene, name) {
      const [path, victim] = [tokenFile(scene, name), join(scene.home, `victim-of-${name}`)]
      writeFileSync(victim, oldToken(name), { mode: 0o600 })
      unlinkSync(path)
      symlinkSync(victim, path)
    },
    cause: /invalid_input.*symbolic link/s,
    asks: false,
  },
  'no-secret': { secret: 'file:missing-secret.txt', cause: /invalid_input.*missing-secret\.txt/s, asks: false },
}

/** A JSON text that does not end soon; stops when nobody reads. */
function pour(response: ServerResponse, bytes: number): void {
  const chunk = Buffer.alloc(64_000, 'a')
  let left = bytes
  const more = (): void => {
    if (left <= 0) return void response.end('"}')
    left -= chunk.length
    if (response.write(chunk)) setImmediate(more)
    else response.once('drain', more)
  }
  response.on('error', () => undefined)
  response.writeHead(200, { 'content-type': 'application/json' }).write('{"access_token":"')
  more()
}

test('broken identities among many: the others get tokens, each broken one is named with its cause and keeps its old token', async () => {
  const ways = Object.keys(WAYS)
  const [count, brokenCount] = EXHAUSTIVE ? [500, 37] : [50, ways.length]
  const { seed, next: chance } = newChance()
  const broken = new Map(
    Array.from({ length: brokenCount }, (_, index) => [`broken-${index}`, WAYS[ways[index % ways.length] ?? ''] ?? expect.fail()]),
  )
  const idp = await endpoint((client_id, response, good) => {
    const answer = broken.get(client_id)?.answer
    return answer ? answer(response, client_id) : good()
  })
  const all = [...names(count - brokenCount, 'agent'), ...broken.keys()]
    .map((name) => ({ name, order: chance() }))
    .sort((a, b) => a.order - b.order)
  const identities = all.map(({ name: identity_name }) => {
    const secret = broken.get(identity_name)?.secret
    return { identity_name, issuer: idp.issuer, ...(secret === undefined ? {} : { client_secret: secret }) }
  })
  const scene = writeScene(temporaryFolder(), identities)
  for (const [name, way] of broken) way.plant?.(scene, name)
  const ran = await generate(scene)
  const { error } = JSON.parse(ran.stdout) as { error: { code: string; details: { failed: string[]; succeeded: number } } }
  const tokens = scene.names.filter((name) => !broken.has(name) && hasToken(scene, name)).length
  const { failed } = error.details
  const right = [...broken].filter(([name, { cause }]) => failed.some((line) => line.startsWith(`${name}: `) && cause.test(line)))
  console.log(
    `weather: seed ${seed}; ${brokenCount} of ${count} identities broken in ${ways.length} ways: exit ${ran.exit}, ${tokens} tokens, ${failed.length} named, ${right.length} causes right, ${seconds(ran.ms)}`,
  )
  expect(error.code).toBe('partial')
  expect(ran.exit).toBe(9)
  expect({ tokens, succeeded: error.details.succeeded }).toEqual({ tokens: count - brokenCount, succeeded: count - brokenCount })
  expect(failed).toHaveLength(brokenCount)
  expect(
    [...broken.keys()]
      .filter((name) => !right.some(([one]) => one === name))
      .map((name) => failed.find((line) => line.startsWith(`${name}: `))),
  ).toEqual([])
  for (const [name, { asks }] of broken) {
    expect(contentOf(scene, name), name).toBe(oldToken(name))
    expect(
      idp.log.some(({ client_id }) => client_id === name),
      name,
    ).toBe(asks)
  }
  expect(readdirSync(scene.tokens).sort()).toEqual(scene.names.map((name) => `${name}.json`).sort())
}, 120_000)

describe('an issuer that hangs', () => {
  const TIMEOUT_S = 8
  const hangs: Readonly<Record<string, Answering>> = {
    'without a word': () => undefined,
    'in the middle of its answer': (_, response) =>
      void response.writeHead(200, { 'content-type': 'application/json' }).write('{"access_token":'),
  }
  test('delays nobody else, and is waited for once', async () => {
    expect(Object.keys(hangs)).toHaveLength(2)
    await Promise.all(Object.entries(hangs).map(([shape, answer]) => delaysNobody(shape, answer)))
  })

  async function delaysNobody(shape: string, answer: Answering): Promise<void> {
    const hanging = await endpoint(answer)
    const others = await Promise.all([1, 2, 3].map(() => endpoint((_, __, good) => good())))
    const count = Math.max(20, scaled(100))
    const identities = [...at(hanging, names(count, 'hanging')), ...others.flatMap((idp, index) => at(idp, names(count, `agent-${index}`)))]
    const scene = writeScene(temporaryFolder(), identities)
    const ran = await generate(scene, { variables: { MCP_IDP_TOKEN_TIMEOUT: String(TIMEOUT_S) } })
    const ended = performance.now()
    const asked = hanging.log.filter(({ path }) => path === '/token')
    const deadline = (asked[0]?.at ?? Number.NaN) + TIMEOUT_S * 1000
    const last = Math.max(...others.flatMap(({ log }) => log.map(({ answeredAt = Infinity }) => answeredAt)))
    const { error } = JSON.parse(ran.stdout) as { error: { details: { failed: string[]; succeeded: number } } }
    const tokens = scene.names.filter((name) => name.startsWith('agent') && hasToken(scene, name)).length
    console.log(
      `weather: one issuer of 4 hangs ${shape}: ${tokens} of ${3 * count} tokens of the others, the last ${seconds(deadline - last)} before its first deadline; asked ${asked.length} times for ${count}; the run ended ${seconds(ended - deadline)} after it`,
    )
    expect(ran.exit).toBe(9)
    expect(tokens).toBe(3 * count)
    expect(last).toBeLessThan(deadline)
    expect(asked.length).toBeLessThanOrEqual(8)
    expect(error.details).toMatchObject({ succeeded: 3 * count })
    expect(error.details.failed).toHaveLength(count)
    for (const line of error.details.failed) expect(line).toMatch(/^hanging-\d+: unavailable, .* did not answer within 8 s$/)
    // One deadline for all of them, not one each.
    expect(ended).toBeLessThan(deadline + TIMEOUT_S * 1000)
    for (const name of names(count, 'hanging')) expect(contentOf(scene, name)).toBe(oldToken(name))
  }
})

describe('clocks that are wrong', () => {
  const DAY = 86_400_000
  const offsets = [-DAY, -600_000, 600_000, DAY]
  /** Shifts the clock of a process from before its first line; its monotonic clock goes on as it is, as with a clock set wrong. */
  const shifted = (ms: number): string[] => {
    const code = `const Right = Date
      globalThis.Date = class extends Right { constructor(...a) { if (a.length === 0) super(Right.now() + ${ms}); else super(...a) } static now() { return Right.now() + ${ms} } }`
    return ms === 0 ? [] : ['--import', `data:text/javascript,${encodeURIComponent(code)}`]
  }
  const table = [...offsets.map((ms) => ({ client: ms, server: 0 })), ...offsets.map((ms) => ({ client: 0, server: ms }))]
  const forms: Readonly<Record<string, (now: number) => Readonly<Record<string, string>>>> = {
    'Retry-After as a date': (now) => ({ 'retry-after': new Date(now + 2_000).toUTCString() }),
    'X-Rate-Limit-Reset': (now) => ({ 'x-rate-limit-remaining': '0', 'x-rate-limit-reset': String(Math.floor(now / 1000) + 2) }),
  }

  test('on either side: a wait is right to a second, however it is told, and everybody gets a token', async () => {
    const told = await Promise.all(table.map(({ client, server }) => underClocks(client, server)))
    const lates = told.flatMap(({ late }) => late)
    const tokens = told.reduce((sum, one) => sum + one.tokens, 0)
    console.log(
      `weather: ${told.length} wrong clocks, ${lates.length} waits: ${tokens} of ${told.length * scaled(50)} tokens, next request ${Math.round(Math.min(...lates))} to ${Math.round(Math.max(...lates))} ms after it was allowed`,
    )
    expect(lates).toHaveLength(16)
    expect(told.filter((one) => one.exit !== 0 || one.tokens !== scaled(50) || !one.isShifted)).toEqual([])
    // Dates have whole seconds: up to one is lost in the server's own spelling.
    expect(lates.filter((late) => !(late >= 0 && late < 1_500))).toEqual([])
  })

  async function underClocks(client: number, server: number) {
    const waits: { refusedAt: number; asked: number }[] = []
    const spellings = Object.values(forms)
    const idp = await endpoint(
      (_, response, good) => {
        const spelling = spellings[waits.length]
        if (spelling === undefined) return good()
        const now = Date.now() + server
        waits.push({ refusedAt: performance.now(), asked: (Math.floor(now / 1000) + 2) * 1000 - now })
        return json(response, 429, { error: 'slow_down' }, spelling(now))
      },
      { skewMs: server },
    )
    const scene = writeScene(temporaryFolder(), at(idp, names(scaled(50), 'agent')))
    const { exit } = await generate(scene, { concurrency: 1, node: shifted(client) })
    const late = waits.map(({ refusedAt, asked }) => (idp.log.find(({ at }) => at > refusedAt)?.at ?? Number.NaN) - refusedAt - asked)
    const tokens = scene.names.filter((name) => hasToken(scene, name)).length
    const { generated_at } = JSON.parse(contentOf(scene, 'agent-0')) as { generated_at: string }
    return { client, server, exit, tokens, late, isShifted: Math.abs(Date.parse(generated_at) - (Date.now() + client)) < 60_000 }
  }
})

describe('a secret in what a token endpoint says', () => {
  /** Looks like a code of RFC 6749. */
  const secret = 'planted_secret_of_the_weather'
  const forms = [
    secret,
    Buffer.from(secret).toString('base64'),
    Buffer.from(`talker:${secret}`).toString('base64'),
    Buffer.from(secret).toString('hex'),
  ]
  const isIn = (text: string) => forms.some((form) => text.includes(form))
  const hostile: Readonly<Record<string, Answering>> = {
    'its error text': (_, response) =>
      json(response, 400, { error: 'invalid_client', error_description: `${secret} is not the secret`, error_uri: `https://x/${secret}` }),
    'its error code': (_, response) => json(response, 401, { error: secret }),
    'its headers': (_, response) =>
      json(
        response,
        401,
        { error: 'invalid_client' },
        { 'www-authenticate': `Basic realm="${secret}"`, 'x-request-id': secret, location: `/${secret}` },
      ),
    'its status line and type': (_, response) => {
      response.writeHead(200, secret, { 'content-type': `text/${secret}` }).end(secret)
    },
    'a token answer that is none': (_, response) =>
      json(response, 200, { access_token: 7, token_type: secret, expires_in: secret, [secret]: secret }),
  }
  test('is on no stream and in no file, whatever is asked to be told', async () => {
    let searched = 0
    const search = async ([place, answer]: [string, Answering]) => {
      const idp = await endpoint(answer)
      const scene = writeScene(temporaryFolder(), [{ identity_name: 'talker', issuer: idp.issuer, client_secret: secret }])
      for (const flags of [[], ['--json', '--debug']]) {
        const ran = await generate(scene, { flags })
        expect(ran.exit, place).toBeGreaterThan(0)
        expect([ran.stdout, ran.stderr].filter(isIn), place).toEqual([])
        searched += 2
      }
      expect(idp.log.filter(({ path }) => path === '/token').length, place).toBeGreaterThan(1)
      const files = readdirSync(scene.home, { recursive: true, withFileTypes: true }).filter((one) => one.isFile())
      const holding = files.map((one) => join(one.parentPath, one.name)).filter((path) => isIn(readFileSync(path, 'latin1')))
      // The search finds it where it belongs, and only there.
      expect(holding, place).toEqual([scene.identitiesFile])
      searched += files.length
    }
    await Promise.all(Object.entries(hostile).map(search))
    expect(isIn(secretOf('x'))).toBe(false)
    console.log(
      `weather: ${searched} streams and files searched for a secret that ${Object.keys(hostile).length} answers repeat: in the identities file only`,
    )
    expect(searched).toBeGreaterThan(25)
  })
})
