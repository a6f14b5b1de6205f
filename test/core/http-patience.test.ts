/**
 * The patience of the door: a read waits for a server that is busy or restarting, no longer than it may and never where
 * waiting is no use; a write is sent once, whatever becomes of it.
 */
import { createServer, type ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { isToolkitError } from '../../core/errors.js'
import type { DoorOptions } from '../../core/http.js'
import type { KnownServers } from '../../core/http-patience.js'
import { Secret } from '../../core/secret.js'
import { SETTINGS, SettingsReader } from '../../core/settings.js'
import { createContext } from '../../toolkit/context.js'
import { selfSigned } from '../fakes/certificate.js'
import { doorTo, failureOf, type TestDoor } from '../fakes/door.js'
import { type Answering, answerJson, type FakeServer, type SeenRequest, serve, serveBytes } from '../fakes/server.js'

const toClose: { close(): Promise<void> }[] = []
afterEach(async () => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
  for (const one of toClose.splice(0).reverse()) await one.close()
})
const closing = <T extends { close(): Promise<void> }>(one: T): T => {
  toClose.push(one)
  return one
}
const fake = async (...args: Parameters<typeof serve>): Promise<FakeServer> => closing(await serve(...args))
const door = (origin: string, options: Partial<DoorOptions> = {}): TestDoor =>
  closing(doorTo([origin], { patienceMs: 10_000, isRead: ({ url }) => url.pathname === '/token', ...options }))

/** Answers with these one after the other, then with 200 forever; `/ok` is always answered. */
function first(...answers: ((response: ServerResponse) => void)[]): Answering {
  const left = [...answers]
  return ({ path }, response) => {
    const next = path === '/ok' ? undefined : left.shift()
    if (next) next(response)
    else answerJson(response, 200, { here: true })
  }
}
const says =
  (status: number, headers: Record<string, string> = {}) =>
  (response: ServerResponse): void =>
    void response.writeHead(status, headers).end()
const cuts = (response: ServerResponse): void => void response.destroy()
const breaksOff = (response: ServerResponse): void => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' }).write('{"a":')
  setTimeout(() => response.destroy(), 20)
}
const times = <T>(count: number, one: T): T[] => Array.from({ length: count }, () => one)
async function timed<T>(work: Promise<T>): Promise<{ result: T; ms: number }> {
  const started = performance.now()
  const result = await work
  return { result, ms: performance.now() - started }
}

