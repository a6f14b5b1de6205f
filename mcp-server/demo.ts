/**
 * A small MCP server behind a login: one tool that tells who is calling. Routes for a Hono app, so that it can share the
 * registry's port. It is a resource server in the sense of RFC 9728 and knows nothing of how tokens are verified.
 */
import { Server } from '@modelcontextprotocol/sdk/server/index.js'
import { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js'
import { CallToolRequestSchema, ErrorCode, ListToolsRequestSchema, McpError, type Tool } from '@modelcontextprotocol/sdk/types.js'
import type { Env, Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { isToolkitError } from '../core/errors.js'
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
}

const MAX_BODY = 1_000_000

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
      kind: { enum: ['person', 'machine'] },
    },
    required: ['subject', 'username', 'groups', 'client_id', 'kind'],
    additionalProperties: false,
  },
  annotations: { title: 'Who am I', readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
}

/** Adds `<path>/mcp` and its protected resource metadata (RFC 9728 section 3.1: the path is inserted after the well-known part). */
export function demoServer(options: DemoOptions): <E extends Env>(app: Hono<E>) => void {
  const { path, publicUrl, issuer, scopes } = options
  const endpoint = `${path}/mcp`
  const metadataPath = `/.well-known/oauth-protected-resource${endpoint}`
  const metadata = {
    resource: `${publicUrl}${endpoint}`,
    authorization_servers: [issuer],
    scopes_supported: scopes,
    bearer_methods_supported: ['header'],
    resource_name: 'Demo MCP server',
  }
  const challenge = (error: string | undefined): string =>
    [
      'Bearer realm="mcp"',
      // RFC 6750 section 3.1: no error code when the request carried no token.
      ...(error === undefined ? [] : [`error="${error}"`]),
      `resource_metadata="${publicUrl}${metadataPath}"`,
      `scope="${scopes.join(' ')}"`,
    ].join(', ')
  const unauthorized = (error: string | undefined) =>
    Response.json(
      { error: error ?? 'unauthorized', error_description: 'a token of the gateway is needed' },
      { status: 401, headers: { 'www-authenticate': challenge(error) } },
    )

  return (app) => {
    app.get(metadataPath, (c) => c.json(metadata, 200, { 'cache-control': 'max-age=300' }))
    app.use(endpoint, bodyLimit({ maxSize: MAX_BODY }))
    app.all(endpoint, async (c) => {
      const origin = c.req.header('origin')
      if (origin !== undefined && origin !== publicUrl)
        return Response.json({ error: 'forbidden', error_description: 'foreign origin' }, { status: 403 })
      const token = bearerOf(c.req.header('authorization'))
      if (token === undefined) return unauthorized(undefined)
      let caller: DemoCaller
      try {
        caller = await options.verify(token)
      } catch (error) {
        if (isToolkitError(error, 'unavailable')) return Response.json({ error: 'temporarily_unavailable' }, { status: 503 })
        return unauthorized('invalid_token')
      }
      // Stateless: there is no stream to open with GET and no session to end with DELETE.
      if (c.req.method !== 'POST') return new Response(null, { status: 405, headers: { allow: 'POST' } })
      return answer(c.req.raw, caller, options)
    })
  }
}

function bearerOf(header: string | undefined): string | undefined {
  return /^Bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(header ?? '')?.[1]
}

/** Stateless: one server and transport a request, so that no session can outlive its token. */
async function answer(request: Request, caller: DemoCaller, { onCall }: DemoOptions): Promise<Response> {
  const server = new Server({ name: 'mcp-gateway-idp-demo', title: 'Demo', version: '1.0.0' }, { capabilities: { tools: {} } })
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: [WHOAMI] }))
  server.setRequestHandler(CallToolRequestSchema, ({ params }) => {
    if (params.name !== WHOAMI.name) throw new McpError(ErrorCode.InvalidParams, 'unknown tool')
    if (Object.keys(params.arguments ?? {}).length > 0) throw new McpError(ErrorCode.InvalidParams, 'whoami takes no arguments')
    const { subject, client_id, kind } = caller
    onCall?.({ tool: WHOAMI.name, subject, client_id, kind })
    const structuredContent = {
      subject: cleanText(subject),
      username: caller.username === undefined ? null : cleanText(caller.username),
      groups: caller.groups.map((group) => cleanText(group)),
      client_id,
      kind,
    }
    return { content: [{ type: 'text', text: JSON.stringify(structuredContent) }], structuredContent }
  })
  const transport = new WebStandardStreamableHTTPServerTransport({ enableJsonResponse: true })
  await server.connect(transport)
  try {
    return await transport.handleRequest(request)
  } finally {
    await server.close()
  }
}
