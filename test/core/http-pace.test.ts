/**
 * The pace of the door: nothing leaves before the server allows it, by the server's own log and by its own clock; who came
 * first goes first; a wait that is too long is told at once. What was under way when the server spoke does not count.
 */
import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { DoorOptions } from '../../core/http.js'
import { type Pace, turn } from '../../core/http-pace.js'
import type { KnownServers } from '../../core/http-patience.js'
import { doorTo, failureOf, type TestDoor } from '../fakes/door.js'
import { type Answering, answerJson, type FakeServer, serve } from '../fakes/server.js'
import { scaled } from '../scale.js'

const toClose: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const one of toClose.splice(0).reverse()) await one.close()
})
const closing = <T extends { close(): Promise<void> }>(one: T): T => {
  toClose.push(one)
  return one
}

type Headers = Readonly<Record<string, string>>
interface TimedServer extends FakeServer {
  /** When each request came, by path. */
  readonly came: { readonly path: string; readonly at: number }[]
}
/** Remembers when requests came. */
async function timedServer(answer: Answering): Promise<TimedServer> {
  const came: { path: string; at: number }[] = []
  const server = await serve((request, response) => {
    came.push({ path: request.path, at: performance.now() })
    answer(request, response)
  })
  return closing(Object.assign(server, { came }))
}
/** Sends each request once, whatever the answer; every request is a token request. */
const door = (origin: string, options: Partial<DoorOptions> = {}): TestDoor =>
  closing(doorTo([origin], { patienceMs: 10_000, isRead: () => 'once', ...options }))
const ask = (one: TestDoor, origin: string, path: string) => one.send({ method: 'POST', url: `${origin}${path}` })
const says = (response: ServerResponse, status: number, headers: Headers = {}) => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end('{}')
}
const at = (server: TimedServer, path: string) => server.came.find((one) => one.path === path)?.at ?? expect.fail(`${path} never came`)
const numbers = (count: number) => Array.from({ length: count }, (_, index) => index)

describe('a time that the server names', () => {
  test('holds everybody else too, in every door of the run; those under way are answered', async () => {
    let refusedAt = 0
    const server = await timedServer(async ({ path }, response) => {
      if (path === '/slow') await sleep(300)
      if (path === '/refused') refusedAt = performance.now()
      says(response, path === '/refused' ? 429 : 200, path === '/refused' ? { 'retry-after': '1' } : {})
    })
    const servers: KnownServers = new Map()
    const [one, other] = [door(server.origin, { servers }), door(server.origin, { servers })]
    const slow = ask(one, server.origin, '/slow')
    expect(await ask(one, server.origin, '/refused')).toMatchObject({ status: 429 })
    const later = numbers(12).map((index) => ask(index % 2 === 0 ? one : other, server.origin, `/later${index}`))
    expect((await Promise.all([slow, ...later])).map(({ status }) => status)).toEqual(Array(13).fill(200))
    const early = numbers(12).filter((index) => at(server, `/later${index}`) < refusedAt + 1_000)
    expect(early).toEqual([])
    expect(at(server, '/later11')).toBeLessThan(refusedAt + 2_000)
  })

  test('that is later than another counts; an earlier one does not shorten it', async () => {
    const server = await timedServer(async ({ path }, response) => {
      const wait = /\d/.exec(path)?.[0] ?? ''
      if (wait === '1') await sleep(200)
      says(response, path === '/go' ? 200 : 429, { 'retry-after': wait })
    })
    const one = door(server.origin)
    await Promise.all([ask(one, server.origin, '/2'), ask(one, server.origin, '/1')])
    await ask(one, server.origin, '/go')
    expect(at(server, '/go') - at(server, '/2')).toBeGreaterThanOrEqual(2_000)
  })

  test('is kept to the millisecond: timers that fire early let nobody out', async () => {
    const lates = await Promise.all(
      numbers(40).map(async () => {
        let until = 0
        const server = await timedServer((_, response) => {
          const isFirst = until === 0
          if (isFirst) until = performance.now() + 1_000
          says(response, isFirst ? 429 : 200, isFirst ? { 'retry-after': '1' } : {})
        })
        const one = door(server.origin)
        await ask(one, server.origin, '/first')
        await Promise.all(numbers(3).map((index) => ask(one, server.origin, `/${index}`)))
        return Math.min(...numbers(3).map((index) => at(server, `/${index}`) - until))
      }),
    )
    expect(lates.filter((late) => late < 0)).toEqual([])
  })

  test('that asks for more than the patience fails those who wait already, at once, and names the wait', async () => {
    const server = await timedServer(async ({ path }, response) => {
      if (path === '/long') await sleep(300)
      says(response, 429, { 'retry-after': path === '/long' ? '120' : '2' })
    })
    const one = door(server.origin, { patienceMs: 5_000 })
    const long = ask(one, server.origin, '/long')
    await ask(one, server.origin, '/short')
    const waiting = numbers(5).map((index) => failureOf(ask(one, server.origin, `/waits${index}`)))
    await long
    const began = performance.now()
    const failures = [...(await Promise.all(waiting)), await failureOf(ask(one, server.origin, '/new'))]
    expect(performance.now() - began).toBeLessThan(500)
    for (const failure of failures) {
      expect(failure).toMatchObject({ code: 'rate_limited', details: { system: server.origin, retry_after_seconds: 120 } })
      expect(failure.message).toMatch(/answers 429 and asks to wait 120 s; [45] s of 5 s are left/)
    }
    expect(server.requests).toHaveLength(2)
  })

  test('with a 503 is told as a 503', async () => {
    const server = await timedServer((_, response) => says(response, 503, { 'retry-after': '60' }))
    const one = door(server.origin)
    await ask(one, server.origin, '/')
    const failure = await failureOf(ask(one, server.origin, '/'))
    expect(failure).toMatchObject({ code: 'unavailable', details: { reason: 'retry_after', status: 503 } })
    expect(failure.message).toContain('answers 503 and asks to wait 60 s')
    expect(server.requests).toHaveLength(1)
  })
})