describe('a server that is busy', () => {
  const form = { grant_type: 'client_credentials', client_secret: 'planted-4711' }
  const encoded = new URLSearchParams(form).toString()
  const stream = () => new Blob([encoded]).stream()
  const reads: Record<string, { call: (one: TestDoor, url: string) => Promise<{ status: number }>; method: string; body?: string }> = {
    GET: { method: 'GET', call: (one, url) => one.send({ method: 'GET', url }) },
    HEAD: { method: 'HEAD', call: (one, url) => one.fetch(url, { method: 'HEAD' }) },
    'a token POST': { method: 'POST', body: encoded, call: (one, url) => one.send({ method: 'POST', url: `${url}/token`, form }) },
    'a token POST as a Request': {
      method: 'POST',
      body: encoded,
      call: (one, url) => one.fetch(new Request(`${url}/token`, { method: 'POST', body: new URLSearchParams(form) })),
    },
    'a token POST with bytes': {
      method: 'POST',
      body: encoded,
      call: (one, url) => one.fetch(`${url}/token`, { method: 'POST', body: Buffer.from(encoded) }),
    },
    'a token POST with a stream': {
      method: 'POST',
      body: encoded,
      call: (one, url) => one.fetch(`${url}/token`, { method: 'POST', body: stream() }),
    },
  }
  const table = Object.keys(reads).flatMap((read) => [503, 429].map((status) => ({ read, status })))

  test.for(table)('$status to $read is waited for, and the very same request is sent again', async ({ read, status }) => {
    const { method, body = '', call } = reads[read] ?? reads['GET'] ?? expect.fail()
    const server = await fake(first(...times(3, says(status))))
    const one = door(server.origin)
    expect(await call(one, server.origin)).toMatchObject({ status: 200 })
    expect(server.requests.map((seen) => [seen.method, seen.body])).toEqual(times(4, [method, body]))
    const sent = server.requests.map(({ headers }) => [headers['content-type'], headers['content-length']])
    expect(new Set(sent.map(String)).size).toBe(1)
    expect(one.journal.map((entry) => [entry.class, entry.status])).toEqual([...times(3, ['read', status]), ['read', 200]])
  })

  test('a form keeps its content type however it is given', async () => {
    const server = await fake(first(says(503)))
    await door(server.origin).fetch(`${server.origin}/token`, { method: 'POST', body: new URLSearchParams(form) })
    const types = server.requests.map(({ headers }) => headers['content-type'])
    expect(types).toEqual(times(2, 'application/x-www-form-urlencoded;charset=UTF-8'))
  })

  test('a 503 without end is given up after the patience, with the last answer', async () => {
    let count = 0
    const server = await fake((_, response) => answerJson(response, 503, { count: ++count }))
    const { result, ms } = await timed(door(server.origin, { patienceMs: 800 }).send({ method: 'GET', url: server.origin }))
    expect(result).toMatchObject({ status: 503, json: { count } })
    expect(count).toBeGreaterThan(2)
    expect(ms).toBeGreaterThan(800)
    expect(ms).toBeLessThan(1_500)
  })

  test('a door without patience asks once', async () => {
    const server = await fake(first(says(503)))
    const one = closing(doorTo([server.origin]))
    expect(await one.send({ method: 'GET', url: server.origin })).toMatchObject({ status: 503 })
    expect(server.requests).toHaveLength(1)
  })

  test('the patience is with the server: a batch does not wait once an item', async () => {
    const server = await fake((_, response) => void response.writeHead(503).end())
    const servers: KnownServers = new Map()
    const batch = async () => {
      for (let item = 0; item < 5; item++) {
        await door(server.origin, { patienceMs: 600, servers }).send({ method: 'GET', url: server.origin })
      }
    }
    expect((await timed(batch())).ms).toBeLessThan(1_200)
  })

  test('a server that has answered since gets the whole patience again', async () => {
    const server = await fake(first(...times(2, says(503)), says(200), ...times(2, says(503))))
    const one = door(server.origin, { patienceMs: 1_500 })
    await one.send({ method: 'GET', url: server.origin })
    await sleep(1_600)
    expect(await one.send({ method: 'GET', url: server.origin })).toMatchObject({ status: 200 })
  })

  test('one address that is refused is given up, though the server answers all others', async () => {
    const server = await fake(({ path }, response) => (path === '/ok' ? answerJson(response, 200, {}) : says(503)(response)))
    const one = door(server.origin, { patienceMs: 800 })
    const others = setInterval(() => void one.send({ method: 'GET', url: `${server.origin}/ok` }).catch(() => {}), 20)
    const { result, ms } = await timed(one.send({ method: 'GET', url: server.origin }))
    clearInterval(others)
    expect(result).toMatchObject({ status: 503 })
    expect(ms).toBeLessThan(1_500)
  })
})

