/** What a renderer is given and what it gives. Nothing here holds a secret: values are named by a variable of the environment. */
import type { McpClient } from './catalogue.js'

/** What to connect to. */
export interface Connection {
  /** Name or path of the server; made safe for the client. */
  readonly name: string
  readonly url: string
  /** Client id registered beforehand; null when there is none. */
  readonly client_id: string | null
  /** Port that the redirect URI must have; null for whichever is free. */
  readonly callback_port: number | null
  /** Names of the headers that the server wants besides the token. */
  readonly headers: readonly string[]
  /** Whether clients can register themselves at the authorization server (RFC 7591); null when nobody has looked. */
  readonly dcr: boolean | null
  /** Variable that holds a token, where one is needed. */
  readonly token_variable?: string
}

/** A connection whose every field has been checked, as renderers get it. */
export interface CheckedConnection extends Omit<Connection, 'headers' | 'dcr' | 'token_variable'> {
  readonly headers: readonly HeaderVariable[]
  /** The variable with the token; null where the client logs in. */
  readonly token: string | null
}

/** A header and the variable that holds its value. */
export interface HeaderVariable {
  readonly header: string
  readonly variable: string
}

export interface Text {
  readonly title: string
  readonly kind: 'command' | 'file'
  readonly language: 'sh' | 'toml' | 'json'
  /** Where the text belongs, for a file. */
  readonly path?: string
  readonly text: string
}

export interface Rendered extends Text {
  readonly client: McpClient
  readonly alternatives: readonly Text[]
  /** What a person should know before pasting it. */
  readonly notes: readonly string[]
}

/** What one client's renderer gives; the first text is the one to show. */
export interface Rendering {
  readonly texts: readonly [Text, ...Text[]]
  readonly notes: readonly string[]
}

/** Variable of the token, unless another is named. */
export const TOKEN_VARIABLE = 'MCP_AUTH_TOKEN'
