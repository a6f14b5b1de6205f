/**
 * A token endpoint over TLS in a process of its own: it waits as long as a network would, signs each token (RS256) and
 * counts what it is asked. It trusts every client: what is measured is the asking.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { selfSigned } from '../test/fakes/certificate.js'

export const REALM = 'bench'
const TOKEN_PATH = `/realms/${REALM}/protocol/openid-connect/token`
/** Seconds; longer than any bench, so that what is fresh stays fresh. */
const LIFETIME = 86_400

export interface EndpointCounts {
  readonly connections: number
  readonly requests: number
}

export interface TokenEndpoint {
  readonly url: string
  /** PEM of the authority that its certificate needs. */
  readonly ca: string
  /** What was counted since the last look. */
  counts(): Promise<EndpointCounts>
  close(): Promise<void>
}

/** Starts the process; it ends with its parent. `delayMs` passes between a request and its answer. */
export async function startTokenEndpoint(delayMs: number): Promise<TokenEndpoint> {
  const child = fork(import.meta.filename, [String(delayMs)], {
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const { port, ca } = (await nextMessage(child)) as { port: number; ca: string }
  return {
    url: `https://127.0.0.1:${port}`,
    ca,
    counts() {
      const counted = nextMessage(child)
      child.send('counts')
      return counted as Promise<EndpointCounts>
    },
    async close() {
      const ended = once(child, 'exit')
      child.disconnect()
      await ended
    },
  }
}

async function nextMessage(child: ChildProcess): Promise<unknown> {
  const given = new AbortController()
  try {
    return await Promise.race([
      once(child, 'message', given).then(([message]) => message as unknown),
      once(child, 'exit', given).then(() => {
        throw new Error('the token endpoint of the bench has ended')
      }),
    ])
  } finally {
    given.abort()
  }
}

function serve(delayMs: number): void {
  const { key, cert } = selfSigned('IP:127.0.0.1')
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const counts = { connections: 0, requests: 0 }
  const server = createServer({ key, cert }, (request, response) => {
    counts.requests += 1
    request.resume().once('end', () => {
      const isToken = request.method === 'POST' && request.url === TOKEN_PATH
      setTimeout(() => {
        response.writeHead(isToken ? 200 : 404, { 'content-type': 'application/json', 'cache-control': 'no-store' })
        response.end(isToken ? JSON.stringify(answer(privateKey)) : '{}')
      }, delayMs)
    })
  })
  server.on('connection', () => {
    counts.connections += 1
  })
  server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port, ca: cert }))
  process.on('message', () => {
    process.send?.({ ...counts })
    Object.assign(counts, { connections: 0, requests: 0 })
  })
  process.once('disconnect', () => process.exit())
}

let serial = 0

function answer(key: KeyObject): object {
  const iat = Math.floor(Date.now() / 1000)
  serial += 1
  const claims = { jti: `bench-${serial}`, iat, exp: iat + LIFETIME, groups: ['bench'], scope: 'openid email profile' }
  const signed = [{ alg: 'RS256', typ: 'JWT' }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  const access_token = `${signed}.${sign('sha256', Buffer.from(signed), key).toString('base64url')}`
  return { access_token, token_type: 'Bearer', expires_in: LIFETIME, scope: claims.scope }
}

if (process.argv[1] === import.meta.filename) serve(Number(process.argv[2]))