describe('Retry-After (RFC 9110 section 10.2.3)', () => {
  /** Milliseconds between the requests a server saw that answered the first one so. */
  async function gap(answer: () => [number, Record<string, string>]): Promise<number> {
    const seen: number[] = []
    const server = await fake((_, response) => {
      seen.push(performance.now())
      if (seen.length > 1) return answerJson(response, 200, {})
      const [status, headers] = answer()
      return void response.writeHead(status, headers).end()
    })
    expect(await door(server.origin).send({ method: 'GET', url: server.origin })).toMatchObject({ status: 200 })
    expect(seen).toHaveLength(2)
    return (seen[1] ?? 0) - (seen[0] ?? 0)
  }
  const second = (ms: number) => new Date(ms).toUTCString()
  const hourAgo = Date.now() - 3_600_000

  test.for([
    ['429 with seconds', () => [429, { 'retry-after': '1' }]],
    ['503 with seconds', () => [503, { 'retry-after': '1' }]],
    ['503 with a date by a clock that is an hour slow', () => [503, { 'retry-after': second(hourAgo + 1_000), date: second(hourAgo) }]],
  ] as [string, () => [number, Record<string, string>]][])('%s is obeyed: never earlier, and hardly later', async ([, answer]) => {
    const ms = await gap(answer)
    expect(ms).toBeGreaterThanOrEqual(1_000)
    expect(ms).toBeLessThan(1_800)
  })

  const date = 'Sun, 06 Nov 1994 08:49:37 GMT'
  const twoMinutes: readonly string[] = [
    '120',
    '0120',
    'Sun, 06 Nov 1994 08:51:37 GMT',
    'Sunday, 06-Nov-94 08:51:37 GMT',
    'Sun Nov  6 08:51:37 1994',
  ]
  test.for(twoMinutes)('"%s" is two minutes, which is more than the patience: rate_limited at once, and it says how long', async (text) => {
    // The spelling without a zone must not be read by the clock on our wall.
    vi.stubEnv('TZ', 'America/New_York')
    const server = await fake(first(...times(9, says(429, { 'retry-after': text, date }))))
    const { result, ms } = await timed(failureOf(door(server.origin).send({ method: 'GET', url: server.origin })))
    expect(result).toMatchObject({ code: 'rate_limited', details: { system: server.origin, retry_after_seconds: 120 } })
    expect(result.message).toContain('asks to wait 120 s; 10 s of 10 s are left')
    expect(ms).toBeLessThan(500)
    expect(server.requests).toHaveLength(1)
  })

  test('a 503 that asks for more than the patience is unavailable at once, and it says how long', async () => {
    const server = await fake(first(...times(9, says(503, { 'retry-after': '11' }))))
    const failure = await failureOf(door(server.origin).send({ method: 'GET', url: server.origin }))
    expect(failure).toMatchObject({ code: 'unavailable', details: { reason: 'retry_after', status: 503 } })
    expect(failure.message).toContain('asks to wait 11 s')
    expect(server.requests).toHaveLength(1)
  })

  test('what counts is what is left of the patience', async () => {
    const server = await fake(first(says(503, { 'retry-after': '1' }), says(429, { 'retry-after': '2' })))
    const failure = await failureOf(door(server.origin, { patienceMs: 2_500 }).send({ method: 'GET', url: server.origin }))
    expect(failure).toMatchObject({ code: 'rate_limited', details: { retry_after_seconds: 2 } })
    expect(failure.message).toContain('1 s of 2.5 s are left')
    expect(server.requests).toHaveLength(2)
  })

  test('a number without end is told as a number', async () => {
    const server = await fake(first(says(429, { 'retry-after': '9'.repeat(400) })))
    const { details } = await failureOf(door(server.origin).send({ method: 'GET', url: server.origin }))
    expect(details).toMatchObject({ retry_after_seconds: expect.any(Number) })
    expect(Number.isFinite((details as { retry_after_seconds: number }).retry_after_seconds)).toBe(true)
  })

  const nothing = ['soon', '-120', '1.5e9', '120 s', '', 'Sun', 'Sunday in May', '2999-01-01T00:00:00Z', 'Sun, 06 Nov 1994 08:49:36 GMT']
  test.for(nothing)('"%s" asks for no wait, and the ordinary pause is made', async (text) => {
    const server = await fake(first(says(503, { 'retry-after': text, date })))
    const { result, ms } = await timed(door(server.origin).send({ method: 'GET', url: server.origin }))
    expect(result).toMatchObject({ status: 200 })
    expect(ms).toBeLessThan(800)
  })
})

