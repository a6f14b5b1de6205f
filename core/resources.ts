/**
 * The kinds of thing we provision and the fields each has, in the words of RFC 7591 where it has one.
 * A kind is added here and nowhere else first. A field that an identity provider cannot hold is left out of the wanted
 * spec by the recipe, and a field that is not wanted is never compared or written.
 */

/** A value that exists only once another object does: most vendors issue client ids. */
export interface Ref {
  readonly from: { readonly kind: Kind; readonly key: string }
  readonly field: 'client_id'
}

export interface Resources {
  /** The tenant itself, where we can make one: a realm. Lifetimes in seconds. */
  tenant: {
    name: string
    enabled: boolean
    access_token_lifetime: number
    session_idle_lifetime: number
    session_lifetime: number
    brute_force_protection: boolean
    /** Wrong passwords before an account is locked for a while. */
    login_failures: number
    self_registration: boolean
  }
  /** `name` is the path of a nested group, without a leading slash: `engineering/platform`. */
  group: { name: string; description?: string }
  /** A person, in the claims of OpenID Connect Core section 5.1. */
  user: {
    username: string
    email?: string
    given_name?: string
    family_name?: string
    /** Left out by setup, so that running it again never revives somebody who was switched off; a new person is on. */
    enabled?: boolean
    groups?: readonly string[]
  }
  /** A client without a secret for people at an IDE: authorization code with PKCE (RFC 8252). */
  'public-client': {
    client_id?: string
    client_name: string
    enabled: boolean
    redirect_uris: readonly string[]
    grant_types: readonly string[]
    token_endpoint_auth_method: string
    /** Code challenge method that the server enforces; `none` when it enforces none. */
    pkce?: string
    /** Whether every role of the person rides in the token, asked for or not (Keycloak). */
    full_scope?: boolean
    /** Origins that a browser may call the token endpoint from. */
    web_origins?: readonly string[]
    /** Claim of the access token that carries the groups. */
    groups_claim?: string
    audience?: string
  }
  /** A confidential client for the gateway's own web page: authorization code, with a secret. */
  'web-client': {
    client_id?: string
    client_name: string
    enabled: boolean
    redirect_uris: readonly string[]
    grant_types: readonly string[]
    token_endpoint_auth_method: string
    full_scope?: boolean
    web_origins?: readonly string[]
    groups_claim?: string
    audience?: string
  }
  /** A confidential client for machines: client credentials only. */
  'machine-client': {
    client_id?: string
    client_name: string
    enabled: boolean
    redirect_uris?: readonly string[]
    grant_types: readonly string[]
    token_endpoint_auth_method: string
    full_scope?: boolean
    groups_claim?: string
    audience?: string
    /** Exact membership of its service account, where tokens can carry it. */
    groups?: readonly string[]
  }
  /** The registry's record of a machine client: the groups that its tokens confer. */
  'm2m-record': {
    client_id: string | Ref
    name: string
    description?: string | null
    groups: readonly string[]
    /** The kill switch; left out by setup, so that running it again never revives a client that was switched off. */
    enabled?: boolean
    issuer?: string
  }
  /** A server's row in the registry, with the client that people log in through. */
  'server-record': {
    path: string
    server_name: string
    description?: string
    proxy_pass_url?: string
    oauth_client_id?: string | Ref | null
    append_mcp_path?: boolean | null
  }
  /** The file of environment variables that the registry is started with. */
  'registry-environment': {
    path: string
    settings: Readonly<Record<string, string>>
    /** Variable by variable, the file that holds the secret it must carry. */
    secrets: Readonly<Record<string, string>>
  }
}
export type Kind = keyof Resources

/** Dependency order: a kind is applied after those before it, and removed before them. */
export const ORDER = [
  'tenant',
  'group',
  'public-client',
  'web-client',
  'machine-client',
  'user',
  'm2m-record',
  'server-record',
  'registry-environment',
] as const satisfies readonly Kind[]

/** The kinds that are OAuth clients. */
export type ClientKind = 'public-client' | 'web-client' | 'machine-client'

export function isRef(value: unknown): value is Ref {
  return typeof value === 'object' && value !== null && 'from' in value && 'field' in value
}
