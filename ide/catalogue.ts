/**
 * What each MCP client needs, one row a client: what it reads, how it takes a client id, where it listens for the
 * login's answer. Data only; `redirects.ts` and `render.ts` act on it. Measured or read as `tested` says.
 */

/** MCP clients with a row, in the order in which they are shown. */
export const MCP_CLIENTS = ['claude-code', 'codex', 'cursor'] as const
export type McpClient = (typeof MCP_CLIENTS)[number]

/** One redirect URI that a client sends, or several when it has one for each server (RFC 8252 section 7). */
export type RedirectForm =
  | {
      readonly kind: 'loopback'
      readonly host: 'localhost' | '127.0.0.1'
      /** `{id}` stands for the id that Codex makes of the server URL. */
      readonly path: '/callback' | '/callback/{id}'
      /** `pinned`: the port given at set-up; a number: this one always. */
      readonly port: 'pinned' | number
    }
  | { readonly kind: 'private_scheme'; readonly uri: string }
  /** The vendor's own page, which passes the authorization code on. */
  | { readonly kind: 'hosted'; readonly uri: string; readonly used_by: string }

export interface ClientRow {
  readonly title: string
  /** What a person uses: a command to run, or a file to write; `file` is where the setting ends up in both cases. */
  readonly reads: { readonly kind: 'command' | 'file'; readonly file: string }
  /** Versions, and how far the check went. */
  readonly tested: string
  /** How a client id that was made beforehand is given. */
  readonly static_client_id: string
  readonly redirects: readonly RedirectForm[]
  /** How the callback port is pinned; null when it cannot be. */
  readonly pin: string | null
  /** What the name of a server may hold. */
  readonly entry_name: string
  /** Whether variables of the environment are expanded inside values; else only fields of their own name one. */
  readonly expands_variables: boolean
  /** What happens to an entry of the same name. */
  readonly re_adding: string
}

export const CLIENTS = {
  'claude-code': {
    title: 'Claude Code',
    reads: { kind: 'command', file: '~/.claude.json' },
    tested: '2.1.329, login completed',
    static_client_id: '--client-id, 2.1.30 and later',
    redirects: [{ kind: 'loopback', host: 'localhost', path: '/callback', port: 'pinned' }],
    pin: '--callback-port',
    entry_name: 'letters, digits, - and _',
    expands_variables: true,
    re_adding: 'is an error',
  },
  codex: {
    title: 'Codex',
    reads: { kind: 'file', file: '~/.codex/config.toml' },
    tested: '0.169, login completed',
    static_client_id: 'oauth.client_id, 0.131 and later; --oauth-client-id, 0.134 and later',
    // Which of the two comes is decided by the version and by the server's metadata (RFC 9207), so both are registered.
    redirects: [
      { kind: 'loopback', host: '127.0.0.1', path: '/callback', port: 'pinned' },
      { kind: 'loopback', host: '127.0.0.1', path: '/callback/{id}', port: 'pinned' },
    ],
    pin: 'oauth.callback_port, 0.148 and later; -c mcp_oauth_callback_port=PORT for one command',
    entry_name: 'letters, digits, - _ : @ / and .',
    expands_variables: false,
    re_adding: 'overwrites without a word',
  },
  cursor: {
    title: 'Cursor',
    reads: { kind: 'file', file: '~/.cursor/mcp.json' },
    tested: "3.14 and later, by the vendor's documentation",
    static_client_id: 'auth.CLIENT_ID',
    redirects: [
      { kind: 'loopback', host: 'localhost', path: '/callback', port: 8787 },
      { kind: 'private_scheme', uri: 'cursor://anysphere.cursor-mcp/oauth/callback' },
      { kind: 'hosted', uri: 'https://www.cursor.com/agents/mcp/oauth/callback', used_by: 'web agents' },
    ],
    pin: null,
    entry_name: 'any JSON text',
    expands_variables: true,
    re_adding: 'replaces it: names are keys of the file',
  },
} as const satisfies { readonly [C in McpClient]: ClientRow }
