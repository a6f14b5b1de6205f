/** Which redirect URIs to register, computed exactly: pure functions of clients, servers and the provider's port rule. */
import { createHash } from 'node:crypto'
import { Problems } from '../core/errors.js'
import { CATALOGUE, type ClientRow, type Loopback, type McpClient } from './catalogue.js'

export interface RedirectRequest {
  readonly clients: readonly McpClient[]
  /** URLs of the MCP servers that people connect to. */
  readonly serverUrls: readonly string[]
  /** Port that the clients pin, where they can. */
  readonly callbackPort?: number
  /** `ignored`: a loopback URI is registered without a port and matches any (RFC 8252 section 7.3). */
  readonly loopback_port: 'ignored' | 'exact'
  /** Also the redirect URIs on vendors' servers. */
  readonly hosted?: boolean
}

export interface Redirects {
  /** Without duplicates, in the order of the catalogue. */
  readonly uris: readonly string[]
  readonly notes: readonly string[]
}

/** @throws ToolkitError invalid_input when a provider matches ports exactly and no port is given */
export function redirectUris({ clients, serverUrls, callbackPort, loopback_port, hosted = false }: RedirectRequest): Redirects {
  const problems = new Problems()
  const portOf = (client: McpClient, { fixed_port }: Loopback): string => {
    if (loopback_port === 'ignored') return ''
    const port = fixed_port ?? callbackPort
    if (port === undefined) problems.add('callback_port', `a port, since this provider matches it exactly and ${CATALOGUE[client].title} can pin it`)
    return `:${port}`
  }
  const uris = clients.flatMap((client) => {
    const row: ClientRow = CATALOGUE[client]
    const loopback = row.loopback.flatMap((one) => {
      const base = `http://${one.host}${portOf(client, one)}${one.path}`
      return row.callback_id ? [base, ...serverUrls.map((url) => `${base}/${codexCallbackId(url)}`)] : [base]
    })
    return [...loopback, ...row.private_scheme, ...(hosted ? row.hosted : [])]
  })
  problems.throwIfAny('the input')
  const unserved = clients.filter((client) => CATALOGUE[client].callback_id && serverUrls.length === 0)
  return {
    uris: [...new Set(uris)],
    notes: unserved.map((client) => `${CATALOGUE[client].title} may send a redirect URI of its own for each server: name the servers with --server-url`),
  }
}

/** Codex's id of a server: the first 12 characters of the base64url SHA-256 of its URL without fragment (measured, 0.131 to 0.169). */
export function codexCallbackId(serverUrl: string): string {
  const url = new URL(serverUrl)
  url.hash = ''
  return createHash('sha256').update(url.href).digest('base64url').slice(0, 12)
}

/** A loopback redirect URI of the shape that Codex sends, for whichever server. */
export function isCodexCallback(uri: string): boolean {
  return /^http:\/\/127\.0\.0\.1(?::\d{1,5})?\/callback\/[A-Za-z0-9_-]{12}$/.test(uri)
}
