/** What stands before oidc-provider: which hosts are served, which paths are ours, and what is told of each request. */
import type { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Provider } from 'oidc-provider'
import { type Exchange, sendJson } from './exchange.js'

/** One request served: never a header, a body or a query; ids of logins and clients and names of people and groups are left out of the path. */
export interface ServedRequest {
  readonly method: string
  readonly path: string
  readonly status: number
  /** Class of an unexpected error behind a 500. */
  readonly error?: string
}

interface Serving {
  readonly provider: Provider
  readonly issuer: string
  /** Where it listens; another origin than the issuer's when a proxy stands before it. */
  readonly url: string
  /** Our own routes by the beginning of their path. */
  readonly routes: Readonly<Record<string, (exchange: Exchange) => Promise<void>>>
  readonly onRequest?: (entry: ServedRequest) => void
}

/** The server's listener; it answers every request and throws nothing. */
export function requestHandler({ provider, issuer, url, routes, onRequest }: Serving): (exchange: Exchange) => Promise<void> {
  const own = new URL(url)
  const hosts = new Set([own.host, `localhost:${own.port}`, new URL(issuer).host])
  const failures = failuresOf(provider)
  const protocol = provider.callback()
  // Only what `standBehind` sets is ever believed.
  provider.proxy = issuer !== url

  return async (exchange) => {
    const { request, response } = exchange
    const path = (request.url ?? '').split('?', 1)[0] ?? ''
    if (onRequest) {
      response.once('close', () => {
        const error = failures.get(request)
        onRequest({
          method: request.method ?? '',
          path: withoutIds(path),
          status: response.statusCode,
          ...(error === undefined ? {} : { error }),
        })
      })
    }
    // oidc-provider builds its metadata from the Host header; a page that rebinds its name to this address sends its own.
    if (!hosts.has((request.headers.host ?? '').toLowerCase()) || !path.startsWith('/'))
      return sendJson(exchange, 421, { error: 'misdirected_request' })
    if (issuer !== url) standBehind(issuer, request)
    const ours = Object.entries(routes).find(([prefix]) => path.startsWith(prefix))
    try {
      await (ours ? ours[1](exchange) : protocol(request, response))
    } catch (error) {
      failures.set(request, error instanceof Error ? error.name : typeof error)
      if (response.headersSent) response.destroy()
      else sendJson(exchange, 500, { error: 'server_error' })
    }
  }
}

/** Unexpected errors inside oidc-provider, by request. Koa prints those that nobody listens for. */
function failuresOf(provider: Provider): WeakMap<IncomingMessage, string> {
  const failures = new WeakMap<IncomingMessage, string>()
  provider.on('server_error', ({ req }, error) => void failures.set(req, error.name))
  const koa: EventEmitter = provider
  koa.on('error', (error: Error, ctx?: { req: IncomingMessage }) => void (ctx && failures.set(ctx.req, error.name)))
  return failures
}

/** What the proxy's address is, said by our own configuration and not by the request. */
function standBehind(issuer: string, request: IncomingMessage): void {
  const { host, protocol } = new URL(issuer)
  request.headers.host = host
  request.headers['x-forwarded-proto'] = protocol.slice(0, -1)
  delete request.headers['x-forwarded-host']
}

function withoutIds(path: string): string {
  return path.replace(/^\/(login|auth|reg|admin\/[a-z]+)\/.+/, '/$1/:id')
}
