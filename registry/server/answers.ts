/**
 * Answers other than success, in the shapes of the documented API: `{"detail": …}` as FastAPI writes it.
 * One table turns our error codes into statuses, so that a route throws and does not translate.
 */
import type { Context, Handler, Hono } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { type ErrorCode, isToolkitError } from '../../core/errors.js'
import type { Caller } from './auth/caller.js'

/** What every handler behind authentication finds in its context. */
export type Env = { Variables: { caller: Caller; refusal?: string } }

/** One row of a 422 answer; keys come in this order. */
export interface Row {
  readonly type: string
  readonly loc: readonly (string | number)[]
  readonly msg: string
  readonly input: unknown
  readonly ctx?: Readonly<Record<string, unknown>>
}

/** To be thrown: the request ends with this status and JSON body. */
export function refusal(
  status: 400 | 403 | 404 | 405 | 409 | 413 | 421 | 422,
  body: object,
  headers: Record<string, string> = {},
): HTTPException {
  return new HTTPException(status, { res: Response.json(body, { status, headers }) })
}

export function invalid(rows: readonly Row[]): HTTPException {
  return refusal(422, { detail: rows })
}

export function notFound(): HTTPException {
  return refusal(404, { detail: 'Not Found' })
}

/** The right that the documented API calls administrator. */
export function requireAdmin({ is_admin }: Caller): void {
  if (!is_admin) throw refusal(403, { detail: 'Administrator permissions are required' })
}

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

/** A path with its methods; any other method is 405 and names them (RFC 9110 section 15.5.6). */
export function resource(app: Hono<Env>, path: string, handlers: { readonly [M in Method]?: Handler<Env> }): void {
  const methods = Object.entries(handlers)
  app.use(path, async (c, next) => {
    // Hono would answer HEAD by the handler of GET; the documented API refuses it.
    if (c.req.method === 'HEAD') throw methodNotAllowed(methods.map(([method]) => method))
    await next()
  })
  for (const [method, handler] of methods) app.on(method, path, handler)
  app.all(path, () => {
    throw methodNotAllowed(methods.map(([method]) => method))
  })
}

function methodNotAllowed(methods: readonly string[]): HTTPException {
  return refusal(405, { detail: 'Method Not Allowed' }, { allow: methods.join(', ') })
}

const STATUS: { readonly [C in ErrorCode]?: 400 | 401 | 403 | 404 | 409 | 422 | 503 } = {
  invalid_input: 422,
  unauthenticated: 401,
  forbidden: 403,
  owned_elsewhere: 403,
  not_found: 404,
  conflict: 409,
  unavailable: 503,
}

/** What a thrown error looks like outside: our own message for our codes, one fixed text for a defect. */
export function answerFor(error: unknown, c: Context<Env>, resourceMetadata: string): Response {
  if (error instanceof HTTPException) return error.getResponse()
  const status = isToolkitError(error) ? STATUS[error.code] : undefined
  if (!isToolkitError(error) || status === undefined) return c.json({ detail: 'Internal Server Error' }, 500)
  if (status !== 401) return c.json({ detail: error.message }, status)
  // RFC 6750 section 3.1: an error code only when a token was there. Which check failed is not told.
  const presented =
    error.details && 'vendor_code' in error.details && error.details.vendor_code !== 'missing' ? ', error="invalid_token"' : ''
  return c.json({ detail: 'Authentication required' }, 401, {
    'www-authenticate': `Bearer realm="mcp", resource_metadata="${resourceMetadata}"${presented}`,
  })
}
