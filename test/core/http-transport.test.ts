/** Through which proxy the door goes, and whom it trusts: by settings alone, and never through a proxy to this machine. */
import { createServer, request as plainRequest } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createContext } from '../../toolkit/context.js'
import { selfSigned } from '../fakes/certificate.js'
import { doorTo, failureOf } from '../fakes/door.js'
import { answerJson, type FakeServer, serve } from '../fakes/server.js'

const HOST = 'idp.example.test'
const toClose: (() => Promise<unknown>)[] = []
afterEach(async () => {
  vi.unstubAllEnvs()
  for (const close of toClose.splice(0).reverse()) await close()
})

/** A proxy that knows one name, and leads it to a port of this machine; it tells what it was asked for. */
async function proxyTo(port: number): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((incoming, answer) => {
    asked.push(`${incoming.method} ${incoming.url}`)
    const path = new URL(incoming.url ?? '').pathname
    incoming.pipe(
      plainRequest({ host: '127.0.0.1', port, method: incoming.method, path, headers: incoming.headers }, (reply) => {
        answer.writeHead(reply.statusCode ?? 502, reply.headers)
        reply.pipe(answer)
      }),
    )
  })
  server.on('connect', (incoming, socket: Socket) => {
    asked.push(`CONNECT ${incoming.url}`)
    const upstream = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      upstream.pipe(socket).pipe(upstream)
    })
    for (const one of [socket, upstream]) {
      sockets.add(one)
      one.on('error', () => one.destroy())
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  toClose.push(async () => {
    for (const socket of sockets) socket.destroy()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

async function answering(tls?: { key: string; cert: string }): Promise<FakeServer> {
  const server = await serve((_, response) => answerJson(response, 200, { here: true }), tls)
  toClose.push(server.close)
  return server
}

describe('a proxy', () => {
  test('carries https as a tunnel, so that it sees the name and nothing else, and the certificate is still checked', async () => {
    const certificate = selfSigned(`DNS:${HOST}`)
    const server = await answering(certificate)
    const proxy = await proxyTo(server.port)
    const origin = `https://${HOST}`
    const door = doorTo([origin], { ca: certificate.cert, proxy: { https: proxy.url } })
    const distrusting = doorTo([origin], { proxy: { https: proxy.url } })
    toClose.push(door.close, distrusting.close)
    expect(await door.send({ method: 'GET', url: `${origin}/secret-path` })).toMatchObject({ status: 200, json: { here: true } })
    expect(await failureOf(distrusting.send({ method: 'GET', url: origin }))).toMatchObject({ code: 'unavailable' })
    expect(new Set(proxy.asked)).toEqual(new Set([`CONNECT ${HOST}:443`]))
    expect(server.requests.map(({ path }) => path)).toEqual(['/secret-path'])
  })

  test('is left out for the hosts of NO_PROXY, and for this machine whatever NO_PROXY says', async () => {
    const server = await answering()
    const proxy = await proxyTo(server.port)
    for (const except of [undefined, 'idp.example.test', '*']) {
      const door = doorTo([server.origin], { proxy: { http: proxy.url, https: proxy.url, ...(except === undefined ? {} : { except }) } })
      toClose.push(door.close)
      expect(await door.send({ method: 'GET', url: server.origin })).toMatchObject({ status: 200 })
    }
    expect(proxy.asked).toEqual([])
    const direct = doorTo([`http://${HOST}`], { proxy: { http: proxy.url, except: `.${HOST}` } })
    toClose.push(direct.close)
    expect(await failureOf(direct.send({ method: 'GET', url: `http://${HOST}` }))).toMatchObject({ code: 'unavailable' })
    expect(proxy.asked).toEqual([])
  })

  test('that is away is told as what is unavailable', async () => {
    const server = await answering()
    const proxy = await proxyTo(server.port)
    await toClose.pop()?.()
    const door = doorTo([`https://${HOST}`], { proxy: { https: proxy.url } })
    toClose.push(door.close)
    expect(await failureOf(door.send({ method: 'GET', url: `https://${HOST}` }))).toMatchObject({ code: 'unavailable' })
  })

  test('is what the settings of a run say, in either spelling, and never what the library finds in the environment', async () => {
    const certificate = selfSigned(`DNS:${HOST}`)
    const server = await answering(certificate)
    const [said, found] = [await proxyTo(server.port), await proxyTo(server.port)]
    vi.stubEnv('https_proxy', found.url)
    vi.stubEnv('HTTPS_PROXY', found.url)
    for (const name of ['HTTPS_PROXY', 'https_proxy']) {
      const settings = (asked: string) => (asked === name ? said.url : undefined)
      const run = createContext({ home: '/nowhere', profile: 'default', settings, approve: async () => false, ca: certificate.cert })
      toClose.push(run.close)
      expect(await run.doorTo(`https://${HOST}`).send({ method: 'GET', url: `https://${HOST}/` })).toMatchObject({ status: 200 })
    }
    const run = createContext({ home: '/nowhere', profile: 'default', settings: () => undefined, approve: async () => false })
    toClose.push(run.close)
    await failureOf(run.doorTo(`https://${HOST}`).send({ method: 'GET', url: `https://${HOST}/` }))
    expect([said.asked.length, found.asked.length]).toEqual([2, 0])
  })
})

test('an authority that is named is trusted, and only by the door that it was named to', async () => {
  const certificate = selfSigned('IP:127.0.0.1')
  const server = await answering(certificate)
  const [trusting, other] = [doorTo([server.origin], { ca: certificate.cert }), doorTo([server.origin])]
  toClose.push(trusting.close, other.close)
  expect(await trusting.send({ method: 'GET', url: server.origin })).toMatchObject({ status: 200 })
  expect(await failureOf(other.send({ method: 'GET', url: server.origin }))).toMatchObject({ code: 'unavailable' })
})
