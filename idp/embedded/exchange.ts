/** Reading and answering plain Node requests: the two routes of ours beside oidc-provider need no framework. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Page } from './login-page.js'

/** A request and its answer. */
export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

/** 16 KB: a login form is far smaller. */
const MAX_BODY = 16_384

/** The body as text; undefined when it has more bytes. The rest is read and dropped, so that the sender hears the answer. */
export async function readBody(request: IncomingMessage, maxBytes = MAX_BODY): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.byteLength
    if (size <= maxBytes) chunks.push(chunk)
  }
  return size <= maxBytes ? Buffer.concat(chunks).toString('utf8') : undefined
}

export function sendPage({ response }: Exchange, status: number, { html, headers }: Page): void {
  response.writeHead(status, headers).end(html)
}

export function sendJson({ response }: Exchange, status: number, body?: unknown, headers: Readonly<Record<string, string>> = {}): void {
  const common = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', ...headers }
  if (body === undefined) response.writeHead(status, common).end()
  else response.writeHead(status, { ...common, 'content-type': 'application/json' }).end(JSON.stringify(body))
}
