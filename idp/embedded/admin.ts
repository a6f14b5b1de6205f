/**
 * The admin API of the embedded provider, below `/admin`: groups, behind a bearer token of its own.
 * `GET /admin/groups`, `POST /admin/groups` with `{name, mcp_gateway_idp?}`, `DELETE /admin/groups/<name>`.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { groupName, OWNER_MARK } from '../../core/vocabulary.js'
import { type Exchange, readBody, sendJson } from './exchange.js'
import type { Directory, Group } from './people.js'

const newGroup = z.strictObject({ name: groupName, [OWNER_MARK]: z.string().min(1).max(64).optional() })

const COLLECTION = '/admin/groups'

/** Answers everything below `/admin`. */
export async function handleAdmin(directory: Directory, adminToken: string, exchange: Exchange): Promise<void> {
  const { request } = exchange
  if (!isBearer(request.headers.authorization, adminToken)) {
    return sendJson(exchange, 401, { error: 'invalid_token' }, { 'www-authenticate': 'Bearer' })
  }
  const path = request.url ?? ''
  if (path === COLLECTION) return handleCollection(directory, exchange)
  const name = path.startsWith(`${COLLECTION}/`) ? decoded(path.slice(COLLECTION.length + 1)) : undefined
  if (name === undefined) return sendJson(exchange, 404, { error: 'not_found' })
  if (request.method !== 'DELETE') return sendJson(exchange, 405, { error: 'method_not_allowed' }, { allow: 'DELETE' })
  return (await directory.removeGroup(name)) ? sendJson(exchange, 204) : sendJson(exchange, 404, { error: 'not_found' })
}

async function handleCollection(directory: Directory, exchange: Exchange): Promise<void> {
  const { request } = exchange
  if (request.method === 'GET') return sendJson(exchange, 200, { groups: (await directory.groups()).map(onWire) })
  if (request.method !== 'POST') return sendJson(exchange, 405, { error: 'method_not_allowed' }, { allow: 'GET, POST' })
  const body = await readBody(request)
  if (body === undefined) return sendJson(exchange, 413, { error: 'too_large' })
  const parsed = newGroup.safeParse(jsonOf(body))
  if (!parsed.success) return sendJson(exchange, 422, { error: 'invalid_request' })
  const group = { name: parsed.data.name, owner: parsed.data[OWNER_MARK] ?? null }
  return (await directory.createGroup(group)) ? sendJson(exchange, 201, onWire(group)) : sendJson(exchange, 409, { error: 'conflict' })
}

function onWire({ name, owner }: Group): Record<string, string> {
  return { name, ...(owner === null ? {} : { [OWNER_MARK]: owner }) }
}

/** Compared as hashes, so that neither length nor content shows in the time it takes. */
function isBearer(header: string | undefined, token: string): boolean {
  const hash = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(hash(header ?? ''), hash(`Bearer ${token}`))
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
