/** Tokens for identities of any provider: one row a provider, one OAuth client for all of them. */
import { invalidInput } from '../core/errors.js'
import type { Door } from '../core/http.js'
import type { AuthProvider } from '../core/vocabulary.js'
import { auth0Tokens } from './auth0/token.js'
import { cognitoTokens } from './cognito/token.js'
import { embeddedTokens } from './embedded/token.js'
import { entraTokens } from './entra/token.js'
import { keycloakTokens } from './keycloak/token.js'
import { type AccessToken, type AuthorizationServer, clientCredentials, discoverTokenEndpoint } from './oauth.js'
import { oidcTokens } from './oidc/token.js'
import { oktaTokens } from './okta/token.js'
import { type Credential, type Identity, SECRET_FIELDS, type SecretField, type TokenRequest, type TokenSource } from './token-source.js'

export const TOKEN_SOURCES: Readonly<Record<AuthProvider, TokenSource>> = {
  keycloak: keycloakTokens,
  embedded: embeddedTokens,
  okta: oktaTokens,
  entra: entraTokens,
  auth0: auth0Tokens,
  cognito: cognitoTokens,
  oidc: oidcTokens,
}

export interface Minter {
  /** Asks for one token. @throws ToolkitError token_refused, rate_limited, unavailable, unexpected_response, not_found */
  mint(identity: Identity, credential: Credential): Promise<{ readonly issuer: string; readonly token: AccessToken }>
}

/** What an identity asks for; pure. */
export function tokenRequest(identity: Identity, credential: { readonly [F in keyof Credential]: unknown }): TokenRequest {
  return TOKEN_SOURCES[identity.auth_provider].request(identity, secretFieldOf(credential))
}

function secretFieldOf(credential: { readonly [F in keyof Credential]: unknown }): SecretField {
  return SECRET_FIELDS.find((field) => credential[field] !== undefined) ?? 'client_secret'
}

/** Mints through the doors of one run; each issuer is discovered once. */
export function createMinter(doorTo: (origin: string) => Door): Minter {
  const discovered = new Map<string, Promise<AuthorizationServer>>()
  const serverOf = (request: TokenRequest): Promise<AuthorizationServer> => {
    const { issuer, token_endpoint, discovery, origins } = request
    if (token_endpoint !== undefined) return Promise.resolve({ issuer, token_endpoint })
    // Another identity of this issuer may allow its token endpoint elsewhere.
    const key = JSON.stringify([issuer, discovery, origins])
    const known = discovered.get(key) ?? discoverTokenEndpoint(request, doorTo)
    discovered.set(key, known)
    // What failed is asked again by whoever comes next.
    known.catch(() => discovered.delete(key))
    return known
  }
  return {
    async mint(identity, credential) {
      const secret = secretFieldOf(credential)
      const { client_id, auth_provider } = identity
      const request = tokenRequest(identity, credential)
      originOf(request.issuer)
      const authorizationServer = await serverOf(request)
      const door = doorTo(originOf(authorizationServer.token_endpoint ?? request.issuer))
      const mint = await TOKEN_SOURCES[auth_provider].mintBy?.[secret]?.()
      const token = mint
        ? await mint({ client_id, request, credential, door })
        : await clientCredentials({ ...request, door, authorizationServer }, { client_id, ...credential })
      return { issuer: request.issuer, token }
    },
  }
}

/** Files are checked long before; a library's caller may bring an identity of its own. */
function originOf(url: string): string {
  if (URL.canParse(url)) return new URL(url).origin
  throw invalidInput('the identity', [{ path: 'issuer', expected: 'an absolute URL' }])
}

export type { Credential, Identity, SecretField, TokenRequest, TokenSource } from './token-source.js'
export { SECRET_FIELDS } from './token-source.js'
