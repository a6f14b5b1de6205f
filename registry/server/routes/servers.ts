/**
 * `/api/servers`: the servers that the gateway offers. This registry proxies nothing and stores no credentials of
 * servers, so fields for those are refused, not ignored. A path may have several segments.
 */
import type { Context, Hono } from 'hono'
import { httpUrl, serverPath } from '../../../core/vocabulary.js'
import { type Env, refusal, resource } from '../answers.js'
import type { Caller } from '../auth/caller.js'
import { mayDo, reaches } from '../auth/permissions.js'
import { readForm, readJson, readQuery } from '../body.js'
import { flag, nullable, optional, readFields, required, text, whole } from '../fields.js'
import type { May, Server } from '../store/servers.js'
import type { Store } from '../store/store.js'
import { actorOf } from './actor.js'
import { connectConfigOf, detailOf, listItemOf } from './server-answers.js'

export interface ServerRoutes {
  readonly store: Store
  readonly ide: { readonly client_id?: string; readonly callback_port?: number }
}

const ROOT = '/api/servers'
const CONNECT = '/connect-config'
const STATUSES = ['active', 'beta', 'deprecated', 'draft']

const url = text({ check: (value) => (value === '' || httpUrl.safeParse(value).success ? undefined : 'an absolute http or https URL') })
/** RFC 6749 appendix A.1 without the space; a client id may be a URL (client id metadata documents). */
const loginClient = text({ max: 2048, check: (value) => (/^[\x21-\x7e]*$/.test(value) ? undefined : 'visible ASCII characters only') })
const name = text({ min: 1, max: 256 })
const about = text({ max: 4096 })

const registration = {
  name: required(name),
  description: required(about),
  path: required(text({ max: 256, check: (value) => (storablePath(value) === undefined ? 'a path such as /demo' : undefined) })),
  proxy_pass_url: optional(url),
  mcp_endpoint: optional(url),
  deployment: optional(text()),
  overwrite: optional(flag()),
  tags: optional(text({ max: 4096 })),
  oauth_client_id: optional(loginClient),
  append_mcp_path: optional(flag()),
}
const change = {
  server_name: optional(name),
  description: optional(nullable(about)),
  proxy_pass_url: optional(nullable(url)),
  oauth_client_id: optional(nullable(loginClient)),
  append_mcp_path: optional(nullable(flag())),
}
const listQuery = {
  query: optional(text({ max: 512 })),
  limit: optional(whole(1, 2000)),
  offset: optional(whole(0)),
  status: optional(text()),
}

/** Adds the routes. */
export function serverRoutes(app: Hono<Env>, { store, ide }: ServerRoutes): void {
  resource(app, ROOT, {
    async GET(c) {
      const { query = '', limit = 20, offset = 0, status } = readFields(readQuery(c), listQuery, { from: 'query' })
      const wanted = checkedStatus(status)
      const caller = c.get('caller')
      const mine = (await store.servers.list()).filter((server) => mayList(caller, server) && matches(server, query))
      // A server without a life cycle is active.
      const found = wanted === undefined || wanted === 'active' ? mine : []
      const servers = found.slice(offset, offset + limit).map((server) => listItemOf(server, caller))
      return c.json({ servers, total_count: found.length, limit, offset, has_next: offset + servers.length < found.length })
    },
  })

  resource(app, `${ROOT}/register`, {
    async POST(c) {
      const form = await readForm(c)
      const fields = readFields(filled(form), registration, { from: 'body', isForm: true })
      const caller = c.get('caller')
      if ((caller.ui_permissions['register_service'] ?? []).length === 0) {
        throw refusal(403, { detail: 'You do not have permission to register new services' })
      }
      refuseUnsupported(form, fields.deployment)
      const wanted = {
        path: storablePath(fields.path) ?? fields.path,
        server_name: fields.name,
        description: fields.description,
        proxy_pass_url: fields.proxy_pass_url || null,
        mcp_endpoint: fields.mcp_endpoint || null,
        oauth_client_id: fields.oauth_client_id ?? null,
        append_mcp_path: fields.append_mcp_path ?? null,
        tags: (fields.tags ?? '').split(',').flatMap((tag) => tag.trim() || []),
      }
      const overwrite = fields.overwrite ?? true
      if (!overwrite && (await store.servers.get(wanted.path))) throw alreadyThere(wanted.path)
      const server = await store.servers.save(actorOf(caller), wanted, overwrite, mayChange(caller, 'modify_service'))
      const message = `Service '${server.server_name}' registered successfully at path '${server.path}'`
      return c.json({ path: server.path, name: server.server_name, message }, 201)
    },
  })

  resource(app, `${ROOT}/remove`, {
    async POST(c) {
      const { path: given } = readFields(filled(await readForm(c)), { path: required(text({ max: 256 })) }, { from: 'body', isForm: true })
      const caller = c.get('caller')
      const path = storablePath(given)
      if (path === undefined || !(await store.servers.get(path))) throw notThere(given)
      await store.servers.remove(actorOf(caller), path, mayChange(caller, 'delete_service'))
      return c.json({ message: 'Service removed successfully', path })
    },
  })

  resource(app, `${ROOT}/*`, {
    async GET(c) {
      const caller = c.get('caller')
      const given = givenPath(c)
      const wantsConfig = given.endsWith(CONNECT)
      const path = storablePath(wantsConfig ? given.slice(0, -CONNECT.length) : given)
      const server = path === undefined ? undefined : await store.servers.get(path)
      if (!server) throw refusal(404, { detail: wantsConfig ? 'Service path not found' : `Server not found at path '${given}'` })
      if (!mayList(caller, server)) throw refusal(403, { detail: 'You do not have access to this server' })
      return c.json(wantsConfig ? connectConfigOf(server, ide) : detailOf(server, caller))
    },
    async PATCH(c) {
      const fields = readFields(await readJson(c), change, { from: 'body', strict: true })
      if (Object.keys(fields).length === 0) throw refusal(400, { detail: 'Empty patch body' })
      const caller = c.get('caller')
      const path = storablePath(givenPath(c))
      if (path === undefined) throw refusal(404, { detail: `Server not found at path '${givenPath(c)}'` })
      const { description, proxy_pass_url, ...rest } = fields
      const given = {
        ...rest,
        ...(description === undefined ? {} : { description: description ?? '' }),
        ...(proxy_pass_url === undefined ? {} : { proxy_pass_url: proxy_pass_url || null }),
      }
      const server = await store.servers.update(actorOf(caller), path, given, mayChange(caller, 'modify_service'))
      return c.json(detailOf(server, caller), 200, { etag: `W/"${Date.parse(server.updated_at)}"` })
    },
  })
}