describe('a rate limit', () => {
  const clocks: Readonly<Record<string, number>> = { right: 0, '10 minutes fast': 600_000, 'a day slow': -86_400_000 }
  const table = ['X-Rate-Limit', 'X-RateLimit', 'RateLimit'].flatMap((prefix) => [
    { prefix, clock: 'right', form: 'seconds' },
    ...Object.keys(clocks).map((clock) => ({ prefix, clock, form: 'epoch' })),
  ])

  test('with nothing left is waited for until its reset, however that is spelled and by whatever clock', async () => {
    const waits = table.map(async ({ prefix, clock, form }) => {
      let until = 0
      const server = await timedServer((_, response) => {
        if (until > 0) return says(response, 200)
        const now = Date.now() + (clocks[clock] ?? 0)
        const second = Math.floor(now / 1000)
        until = performance.now() + (form === 'epoch' ? (second + 2) * 1000 - now : 1_000)
        const reset = form === 'epoch' ? String(second + 2) : '1'
        says(response, 200, { date: new Date(now).toUTCString(), [`${prefix}-Remaining`]: '0', [`${prefix}-Reset`]: reset })
      })
      const one = door(server.origin)
      await ask(one, server.origin, '/first')
      await ask(one, server.origin, '/second')
      return { prefix, clock, form, late: at(server, '/second') - until }
    })
    const told = await Promise.all(waits)
    expect(told).toHaveLength(12)
    // The server's clock tells whole seconds.
    expect(told.filter(({ late }) => late < 0 || late > 1_900)).toEqual([])
  })

  test('is never overdrawn, though answers overtake each other and some are lost', async () => {
    const total = { requests: 0, lost: 0, overdrawn: 0 }
    const run = async (limit: number, delays: readonly number[]) => {
      let [until, used, windows] = [0, 0, 0]
      const server = await serve(async ({ path }, response) => {
        const now = performance.now()
        if (now >= until) [until, used, windows] = [now + 3_000, 0, windows + 1]
        used += 1
        total.requests += 1
        if (used > limit) total.overdrawn += 1
        const left = String(Math.max(0, limit - used))
        const reset = String(Math.ceil((until - now) / 1000))
        // Nobody can tell in which window a lost one was counted that left at the end of one.
        const isLater = windows > 1
        const delay = delays[Number(path.slice(1))] ?? 0
        await sleep(delay)
        if (delay % 7 !== 6 || isLater)
          return says(response, 200, { 'RateLimit-Limit': String(limit), 'RateLimit-Remaining': left, 'RateLimit-Reset': reset })
        total.lost += 1
        response.destroy()
      })
      const one = doorTo([server.origin], { patienceMs: 60_000, isRead: () => 'once', connections: 16 })
      await ask(one, server.origin, '/first')
      await Promise.all(delays.map((_, index) => ask(one, server.origin, `/${index}`).catch(() => undefined)))
      await Promise.all([one.close(), server.close()])
    }
    const seed = Date.now() % 1_000_000
    console.log(`rate limits: seed ${seed}`)
    const limit = fc.integer({ min: 2, max: 12 })
    const delays = (length: number) => fc.array(fc.integer({ min: 0, max: 20 }), { minLength: length, maxLength: length })
    const scenes = fc.sample(
      limit.chain((most) => fc.tuple(fc.constant(most), delays(2 * most))),
      { seed, numRuns: scaled(100) },
    )
    await Promise.all(scenes.map((scene) => run(...scene)))
    console.log(
      `rate limits: ${scenes.length} servers, ${total.requests} requests, ${total.lost} answers lost, ${total.overdrawn} overdrawn`,
    )
    expect(total.overdrawn).toBe(0)
    expect(total.requests).toBeGreaterThan(scenes.length * 6)
    expect(total.lost).toBeGreaterThan(0)
  })

  test('that has something left is used up, not waited for', async () => {
    let left = 100
    const server = await timedServer((_, response) =>
      says(response, 200, { 'RateLimit-Remaining': String(--left), 'RateLimit-Reset': '60' }),
    )
    const one = door(server.origin, { connections: 16 })
    await Promise.all(numbers(100).map((index) => ask(one, server.origin, `/${index}`)))
    expect(left).toBe(0)
    const failure = await failureOf(ask(one, server.origin, '/more'))
    expect(failure).toMatchObject({ code: 'rate_limited', details: { retry_after_seconds: 60 } })
  })

  test('of a window that is over does not narrow the next one', async () => {
    const server = await timedServer(async ({ path }, response) => {
      const isOld = path === '/old'
      if (isOld) await sleep(200)
      says(response, 200, { 'RateLimit-Remaining': isOld ? '1' : '50', 'RateLimit-Reset': isOld ? '3' : '9' })
    })
    const one = door(server.origin)
    await Promise.all([ask(one, server.origin, '/old'), ask(one, server.origin, '/first')])
    const began = performance.now()
    await Promise.all(numbers(8).map((index) => ask(one, server.origin, `/${index}`)))
    expect(performance.now() - began).toBeLessThan(1_000)
  })

  test('with a reset that no timer can hold makes nobody spin', async () => {
    const warnings: string[] = []
    const onWarning = ({ name }: Error) => void warnings.push(name)
    process.on('warning', onWarning)
    const server = await timedServer(async (_, response) => {
      await sleep(100)
      says(response, 200, { 'RateLimit-Remaining': '1', 'RateLimit-Reset': '999999999' })
    })
    const one = door(server.origin)
    await ask(one, server.origin, '/first')
    await Promise.all([ask(one, server.origin, '/a'), ask(one, server.origin, '/b')])
    process.off('warning', onWarning)
    expect(warnings).toEqual([])
    expect(at(server, '/b')).toBeGreaterThanOrEqual(at(server, '/a') + 99)
  })
})

