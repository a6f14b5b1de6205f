/**
 * What a person pastes so that an MCP client connects to a server and logs in. Everything that comes from the registry is
 * checked here, once; a renderer only writes it in its client's syntax.
 */
import { invalidInput, type Problem } from '../core/errors.js'
import { httpUrl, port } from '../core/vocabulary.js'
import { CLIENTS, type McpClient } from './catalogue.js'
import {
  type CheckedConnection,
  type Connection,
  type HeaderVariable,
  type Rendered,
  type Rendering,
  TOKEN_VARIABLE,
} from './connection.js'
import { serverEntryName } from './entry-name.js'
import { renderClaudeCode } from './render/claude-code.js'
import { renderCodex } from './render/codex.js'
import { renderCursor } from './render/cursor.js'

const RENDERERS = {
  'claude-code': renderClaudeCode,
  codex: renderCodex,
  cursor: renderCursor,
} as const satisfies Record<McpClient, (connection: CheckedConnection) => Rendering>

/**
 * The text for one client, with other ways to the same end. Without a login client the token is named by a variable, unless
 * the client can register itself; a token is never embedded.
 * @throws ToolkitError invalid_input with every problem: a URL that is neither https nor http on loopback, a client id,
 * port, header or variable that cannot be written
 */
export function renderConnect(client: McpClient, connection: Connection): Rendered {
  const checked = checkedConnection(connection)
  const { texts, notes } = RENDERERS[client](checked)
  const [first, ...alternatives] = texts
  return { client, ...first, alternatives, notes: [...sharedNotes(connection, checked), ...notes, `Tested: ${CLIENTS[client].tested}.`] }
}

/** A field name of RFC 9110 section 5.1. */
const HEADER = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}$/
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/
const LOOPBACK = ['localhost', '127.0.0.1', '[::1]']

function checkedConnection(connection: Connection): CheckedConnection {
  const { name, url, client_id, callback_port, headers, dcr, token_variable = TOKEN_VARIABLE } = connection
  const problems: Problem[] = [
    ...(isSafeUrl(url) ? [] : [{ path: 'url', expected: 'https, or http on loopback, without user name, fragment and white space' }]),
    ...(client_id === null || /^[\x21-\x7e]{1,2048}$/.test(client_id) ? [] : [{ path: 'client_id', expected: 'visible ASCII characters' }]),
    ...(callback_port === null || port.safeParse(callback_port).success ? [] : [{ path: 'callback_port', expected: 'a port, 1 to 65535' }]),
    ...headers.flatMap((header, index) => (HEADER.test(header) ? [] : [{ path: `headers[${index}]`, expected: 'a header name' }])),
    ...(VARIABLE.test(token_variable) ? [] : [{ path: 'token_variable', expected: 'a letter or _, then letters, digits and _' }]),
  ]
  if (problems.length > 0) throw invalidInput('the connection', problems)
  const token = client_id === null && dcr !== true ? token_variable : null
  const variables = headerVariables(headers)
  return {
    name: serverEntryName(name),
    url,
    client_id,
    callback_port: client_id === null ? null : callback_port,
    headers: variables,
    token,
  }
}

function isSafeUrl(url: string): boolean {
  if (!httpUrl.safeParse(url).success || /[\s\p{C}]/u.test(url)) return false
  const { protocol, hostname } = new URL(url)
  return protocol === 'https:' || LOOPBACK.includes(hostname)
}

/**
 * A variable of our own prefix for each header: were it named after the header alone, a registry could ask for a header
 * `AWS_SECRET_ACCESS_KEY` and be sent what the person has there. `Authorization` belongs to the login.
 */
function headerVariables(headers: readonly string[]): HeaderVariable[] {
  const names = new Map(headers.filter((header) => !isAuthorization(header)).map((header) => [header.toLowerCase(), header]))
  const taken = new Set<string>()
  return [...names.values()].map((header) => {
    const base = `MCP_HEADER_${header.toUpperCase().replace(/[^A-Z0-9]/g, '_')}`
    let variable = base
    for (let count = 2; taken.has(variable); count++) variable = `${base}_${count}`
    taken.add(variable)
    return { header, variable }
  })
}

function isAuthorization(header: string): boolean {
  return header.toLowerCase() === 'authorization'
}

function sharedNotes({ headers, dcr }: Connection, checked: CheckedConnection): string[] {
  const unknown = dcr === null ? ', and whether clients can register themselves is not known' : ', and clients cannot register themselves'
  return [
    ...(checked.token === null ? [] : [`No login client is set for this server${unknown}: put a token into ${checked.token} first.`]),
    ...checked.headers.map(({ header, variable }) => `The server wants the header ${header}: put its value into ${variable} first.`),
    ...(headers.some(isAuthorization) ? ['The server names the header Authorization; it is left out, since it carries the login.'] : []),
  ]
}
