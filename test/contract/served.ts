/** A tenant of a real server as the contract suite wants it: connected through a front that can fail, with short deadlines. */
import { randomBytes } from 'node:crypto'
import { createDoor, type Door, WriteLatch } from '../../core/http.js'
import type { Adapter, Tenant } from '../../idp/port.js'
import { type MemorySink, memorySink } from '../fakes/memory-sink.js'
import { timeline } from '../fakes/timeline.js'

export interface Served {
  readonly tenant: Tenant
  readonly latch: WriteLatch
  close(): Promise<void>
}

export interface Connection {
  readonly variables: Readonly<Record<string, string>>
  readonly profile: string
  readonly home: string
  /** What it is for; the deadline is short where a server is meant to hang, and long on a busy machine otherwise. */
  readonly promise: string
  readonly latch?: WriteLatch
}

/** One connection, with no patience: the contract is about single answers. */
export async function connect(adapter: Adapter, { variables, promise, ...chosen }: Connection): Promise<Served> {
  const latch = chosen.latch ?? new WriteLatch()
  const settings = new Map(Object.entries(variables))
  const doors: Door[] = []
  const close = async () => {
    await Promise.all(doors.map((door) => door.close()))
  }
  const open = (wanted: Parameters<Parameters<Adapter['connect']>[0]['open']>[0]) => {
    const door = createDoor({ ...wanted, latch, timeoutMs: promise.startsWith('fault hang') ? 3_000 : 60_000 })
    doors.push(door)
    return door
  }
  try {
    return { tenant: await adapter.connect({ settings: (name) => settings.get(name), ...chosen, open }), latch, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Names that nothing else has, and a sink for each. */
export function namesAndSinks(): { readonly salt: string; name(word: string): string; sink(name: string): MemorySink } {
  const salt = randomBytes(4).toString('hex')
  const sinks = new Map<string, MemorySink>()
  const line = timeline()
  return {
    salt,
    name: (word) => `${word}-${salt}`,
    sink(name) {
      const found = sinks.get(name) ?? memorySink(line, `secrets/${name}.json`)
      sinks.set(name, found)
      return found
    },
  }
}

/** Whether the token endpoint takes a client for who it is: with a token, or by refusing a code of nobody rather than the client. */
export async function acceptsClient(tokenEndpoint: string, client_id: string, secret: string): Promise<boolean> {
  const authorization = `Basic ${Buffer.from(`${encodeURIComponent(client_id)}:${encodeURIComponent(secret)}`).toString('base64')}`
  const ask = async (form: Record<string, string>) => {
    const body = new URLSearchParams(form)
    const response = await fetch(tokenEndpoint, { method: 'POST', body, headers: { authorization }, signal: AbortSignal.timeout(30_000) })
    return { status: response.status, ...((await response.json()) as { error?: string }) }
  }
  if ((await ask({ grant_type: 'client_credentials' })).status === 200) return true
  const code = await ask({ grant_type: 'authorization_code', code: 'of-nobody', redirect_uri: 'http://127.0.0.1/callback' })
  return code.error === 'invalid_grant'
}

/** An authorization request (RFC 6749 section 4.1.1) as a browser sends it; its challenge is of RFC 7636 appendix B. */
export async function authorization(
  endpoint: string,
  { client_id, redirect_uri, pkce }: { client_id: string; redirect_uri: string; pkce: boolean },
): Promise<Response> {
  const query = new URLSearchParams({ client_id, redirect_uri, response_type: 'code', scope: 'openid', state: 'a-state' })
  if (pkce) {
    query.set('code_challenge', 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM')
    query.set('code_challenge_method', 'S256')
  }
  return fetch(`${endpoint}?${query}`, { redirect: 'manual', headers: { accept: 'text/html' }, signal: AbortSignal.timeout(30_000) })
}

/** The same value whatever the order of its lists, which servers do not keep. */
export function settled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(settled).toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, settled(inner)]),
  )
}
