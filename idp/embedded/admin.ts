/**
 * The admin API of the embedded provider, below `/admin`, behind a bearer token of its own: groups, people, client secrets.
 * Lists come in pages, `?after=<key>&limit=<1..1000>`, sorted by key; `next` is there while there is more.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { jsonOf } from '../../core/json-text.js'
import { clientSecret } from './admin/clients.js'
import { groupCollection, oneGroup } from './admin/groups.js'
import type { Route } from './admin/route.js'
import { oneUser, userCollection } from './admin/users.js'
import { type Exchange, readBody, sendJson } from './exchange.js'
import type { Groups } from './groups.js'
import type { People } from './people.js'
import type { Store } from './store.js'

export interface AdminParts {
  readonly groups: Groups
  readonly people: People
  readonly store: Store
  readonly adminToken: string
}

/** 64 KB: a person in a thousand groups. */
const MAX_BODY = 65_536
const page = z.strictObject({
  after: z.string().max(1024).default(''),
  limit: z
    .string()
    .regex(/^[1-9]\d{0,3}$/)
    .default('200')
    .transform(Number)
    .pipe(z.number().max(1000)),
})

/** Answers everything below `/admin/`. */
export function adminApi({ groups, people, store, adminToken }: AdminParts): (exchange: Exchange) => Promise<void> {
  const routes: Readonly<Record<string, Route>> = {
    groups: groupCollection(groups),
    'groups/:key': oneGroup(groups),
    users: userCollection(people),
    'users/:key': oneUser(people),
    'clients/:key/secret': clientSecret(store),
  }
  return async (exchange) => {
    const { request } = exchange
    if (!isBearer(request.headers.authorization, adminToken)) {
      return sendJson(exchange, 401, { error: 'invalid_token' }, { 'www-authenticate': 'Bearer' })
    }
    const [path = '', query = ''] = (request.url ?? '').split('?', 2)
    const [collection = '', encoded, ...rest] = path.slice('/admin/'.length).split('/')
    const template = [collection, ...(encoded === undefined ? [] : [':key']), ...rest].join('/')
    const route = Object.hasOwn(routes, template) ? routes[template] : undefined
    const key = decoded(encoded ?? '')
    if (route === undefined || key === undefined) return sendJson(exchange, 404, { error: 'not_found' })
    const method = request.method as keyof Route
    const handle = Object.hasOwn(route, method) ? route[method] : undefined
    if (handle === undefined) {
      return sendJson(exchange, 405, { error: 'method_not_allowed' }, { allow: Object.keys(route).join(', ') })
    }
    const wish = pageOf(query)
    if (wish === undefined) return sendJson(exchange, 422, { error: 'invalid_request' })
    const body = await readBody(request, MAX_BODY)
    if (body === undefined) return sendJson(exchange, 413, { error: 'too_large' })
    const reply = await handle({ key, page: wish, body: jsonOf(body) })
    sendJson(exchange, reply.status, reply.body)
  }
}

/** Undefined for a query that is not ours: an unknown name, one that is there twice, a limit out of bounds. */
function pageOf(query: string): z.output<typeof page> | undefined {
  const given = [...new URLSearchParams(query)]
  const once = Object.fromEntries(given)
  return Object.keys(once).length === given.length ? page.safeParse(once).data : undefined
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
