/** The options of the gateway's documented `generate_creds.sh`, and what each of them does here. Loads nothing. */

export interface DocumentedOption {
  readonly name: string
  readonly short?: string
  /** What stands for its value in help; a switch has none. */
  readonly value?: string
  /** One line, at most 72 characters. */
  readonly help: string
}

/** In the order of the documented help; `env-files` is ours, since the original writes those files unasked. */
export const DOCUMENTED_OPTIONS = [
  { name: 'auth-provider', short: 'a', value: 'provider', help: 'keycloak, entra or another one that issues tokens (AUTH_PROVIDER)' },
  { name: 'keycloak-url', short: 'k', value: 'url', help: 'Keycloak, before what any file says (KEYCLOAK_EXTERNAL_URL)' },
  { name: 'keycloak-realm', short: 'r', value: 'realm', help: 'realm, before the files’ unless it is mcp-gateway (KEYCLOAK_REALM)' },
  { name: 'entra-tenant-id', value: 'id', help: 'taken and not used, as in the original: the file says it' },
  { name: 'entra-client-id', value: 'id', help: 'taken and not used, as in the original: the file says it' },
  { name: 'entra-client-secret', value: 'secret', help: 'taken with a warning (process lists show it) and not used' },
  { name: 'entra-login-url', value: 'url', help: 'login server, before what the file says (ENTRA_LOGIN_BASE_URL)' },
  { name: 'identities-file', short: 'i', value: 'file', help: 'identities of any provider, instead of those in .oauth-tokens' },
  { name: 'env-files', help: 'also write agent-<name>.env, ready to source; never with a secret' },
  { name: 'force', short: 'f', help: 'mint also what is fresh (the original always minted)' },
  { name: 'verbose', short: 'v', help: 'tell each request on stderr' },
] as const satisfies readonly DocumentedOption[]
export type DocumentedName = (typeof DOCUMENTED_OPTIONS)[number]['name']

/** What was typed: text of an option with a value, true for a switch. */
export type TypedOptions = { readonly [N in DocumentedName]?: string | boolean }

/** Shown below the options by each surface's help. */
export const DOCUMENTED_NOTES = `Reads .oauth-tokens/agent-*.json for keycloak, entra-identities.json there for
entra and <provider>-identities.json for any other provider, below the current
folder; tokens go beside them. A file there holds its secret itself and is
closed to others; one that --identities-file names may refer to it.
Different from generate_creds.sh: no .env file is sourced (--env-file reads one
that you name), a token that is still fresh is kept, no .env with a secret is
written, and the exit status is 9, not 1, when some identities got no token.`
