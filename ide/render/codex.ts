/**
 * Codex: a table of `~/.codex/config.toml`, or a command. A pinned port needs both keys: the URL alone moves the redirect
 * and not the listener, and the URL counts with every provider only when it ends in the id of the server.
 */
import { codexCallbackId } from '../codex-callback.js'
import type { CheckedConnection, Rendering, Text } from '../connection.js'
import { quotePosix } from '../quote.js'
import { tomlKey, tomlString } from './toml.js'

export function renderCodex(connection: CheckedConnection): Rendering {
  const { name, token, headers } = connection
  const hasCommand = headers.length === 0
  const file: Text = { title: 'Codex', kind: 'file', language: 'toml', path: '~/.codex/config.toml', text: configTable(connection) }
  const command: Text = { title: 'Codex, by command', kind: 'command', language: 'sh', text: addCommand(connection) }
  return {
    // No flag of the command takes a header.
    texts: hasCommand ? [file, command] : [file],
    notes: [
      ...(token === null ? [`To log in${hasCommand ? ', which codex mcp add does by itself' : ''}: ${loginCommand(connection)}`] : []),
      `codex mcp add replaces an entry named ${name} without a word${hasCommand ? '' : ', and cannot set headers'}.`,
    ],
  }
}

function configTable({ name, url, client_id, callback_port, headers, token }: CheckedConnection): string {
  const table = `mcp_servers.${tomlKey(name)}`
  const variables = headers.map(({ header, variable }) => `${tomlKey(header)} = ${tomlString(variable)}`)
  const callback = `http://127.0.0.1:${callback_port}/callback/${codexCallbackId(url)}`
  const lines = [
    `[${table}]`,
    `url = ${tomlString(url)}`,
    ...(token === null ? [] : [`bearer_token_env_var = ${tomlString(token)}`]),
    ...(variables.length === 0 ? [] : [`env_http_headers = { ${variables.join(', ')} }`]),
    ...(client_id === null ? [] : ['', `[${table}.oauth]`, `client_id = ${tomlString(client_id)}`]),
    ...(callback_port === null ? [] : [`callback_port = ${callback_port}`, `callback_url = ${tomlString(callback)}`]),
  ]
  return `${lines.join('\n')}\n`
}

function addCommand({ name, url, client_id, callback_port, token }: CheckedConnection): string {
  return quotePosix([
    ...['codex', 'mcp', 'add', name, '--url', url],
    // A value that begins with a dash would be read as another flag.
    ...(client_id === null ? [] : client_id.startsWith('-') ? [`--oauth-client-id=${client_id}`] : ['--oauth-client-id', client_id]),
    ...(token === null ? [] : ['--bearer-token-env-var', token]),
    ...pinned(callback_port),
  ])
}

/** The port in the file serves here too, but an older version knows this way alone. */
function loginCommand({ name, callback_port }: CheckedConnection): string {
  return quotePosix(['codex', 'mcp', 'login', name, ...pinned(callback_port)])
}

function pinned(callback_port: number | null): string[] {
  return callback_port === null ? [] : ['-c', `mcp_oauth_callback_port=${callback_port}`]
}
