/**
 * The MCP server and the SDK's own client joined in memory, beside a registry on a loopback port whose requests are counted.
 * A client says what it can do and how it answers when it is asked for a yes.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js'
import type { RequestOptions } from '@modelcontextprotocol/sdk/shared/protocol.js'
import {
  type CallToolResult,
  CallToolResultSchema,
  type ClientCapabilities,
  ElicitRequestSchema,
  type ElicitResult,
} from '@modelcontextprotocol/sdk/types.js'
import { createMcpServer } from '../../mcp-server/server.js'
import { toolFlags } from '../../mcp-server/tools.js'
import type { ServedRequest } from '../../registry/server/app.js'
import { startRegistry } from '../../registry/server/start.js'
import { ADMIN, issuerWithKeys, machineClaims, PRIMARY } from '../registry/fixture.js'

export interface Asked {
  readonly message: string
  /** Fires when the server stops waiting. */
  readonly signal: AbortSignal
}
export type Answer = (asked: Asked) => ElicitResult | Promise<ElicitResult>

export interface Connecting {
  readonly allow?: string
  readonly toolsets?: string
  readonly settings?: Readonly<Record<string, string>>
  readonly home?: string
  /** How the person answers; without it the client has no elicitation. */
  readonly answer?: Answer
  readonly capabilities?: ClientCapabilities
  readonly elicitationTimeoutMs?: number
}

/** A connected client; close it. */
export async function connected(options: Connecting = {}) {
  const { allow = '', toolsets = 'all', settings = {}, home = '/nonexistent/mcp-idp', answer, elicitationTimeoutMs = 20_000 } = options
  const server = await createMcpServer({
    ...toolFlags(allow, toolsets),
    version: '0.0.0',
    elicitationTimeoutMs,
    surroundings: async () => ({ home, profile: 'default', settings: (name) => settings[name] }),
  })
  const client = new Client({ name: 'test', version: '0' }, { capabilities: options.capabilities ?? (answer ? { elicitation: {} } : {}) })
  const asked: string[] = []
  if (answer) {
    client.setRequestHandler(ElicitRequestSchema, async ({ params }, { signal }) => {
      asked.push(params.message)
      return answer({ message: params.message, signal })
    })
  }
  const [near, far] = InMemoryTransport.createLinkedPair()
  await Promise.all([server.connect(far), client.connect(near)])
  return {
    client,
    asked,
    call: async (name: string, input: Record<string, unknown> = {}, request?: RequestOptions): Promise<CallToolResult> =>
      CallToolResultSchema.parse(await client.callTool({ name, arguments: input }, undefined, request)),
    close: () => client.close(),
  }
}

/** A registry with an administrator's token in a file, and what it was asked. */
export async function servedRegistry() {
  const home = await mkdtemp(join(tmpdir(), 'mcp-idp-tools-'))
  const issuer = await issuerWithKeys(PRIMARY)
  const requests: ServedRequest[] = []
  const registry = await startRegistry({
    folder: join(home, 'registry'),
    port: 0,
    issuers: [issuer.trusted],
    seed: { m2m_client: ADMIN },
    jwks: async () => issuer.jwks,
    onRequest: (entry) => requests.push(entry),
  })
  const token = await issuer.sign(machineClaims(PRIMARY, ADMIN.client_id))
  const settings = { REGISTRY_URL: registry.url, REGISTRY_TOKEN_FILE: await tokenFile(home, token) }
  return {
    ...{ home, settings, requests, store: registry.store },
    /** Requests that change something, since the last time this was asked. */
    writes: () => requests.splice(0).filter(({ method }) => method !== 'GET'),
    async close() {
      await registry.close()
      await rm(home, { recursive: true, force: true })
    },
  }
}

/** A token file of ours that is fresh for an hour. */
export async function tokenFile(folder: string, access_token: string): Promise<string> {
  const path = join(folder, 'registry-token.json')
  const expires_at = new Date(Date.now() + 3_600_000).toISOString()
  await writeFile(path, JSON.stringify({ access_token, expires_at }), { mode: 0o600 })
  return path
}

/** The one text of a result. */
export function textOf({ content }: CallToolResult): string {
  const [only, ...others] = content
  if (only?.type !== 'text' || others.length > 0) throw new Error('the result is not one text')
  return only.text
}
