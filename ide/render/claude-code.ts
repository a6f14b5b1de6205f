/** Claude Code: one command. Without `--transport http` it would store the URL as a program to start; headers come last, since the flag takes all words after it. */

import { type Connection, type Rendered, TOKEN_VARIABLE } from '../connection.js'
import { quotePosix } from '../quote.js'

export function renderClaudeCode({ name, url, client_id, callback_port, dcr }: Connection): Omit<Rendered, 'notes'> {
  const login = client_id === null ? [] : ['--client-id', client_id]
  const port = callback_port === null || (client_id === null && dcr !== true) ? [] : ['--callback-port', String(callback_port)]
  const token = client_id === null && dcr !== true ? ['--header', `Authorization: Bearer \${${TOKEN_VARIABLE}}`] : []
  const argv = ['claude', 'mcp', 'add', '--transport', 'http', ...login, ...port, name, url, ...token]
  return { title: 'Claude Code', kind: 'command', language: 'sh', text: quotePosix(argv), alternatives: [] }
}
