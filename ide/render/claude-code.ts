/**
 * Claude Code: one command, or an entry of a project's `.mcp.json`. Without `--transport http` it would store the URL as a
 * program to start; headers come last, since their flag takes every word that follows.
 */
import type { CheckedConnection, Rendering } from '../connection.js'
import { quotePosix } from '../quote.js'

export function renderClaudeCode(connection: CheckedConnection): Rendering {
  const { name, url, client_id, callback_port } = connection
  const headers = headersOf(connection)
  const argv = [
    ...['claude', 'mcp', 'add', '--transport', 'http'],
    ...(client_id === null ? [] : flag('--client-id', client_id)),
    ...(callback_port === null ? [] : ['--callback-port', String(callback_port)]),
    ...[name, url],
    ...Object.entries(headers).flatMap(([header, value]) => flag('--header', `${header}: ${value}`)),
  ]
  return {
    texts: [
      { title: 'Claude Code', kind: 'command', language: 'sh', text: quotePosix(argv) },
      { title: 'Claude Code, for one project', kind: 'file', language: 'json', path: '.mcp.json', text: projectFile(connection, headers) },
    ],
    notes: [`A name that is taken is refused: claude mcp remove ${name} frees it.`],
  }
}

/** A value that begins with a dash would be read as another flag. */
function flag(name: string, value: string): string[] {
  return value.startsWith('-') ? [`${name}=${value}`] : [name, value]
}

function headersOf({ token, headers }: CheckedConnection): Record<string, string> {
  return Object.fromEntries([
    ...(token === null ? [] : [['Authorization', `Bearer \${${token}}`]]),
    ...headers.map(({ header, variable }) => [header, `\${${variable}}`]),
  ])
}

/** `type` is needed: an entry with a URL alone is skipped. */
function projectFile({ name, url, client_id, callback_port }: CheckedConnection, headers: Record<string, string>): string {
  const oauth =
    client_id === null ? {} : { oauth: { clientId: client_id, ...(callback_port === null ? {} : { callbackPort: callback_port }) } }
  const entry = { type: 'http', url, ...oauth, ...(Object.keys(headers).length === 0 ? {} : { headers }) }
  return `${JSON.stringify({ mcpServers: { [name]: entry } }, null, 2)}\n`
}
