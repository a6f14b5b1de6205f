/**
 * Typed client of the gateway registry, the embedded one and the real one. It looks at the status first, then at JSON, and
 * turns refusals into our error codes; what the server says in words is sanitised before it enters a message.
 */
import { z } from 'zod'
import { ToolkitError } from '../core/errors.js'
import type { Answer, Door, Send } from '../core/http.js'
import type { Secret } from '../core/secret.js'
import {
  type ConnectConfig,
  connectConfig,
  type Health,
  health,
  type M2mClientRecord,
  type Me,
  m2mClientPage,
  m2mClientRecord,
  me,
  type ServerListItem,
  type ServerRecord,
  serverPage,
  serverRecord,
  serverRegistered,
} from './records.js'
import { registryError, type Subject } from './refusals.js'

export interface NewM2mClient {
  readonly client_id: string
  readonly client_name: string
  readonly groups?: readonly string[]
  readonly description?: string | null
  readonly issuer?: string
}
export type M2mClientFields = Partial<Omit<NewM2mClient, 'client_id'>> & { readonly enabled?: boolean }

/** `allow_privileged` lets the change make a client an administrator; a registry without that guard ignores it. */
export interface M2mWriteOptions {
  readonly allow_privileged?: boolean
}

export interface NewServer {
  readonly path: string
  readonly server_name: string
  readonly description: string
  readonly proxy_pass_url?: string
  readonly oauth_client_id?: string
  readonly append_mcp_path?: boolean
  /** Replace a server that is there; the real registry's own default is true, ours is false. */
  readonly overwrite?: boolean
}
/** `null` clears a field. */
export interface ServerFields {
  readonly server_name?: string
  readonly description?: string | null
  readonly proxy_pass_url?: string | null
  readonly oauth_client_id?: string | null
  readonly append_mcp_path?: boolean | null
}

/** Every method @throws ToolkitError unauthenticated, forbidden, rate_limited, unavailable, unexpected_response. */
export interface RegistryClient {
  /** Sorted by client id. */
  listM2mClients(filter?: { provider?: string }): Promise<M2mClientRecord[]>
  /** @throws ToolkitError not_found */
  getM2mClient(client_id: string): Promise<M2mClientRecord>
  /** @throws ToolkitError conflict, invalid_input */
  createM2mClient(wanted: NewM2mClient, options?: M2mWriteOptions): Promise<M2mClientRecord>
  /** Sends the given fields only. @throws ToolkitError not_found, owned_elsewhere, invalid_input */
  updateM2mClient(client_id: string, fields: M2mClientFields, options?: M2mWriteOptions): Promise<M2mClientRecord>
  /** @throws ToolkitError not_found, owned_elsewhere */
  removeM2mClient(client_id: string): Promise<void>
  /** Sorted by path; `query` is a part of a name, description or tag. */
  listServers(filter?: { query?: string }): Promise<ServerListItem[]>
  /** @throws ToolkitError not_found */
  getServer(path: string): Promise<ServerRecord>
  /** @throws ToolkitError conflict, invalid_input */
  registerServer(wanted: NewServer): Promise<void>
  /** Sends the given fields only. @throws ToolkitError not_found, invalid_input */
  updateServer(path: string, fields: ServerFields): Promise<ServerRecord>
  /** @throws ToolkitError not_found */
  removeServer(path: string): Promise<void>
  /** Without the values of custom headers. @throws ToolkitError not_found */
  connectConfig(path: string): Promise<ConnectConfig>
  me(): Promise<Me>
  /** Needs no token. */
  health(): Promise<Health>
}

export interface RegistryClientOptions {
  /** Base URL without a trailing slash. */
  readonly url: string
  readonly door: Door
  /** Asked before each request, so that a token may be renewed between two. */
  readonly token: () => Promise<Secret>
}

const M2M = '/api/iam/m2m-clients'
const SERVERS = '/api/servers'
/** Keeps a page of the largest records well below the door's size cap. */
const PAGE = 200
/** A list that goes on after this many pages is a server that repeats itself. */
const MAX_PAGES = 500

