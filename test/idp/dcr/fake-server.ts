/** A loopback server with dynamic registration that misbehaves as a test says; real ones that do are named where they are used. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Secret } from '../../../core/secret.js'
import { dcrReconcilers } from '../../../idp/dcr/reconcilers.js'
import { doorTo } from '../../fakes/door.js'
import { answerJson, type FakeServer, serve } from '../../fakes/server.js'

export type Json = Record<string, unknown>

export interface Behaviour {
  /** Which metadata documents there are, and what they say besides or instead. */
  readonly openid?: Json | null
  readonly oauth?: Json | null
  /** What a 201 says instead of what was asked; undefined drops a field. */
  readonly created?: Json
  readonly createStatus?: number
  readonly createBody?: unknown
  /** Statuses of RFC 7592; a success when absent. */
  readonly getStatus?: number
  readonly getBody?: Json
  readonly getHeaders?: Record<string, string>
  readonly putStatus?: number
  readonly deleteStatus?: number
  /** Each answer brings a new registration access token, and the old one is dead. */
  readonly rotates?: boolean
  /** Of the issuer, behind the origin. */
  readonly path?: string
}

/** The server, its clients and reconcilers on it; the latch is open for writes. */
export async function fakeDcr(behaviour: Behaviour = {}) {
  const clients = new Map<string, Json>()
  const path = behaviour.path ?? ''
  const server: FakeServer = await serve((request, response) => {
    const { origin } = server
    const issuer = `${origin}${path}`
    const metadata = { issuer, registration_endpoint: `${origin}/register` }
    if (request.path === `/.well-known/oauth-authorization-server${path}` && behaviour.oauth !== null)
      return answerJson(response, 200, { ...metadata, ...behaviour.oauth })
    if (request.path === `${path}/.well-known/openid-configuration` && behaviour.openid !== null)
      return answerJson(response, 200, { ...metadata, ...behaviour.openid })
    const sent = request.body === '' ? {} : (JSON.parse(request.body) as Json)
    if (request.path === '/register') {
      if (behaviour.createStatus !== undefined) return answerJson(response, behaviour.createStatus, behaviour.createBody ?? {})
      const client_id = `c-${clients.size + 1}`
      const secret = sent['token_endpoint_auth_method'] === 'none' ? {} : { client_secret: newToken(), client_secret_expires_at: 0 }
      const client = {
        ...sent,
        ...secret,
        client_id,
        registration_client_uri: `${origin}/clients/${client_id}`,
        registration_access_token: newToken(),
        ...behaviour.created,
      }
      clients.set(client_id, client)
      return answerJson(response, 201, client)
    }
    const client_id = request.path.startsWith('/clients/') ? request.path.slice('/clients/'.length) : ''
    const client = clients.get(client_id)
    if (!client) return answerJson(response, request.path.startsWith('/clients/') ? 401 : 404, { error: 'invalid_token' })
    if (request.headers.authorization !== `Bearer ${String(client['registration_access_token'])}`)
      return answerJson(response, 401, { error: 'invalid_token' })
    const status = { GET: behaviour.getStatus, PUT: behaviour.putStatus, DELETE: behaviour.deleteStatus }[request.method]
    if (status !== undefined) {
      for (const [name, value] of Object.entries(behaviour.getHeaders ?? {})) response.setHeader(name, value)
      return answerJson(response, status, behaviour.getBody ?? {})
    }
    if (request.method === 'DELETE') {
      clients.delete(client_id)
      return response.writeHead(204).end()
    }
    const kept = {
      registration_client_uri: client['registration_client_uri'],
      registration_access_token: client['registration_access_token'],
    }
    const next: Json = {
      ...(request.method === 'PUT' ? { ...sent, ...kept } : client),
      ...(behaviour.rotates ? { registration_access_token: newToken() } : {}),
    }
    clients.set(client_id, next)
    return answerJson(response, 200, { ...next, ...(request.method === 'GET' ? behaviour.getBody : {}) })
  })
  const issuer = `${server.origin}${path}`
  const folder = await mkdtemp(join(tmpdir(), 'dcr-'))
  const door = doorTo([server.origin])
  const options = {
    issuer,
    door,
    initialAccessToken: new Secret(newToken()),
    registrationsFolder: join(folder, 'registrations'),
    application_type: 'native',
    profile: 'default',
  } as const
  return {
    ...{ server, issuer, clients, door, folder, options },
    reconcilers: dcrReconcilers(options),
    write: <T>(work: () => Promise<T>) => door.latch.whileOpen(work),
    async close() {
      await door.close()
      await server.close()
      await rm(folder, { recursive: true })
    },
  }
}

export const PUBLIC_SPEC = {
  client_name: 'My IDE client',
  enabled: true,
  redirect_uris: ['http://localhost/callback', 'http://127.0.0.1/callback'],
  grant_types: ['authorization_code', 'refresh_token'],
  token_endpoint_auth_method: 'none',
}
export const MACHINE_SPEC = {
  client_name: 'demo-agent',
  enabled: true,
  redirect_uris: [],
  grant_types: ['client_credentials'],
  token_endpoint_auth_method: 'client_secret_basic',
}

function newToken(): string {
  return randomBytes(24).toString('base64url')
}
