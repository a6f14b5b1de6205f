/** Cursor: an entry of `mcp.json`. */
import { type Connection, type Rendered, TOKEN_VARIABLE } from '../connection.js'

export function renderCursor({ name, url, client_id, dcr }: Connection): Omit<Rendered, 'notes'> {
  const login =
    client_id !== null
      ? { auth: { CLIENT_ID: client_id } }
      : dcr === true
        ? {}
        : { headers: { Authorization: `Bearer \${env:${TOKEN_VARIABLE}}` } }
  const text = JSON.stringify({ mcpServers: { [name]: { url, ...login } } }, null, 2)
  return { title: 'Cursor', kind: 'file', language: 'json', path: '~/.cursor/mcp.json', text, alternatives: [] }
}
