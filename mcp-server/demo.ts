/**
 * A small MCP server behind a login: one tool that tells who is calling. Routes for a Hono app, so that it can share the
 * registry's port. It is a resource server in the sense of RFC 9728 and knows nothing of how tokens are verified.
 */
import { Server } from '@modelcontextprotocol/sdk/server/index.js'
import { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js'
import { CallToolRequestSchema, ErrorCode, ListToolsRequestSchema, McpError, type Tool } from '@modelcontextprotocol/sdk/types.js'
import type { Env, Hono } from 'hono'
import { isToolkitError, Problems } from '../core/errors.js'
import { cleanText } from '../core/foreign-text.js'

/** Who is calling, as whoever verified the token says. */
export interface DemoCaller {
  readonly issuer: string
  readonly subject: string
  readonly client_id: string | null
  readonly kind: 'person' | 'machine'
  readonly username?: string
  readonly groups: readonly string[]
}

export interface DemoOptions {
  /** Below it `/mcp` is served: `/demo`. */
  readonly path: string
  /** Base URL as clients spell it, without a trailing slash. */
  readonly publicUrl: string
  readonly issuer: string
  readonly scopes: readonly string[]
  /** @throws ToolkitError unauthenticated for a token that is not accepted */
  verify(token: string): Promise<DemoCaller>
  /** One authenticated call of the tool. */
  readonly onCall?: (entry: { tool: string; subject: string; client_id: string | null; kind: string }) => void
  /** For one request, milliseconds (default 10,000). */
  readonly timeoutMs?: number
}

const MAX_BODY = 1_000_000
const TIMEOUT_MS = 10_000
const LOOPBACK = ['127.0.0.1', 'localhost', '[::1]']

const WHOAMI: Tool = {
  name: 'whoami',
  title: 'Who am I',
  description: 'Tells who is calling: subject, user name, groups and client.',
  inputSchema: { type: 'object', properties: {}, additionalProperties: false },
  outputSchema: {
    type: 'object',
    properties: {
      subject: { type: 'string' },
      username: { type: ['string', 'null'] },
      groups: { type: 'array', items: { type: 'string' } },
      client_id: { type: ['string', 'null'] },
      kind: { type: 'string', enum: ['person', 'machine'] },
    },
    required: ['subject', 'username', 'groups', 'client_id', 'kind'],
    additionalProperties: false,
  },
  annotations: { title: 'Who am I', readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
}

/**
 * Routes for `<path>/mcp` and its protected resource metadata (RFC 9728 section 3.1: the path is inserted after the
 * well-known part). Every method without a token is answered 401, since clients probe with GET and HEAD too.
 * @throws ToolkitError invalid_input when an option cannot stand in a URL or a challenge
 */
export function demoServer(options: DemoOptions): <E extends Env>(app: Hono<E>) => void {
  const { path, publicUrl, issuer, scopes, timeoutMs = TIMEOUT_MS } = options
  refuseUnfit(options)
  const endpoint = `${path}/mcp`
  const metadataPath = `/.well-known/oauth-protected-resource${endpoint}`
  const metadata = {
    resource: `${publicUrl}${endpoint}`,
    authorization_servers: [issuer],
    scopes_supported: scopes,
    bearer_methods_supported: ['header'],
    resource_name: 'Demo MCP server',
  }
  const challenge = `resource_metadata="${publicUrl}${metadataPath}", scope="${scopes.join(' ')}"`
  const hosts = ownHosts(publicUrl)

  const guarded = async (request: Request): Promise<Response> => {
    const foreign = foreignCaller(request, hosts)
    if (foreign !== undefined) return foreign
    const header = request.headers.get('authorization')
    const token = /^Bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(header ?? '')?.[1]
    // RFC 6750 section 3.1: no error code when the request carried no bearer token, or used another scheme.
    if (token === undefined) return unauthorized(challenge, /^Bearer\b/i.test(header ?? '') ? 'invalid_token' : undefined)
    try {
      const caller = await options.verify(token)
      // Stateless: there is no stream to open with GET and no session to end with DELETE.
      if (request.method !== 'POST') return refusal(405, 'method_not_allowed', { allow: 'POST' })
      return await answer(request, caller, options)
    } catch (error) {
      if (isToolkitError(error, 'unauthenticated')) return unauthorized(challenge, 'invalid_token')
      // Whether the token is good is not known, so the client must not throw it away.
      if (isToolkitError(error, 'unavailable')) return refusal(503, 'temporarily_unavailable')
      throw error
    }
  }
  return (app) => {
    app.get(metadataPath, (c) => foreignCaller(c.req.raw, hosts) ?? c.json(metadata, 200, { 'cache-control': 'max-age=300' }))
    app.all(endpoint, (c) => withinTime(guarded(c.req.raw), timeoutMs))
  }
}

function refuseUnfit({ path, publicUrl, scopes }: DemoOptions): void {
  const problems = new Problems()
  if (!/^(?:\/[A-Za-z0-9._-]+)+$/.test(path)) problems.add('path', 'a path such as /demo', path)
  if (!URL.canParse(publicUrl) || new URL(publicUrl).origin !== publicUrl)
    problems.add('publicUrl', 'an origin such as http://127.0.0.1:7860', publicUrl)
  // The scope-token of RFC 6749 section 3.3, which needs no escape inside quotes.
  for (const scope of scopes)
    if (!/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope)) problems.add('scopes', 'visible ASCII without quote and backslash', scope)
  problems.throwIfAny('the demo server')
}

function ownHosts(publicUrl: string): string[] {
  const { host, hostname, port } = new URL(publicUrl)
  return LOOPBACK.includes(hostname) ? LOOPBACK.map((name) => (port === '' ? name : `${name}:${port}`)) : [host]
}

/** A page of another site, by its own name (`Origin`) or by one that it bound to this address (`Host`). */
function foreignCaller(request: Request, hosts: readonly string[]): Response | undefined {
  const host = request.headers.get('host') ?? new URL(request.url).host
  if (!hosts.includes(host.toLowerCase())) return refusal(421, 'misdirected_request')
  const origin = request.headers.get('origin')
  if (origin === null || (URL.canParse(origin) && hosts.includes(new URL(origin).host))) return undefined
  return refusal(403, 'foreign_origin')
}

function unauthorized(challenge: string, error?: 'invalid_token'): Response {
  const header = `Bearer realm="mcp", ${error === undefined ? '' : `error="${error}", `}${challenge}`
  return refusal(401, error ?? 'unauthorized', { 'www-authenticate': header })
}

function refusal(status: number, error: string, headers: Record<string, string> = {}): Response {
  return Response.json({ error }, { status, headers: { 'cache-control': 'no-store', ...headers } })
}

/** A message that cancels itself is never answered, and a body may never end. */
async function withinTime(work: Promise<Response>, timeoutMs: number): Promise<Response> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Response>((resolve) => {
    timer = setTimeout(() => resolve(refusal(408, 'timeout', { connection: 'close' })), timeoutMs)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Stateless: one server and transport a request, so that no session can outlive its token. */
async function answer(request: Request, caller: DemoCaller, { onCall }: DemoOptions): Promise<Response> {
  const server = new Server({ name: 'mcp-gateway-idp-demo', title: 'Demo', version: '1.0.0' }, { capabilities: { tools: {} } })
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: [WHOAMI] }))
  server.setRequestHandler(CallToolRequestSchema, ({ params }) => {
    if (params.name !== WHOAMI.name) throw new McpError(ErrorCode.InvalidParams, 'unknown tool')
    if (Object.keys(params.arguments ?? {}).length > 0) {
      return { isError: true, content: [{ type: 'text', text: 'invalid_input: whoami takes no arguments' }] }
    }
    const { subject, client_id, kind } = caller
    onCall?.({ tool: WHOAMI.name, subject, client_id, kind })
    const structuredContent = {
      subject: cleanText(subject),
      username: caller.username === undefined ? null : cleanText(caller.username),
      groups: caller.groups.map((group) => cleanText(group)),
      client_id: client_id === null ? null : cleanText(client_id),
      kind,
    }
    return { content: [{ type: 'text', text: JSON.stringify(structuredContent) }], structuredContent }
  })
  const transport = new WebStandardStreamableHTTPServerTransport({ enableJsonResponse: true, maxRequestBodySize: MAX_BODY })
  await server.connect(transport)
  try {
    return await transport.handleRequest(request)
  } finally {
    await server.close()
  }
}
