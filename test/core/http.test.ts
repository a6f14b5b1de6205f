/** The door against hostile servers: redirects, foreign URLs, endless, huge, false and broken answers, and writes while shut. */
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { brotliCompressSync, createGzip, gzipSync } from 'node:zlib'
import { afterEach, describe, expect, test } from 'vitest'
import { Secret } from '../../core/secret.js'
import { selfSigned } from '../fakes/certificate.js'
import { doorTo, failureOf, type TestDoor } from '../fakes/door.js'
import { type Answering, answerJson, type FakeServer, serve, serveBytes } from '../fakes/server.js'
import { admittedSpellings, refusedSpellings } from '../fakes/urls.js'

const bearer = new Secret('planted-bearer-4711')
const MB = 1_000_000

const toClose: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const one of toClose.splice(0).reverse()) await one.close()
})
const closing = <T extends { close(): Promise<void> }>(one: T): T => {
  toClose.push(one)
  return one
}
const fake = async (...args: Parameters<typeof serve>): Promise<FakeServer> => closing(await serve(...args))
const fakeBytes = async (...args: Parameters<typeof serveBytes>): Promise<FakeServer> => closing(await serveBytes(...args))
const door = (...args: Parameters<typeof doorTo>): TestDoor => closing(doorTo(...args))

describe('redirects (NW2)', () => {
  const calls = {
    GET: (one: TestDoor, url: string) => one.send({ method: 'GET', url, bearer }),
    HEAD: (one: TestDoor, url: string) => one.fetch(url, { method: 'HEAD', headers: { authorization: `Bearer ${bearer.reveal()}` } }),
    'POST token': (one: TestDoor, url: string) => one.send({ method: 'POST', url, form: { client_secret: bearer } }),
    POST: (one: TestDoor, url: string) => one.send({ method: 'POST', url, bearer, json: { secret: bearer } }),
    PUT: (one: TestDoor, url: string) => one.send({ method: 'PUT', url, bearer, json: { secret: bearer } }),
    DELETE: (one: TestDoor, url: string) => one.send({ method: 'DELETE', url, bearer }),
  } as const
  const table = [301, 302, 303, 307, 308].flatMap((status) =>
    (Object.keys(calls) as (keyof typeof calls)[]).map((call) => ({ status, call })),
  )
  expect(table).toHaveLength(30)

  test.for(table)('a $status to a $call is an error and reaches nobody, though the target may be called', async ({ status, call }) => {
    const target = await fake((_, response) => answerJson(response, 200, {}))
    const server = await fake((_, response) => response.writeHead(status, { location: `${target.origin}/stolen` }).end())
    const one = door([server.origin, target.origin])
    const failure = await failureOf(one.latch.whileOpen(() => calls[call](one, `${server.origin}/start`)))
    expect(failure).toMatchObject({ code: 'unexpected_response', details: { reason: 'redirect', status } })
    expect(target.connections).toBe(0)
    expect(server.requests).toHaveLength(1)
  })

  test('a redirect within the same server is not followed either', async () => {
    const server = await fake((_, response) => response.writeHead(307, { location: '/elsewhere' }).end())
    await failureOf(door([server.origin]).send({ method: 'GET', url: server.origin, bearer }))
    expect(server.requests.map(({ path }) => path)).toEqual(['/'])
  })
})

