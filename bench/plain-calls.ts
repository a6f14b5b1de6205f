/**
 * Requests to Keycloak's admin API by Node's own HTTP client and nothing else: the yardstick must not pay for any of our
 * code. One token serves until it is old; requests and writes are counted.
 */
import { Agent, request } from 'node:http'
import type { KeycloakServer } from '../test/live/rig/server.js'

/** One request with its answer may take this long, milliseconds; longer is no measurement. */
const CALL_MS = 120_000
/** A token of admin-cli lives 60 s. */
const TOKEN_MS = 45_000
/** Bytes of an answer; a page of 200 clients has about 300,000. */
const MOST_BYTES = 20_000_000

export interface Reply {
  /** The end of the Location header of a create. */
  readonly id: string
  readonly text: string
}

export interface Counts {
  readonly requests: number
  readonly writes: number
}

export interface PlainCalls {
  /** `path` is below `/admin`; `body` is JSON text. @throws Error for any status but 2xx */
  call(method: string, path: string, body?: string): Promise<Reply>
  /** Fetches the token of the calls that follow. */
  logIn(): Promise<void>
  readonly counts: Counts
  close(): void
}

/** `connections` are kept open and used again; with 'new' every request opens one of its own, as a script's curl does. */
export function plainCalls({ url, adminUser, adminPassword }: KeycloakServer, connections: number | 'new'): PlainCalls {
  const agent = connections === 'new' ? new Agent({ keepAlive: false }) : new Agent({ keepAlive: true, maxSockets: connections })
  const counts = { requests: 0, writes: 0 }
  let token: { value: string; until: number } | undefined

  const send = (method: string, path: string, headers: Record<string, string>, body?: string) =>
    new Promise<Reply>((done, fail) => {
      counts.requests += 1
      const asked = request(new URL(path, url), { agent, method, headers, timeout: CALL_MS }, (answer) => {
        const parts: Buffer[] = []
        let bytes = 0
        answer.on('data', (part: Buffer) => {
          bytes += part.byteLength
          if (bytes > MOST_BYTES) asked.destroy(new Error(`${method} ${path} answers with more than ${MOST_BYTES} bytes`))
          parts.push(part)
        })
        answer.once('error', fail).once('end', () => {
          const { statusCode: status = 0 } = answer
          const text = Buffer.concat(parts).toString()
          if (status < 200 || status > 299) return fail(new Error(`${method} ${path} answers ${status}`))
          done({ id: answer.headers.location?.split('/').at(-1) ?? '', text })
        })
      })
      asked.once('error', fail).once('timeout', () => asked.destroy(new Error(`${method} ${path} takes more than ${CALL_MS / 1000} s`)))
      asked.end(body)
    })

  async function logIn(): Promise<void> {
    const form = { client_id: 'admin-cli', grant_type: 'password', username: adminUser, password: adminPassword }
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const { text } = await send('POST', '/realms/master/protocol/openid-connect/token', headers, new URLSearchParams(form).toString())
    const { access_token } = JSON.parse(text) as { access_token: string }
    token = { value: access_token, until: Date.now() + TOKEN_MS }
  }

  return {
    counts,
    logIn,
    async call(method, path, body) {
      if (!token || token.until < Date.now()) await logIn()
      if (method !== 'GET') counts.writes += 1
      const headers = { authorization: `Bearer ${token?.value}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
      return send(method, `/admin${path}`, headers, body)
    },
    close: () => agent.destroy(),
  }
}

/** Runs `work` over the items, at most `atOnce` of them at a time. */
export async function bounded<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values()
  await Promise.all(
    Array.from({ length: Math.min(atOnce, items.length) }, async () => {
      for (const item of queue) await work(item)
    }),
  )
}
