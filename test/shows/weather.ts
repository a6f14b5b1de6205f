/** Token endpoints in bad weather: what they answer is dealt by a seed, and their log tells who came too early. */
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { type FakeServer, type SeenRequest, serve } from '../fakes/server.js'

/** A request as the server saw it; times in milliseconds of its `performance.now()`. */
export interface Came {
  readonly client_id: string
  readonly path: string
  readonly at: number
  readonly connection: number
  answeredAt?: number
  status?: number
}

export interface TokenEndpoint {
  readonly server: FakeServer
  readonly issuer: string
  readonly log: readonly Came[]
  close(): Promise<void>
}

/** Answers a token request, sooner or later; `token` is what a good answer says. */
export type Answering = (client_id: string, response: ServerResponse, token: () => void) => void

/** An issuer with discovery and a token endpoint. `skewMs` is how far its clock is from ours. */
export async function tokenEndpoint(answer: Answering, { skewMs = 0 }: { skewMs?: number } = {}): Promise<TokenEndpoint> {
  const log: Came[] = []
  const sockets = new Map<unknown, number>()
  const server = await serve((request, response) => {
    const connection = sockets.get(response.socket) ?? sockets.size
    sockets.set(response.socket, connection)
    const client_id = clientOf(request)
    const came: Came = { client_id, path: request.path, at: performance.now(), connection }
    log.push(came)
    response.setHeader('date', new Date(Date.now() + skewMs).toUTCString())
    // Before a byte of it leaves: nobody has read it earlier.
    const end = response.end.bind(response)
    response.end = ((...args: Parameters<typeof end>) => {
      came.answeredAt = performance.now()
      came.status = response.statusCode
      return end(...args)
    }) as typeof response.end
    const issuer = `http://${request.headers.host}`
    if (request.path.startsWith('/.well-known/')) return json(response, 200, { issuer, token_endpoint: `${issuer}/token` })
    answer(client_id, response, () => json(response, 200, { access_token: tokenOf(client_id), token_type: 'Bearer', expires_in: 3600 }))
  })
  return { server, issuer: server.origin, log, close: () => server.close() }
}

export function json(response: ServerResponse, status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}

/** The token that a client gets. */
export const tokenOf = (client_id: string): string => `token-of-${createHash('sha256').update(client_id).digest('hex')}`

/** RFC 6749 section 2.3.1: form-encoded, then base64. */
function clientOf({ headers, body }: SeenRequest): string {
  const [scheme, value = ''] = (headers.authorization ?? '').split(' ')
  if (scheme !== 'Basic') return new URLSearchParams(body).get('client_id') ?? ''
  return decodeURIComponent(Buffer.from(value, 'base64').toString().split(':')[0] ?? '')
}

/** A run's home, its identities file and its tokens. */
export interface Scene {
  readonly home: string
  readonly identitiesFile: string
  readonly tokens: string
  readonly names: readonly string[]
}

export interface SceneIdentity {
  readonly identity_name: string
  readonly issuer: string
  readonly client_secret?: string
}

export const secretOf = (name: string): string => `secret-of-${name}-4711`
export const tokenFile = (scene: Scene, name: string): string => join(scene.tokens, `${name}.json`)

/** Each identity has an old token, which expired years ago. */
export function writeScene(home: string, identities: readonly SceneIdentity[]): Scene {
  const [identitiesFile, tokens] = [join(home, 'identities.json'), join(home, 'tokens')]
  mkdirSync(tokens, { mode: 0o700 })
  const entries = identities.map((identity) => ({
    ...identity,
    auth_provider: 'oidc',
    client_id: identity.identity_name,
    client_secret: identity.client_secret ?? secretOf(identity.identity_name),
  }))
  writeFileSync(identitiesFile, JSON.stringify(entries, null, 2), { mode: 0o600 })
  const scene = { home, identitiesFile, tokens, names: identities.map(({ identity_name }) => identity_name) }
  for (const name of scene.names) writeFileSync(tokenFile(scene, name), oldToken(name), { mode: 0o600 })
  return scene
}

export const oldToken = (name: string): string =>
  JSON.stringify({ access_token: `old-token-of-${name}`, token_type: 'Bearer', expires_at: '2020-01-01T00:00:00Z' })

/** Deals from a shuffled deck, and a new deck when it is empty: the shares are exact in every hundred. */
export function deckOf<T>(cards: readonly T[], chance: () => number): () => T {
  let deck: T[] = []
  return () => {
    if (deck.length === 0)
      deck = cards
        .map((card) => ({ card, order: chance() }))
        .sort((a, b) => a.order - b.order)
        .map(({ card }) => card)
    const card = deck.pop()
    if (card === undefined) throw new Error('a deck without cards')
    return card
  }
}

/** A request was under way when the 429 left if it came on another connection a moment later, the first one there. */
const UNDER_WAY_MS = 250

/** Requests that came before the server allowed them, by its own log, and those left out since they were under way. */
export function tooEarly(log: readonly Came[], waitMs: number): { early: Came[]; underWay: number } {
  const refused = log.filter(({ status }) => status === 429)
  let underWay = 0
  const early = log.filter((came) => {
    const holds = refused.filter(({ answeredAt = 0 }) => answeredAt <= came.at && came.at < answeredAt + waitMs)
    if (holds.length === 0) return false
    const isUnderWay = holds.every(
      (hold) =>
        hold.connection !== came.connection &&
        came.at < (hold.answeredAt ?? 0) + UNDER_WAY_MS &&
        !log.some((other) => other.connection === came.connection && other.at < came.at && other.at >= (hold.answeredAt ?? 0)),
    )
    if (isUnderWay) underWay += 1
    return !isUnderWay
  })
  return { early, underWay }
}
