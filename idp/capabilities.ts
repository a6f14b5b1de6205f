/**
 * How identity providers differ, as data. Recipes, redirect computation and token checks read this table; nobody asks
 * `if (idp === …)`. Whether a provider can hold a kind at all is told by the presence of its reconciler.
 */

import type { Right } from '../core/rights.js'

/** Claims of a verified or decoded JWT. */
export type Claims = Readonly<Record<string, unknown>>

/** What makes a token of this provider an access token, and a machine's. */
export interface TokenRules {
  /** Signature algorithms accepted, fixed per provider (RFC 8725 section 3.1). */
  readonly algorithms: readonly string[]
  /** True for access tokens only, never for ID, refresh or logout tokens. */
  isAccessToken(header: Claims, claims: Claims): boolean
  /** True only for a token of the client credentials grant. */
  isMachine(claims: Claims): boolean
  /** The client that the token was issued to. */
  clientId(claims: Claims): string | undefined
  /** A name for people to read; never used to decide. */
  username(claims: Claims): string | undefined
  /** The claim with the groups. */
  readonly groups_claim: string
}

export interface Capabilities {
  /** How its documents call it. */
  readonly title: string
  /** The vendor's word for a tenant. */
  readonly tenant: string
  /** Whether a client id can be asked for (RFC 7591 section 2 leaves it to the server). */
  readonly client_id: 'chosen' | 'issued'
  /** Whether we may choose a client's secret, so that it can be saved before the create. */
  readonly client_secret: 'chosen' | 'issued'
  /** How the port of a loopback redirect URI is matched: `ignored` when registered without one (RFC 8252 section 7.3), or `exact`. */
  readonly loopback_port: 'ignored' | 'exact'
  /** The most specific place where a machine client's groups can be held. */
  readonly machine_groups: 'token' | 'record'
  /** Fields of a public client that are the server's own policy, the same for every client, and so not part of its spec. */
  readonly server_wide: readonly ('pkce' | 'full_scope' | 'web_origins' | 'groups_claim' | 'audience')[]
  /** Who makes the gateway's own clients (its web page's and its machine's): our bootstrap, or the provider itself. */
  readonly gateway_clients: 'ours' | 'built_in'
  /** The registry's variables for the gateway's own clients; undefined where the registry is told in another way. */
  readonly registry_variables?: {
    readonly web: { readonly id: string; readonly secret: string }
    readonly machine: { readonly id: string; readonly secret: string }
  }
  /** Path at the gateway's auth server that the web page's login returns to. */
  readonly web_callback?: string
  /** Each right in the vendor's words: every one of them is needed. */
  readonly rights: Readonly<Record<Right, readonly string[]>>
  /** Names of files, as the gateway's own documents have them; `<name>.json` where they say nothing. */
  readonly files: {
    /** Of a machine client's identity, by the machine's name. */
    identity(name: string): string
    /** Of its token, by the identity's name. */
    token(identity_name: string): string
  }
  readonly token: TokenRules
}