describe('URLs (NW1)', () => {
  const ports = { allowed: 40001, collector: 40002 }
  const refused = refusedSpellings(ports.allowed, ports.collector)

  test('the table has at least 30 spellings, each once', () => {
    expect(new Set(refused).size).toBe(refused.length)
    expect(refused.length).toBeGreaterThanOrEqual(30)
  })

  test('every foreign spelling is refused before a socket opens', async () => {
    const allowed = await fake((_, response) => answerJson(response, 200, {}))
    const collector = await fake((_, response) => answerJson(response, 200, {}))
    const one = door([allowed.origin])
    const table = refusedSpellings(allowed.port, collector.port)
    for (const url of table) {
      const failure = await failureOf(one.send({ method: 'GET', url, bearer }))
      expect([url, failure.code]).toEqual([url, expect.stringMatching(/^(?:unexpected_response|internal)$/)])
    }
    expect({ allowed: allowed.connections, collector: collector.connections }).toEqual({ allowed: 0, collector: 0 })
    expect(one.journal).toEqual([])
    console.log(`NW1: ${table.length} foreign URL spellings, 0 connections`)
  })

  test('a Request object is held to the same list', async () => {
    const allowed = await fake((_, response) => answerJson(response, 200, {}))
    const collector = await fake((_, response) => answerJson(response, 200, {}))
    const request = new Request(`${collector.origin}/x`, { headers: { authorization: 'Bearer x' } })
    expect(await failureOf(door([allowed.origin]).fetch(request))).toMatchObject({ details: { reason: 'foreign_origin' } })
    expect(collector.connections).toBe(0)
  })

  test('other spellings of the configured origin go there and nowhere else', async () => {
    const allowed = await fake((_, response) => answerJson(response, 200, {}))
    const collector = await fake((_, response) => answerJson(response, 200, {}))
    const one = door([allowed.origin])
    const table = admittedSpellings(allowed.port, collector.port)
    for (const url of table) expect([url, (await one.send({ method: 'GET', url, bearer })).status]).toEqual([url, 200])
    expect(allowed.requests).toHaveLength(table.length)
    expect(collector.connections).toBe(0)
  })

  test('a refusal does not repeat a password that stood in the URL', async () => {
    const server = await fake((_, response) => answerJson(response, 200, {}))
    const url = `http://user:planted-password@127.0.0.1:${server.port}/`
    const failure = await failureOf(door([server.origin]).send({ method: 'GET', url }))
    expect(`${failure.message} ${failure.hint} ${JSON.stringify(failure.details)}`).not.toContain('planted-password')
  })
})

describe('answers that do not end', () => {
  const shapes: Record<string, Answering> = {
    'no headers': () => {},
    'headers and no body': (_, response) => response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders(),
    'a body that never ends': (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const timer = setInterval(() => response.write(' '), 20)
      response.on('close', () => clearInterval(timer))
    },
    'an error whose body never ends': (_, response) => response.writeHead(500, { 'content-type': 'application/json' }).write('{'),
  }
  test.for(Object.keys(shapes))('%s: unavailable at the deadline', async (shape) => {
    const server = await fake(shapes[shape] ?? (() => {}))
    const started = performance.now()
    const failure = await failureOf(door([server.origin], { timeoutMs: 400 }).send({ method: 'GET', url: server.origin, bearer }))
    expect(failure).toMatchObject({ code: 'unavailable', details: { reason: 'deadline' } })
    expect(performance.now() - started).toBeGreaterThan(350)
    expect(performance.now() - started).toBeLessThan(1_500)
  })

  test('the deadline counts the wait for a free connection', async () => {
    const server = await fake(() => {})
    const one = door([server.origin], { timeoutMs: 500 })
    const started = performance.now()
    const failures = await Promise.all(Array.from({ length: 20 }, () => failureOf(one.send({ method: 'GET', url: server.origin }))))
    expect(new Set(failures.map(({ code }) => code))).toEqual(new Set(['unavailable']))
    expect(performance.now() - started).toBeLessThan(2_000)
  })

  test('the signal of the run and the signal of a call both end it at once', async () => {
    const server = await fake(() => {})
    const stop = new AbortController()
    const one = door([server.origin], { signal: stop.signal, timeoutMs: 10_000 })
    const call = new AbortController()
    setTimeout(() => call.abort(), 50)
    const request = new Request(server.origin, { signal: call.signal })
    expect(await failureOf(one.fetch(request))).toMatchObject({ code: 'unavailable', details: { reason: 'stopped' } })
    setTimeout(() => stop.abort(), 50)
    expect(await failureOf(one.fetch(server.origin))).toMatchObject({ code: 'unavailable', details: { reason: 'stopped' } })
  })

  test('closing the door does not wait for a server that hangs', async () => {
    const server = await fake(() => {})
    const one = doorTo([server.origin], { timeoutMs: 10_000 })
    const hanging = failureOf(one.send({ method: 'GET', url: server.origin }))
    await sleep(50)
    const started = performance.now()
    await one.close()
    expect(await hanging).toMatchObject({ code: 'unavailable' })
    expect(performance.now() - started).toBeLessThan(1_000)
  })
})

