/**
 * What each MCP client needs, one row a client: how its configuration is written, how it takes a client id that was
 * registered beforehand, which redirect URIs it really sends. Measured against the versions named.
 */

/** A redirect URI on loopback: the listener's host and path, and the port where the client cannot change it. */
export interface Loopback {
  readonly host: 'localhost' | '127.0.0.1'
  readonly path: string
  readonly fixed_port?: number
}

export interface ClientRow {
  readonly title: string
  /** What a person is given: a command to run, or a file to write. */
  readonly reads: 'command' | 'file'
  readonly tested: string
  readonly loopback: readonly Loopback[]
  /** True where each server has a path of its own below the loopback path (Codex). */
  readonly callback_id: boolean
  /** Whether the port of the loopback listener can be pinned. */
  readonly pins_port: boolean
  /** Redirect URIs of a scheme of its own (RFC 8252 section 7.1). */
  readonly private_scheme: readonly string[]
  /** Redirect URIs on the vendor's own servers; registered only when asked for. */
  readonly hosted: readonly string[]
  readonly notes: readonly string[]
}

export const MCP_CLIENTS = ['claude-code', 'codex', 'cursor'] as const
export type McpClient = (typeof MCP_CLIENTS)[number]

export const CATALOGUE = {
  'claude-code': {
    title: 'Claude Code',
    reads: 'command',
    tested: '2.1.329',
    loopback: [{ host: 'localhost', path: '/callback' }],
    callback_id: false,
    pins_port: true,
    private_scheme: [],
    hosted: [],
    notes: ['A name that is taken is refused: run `claude mcp remove` with the name first.'],
  },
  codex: {
    title: 'Codex',
    reads: 'file',
    tested: '0.169.0',
    // With the issuer in the authorization response (RFC 9207) it sends the plain path, without it the one with an id.
    loopback: [{ host: '127.0.0.1', path: '/callback' }],
    callback_id: true,
    pins_port: true,
    private_scheme: [],
    hosted: [],
    notes: ['`codex mcp add` replaces an entry of the same name without a word.'],
  },
  cursor: {
    title: 'Cursor',
    reads: 'file',
    tested: 'documented for 3.14',
    loopback: [{ host: 'localhost', path: '/callback', fixed_port: 8787 }],
    callback_id: false,
    pins_port: false,
    private_scheme: ['cursor://anysphere.cursor-mcp/oauth/callback'],
    hosted: ['https://www.cursor.com/agents/mcp/oauth/callback'],
    notes: [],
  },
} as const satisfies Record<McpClient, ClientRow>
