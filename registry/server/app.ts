/** The embedded registry as a Hono app, without a socket: tests call it in memory, `start.ts` puts it behind one. */
import { Hono } from 'hono'
import { isToolkitError } from '../../core/errors.js'
import { answerFor, type Env, refusal } from './answers.js'
import type { Authenticate } from './auth/authenticate.js'
import { identityRoutes, RESOURCE_METADATA } from './routes/identity.js'
import { m2mClientRoutes } from './routes/m2m-clients.js'
import { serverRoutes } from './routes/servers.js'
import type { Store } from './store/store.js'

/** One request served: never a header, a body or a query. */
export interface ServedRequest {
  readonly method: string
  readonly path: string
  readonly status: number
  readonly ms: number
  /** Code of the error behind a refusal, or the class of an unexpected one. */
  readonly error?: string
}

/** The registry's login client for people (`IDE_OAUTH_CLIENT_ID`, `IDE_OAUTH_CALLBACK_PORT`). */
export interface IdeClient {
  readonly client_id?: string
  readonly callback_port?: number
}

export interface AppOptions {
  /** Base URL as clients spell it, without a trailing slash; its host is the only one served, with `localhost`'s names. */
  readonly url: string
  readonly store: Store
  readonly authenticate: Authenticate
  /** Issuer strings that are trusted; the first is primary. */
  readonly issuers: readonly string[]
  readonly ide?: IdeClient
  readonly version?: string
  readonly onRequest?: (entry: ServedRequest) => void
  /** Adds routes of the same origin; they authenticate for themselves. */
  readonly mount?: (app: Hono<Env>) => void
}

/** Paths below `/api` that anybody may read. */
const OPEN = ['/api/version']

export function createApp({ url, store, authenticate, issuers, ide = {}, version = 'unknown', onRequest, mount }: AppOptions): Hono<Env> {
  const app = new Hono<Env>()
  const hosts = allowedHosts(url)

  app.use('*', async (c, next) => {
    const started = performance.now()
    await next()
    const error = c.get('refusal')
    const entry = { method: c.req.method, path: c.req.path, status: c.res.status, ms: performance.now() - started }
    onRequest?.({ ...entry, ...(error === undefined ? {} : { error }) })
  })
  app.use('*', async (c, next) => {
    // A page of another site that rebinds its name to this address still sends its own name.
    const names = [new URL(c.req.url).host, c.req.header('host') ?? new URL(url).host]
    if (names.some((name) => !hosts.includes(name.toLowerCase()))) throw refusal(421, { detail: 'Misdirected Request' })
    c.header('x-content-type-options', 'nosniff')
    c.header('cache-control', 'no-store')
    await next()
  })
  app.use('/api/*', async (c, next) => {
    if (!OPEN.includes(c.req.path)) c.set('caller', await authenticate(c.req.raw.headers))
    await next()
  })
  identityRoutes(app, { url, issuers, version })
  m2mClientRoutes(app, { store, issuers })
  serverRoutes(app, { store, ide })
  mount?.(app)
  app.notFound((c) => c.json({ detail: 'Not Found' }, 404))
  app.onError((error, c) => {
    c.set('refusal', isToolkitError(error) ? error.code : error.name)
    return answerFor(error, c, `${url}${RESOURCE_METADATA}`)
  })
  return app
}

function allowedHosts(url: string): string[] {
  const { host, hostname, port } = new URL(url)
  const loopback = ['127.0.0.1', 'localhost', '[::1]']
  if (!loopback.includes(hostname)) return [host]
  return loopback.map((name) => (port === '' ? name : `${name}:${port}`))
}