describe('answers that are too large (NW4)', () => {
  const json = { 'content-type': 'application/json' }
  const flood: Answering = (_, response) => {
    const chunk = Buffer.alloc(64 * 1024, ' ')
    Readable.from(
      (function* () {
        for (let sent = 0; sent < 100 * MB; sent += chunk.byteLength) yield chunk
      })(),
    )
      .on('error', () => {})
      .pipe(response)
  }
  const bomb = async () => {
    const gzip = createGzip()
    const chunks: Buffer[] = []
    gzip.on('data', (chunk: Buffer) => chunks.push(chunk))
    for (let made = 0; made < 100 * MB; made += MB) if (!gzip.write(Buffer.alloc(MB, ' '))) await once(gzip, 'drain')
    gzip.end()
    await once(gzip, 'end')
    return Buffer.concat(chunks)
  }
  const refusal = { code: 'unexpected_response', details: { reason: 'too_large' } }

  test('100 MB are refused at the cap, and the server is cut off', async () => {
    const server = await fake((request, response) => {
      response.writeHead(200, json)
      flood(request, response)
    })
    expect(await failureOf(door([server.origin]).send({ method: 'GET', url: server.origin }))).toMatchObject(refusal)
  })

  test('an error answer of 100 MB is refused at the cap too', async () => {
    const server = await fake((request, response) => {
      response.writeHead(500, json)
      flood(request, response)
    })
    expect(await failureOf(door([server.origin]).send({ method: 'GET', url: server.origin }))).toMatchObject(refusal)
  })

  test('a gzip bomb is refused by its size after decompression, ten times over without the memory to show for it', async () => {
    const bytes = await bomb()
    expect(bytes.byteLength).toBeLessThan(200_000)
    const server = await fake((_, response) => response.writeHead(200, { ...json, 'content-encoding': 'gzip' }).end(bytes))
    const one = door([server.origin])
    const before = process.memoryUsage().rss
    for (let round = 0; round < 10; round++) {
      expect(await failureOf(one.send({ method: 'GET', url: server.origin }))).toMatchObject(refusal)
    }
    const grown = process.memoryUsage().rss - before
    console.log(`NW4: ten 100 MB gzip bombs, RSS +${Math.round(grown / MB)} MB`)
    expect(grown).toBeLessThan(50 * MB)
  })

  test.for([
    ['a bomb in a bomb', 'gzip, gzip', async () => gzipSync(await bomb())],
    ['a brotli bomb', 'br', async () => brotliCompressSync(Buffer.alloc(20 * MB, ' '))],
  ] as const)('%s is refused at the cap', async ([, encoding, make]) => {
    const bytes = await make()
    const server = await fake((_, response) => response.writeHead(200, { ...json, 'content-encoding': encoding }).end(bytes))
    expect(await failureOf(door([server.origin]).send({ method: 'GET', url: server.origin }))).toMatchObject(refusal)
  })

  test('an answer of exactly the cap is read whole', async () => {
    const server = await fake((_, response) => answerJson(response, 200, 'x'.repeat(998)))
    expect(await door([server.origin], { maxBytes: 1_000 }).send({ method: 'GET', url: server.origin })).toMatchObject({ status: 200 })
    const failure = await failureOf(door([server.origin], { maxBytes: 999 }).send({ method: 'GET', url: server.origin }))
    expect(failure).toMatchObject(refusal)
  })
})