/** The stored spelling of a path; undefined for one that no server can have. `…/connect-config` is the route's own. */
function storablePath(given: string): string | undefined {
  const parsed = serverPath.safeParse(given)
  return parsed.success && !parsed.data.endsWith(CONNECT) ? parsed.data : undefined
}

function givenPath(c: Context<Env>): string {
  return `/${c.req.path.slice(ROOT.length).replace(/^\/+/, '')}`
}

/** An empty form value is a missing one where the field is required, as in the original. */
function filled(form: Record<string, string>): Record<string, string> {
  const needed = ['name', 'description', 'path']
  return Object.fromEntries(Object.entries(form).filter(([field, value]) => value !== '' || !needed.includes(field)))
}

function refuseUnsupported(form: Record<string, string>, deployment = 'remote'): void {
  if (deployment !== 'remote' && deployment !== 'local') throw refusal(400, { detail: "deployment must be 'remote' or 'local'" })
  const error = 'Service registration failed'
  if (deployment === 'local') throw refusal(400, { error, reason: 'the embedded registry has remote servers only' })
  const held = ['auth_credential', 'custom_headers'].find((field) => form[field])
  if (held) throw refusal(400, { error, reason: `the embedded registry stores no credentials of servers; leave ${held} out` })
}

function alreadyThere(path: string) {
  return refusal(409, {
    error: 'Service registration failed',
    reason: `A service with path '${path}' already exists with version v1.0.0`,
    detail: 'Use overwrite=true to replace, or specify a different version',
  })
}

function notThere(path: string) {
  return refusal(404, {
    error: 'Service not found',
    reason: `No service registered at path '${path}'`,
    suggestion: 'Check the service path and ensure it is registered',
  })
}

function checkedStatus(status: string | undefined): string | undefined {
  const word = status?.trim().toLowerCase()
  if (word === undefined || STATUSES.includes(word)) return word
  throw refusal(400, { detail: `Invalid status '${word}'. Must be one of: ${STATUSES.join(', ')}` })
}

function mayList(caller: Caller, server: Server): boolean {
  return reaches(caller.accessible_servers, server.path) || mayDo(caller.ui_permissions, 'list_service', server.server_name)
}

/** The action on that service, and being its owner or an administrator. Owner is issuer and subject, never a name. */
function mayChange(caller: Caller, action: 'modify_service' | 'delete_service'): May {
  return ({ server_name, owner }) => {
    const owns = owner.issuer === caller.issuer && owner.subject === caller.subject
    if (caller.is_admin || (owns && mayDo(caller.ui_permissions, action, server_name))) return
    throw refusal(403, { detail: `You do not have permission to ${action} for ${server_name}` })
  }
}

function matches({ server_name, description, tags, path }: Server, query: string): boolean {
  const wanted = query.toLowerCase()
  return [server_name, description, path, ...tags].some((value) => value.toLowerCase().includes(wanted))
}
