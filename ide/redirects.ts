/** Which redirect URIs a client of the identity provider needs, so that the chosen MCP clients can log in. Pure. */
import { invalidInput, type Problem } from '../core/errors.js'
import { httpUrl, port } from '../core/vocabulary.js'
import { CLIENTS, type ClientRow, MCP_CLIENTS, type McpClient, type RedirectForm } from './catalogue.js'
import { codexCallbackId } from './codex-callback.js'

export { codexCallbackId, isCodexCallback } from './codex-callback.js'

export interface RedirectOptions {
  readonly clients: readonly McpClient[]
  /** URLs of the MCP servers, spelled as the clients are given them; Codex has a redirect URI for each. */
  readonly serverUrls: readonly string[]
  /** The port that the MCP clients pin. */
  readonly callbackPort?: number
  /** What the provider makes of a loopback port; `ignored` wants URIs without one (RFC 8252 section 7.3). */
  readonly loopback_port: 'ignored' | 'exact'
  /** Also the URIs on the vendors' own hosts. */
  readonly hosted?: boolean
}

export interface Redirects {
  /** Without duplicates, in the order of the catalogue whatever the order of `clients`. */
  readonly uris: readonly string[]
  /** What a person should know of the choice. */
  readonly notes: readonly string[]
}

/**
 * The redirect URIs to register for these MCP clients and servers.
 * @throws ToolkitError invalid_input with every problem: a server URL, a port, a client that needs a port and got none
 */
export function redirectUris(options: RedirectOptions): Redirects {
  const { clients, serverUrls, loopback_port, hosted = false } = options
  const rows: ClientRow[] = MCP_CLIENTS.filter((client) => clients.includes(client)).map((client) => CLIENTS[client])
  const problems = problemsOf(options, rows)
  if (problems.length > 0) throw invalidInput('the redirect URIs', problems)
  const ids = [...new Set(serverUrls.map(codexCallbackId))]
  const uris = rows.flatMap(({ redirects }) =>
    redirects.flatMap((form) => {
      if (form.kind === 'hosted' && !hosted) return []
      return form.kind === 'loopback' ? loopbackUris(form, ids, portText(form, options)) : [form.uri]
    }),
  )
  return { uris: [...new Set(uris)], notes: rows.flatMap((row) => notesOf(row, { ids, hosted, loopback_port })) }
}

/** Whether a redirect URI stays on the person's machine or is one that the catalogue knows (RFC 8252 section 7). */
export function isKnownRedirect(uri: string): boolean {
  if (/^http:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?(?:\/|$)/.test(uri)) return true
  const rows: readonly ClientRow[] = MCP_CLIENTS.map((client) => CLIENTS[client])
  return rows.some(({ redirects }) => redirects.some((form) => form.kind !== 'loopback' && form.uri === uri))
}

function problemsOf({ serverUrls, callbackPort, loopback_port }: RedirectOptions, rows: readonly ClientRow[]): Problem[] {
  const problems: Problem[] = serverUrls.flatMap((url, index) =>
    httpUrl.safeParse(url).success
      ? []
      : [{ path: `server_urls[${index}]`, expected: 'an http or https URL without user name, password and fragment' }],
  )
  const expected = 'a port, 1 to 65535'
  if (callbackPort !== undefined) {
    return port.safeParse(callbackPort).success ? problems : [...problems, { path: 'callback_port', expected, found: String(callbackPort) }]
  }
  if (loopback_port === 'ignored') return problems
  const inNeed = rows.filter(({ redirects }) => redirects.some((form) => form.kind === 'loopback' && form.port === 'pinned'))
  const why = (title: string) => `${expected}: this identity provider compares it exactly, and ${title} listens on any unless told`
  return [...problems, ...inNeed.map(({ title }) => ({ path: 'callback_port', expected: why(title) }))]
}

type Loopback = Extract<RedirectForm, { kind: 'loopback' }>

function portText(form: Loopback, { callbackPort, loopback_port }: RedirectOptions): string {
  return loopback_port === 'ignored' ? '' : `:${form.port === 'pinned' ? callbackPort : form.port}`
}

function loopbackUris({ host, path }: Loopback, ids: readonly string[], portPart: string): string[] {
  const paths = path === '/callback/{id}' ? ids.map((id) => `/callback/${id}`) : [path]
  return paths.map((one) => `http://${host}${portPart}${one}`)
}

function notesOf(
  { title, redirects }: ClientRow,
  { ids, hosted, loopback_port }: { ids: readonly string[]; hosted: boolean; loopback_port: 'ignored' | 'exact' },
): string[] {
  return redirects.flatMap((form) => {
    if (form.kind === 'hosted') {
      return [
        hosted
          ? `${form.uri} is a page of the vendor of ${title}: authorization codes pass through it`
          : `${title}'s ${form.used_by} cannot log in: ${form.uri} is not registered unless hosted redirects are asked for`,
      ]
    }
    if (form.kind === 'private_scheme') return []
    if (form.path === '/callback/{id}' && ids.length === 0) {
      return [`${title} has a redirect URI for each server: name the servers' URLs, or its login fails with most identity providers`]
    }
    if (loopback_port === 'exact' && form.port !== 'pinned') {
      return [`${title} always listens on port ${form.port}, whatever port the others pin`]
    }
    return []
  })
}
