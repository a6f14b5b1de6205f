/** What a person pastes so that a client connects and logs in. Holds no secret: a token is named by a variable. */
import type { McpClient } from './catalogue.js'
import { type Connection, type Rendered, TOKEN_VARIABLE } from './connection.js'
import { renderClaudeCode } from './render/claude-code.js'
import { renderCodex } from './render/codex.js'
import { renderCursor } from './render/cursor.js'

const RENDERERS = { 'claude-code': renderClaudeCode, codex: renderCodex, cursor: renderCursor } as const satisfies Record<
  McpClient,
  (connection: Connection) => Omit<Rendered, 'notes'>
>

export function renderConnect(client: McpClient, connection: Connection): Rendered {
  const safe = { ...connection, name: entryName(connection.name) }
  const byToken = connection.client_id === null && connection.dcr !== true
  const notes = byToken ? [`No login client is set for this server, so a token is read from the variable ${TOKEN_VARIABLE}.`] : []
  return { ...RENDERERS[client](safe), notes }
}

/** A name that every client takes as a key: lower case letters, digits and dashes, beginning with a letter or digit. */
export function entryName(name: string): string {
  const safe = name
    .toLowerCase()
    .replace(/[\s/._]+/g, '-')
    .replace(/[^a-z0-9-]/g, '')
    .replace(/^-+|-+$/g, '')
    .slice(0, 64)
  return safe === '' ? 'mcp-server' : safe
}