describe('a server that is away', () => {
  const passing = { 'a 502': says(502), 'a 504': says(504), 'a reset': cuts, 'an answer that breaks off': breaksOff } as const
  const shapes = Object.keys(passing) as (keyof typeof passing)[]

  test.for(shapes)('%s of a server that has answered is waited for', async (shape) => {
    const server = await fake(first(passing[shape], passing[shape]))
    const one = door(server.origin)
    await one.send({ method: 'GET', url: `${server.origin}/ok` })
    expect(await one.send({ method: 'GET', url: server.origin })).toMatchObject({ status: 200 })
    expect(server.requests).toHaveLength(4)
    expect(one.journal).toHaveLength(4)
  })

  test.for(shapes)('%s of a server that never answered is told at once, each time', async (shape) => {
    const server = await fake(first(...times(9, passing[shape])))
    const one = door(server.origin)
    for (let round = 1; round <= 3; round++) {
      const { result, ms } = await timed(one.send({ method: 'GET', url: server.origin }).catch((error: unknown) => error))
      const told = isToolkitError(result, 'unavailable') ? result.code : (result as { status: number }).status
      expect(['unavailable', 502, 504]).toContain(told)
      expect(ms).toBeLessThan(500)
      expect(server.requests).toHaveLength(round)
    }
  })

  test('a port where nobody listens is told at once', async () => {
    const server = await serve(first())
    await server.close()
    const { result, ms } = await timed(failureOf(door(server.origin).send({ method: 'GET', url: server.origin })))
    expect(result).toMatchObject({ code: 'unavailable', details: { reason: 'ECONNREFUSED' } })
    expect(ms).toBeLessThan(500)
  })

  test('a server that restarts on its port is waited for, by another door of the run too', async () => {
    const before = await serve(first())
    const servers: KnownServers = new Map()
    const [one, other] = [door(before.origin, { servers }), door(before.origin, { servers })]
    await one.send({ method: 'GET', url: before.origin })
    await before.close()
    const again = createServer((_, response) => answerJson(response, 200, { again: true }))
    closing({ close: () => new Promise((resolve) => again.close(() => resolve())) })
    setTimeout(() => again.listen(before.port, '127.0.0.1'), 1_000)
    const calls = [one, other].map((each) => timed(each.send({ method: 'GET', url: before.origin })))
    for (const { result, ms } of await Promise.all(calls)) {
      expect(result).toMatchObject({ status: 200, json: { again: true } })
      expect(ms).toBeGreaterThan(900)
      expect(ms).toBeLessThan(5_000)
    }
    again.closeAllConnections()
  })

  test('a server that stays away is given up after the patience, with the last failure', async () => {
    const server = await serve(first())
    const one = door(server.origin, { patienceMs: 700 })
    await one.send({ method: 'GET', url: server.origin })
    await server.close()
    const { result, ms } = await timed(failureOf(one.send({ method: 'GET', url: server.origin })))
    expect(result).toMatchObject({ code: 'unavailable', details: { reason: 'ECONNREFUSED' } })
    expect(ms).toBeGreaterThan(700)
    expect(ms).toBeLessThan(1_400)
  })
})

describe('a request that is made anew for each try', () => {
  const anew = (one: TestDoor, origin: string, path = '/token') =>
    one.patiently(origin, () => one.fetch(`${origin}${path}`, { method: 'POST' }))
  const once = (origin: string, options: Partial<DoorOptions> = {}) => door(origin, { isRead: () => 'once', ...options })

  test.for([500, 502, 503, 504])('is tried again after a %s, though the server never answered before', async (status) => {
    const server = await fake(first(...times(2, says(status))))
    expect(await anew(once(server.origin), server.origin)).toMatchObject({ status: 200 })
    expect(server.requests).toHaveLength(3)
  })

  test('that alone gets a 500 each time is given up after five tries while others are served', async () => {
    const server = await fake(({ path }, response) => (path === '/ok' ? answerJson(response, 200, {}) : says(500)(response)))
    const one = once(server.origin, { patienceMs: 60_000 })
    const others = setInterval(() => void anew(one, server.origin, '/ok').catch(() => {}), 20)
    const answer = await anew(one, server.origin)
    clearInterval(others)
    expect(answer.status).toBe(500)
    expect(server.requests.filter(({ path }) => path === '/token')).toHaveLength(5)
  })

  test('uses up the patience with a server that says 500 to all once, not once an item', async () => {
    const server = await fake((_, response) => says(500)(response))
    const servers: KnownServers = new Map()
    const one = once(server.origin, { patienceMs: 600, servers })
    const batch = async () => {
      for (let item = 0; item < 5; item++) expect((await anew(one, server.origin)).status).toBe(500)
    }
    expect((await timed(batch())).ms).toBeLessThan(1_200)
  })
})

