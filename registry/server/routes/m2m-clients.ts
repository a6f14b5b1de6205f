/**
 * `/api/iam/m2m-clients`: records of machine clients, as the documented API has them (paths, statuses, texts, order of
 * checks: authentication, fields, administrator, existence, owner). Ours: `issuer` on POST and PATCH, `?include=issuer`,
 * `?allow_privileged=true`.
 */
import type { Context, Hono } from 'hono'
import { type Env, notFound, requireAdmin, resource } from '../answers.js'
import { readJson, readQuery } from '../body.js'
import { flag, listOf, nullable, optional, readFields, required, text, whole } from '../fields.js'
import type { M2mClient, M2mClientChange } from '../store/m2m-clients.js'
import type { Store } from '../store/store.js'
import { actorOf } from './actor.js'

export interface M2mClientRoutes {
  readonly store: Store
  /** Trusted issuers; the first is the default of a record. */
  readonly issuers: readonly string[]
}

const PATH = '/api/iam/m2m-clients'
/** Python's `$` also matches before a final newline, which the original therefore stores; this does not. */
const CLIENT_ID = /^[A-Za-z0-9_\-.:]{1,256}$/
const CLIENT_ID_TEXT = 'client_id must match ^[A-Za-z0-9_\\-.:]{1,256}$ (alphanumerics, dash, underscore, dot, colon only)'

const clientName = text({ min: 1, max: 256 })
const groups = listOf(text())
const description = nullable(text({ max: 1024 }))

/** Adds the five routes. */
export function m2mClientRoutes(app: Hono<Env>, { store, issuers }: M2mClientRoutes): void {
  const issuer = text({ check: (value) => (issuers.includes(value) ? undefined : 'issuer must be one of the trusted issuers') })
  const newClient = {
    client_id: required(text({ min: 1, max: 256, check: (value) => (CLIENT_ID.test(value) ? undefined : CLIENT_ID_TEXT) })),
    client_name: required(clientName),
    groups: optional(groups),
    description: optional(description),
    issuer: optional(issuer),
  }
  const change = {
    client_name: optional(clientName),
    groups: optional(groups),
    description: optional(description),
    enabled: optional(flag()),
    issuer: optional(issuer),
  }

  resource(app, PATH, {
    async GET(c) {
      const query = readFields(readQuery(c), page, { from: 'query' })
      const { limit = 500, skip = 0, provider } = query
      const { total, items } = await store.m2mClients.list({ limit, skip, ...(provider === undefined ? {} : { provider }) })
      return c.json({ total, limit, skip, items: items.map((record) => shown(record, c)) })
    },
    async POST(c) {
      const wanted = readFields(await readJson(c), newClient, { from: 'body' })
      const caller = c.get('caller')
      requireAdmin(caller)
      const { client_id, client_name: name, groups = [], description = null, issuer = issuers[0] ?? '' } = wanted
      const record = await store.m2mClients.create(actorOf(caller), { client_id, name, groups, description, issuer }, options(c))
      return c.json(shown(record, c), 201)
    },
  })

  resource(app, `${PATH}/:client_id`, {
    async GET(c) {
      const client_id = idOf(c)
      const record = await store.m2mClients.get(client_id)
      return record ? c.json(shown(record, c)) : c.json({ detail: `M2M client ${client_id} not found` }, 404)
    },
    async PATCH(c) {
      const { client_name: name, ...fields } = readFields(await readJson(c), change, { from: 'body' })
      const caller = c.get('caller')
      requireAdmin(caller)
      const given: M2mClientChange = { ...fields, ...(name === undefined ? {} : { name }) }
      return c.json(shown(await store.m2mClients.update(actorOf(caller), idOf(c), given, options(c)), c))
    },
    async DELETE(c) {
      const caller = c.get('caller')
      requireAdmin(caller)
      await store.m2mClients.remove(actorOf(caller), idOf(c))
      return c.body(null, 204)
    },
  })
}

const page = { provider: optional(text()), limit: optional(whole(1, 1000)), skip: optional(whole(0)) }

/** An id with a slash cannot exist; the original's router does not even match it. */
function idOf(c: Context<Env>): string {
  const client_id = c.req.param('client_id') ?? ''
  if (client_id.includes('/')) throw notFound()
  return client_id
}

/** The documented keys in their order; `issuer` only for those who ask, since the documented record has none. */
function shown(record: M2mClient, c: Context<Env>): object {
  const { client_id, name, description, groups, enabled, provider, created_at, updated_at, idp_app_id, created_by, issuer } = record
  const documented = { client_id, name, description, groups, enabled, provider, created_at, updated_at, idp_app_id, created_by }
  return readQuery(c)['include'] === 'issuer' ? { ...documented, issuer } : documented
}

function options(c: Context<Env>): { allow_privileged: boolean } {
  return { allow_privileged: readQuery(c)['allow_privileged'] === 'true' }
}
