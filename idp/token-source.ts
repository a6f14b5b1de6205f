/** What an identity is, and how each provider's identities become token requests: data, so that nothing is sent before all are read. */
import { z } from 'zod'
import type { Problem } from '../core/errors.js'
import type { Door } from '../core/http.js'
import type { Secret } from '../core/secret.js'
import type { SettingSource } from '../core/settings.js'
import type { AuthProvider } from '../core/vocabulary.js'
import type { AccessToken } from './token-answer.js'

/** One entry of an identities file without its secret; which further fields it needs is its provider's business. */
export interface Identity {
  readonly identity_name: string
  readonly auth_provider: AuthProvider
  readonly client_id: string
  readonly scope?: string
  readonly fields: Readonly<Record<string, string>>
}

/** Fields that hold a secret, or a reference to one; an identity has exactly one of them. */
export const SECRET_FIELDS = ['client_secret', 'private_key', 'client_certificate'] as const
export type SecretField = (typeof SECRET_FIELDS)[number]

/**
 * What an identity proves itself with: a secret (RFC 6749 section 2.3.1), a key for assertions (RFC 7523 section 2.2), or a
 * certificate (PEM) together with its key.
 */
export type Credential = { readonly [F in SecretField]?: Secret }

/** RFC 7591 section 2, of `token_endpoint_auth_method`. */
export const AUTH_METHODS = ['client_secret_basic', 'client_secret_post', 'private_key_jwt'] as const
export type AuthMethod = (typeof AUTH_METHODS)[number]

/** A client credentials request (RFC 6749 section 4.4) but for the credential. */
export interface TokenRequest {
  /** Names the authorization server in files, messages and queues. */
  readonly issuer: string
  /** Where the token is asked for; discovered at `discovery`, else at the issuer, when absent. */
  readonly token_endpoint?: string
  /** Base URL of the discovery document where it is not the issuer. */
  readonly discovery?: string
  /** Origins besides the issuer's that a discovered token endpoint may have; `https://*.example.com` allows every host below. */
  readonly origins?: readonly string[]
  readonly token_endpoint_auth_method: AuthMethod
  readonly scope?: string
  /** Further parameters of the form: `audience`. */
  readonly parameters?: Readonly<Record<string, string>>
  /** Of a client assertion: the key's id, and the audience where the vendor wants another than the issuer. */
  readonly assertion?: { readonly kid?: string; readonly alg?: string; readonly audience?: string }
}

/** Asks for one token by a vendor's own library, through the door. */
export type Mint = (asking: {
  readonly client_id: string
  readonly request: TokenRequest
  readonly credential: Credential
  readonly door: Door
}) => Promise<AccessToken>

/** How identities of one provider are written and asked for. */
export interface TokenSource {
  /** How its documents call it. */
  readonly title: string
  /** Fields besides name, provider, client id, secret and scope. */
  readonly fields: z.ZodObject
  /** Which secrets its identities may have. */
  readonly secrets: readonly SecretField[]
  /** Whether further fields are let pass: a documented file may hold some that say nothing here. */
  readonly isLoose?: true
  readonly scope: 'optional' | 'required'
  /** What settings say of an entry that does not say it itself. */
  defaults?(setting: SettingSource): Readonly<Record<string, string>>
  /** What is wrong with fields that are right one by one; a problem's path is the field's name. */
  problems?(identity: Identity, secret: SecretField): readonly Problem[]
  /** Name of the token file, as the gateway's own documents have it; `<name>.json` where they say nothing. */
  tokenFile(identity_name: string): string
  /** Fields of the token file besides those of all providers. */
  tokenFileFields?(identity: Identity): Readonly<Record<string, string | undefined>>
  /** What the documented token file says of its making. */
  readonly tokenFileMetadata?: Readonly<Record<string, string>>
  /** @param secret which of its secrets the identity has */
  request(identity: Identity, secret: SecretField): TokenRequest
  /** Secrets that the plain request cannot serve, and what does; loaded when an identity has one. */
  readonly mintBy?: { readonly [F in SecretField]?: () => Promise<Mint> }
}

/** An issuer or base URL: https, or http on this machine; no query, no fragment, no slash at the end. */
export const issuerUrl = z
  .string()
  .max(2048)
  .transform((text) => text.replace(/\/+$/, ''))
  .refine((text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined
    return url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.search === '' && url.hash === ''
  }, 'an absolute http or https URL without user name, query and fragment')

/** The server of a tenant: a bare host name (`dev-1.okta.com`) means https; nothing stands behind the host. */
export const serverUrl = z
  .string()
  .max(2048)
  .transform((text) => (text.includes('://') ? text : `https://${text}`))
  .pipe(issuerUrl)
  .refine((text) => URL.canParse(text) && new URL(text).origin === text.toLowerCase(), 'a host name, or a URL without a path')
