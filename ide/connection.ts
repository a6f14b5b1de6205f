/** What a renderer is given and what it gives. */

/** What to connect to. */
export interface Connection {
  /** Name of the server; made safe for the client. */
  readonly name: string
  readonly url: string
  /** Client id registered beforehand; null when there is none. */
  readonly client_id: string | null
  /** Port to pin; null for whichever is free. */
  readonly callback_port: number | null
  /** Whether clients can register themselves at the authorization server; null when nobody has looked. */
  readonly dcr: boolean | null
}

export interface Text {
  readonly title: string
  readonly language: 'sh' | 'toml' | 'json'
  readonly text: string
}

export interface Rendered extends Text {
  readonly kind: 'command' | 'file'
  /** Where the text belongs, for a file. */
  readonly path?: string
  readonly alternatives: readonly Text[]
  readonly notes: readonly string[]
}

/** Variable that holds a token where no login client is known. */
export const TOKEN_VARIABLE = 'MCP_AUTH_TOKEN'