export function registryClient({ url, door, token }: RegistryClientOptions): RegistryClient {
  const base = url.replace(/\/+$/, '')

  /** Any 2xx is parsed by the schema, anything else thrown. */
  async function call<S extends z.ZodType>(
    schema: S,
    subject: Subject,
    request: Omit<Send, 'url'> & { path: string },
  ): Promise<z.output<S>> {
    const { path, ...rest } = request
    const answer = await door.send({ ...rest, url: base + path, bearer: await token() })
    return read(schema, answer, base, subject)
  }

  return {
    async listM2mClients({ provider } = {}) {
      const found = new Map<string, M2mClientRecord>()
      for (let skip = 0, page = 0; page < MAX_PAGES; page++) {
        const query = { limit: PAGE, skip, provider, include: 'issuer' }
        const { items, total } = await call(m2mClientPage, {}, { method: 'GET', path: M2M + queryOf(query) })
        for (const record of items) found.set(record.client_id, record)
        skip += items.length
        if (items.length === 0 || skip >= total) break
      }
      return [...found.values()].sort((a, b) => (a.client_id < b.client_id ? -1 : 1))
    },
    getM2mClient: (client_id) =>
      call(m2mClientRecord, m2m(client_id), { method: 'GET', path: m2mPath(client_id) + queryOf({ include: 'issuer' }) }),
    createM2mClient: (wanted, options) =>
      call(m2mClientRecord, m2m(wanted.client_id), { method: 'POST', path: M2M + queryOf(privilege(options)), json: { ...wanted } }),
    updateM2mClient: (client_id, fields, options) =>
      call(m2mClientRecord, m2m(client_id), {
        method: 'PATCH',
        path: m2mPath(client_id) + queryOf(privilege(options)),
        json: { ...fields },
      }),
    async removeM2mClient(client_id) {
      await call(z.unknown(), m2m(client_id), { method: 'DELETE', path: m2mPath(client_id) })
    },

    async listServers({ query } = {}) {
      const found = new Map<string, ServerListItem>()
      for (let offset = 0, page = 0; page < MAX_PAGES; page++) {
        const fields = { limit: PAGE, offset, query, include_tools: 'false' }
        const { servers, has_next } = await call(serverPage, {}, { method: 'GET', path: SERVERS + queryOf(fields) })
        for (const server of servers) found.set(server.path, server)
        offset += servers.length
        if (servers.length === 0 || !has_next) break
      }
      return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
    },
    getServer: (path) => call(serverRecord, server(path), { method: 'GET', path: serverUrl(path) }),
    async registerServer({ server_name: name, append_mcp_path, overwrite = false, ...rest }) {
      const flags = { overwrite: String(overwrite), ...(append_mcp_path === undefined ? {} : { append_mcp_path: String(append_mcp_path) }) }
      await call(serverRegistered, server(rest.path), { method: 'POST', path: `${SERVERS}/register`, form: { name, ...rest, ...flags } })
    },
    updateServer: (path, fields) => call(serverRecord, server(path), { method: 'PATCH', path: serverUrl(path), json: { ...fields } }),
    async removeServer(path) {
      await call(z.unknown(), server(path), { method: 'POST', path: `${SERVERS}/remove`, form: { path } })
    },
    connectConfig: (path) => call(connectConfig, server(path), { method: 'GET', path: `${serverUrl(path)}/connect-config` }),
    me: () => call(me, {}, { method: 'GET', path: '/api/auth/me' }),
    health: async () => read(health, await door.send({ method: 'GET', url: `${base}/health` }), base, {}),
  }
}

function read<S extends z.ZodType>(schema: S, answer: Answer, system: string, subject: Subject): z.output<S> {
  if (answer.status < 200 || answer.status > 299) throw registryError(answer, system, subject)
  const parsed = schema.safeParse(answer.json)
  if (parsed.success) return parsed.data
  const places = parsed.error.issues.slice(0, 5).map(({ path }) => path.join('.') || '(body)')
  throw new ToolkitError(
    'unexpected_response',
    `${system} answered ${answer.status} with something else than the documented record (${places.join(', ')})`,
    { system, reason: 'schema', status: answer.status },
    'check the URL, and which version of the registry runs there',
  )
}

const m2m = (key: string): Subject => ({ kind: 'm2m-record', key })
const server = (key: string): Subject => ({ kind: 'server-record', key })
const m2mPath = (client_id: string) => `${M2M}/${encodeURIComponent(client_id)}`
const serverUrl = (path: string) => SERVERS + `/${path.replace(/^\/+|\/+$/g, '')}`.split('/').map(encodeURIComponent).join('/')
const privilege = ({ allow_privileged }: M2mWriteOptions = {}) => ({
  allow_privileged: allow_privileged ? 'true' : undefined,
  include: 'issuer',
})

function queryOf(fields: Record<string, string | number | undefined>): string {
  const query = new URLSearchParams()
  for (const [key, value] of Object.entries(fields)) if (value !== undefined) query.set(key, String(value))
  return query.size === 0 ? '' : `?${query}`
}
