/** Pure: from what the registry says about a server to what an MCP client needs: URL, login client, port, header names. */
import { ToolkitError } from '../core/errors.js'
import { cleanText } from '../core/foreign-text.js'
import { httpUrl } from '../core/vocabulary.js'
import type { ConnectConfig } from './records.js'

export interface ConnectTarget {
  /** `[a-z0-9-]`, for use as a key in a client's configuration. */
  readonly name: string
  readonly url: string
  /** Login client of people; null when none is configured. */
  readonly client_id: string | null
  /** Port that the redirect URI must have; null when any will do. */
  readonly callback_port: number | null
  /** Names of headers that the server wants; their values stay in the registry. */
  readonly headers: readonly string[]
}

export interface ConnectOptions {
  /** Base URL of the gateway as clients reach it. */
  readonly registryUrl: string
  /** `registry-only`: no gateway stands in front, clients call the server itself. */
  readonly deployment_mode?: 'with-gateway' | 'registry-only'
}

/** Of the server's own row; the connect config does not repeat these. */
export interface ConnectServer {
  readonly path: string
  readonly mcp_endpoint?: string | null | undefined
  readonly proxy_pass_url?: string | null | undefined
}

/** @throws ToolkitError unexpected_response when the registry holds a URL or client id that no client may be given */
export function connectTarget(config: ConnectConfig, server: ConnectServer, options: ConnectOptions): ConnectTarget {
  return {
    name: nameOf(config.server_name, server.path),
    url: urlOf(config, server, options),
    client_id: clientIdOf(config.oauth_client_id),
    callback_port: config.oauth_callback_port || null,
    headers: config.custom_headers.map(({ name }) => name).filter((name) => HEADER.test(name)),
  }
}

/** A field name of RFC 9110 section 5.1. */
const HEADER = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}$/

/** As the registry's own dialog names it; where nothing is left of the name, the path serves. */
function nameOf(server_name: string, path: string): string {
  return slug(server_name) || slug(path.replace(/[/._]+/g, ' '))
}

function slug(text: string): string {
  return text
    .toLowerCase()
    .trim()
    .replace(/\s+/g, '-')
    .replace(/[^a-z0-9-]/g, '')
    .replace(/^-+|-+$/g, '')
}

/** The registry's rule since 1.29: `/mcp` is appended unless the server says no; its older guess from the URL is gone. */
function urlOf({ append_mcp_path }: ConnectConfig, server: ConnectServer, { registryUrl, deployment_mode }: ConnectOptions): string {
  if (server.mcp_endpoint) return checkedUrl(server.mcp_endpoint, server.path)
  if (deployment_mode === 'registry-only' && server.proxy_pass_url) return checkedUrl(server.proxy_pass_url, server.path)
  const base = registryUrl.replace(/\/+$/, '')
  const path = `/${server.path.replace(/^\/+|\/+$/g, '')}`
  return checkedUrl(`${base}${path}${append_mcp_path === false ? '' : '/mcp'}`, server.path)
}

function checkedUrl(url: string, path: string): string {
  if (httpUrl.safeParse(url).success) return url
  throw unusable(path, 'URL', 'an http or https URL without user name and fragment')
}

function clientIdOf(client_id: string | null): string | null {
  if (client_id === null || client_id === '') return null
  if (/^[\x21-\x7e]{1,2048}$/.test(client_id)) return client_id
  throw unusable('a server', 'login client', 'visible ASCII characters')
}

function unusable(whose: string, what: string, expected: string): ToolkitError {
  const message = `the registry's ${what} of ${cleanText(whose)} cannot be given to a client: ${expected} is due`
  return new ToolkitError(
    'unexpected_response',
    message,
    { system: 'registry', reason: 'connect_config' },
    'correct the server in the registry',
  )
}
