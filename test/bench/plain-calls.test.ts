/** The bare loop of the bench measures what it says: so many at once, connections kept or not, every request counted. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { machineIndex } from '../../bench/floor.js'
import { GROUPS, groupsOf, writesFor } from '../../bench/machines.js'
import { bounded, plainCalls } from '../../bench/plain-calls.js'

/** Answers tokens and creates, and counts the connections that it is given. */
async function startServer(): Promise<{ url: string; connections: () => number }> {
  let connections = 0
  const server: Server = createServer((request, answer) => {
    request.resume().once('end', () => {
      if (request.url === '/admin/broken') return void answer.writeHead(409).end('{"errorMessage":"taken"}')
      if (request.url?.endsWith('/token')) return void answer.end('{"access_token":"one"}')
      answer.writeHead(request.headers.authorization === 'Bearer one' ? 201 : 401, { location: 'http://localhost/clients/id-1' }).end()
    })
  }).on('connection', () => {
    connections += 1
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, connections: () => connections }
}

async function asked(connections: number | 'new') {
  const { url, connections: opened } = await startServer()
  const calls = plainCalls({ url, adminUser: 'admin', adminPassword: 'admin', version: '' }, connections)
  onTestFinished(() => calls.close())
  await calls.logIn()
  const items = Array.from({ length: 12 }, (_, index) => index)
  await bounded(items, 3, async (index) => {
    expect(await calls.call(index % 2 === 0 ? 'POST' : 'GET', '/clients', index % 2 === 0 ? '{}' : undefined)).toMatchObject({ id: 'id-1' })
  })
  return { opened: opened(), counts: calls.counts, calls }
}

test('kept connections are used again, and a token is a request but no write', async () => {
  const { opened, counts } = await asked(3)
  expect(opened).toBeLessThanOrEqual(3)
  expect(counts).toEqual({ requests: 13, writes: 6 })
})

test('a script’s pattern opens a connection a request', async () => {
  const { opened, counts } = await asked('new')
  expect(opened).toBe(counts.requests)
})

test('an answer that is no success ends the measurement', async () => {
  const { calls } = await asked(1)
  await expect(calls.call('POST', '/broken', '{}')).rejects.toThrow('POST /admin/broken answers 409')
})

test('no more than the bound are under way, each item once', async () => {
  const seen: number[] = []
  let running = 0
  let most = 0
  await bounded([1, 2, 3, 4, 5, 6, 7], 3, async (item) => {
    running += 1
    most = Math.max(most, running)
    seen.push(item)
    await sleep(1)
    running -= 1
  })
  expect(most).toBe(3)
  expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7])
})

test('every machine has two groups of its own, and every group as many machines as the next', () => {
  const members = new Map(GROUPS.map((name) => [name, 0]))
  for (let index = 0; index < 100; index++) {
    expect(new Set(groupsOf(index)).size).toBe(2)
    for (const name of groupsOf(index)) members.set(name, (members.get(name) ?? 0) + 1)
  }
  expect([...members.values()]).toEqual(GROUPS.map(() => 10))
  expect(writesFor(100)).toBe(20 + 1 + 100 + 200)
})

test('a body tells which machine it makes, the IDE client’s none', () => {
  expect(machineIndex('{"clientId":"machine-17"}')).toBe(17)
  expect(machineIndex('{"clientId":"mcp-gateway-ide"}')).toBeUndefined()
})