describe('no wait', () => {
  const endings: Record<string, { answer: (response: ServerResponse) => void; ends: object; within: number }> = {
    'our own deadline passing': { answer: () => {}, ends: { code: 'unavailable', details: { reason: 'deadline' } }, within: 1_000 },
    'a login page': {
      answer: (response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
      ends: { code: 'unexpected_response' },
      within: 300,
    },
    'a redirect': { answer: says(302, { location: '/' }), ends: { code: 'unexpected_response' }, within: 300 },
    'a 500': { answer: says(500), ends: { status: 500 }, within: 300 },
    'a 401': { answer: says(401), ends: { status: 401 }, within: 300 },
  }
  test.for(Object.keys(endings))('follows %s, though the server has answered before', async (shape) => {
    const { answer, ends, within } = endings[shape] ?? expect.fail()
    const server = await fake(first(...times(9, answer)))
    const one = door(server.origin, { timeoutMs: 400 })
    await one.send({ method: 'GET', url: `${server.origin}/ok` })
    const { result, ms } = await timed(one.send({ method: 'GET', url: server.origin }).catch((error: unknown) => error))
    expect(result).toMatchObject(ends)
    expect(ms).toBeLessThan(within + 300)
    expect(server.requests).toHaveLength(2)
  })

  test('follows a certificate that does not verify, though the server has answered before', async () => {
    const server = await fake(first(), selfSigned('IP:127.0.0.1'))
    const servers: KnownServers = new Map([[server.origin, { hasAnswered: true }]])
    const { result, ms } = await timed(failureOf(door(server.origin, { servers }).send({ method: 'GET', url: server.origin })))
    expect(result).toMatchObject({ details: { reason: 'DEPTH_ZERO_SELF_SIGNED_CERT' } })
    expect(ms).toBeLessThan(800)
  })

  const stops: Record<string, (origin: string, stop: AbortController) => { call: Promise<unknown>; stopNow: () => unknown }> = {
    'the stop of the run': (origin, stop) => ({
      call: door(origin, { signal: stop.signal }).send({ method: 'GET', url: origin }),
      stopNow: () => stop.abort(),
    }),
    'the stop of the call': (origin, stop) => ({
      call: door(origin).fetch(new Request(origin, { signal: stop.signal })),
      stopNow: () => stop.abort(),
    }),
    'closing the door': (origin) => {
      const one = door(origin)
      return { call: one.send({ method: 'GET', url: origin }), stopNow: () => one.close() }
    },
  }
  test.for(Object.keys(stops))('outlives %s by a moment, not by the wait', async (shape) => {
    const server = await fake(first(...times(9, says(503, { 'retry-after': '5' }))))
    const { call, stopNow } = (stops[shape] ?? expect.fail())(server.origin, new AbortController())
    const failure = failureOf(call)
    await vi.waitUntil(() => server.requests.length === 1)
    await sleep(100)
    stopNow()
    const { result, ms } = await timed(failure)
    expect(result).toMatchObject({ code: 'unavailable', details: { reason: 'stopped' } })
    // A moment is 100 ms on an idle machine; the wait that was asked for is 5 s.
    expect(ms).toBeLessThan(1_000)
    expect(server.requests).toHaveLength(1)
  })
})

describe('a write is sent once', () => {
  const methods = ['POST', 'PUT', 'PATCH', 'DELETE']
  const answers: Record<string, (response: ServerResponse) => void> = {
    'a 503': says(503),
    'a 503 with Retry-After': says(503, { 'retry-after': '0' }),
    'a 429': says(429, { 'retry-after': '1' }),
    'a 502': says(502),
    'a reset after its body': cuts,
    'an answer that breaks off': breaksOff,
  }
  const table = Object.keys(answers).flatMap((shape) => methods.map((method) => ({ shape, method })))

  test.for(table)('$method, though $shape comes back from a server that has answered', async ({ shape, method }) => {
    const server = await fake(first(...times(9, answers[shape] ?? expect.fail())))
    const one = door(server.origin)
    await one.send({ method: 'GET', url: `${server.origin}/ok` })
    const write = one.latch.whileOpen(() => one.send({ method, url: server.origin, json: { name: 'agent' } }))
    const { result, ms } = await timed(write.catch((error: unknown) => error))
    const status = /\d+/.exec(shape)?.[0]
    expect(result).toMatchObject(status === undefined ? { code: 'unavailable' } : { status: Number(status) })
    expect(ms).toBeLessThan(500)
    await sleep(50)
    const isWrite = (seen: SeenRequest) => seen.method === method && seen.body === '{"name":"agent"}'
    expect(server.requests.filter(isWrite)).toHaveLength(1)
    expect(server.requests).toHaveLength(2)
    expect(one.journal.filter((entry) => entry.class === 'write')).toHaveLength(1)
  })

  test.for(methods)('%s, though the connection is reset before its body is read', async (method) => {
    let begun = 0
    const server = closing(
      await serveBytes((socket) => {
        begun++
        socket.resetAndDestroy()
      }),
    )
    const servers: KnownServers = new Map([[server.origin, { hasAnswered: true }]])
    const one = door(server.origin, { servers })
    const json = { name: 'x'.repeat(4_000_000) }
    const failure = await failureOf(one.latch.whileOpen(() => one.send({ method, url: server.origin, json })))
    expect(failure).toMatchObject({ code: 'unavailable' })
    await sleep(50)
    expect({ begun, connections: server.connections }).toEqual({ begun: 1, connections: 1 })
  })

  test('and a server that refuses it does not use up the patience of reads', async () => {
    const server = await fake(first(says(503), says(503)))
    const one = door(server.origin, { patienceMs: 500 })
    await one.latch.whileOpen(() => one.send({ method: 'POST', url: server.origin, json: {} }))
    await sleep(600)
    expect(await one.send({ method: 'GET', url: server.origin })).toMatchObject({ status: 200 })
  })
})

describe('progress', () => {
  test('tells what the server answers, how long we have waited and how long we would, every 2 s at most', async () => {
    const server = await fake((_, response) => void response.writeHead(503).end())
    const told: { words: string; at: number }[] = []
    const onWait = (words: string) => void told.push({ words, at: performance.now() })
    const servers: KnownServers = new Map()
    const reads = times(4, 0).map(() =>
      door(server.origin, { patienceMs: 5_000, servers, onWait }).send({ method: 'GET', url: server.origin }),
    )
    await Promise.all(reads)
    expect(told.length).toBeGreaterThanOrEqual(2)
    expect(told.length).toBeLessThanOrEqual(3)
    expect(told[0]?.words).toBe(`${server.origin} answers 503; waiting (0 s of 5 s)`)
    for (const [index, { words, at }] of told.entries()) {
      expect(words).toMatch(/^http:\/\/127\.0\.0\.1:\d+ answers 503; waiting \([0-5] s of 5 s\)$/)
      if (index > 0) expect(at - (told[index - 1]?.at ?? 0)).toBeGreaterThanOrEqual(2_000)
    }
  })

  test('tells why a connection failed', async () => {
    const server = await fake(first(cuts))
    const told: string[] = []
    const one = door(server.origin, { onWait: (words) => told.push(words) })
    await one.send({ method: 'GET', url: `${server.origin}/ok` })
    await one.send({ method: 'GET', url: server.origin })
    expect(told).toEqual([`${server.origin} cannot be reached: it cut the connection; waiting (0 s of 10 s)`])
  })

  test('is silent where nothing is waited for', async () => {
    const server = await fake(first(says(500), says(404)))
    const told: string[] = []
    const one = door(server.origin, { onWait: (words) => told.push(words) })
    for (let round = 0; round < 3; round++) await one.send({ method: 'GET', url: server.origin })
    expect(told).toEqual([])
  })
})

describe('the settings', () => {
  const read = (name: 'MCP_IDP_TIMEOUT' | 'MCP_IDP_PATIENCE', value?: string) => {
    const reader = new SettingsReader(() => value)
    const seconds = reader.seconds(name)
    reader.check('the outbound door')
    return seconds
  }
  const around = (settings: Record<string, string>, progress: (line: string) => void = () => {}) =>
    closing(
      createContext({ home: '/nowhere', profile: 'default', settings: (name) => settings[name], approve: async () => false, progress }),
    )

  test('are 30 s for one request and 60 s of patience where nothing is said', () => {
    expect([read('MCP_IDP_TIMEOUT'), read('MCP_IDP_PATIENCE')]).toEqual([30, 60])
  })
  test.for([
    ['MCP_IDP_TIMEOUT', '1'],
    ['MCP_IDP_TIMEOUT', '600'],
    ['MCP_IDP_PATIENCE', '0'],
    ['MCP_IDP_PATIENCE', '3600'],
  ] as const)('%s may be %s', ([name, value]) => {
    expect(read(name, value)).toBe(Number(value))
  })
  const wrong = ['-1', '1.5', '30s', '1e2', '0x10', ' 30', 'soon', 'Infinity', '3601', '999999999999']
  test.for(
    (['MCP_IDP_TIMEOUT', 'MCP_IDP_PATIENCE'] as const).flatMap((name) =>
      [...wrong, ...(name === 'MCP_IDP_TIMEOUT' ? ['0', '601'] : [])].map((value) => ({ name, value })),
    ),
  )('$name may not be "$value", and the bounds are told', ({ name, value }) => {
    const [least, most] = SETTINGS[name].seconds
    const problems = [{ path: name, expected: `whole seconds, ${least} to ${most}` }]
    expect(() => read(name, value)).toThrow(expect.objectContaining({ code: 'invalid_input', details: { problems } }))
  })

  test('reach the doors of a run: a request may take 30 s, one for a token 10 s, unless the settings say otherwise', async () => {
    const server = await fake(() => {})
    const asked: number[] = []
    const timeout = AbortSignal.timeout.bind(AbortSignal)
    vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => {
      asked.push(ms)
      return timeout(100)
    })
    const token = { method: 'GET', url: server.origin }
    const failures = [{}, { MCP_IDP_TIMEOUT: '7', MCP_IDP_TOKEN_TIMEOUT: '3' }].flatMap((settings) => {
      const run = around({ REGISTRY_URL: server.origin, ...settings })
      const registry = run.registryAs(async () => new Secret('planted-4711'))
      return [failureOf(run.doorTo(server.origin).send(token)), failureOf(registry.then((one) => one.health()))]
    })
    const messages = (await Promise.all(failures)).map(({ message }) => message)
    expect(messages).toEqual(['10 s', '30 s', '3 s', '7 s'].map((time) => `${server.origin} did not answer within ${time}`))
    expect(asked.toSorted((a, b) => a - b)).toEqual([3_000, 7_000, 10_000, 30_000])
  })

  test('reach the door of a run: reads wait 60 s unless MCP_IDP_PATIENCE says otherwise, and progress tells', async () => {
    const server = await fake(first(says(503), says(200), says(503, { 'retry-after': '10' })))
    const told: string[] = []
    const ask = (settings: Record<string, string>) =>
      around(settings, (line) => told.push(line))
        .doorTo(server.origin)
        .send({ method: 'GET', url: server.origin })
    expect(await ask({})).toMatchObject({ status: 200 })
    expect(told).toEqual([`${server.origin} answers 503; waiting (0 s of 60 s)`])
    expect((await failureOf(ask({ MCP_IDP_PATIENCE: '9' }))).message).toContain('9 s of 9 s are left')
  })

  test('share what a run knows: a server that one door has seen is waited for by the next', async () => {
    const server = await fake(first(cuts))
    const run = around({ REGISTRY_URL: server.origin })
    expect(await run.doorTo(server.origin).send({ method: 'GET', url: `${server.origin}/ok` })).toMatchObject({ status: 200 })
    const registry = await run.registryAs(async () => new Secret('planted-4711'))
    await failureOf(registry.health())
    expect(server.requests).toHaveLength(3)
  })

  test('that are wrong are told before anything is sent', async () => {
    const server = await fake(first())
    const run = around({ MCP_IDP_TIMEOUT: '0', MCP_IDP_PATIENCE: 'long' })
    expect(() => run.doorTo(server.origin)).toThrow(/MCP_IDP_TIMEOUT.*\n.*MCP_IDP_PATIENCE/s)
    expect(server.connections).toBe(0)
  })
})