describe('the line', () => {
  test('is left in the order in which it was joined', async () => {
    let window = 0
    const server = await timedServer((_, response) => {
      window += 1
      says(response, 200, { 'RateLimit-Limit': '3', 'RateLimit-Remaining': String(2 - ((window - 1) % 3)), 'RateLimit-Reset': '1' })
    })
    const one = door(server.origin)
    await ask(one, server.origin, '/first')
    await Promise.all(numbers(8).map((index) => ask(one, server.origin, `/${index}`)))
    const order = server.came.map(({ path }) => path)
    // Three leave at once; which of them the server sees first is the network's business.
    const windows = [order.slice(1, 3), order.slice(3, 6), order.slice(6, 9)].map((paths) => paths.sort())
    expect(windows).toEqual([
      ['/0', '/1'],
      ['/2', '/3', '/4'],
      ['/5', '/6', '/7'],
    ])
  })

  test('is not jumped by who comes in the very moment in which it opens', async () => {
    const pace: Pace = {}
    const asking = { system: 'https://idp.example.com', connections: 1, timeoutMs: 1_000, patienceMs: 1_000, stops: [], onWait: () => {} }
    const left: string[] = []
    const go = async (name: string) => {
      const done = await turn(pace, asking)
      left.push(name)
      done()
    }
    const done = await turn(pace, asking)
    const early = go('early')
    done()
    await Promise.all([go('late'), early])
    expect(left).toEqual(['early', 'late'])
  })

  test('has room for a stop anywhere: who was stopped is told at once, and the others go when it is time', async () => {
    const server = await timedServer(({ path }, response) =>
      says(response, path === '/first' ? 429 : 200, path === '/first' ? { 'retry-after': '1' } : {}),
    )
    const one = door(server.origin)
    await ask(one, server.origin, '/first')
    const calls = numbers(5).map((index) => {
      const stop = new AbortController()
      const url = `${server.origin}/${index}`
      return {
        stop,
        ended: one.fetch(url, { method: 'POST', signal: stop.signal }).then(
          ({ status }) => status,
          (error: unknown) => error,
        ),
      }
    })
    const began = performance.now()
    for (const index of [0, 2, 4]) calls[index]?.stop.abort()
    for (const index of [0, 2, 4]) expect(await calls[index]?.ended).toMatchObject({ details: { reason: 'stopped' } })
    expect(performance.now() - began).toBeLessThan(500)
    expect(await Promise.all([calls[1]?.ended, calls[3]?.ended])).toEqual([200, 200])
    expect(server.came.map(({ path }) => path).sort()).toEqual(['/1', '/3', '/first'])
    expect(Math.min(at(server, '/1'), at(server, '/3')) - at(server, '/first')).toBeGreaterThanOrEqual(1_000)
  })

  test('is in front of the connections: nothing that a hold finds there leaves', async () => {
    let refusedAt = 0
    const server = await timedServer(async (_, response) => {
      await sleep(100)
      const isFirst = refusedAt === 0
      if (isFirst) refusedAt = performance.now()
      says(response, isFirst ? 429 : 200, isFirst ? { 'retry-after': '1' } : {})
    })
    const one = door(server.origin, { connections: 2 })
    await Promise.all(numbers(20).map((index) => ask(one, server.origin, `/${index}`)))
    const early = server.came.filter(({ at }) => at > refusedAt && at < refusedAt + 1_000)
    expect({ early, connections: server.connections }).toEqual({ early: [], connections: 2 })
  })

  test('is no endless one at a server that hangs: two times of a request at most', async () => {
    const server = await timedServer(() => {})
    const one = door(server.origin, { connections: 2, timeoutMs: 300 })
    const began = performance.now()
    const failures = await Promise.all(numbers(20).map((index) => failureOf(ask(one, server.origin, `/${index}`))))
    expect(performance.now() - began).toBeLessThan(1_200)
    expect(new Set(failures.map(({ message }) => message))).toEqual(new Set([`${server.origin} did not answer within 0.3 s`]))
  })

  test('does not run into the deadline of a request while it moves', async () => {
    const server = await timedServer(async (_, response) => {
      await sleep(150)
      says(response, 200)
    })
    const one = door(server.origin, { connections: 1, timeoutMs: 400 })
    const answers = await Promise.all(numbers(6).map((index) => ask(one, server.origin, `/${index}`)))
    expect(answers.map(({ status }) => status)).toEqual(Array(6).fill(200))
  })

  test('is empty again after whatever became of those in it', async () => {
    const server = await timedServer(({ path }, response) => (path === '/cut' ? void response.destroy() : answerJson(response, 200, {})))
    const servers: KnownServers = new Map()
    const one = door(server.origin, { servers })
    const paths = numbers(30).map((index) => (index % 3 === 0 ? '/cut' : '/ok'))
    await Promise.all(paths.map((path) => ask(one, server.origin, path).catch(() => undefined)))
    expect(servers.get(server.origin)).toMatchObject({ line: [], underWay: 0 })
    await vi.waitFor(() => expect(server.requests).toHaveLength(30))
  })
})