describe('answers that are not what they should be', () => {
  const typed = (type: string | undefined, body: string | Buffer, more: Record<string, string> = {}): Answering => {
    return (_, response) => response.writeHead(200, { ...(type === undefined ? {} : { 'content-type': type }), ...more }).end(body)
  }
  const foreign: Record<string, Answering> = {
    'a login page': typed('text/html; charset=utf-8', '<html>Sign in</html>'),
    'plain text': typed('text/plain', 'ok'),
    'no content type': typed(undefined, '{}'),
    'a type that only starts like JSON': typed('application/jsonp', 'x({})'),
    'half a JSON document': typed('application/json', '{"clients": ['),
    'a page that claims to be JSON': typed('application/json', '<html>'),
    'bytes that are not gzip': typed('application/json', 'not gzip', { 'content-encoding': 'gzip' }),
    'half a gzip stream': typed('application/json', gzipSync(JSON.stringify({ a: 'x'.repeat(5000) })).subarray(0, 30), {
      'content-encoding': 'gzip',
    }),
  }
  test.for(Object.keys(foreign))('%s with status 200 is an unexpected response', async (shape) => {
    const server = await fake(foreign[shape] ?? (() => {}))
    const one = door([server.origin])
    expect(await failureOf(one.send({ method: 'GET', url: server.origin }))).toMatchObject({ code: 'unexpected_response' })
    expect(await failureOf(one.fetch(server.origin))).toMatchObject({ code: 'unexpected_response' })
  })

  test('the message of a refusal does not quote the page', async () => {
    const server = await fake(typed('text/html', '<html>planted-page-text</html>'))
    const failure = await failureOf(door([server.origin]).send({ method: 'GET', url: server.origin }))
    expect(failure.message + JSON.stringify(failure.details)).not.toContain('planted-page-text')
  })

  test.for(['application/json', 'application/json; charset=utf-8', 'application/scim+json', 'Application/JSON'])(
    '%s is JSON',
    async (type) => {
      const server = await fake(typed(type, '{"a":1}'))
      expect(await door([server.origin]).send({ method: 'GET', url: server.origin })).toMatchObject({ status: 200, json: { a: 1 } })
    },
  )

  test('a HEAD answer has no body to be JSON, encoded or not', async () => {
    const head = { 'content-type': 'application/json', 'content-encoding': 'gzip' }
    const server = await fake((_, response) => response.writeHead(200, head).end())
    expect((await door([server.origin]).fetch(server.origin, { method: 'HEAD' })).status).toBe(200)
  })

  test('an empty success needs no content type', async () => {
    const server = await fake((_, response) => response.writeHead(204).end())
    expect(await door([server.origin]).send({ method: 'GET', url: server.origin })).toMatchObject({ status: 204, json: undefined })
  })

  test('an error status is an answer, with its JSON or without', async () => {
    const server = await fake(({ path }, response) => {
      if (path === '/json') answerJson(response, 409, { error: 'conflict' })
      else response.writeHead(502, { 'content-type': 'text/html' }).end('<html>Bad gateway</html>')
    })
    const one = door([server.origin])
    expect(await one.send({ method: 'GET', url: `${server.origin}/json` })).toMatchObject({ status: 409, json: { error: 'conflict' } })
    expect(await one.send({ method: 'GET', url: `${server.origin}/page` })).toMatchObject({ status: 502, json: undefined })
  })

  const raw: Record<string, [string, string]> = {
    'a length that is not kept': ['unavailable', 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{"a":'],
    'chunks that break off': [
      'unavailable',
      'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"a":\r\n',
    ],
    'no answer at all': ['unavailable', ''],
    'bytes that are not HTTP': ['unexpected_response', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
    'a status outside HTTP': ['unexpected_response', 'HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n'],
    'headers without end': ['unexpected_response', `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(100_000)}\r\n\r\n`],
  }
  test.for(Object.keys(raw))('%s is an error with a reason', async (shape) => {
    const [code, bytes] = raw[shape] ?? ['', '']
    const server = await fakeBytes((socket) => socket.end(bytes))
    const failure = await failureOf(door([server.origin]).send({ method: 'GET', url: server.origin }))
    expect(failure).toMatchObject({ code, details: { reason: expect.stringMatching(/\w/) } })
  })

  test('a content-free status with a body is read as empty', async () => {
    const server = await fakeBytes((socket) =>
      socket.end('HTTP/1.1 205 Reset\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}'),
    )
    expect(await door([server.origin]).send({ method: 'GET', url: server.origin })).toMatchObject({ status: 205, json: undefined })
  })
})

describe('servers that cannot be reached', () => {
  const self = selfSigned('IP:127.0.0.1')
  const otherName = selfSigned('DNS:idp.example.com')
  const answering: Answering = (_, response) => answerJson(response, 200, {})

  test('an unknown name is unavailable, and says so', async () => {
    const failure = await failureOf(door(['http://nobody.invalid']).send({ method: 'GET', url: 'http://nobody.invalid/', bearer }))
    expect(failure).toMatchObject({ code: 'unavailable', details: { reason: expect.stringMatching(/^(?:ENOTFOUND|EAI_AGAIN)$/) } })
    expect(failure.message).toContain('cannot be resolved')
  })

  test('a refused port is unavailable, and says so', async () => {
    const server = await serve(answering)
    await server.close()
    const failure = await failureOf(door([server.origin]).send({ method: 'GET', url: server.origin, bearer }))
    expect(failure).toMatchObject({ code: 'unavailable', details: { reason: 'ECONNREFUSED' } })
  })

  test('a self-signed certificate is unavailable until its authority is named', async () => {
    const server = await fake(answering, self)
    const failure = await failureOf(door([server.origin]).send({ method: 'GET', url: server.origin, bearer }))
    expect(failure).toMatchObject({ code: 'unavailable', details: { reason: 'DEPTH_ZERO_SELF_SIGNED_CERT' } })
    expect(failure.hint).toContain('NODE_EXTRA_CA_CERTS')
    expect(server.requests).toEqual([])
    expect(await door([server.origin], { ca: self.cert }).send({ method: 'GET', url: server.origin })).toMatchObject({ status: 200 })
  })

  test('a trusted certificate for another name is unavailable', async () => {
    const server = await fake(answering, otherName)
    const failure = await failureOf(door([server.origin], { ca: otherName.cert }).send({ method: 'GET', url: server.origin, bearer }))
    expect(failure).toMatchObject({ code: 'unavailable', details: { reason: 'ERR_TLS_CERT_ALTNAME_INVALID' } })
    expect(server.requests).toEqual([])
  })

  test('a plain server behind an https URL is unavailable, and the certificate is not blamed', async () => {
    const server = await fake(answering)
    const url = server.origin.replace('http:', 'https:')
    const failure = await failureOf(door([url]).send({ method: 'GET', url, bearer }))
    expect(failure).toMatchObject({ code: 'unavailable', details: { reason: expect.stringMatching(/SSL|EPROTO/) } })
    expect(failure.message).not.toContain('does not verify')
  })
})

describe('writes while the latch is shut', () => {
  const writes = ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'post', 'MKCOL']

  test.for(writes)('%s reaches nobody', async (method) => {
    const server = await fake((_, response) => answerJson(response, 200, {}))
    expect(await failureOf(door([server.origin]).fetch(server.origin, { method }))).toMatchObject({ code: 'internal' })
    expect(await failureOf(door([server.origin]).fetch(new Request(server.origin, { method })))).toMatchObject({ code: 'internal' })
    expect(server.connections).toBe(0)
  })

  test('a token POST that isRead names goes through, another POST does not', async () => {
    const server = await fake((_, response) => answerJson(response, 200, { access_token: 'x' }))
    const one = door([server.origin], { isRead: ({ method, url }) => method === 'POST' && url.pathname === '/token' })
    const answer = await one.send({
      method: 'POST',
      url: `${server.origin}/token`,
      form: { grant_type: 'client_credentials', client_secret: bearer },
    })
    expect(answer.status).toBe(200)
    expect(server.requests[0]?.body).toBe(`grant_type=client_credentials&client_secret=${bearer.reveal()}`)
    await failureOf(one.send({ method: 'POST', url: `${server.origin}/token/revoke`, form: { token: bearer } }))
    expect(server.requests).toHaveLength(1)
    expect(one.journal.map((entry) => entry.class)).toEqual(['read'])
  })

  test('the latch is open for the length of one apply, and shut again when that fails', async () => {
    const server = await fake((_, response) => answerJson(response, 200, {}))
    const one = door([server.origin])
    const write = () => one.send({ method: 'POST', url: server.origin, json: {} })
    await expect(
      one.latch.whileOpen(async () => {
        await write()
        throw new Error('the apply fails')
      }),
    ).rejects.toThrow('the apply fails')
    expect(server.requests).toHaveLength(1)
    expect(await failureOf(write())).toMatchObject({ code: 'internal' })
    expect(server.requests).toHaveLength(1)
  })
})

describe('the journal', () => {
  const answering: Answering = ({ path }, response) => {
    if (path.startsWith('/moved')) response.writeHead(302, { location: '/' }).end()
    else if (path.startsWith('/page')) response.writeHead(200, { 'content-type': 'text/html' }).end('<html>')
    else if (path.startsWith('/large')) answerJson(response, 200, 'x'.repeat(2_000))
    else if (path.startsWith('/cut')) response.destroy()
    else response.writeHead(200, { 'content-type': 'application/json', 'x-request-id': 'r-1' }).end('{}')
  }

  test('has one entry for each request that left, however it ended', async () => {
    const server = await fake(answering)
    const one = door([server.origin], { maxBytes: 1_000 })
    for (const path of ['/ok', '/moved', '/page', '/large', '/cut']) {
      for (let round = 0; round < 2; round++) await one.send({ method: 'GET', url: server.origin + path }).catch(() => {})
    }
    const told = one.journal.map(({ url, status, error }) => [new URL(url).pathname, status, error])
    const once = [
      ['/ok', 200, undefined],
      ['/moved', 302, 'unexpected_response'],
      ['/page', 200, 'unexpected_response'],
      ['/large', 200, 'unexpected_response'],
      ['/cut', undefined, 'unavailable'],
    ]
    expect(told).toEqual(once.flatMap((entry) => [entry, entry]))
    expect(one.journal[0]).toMatchObject({ method: 'GET', class: 'read', request_id: 'r-1' })
  })

  test('keeps concurrent requests to one URL apart', async () => {
    let calls = 0
    const server = await fake((_, response) => (calls++ % 2 === 0 ? answerJson(response, 200, {}) : response.destroy()))
    const one = door([server.origin])
    await Promise.allSettled(Array.from({ length: 10 }, () => one.fetch(server.origin)))
    expect(one.journal).toHaveLength(10)
    expect(one.journal.filter(({ error }) => error === 'unavailable')).toHaveLength(5)
  })

  test('never holds a query, a header or a body', async () => {
    const server = await fake(answering)
    const told: unknown[] = []
    const one = door([server.origin], { onRequest: (entry) => told.push(entry) })
    await one.latch.whileOpen(() =>
      one.send({ method: 'POST', url: `${server.origin}/ok?code=${bearer.reveal()}`, bearer, json: { secret: bearer } }),
    )
    expect(server.requests[0]).toMatchObject({ path: `/ok?code=${bearer.reveal()}`, body: JSON.stringify({ secret: bearer.reveal() }) })
    expect(JSON.stringify([one.journal, told])).not.toContain(bearer.reveal())
    expect(told).toEqual(one.journal)
  })
})
