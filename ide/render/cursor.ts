/** Cursor: an entry of `mcp.json`. Its callback port is fixed, so a pinned one has no place here. */
import type { CheckedConnection, Rendering } from '../connection.js'

export function renderCursor({ name, url, client_id, callback_port, headers, token }: CheckedConnection): Rendering {
  const fields = Object.fromEntries([
    ...(token === null ? [] : [['Authorization', `Bearer \${env:${token}}`]]),
    ...headers.map(({ header, variable }) => [header, `\${env:${variable}}`]),
  ])
  const entry = {
    url,
    ...(Object.keys(fields).length === 0 ? {} : { headers: fields }),
    ...(client_id === null ? {} : { auth: { CLIENT_ID: client_id } }),
  }
  const text = `${JSON.stringify({ mcpServers: { [name]: entry } }, null, 2)}\n`
  return {
    texts: [{ title: 'Cursor', kind: 'file', language: 'json', path: '~/.cursor/mcp.json', text }],
    notes: [
      'For one project alone the file is .cursor/mcp.json; an entry that is there belongs beside this one.',
      ...(callback_port === null ? [] : [`Cursor listens on port 8787 and cannot be told ${callback_port}.`]),
    ],
  }
}
