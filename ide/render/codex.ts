/** Codex: a table of `~/.codex/config.toml`, or a command. A pinned port needs both the port and the URL, or the browser meets a closed port. */

import { type Connection, type Rendered, TOKEN_VARIABLE } from '../connection.js'
import { quotePosix } from '../quote.js'
import { codexCallbackId } from '../redirects.js'

export function renderCodex({ name, url, client_id, callback_port, dcr }: Connection): Omit<Rendered, 'notes'> {
  const byToken = client_id === null && dcr !== true
  const login = [
    ...(client_id === null ? [] : [`client_id = ${tomlString(client_id)}`]),
    ...(callback_port === null || byToken
      ? []
      : [
          `callback_port = ${callback_port}`,
          `callback_url = ${tomlString(`http://127.0.0.1:${callback_port}/callback/${codexCallbackId(url)}`)}`,
        ]),
  ]
  const text = [
    `[mcp_servers.${name}]`,
    `url = ${tomlString(url)}`,
    ...(byToken ? [`bearer_token_env_var = ${tomlString(TOKEN_VARIABLE)}`] : []),
    ...(login.length === 0 ? [] : [`[mcp_servers.${name}.oauth]`, ...login]),
  ].join('\n')
  const argv = [
    ...['codex', 'mcp', 'add', name, '--url', url],
    ...(client_id === null ? [] : ['--oauth-client-id', client_id]),
    ...(byToken ? ['--bearer-token-env-var', TOKEN_VARIABLE] : []),
    ...(callback_port === null || byToken ? [] : ['-c', `mcp_oauth_callback_port=${callback_port}`]),
  ]
  return {
    title: 'Codex',
    kind: 'file',
    language: 'toml',
    path: '~/.codex/config.toml',
    text,
    alternatives: [{ title: 'Codex command', language: 'sh', text: quotePosix(argv) }],
  }
}

/** A basic string of TOML 1.0: quotation mark, backslash and control characters escaped. */
export function tomlString(value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: TOML forbids exactly these
  const escaped = value
    .replace(/["\\]/g, '\\$&')
    .replace(/[\u0000-\u001f\u007f]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return `"${escaped}"`
}
