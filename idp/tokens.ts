/** Tokens for identities of any provider: one row a provider, one OAuth client for all of them. */
import { invalidInput } from '../core/errors.js'
import type { Door } from '../core/http.js'
import type { AuthProvider } from '../core/vocabulary.js'
import { embeddedTokens } from './embedded/token.js'
import { keycloakTokens } from './keycloak/token.js'
import { type AccessToken, type AuthorizationServer, clientCredentials, discoverTokenEndpoint } from './oauth.js'
import { oidcTokens } from './oidc/token.js'
import { type Credential, type Identity, SECRET_FIELDS, type TokenRequest, type TokenSource } from './token-source.js'

export const TOKEN_SOURCES: Readonly<Record<AuthProvider, TokenSource>> = {
  keycloak: keycloakTokens,
  embedded: embeddedTokens,
  oidc: oidcTokens,
}

export interface Minter {
  /** Asks for one token. @throws ToolkitError token_refused, rate_limited, unavailable, unexpected_response, not_found */
  mint(identity: Identity, credential: Credential): Promise<{ readonly issuer: string; readonly token: AccessToken }>
}

/** What an identity asks for; pure. */
export function tokenRequest(identity: Identity, credential: { readonly [F in keyof Credential]: unknown }): TokenRequest {
  const secret = SECRET_FIELDS.find((field) => credential[field] !== undefined) ?? 'client_secret'
  return TOKEN_SOURCES[identity.auth_provider].request(identity, secret)
}

/** Mints through the doors of one run; each issuer is discovered once. */
export function createMinter(doorTo: (origin: string) => Door): Minter {
  const discovered = new Map<string, Promise<AuthorizationServer>>()
  const serverOf = (request: TokenRequest): Promise<AuthorizationServer> => {
    const { issuer, token_endpoint } = request
    if (token_endpoint !== undefined) return Promise.resolve({ issuer, token_endpoint })
    const known = discovered.get(issuer) ?? discoverTokenEndpoint(request, doorTo)
    discovered.set(issuer, known)
    // What failed is asked again by whoever comes next.
    known.catch(() => discovered.delete(issuer))
    return known
  }
  return {
    async mint(identity, credential) {
      const request = tokenRequest(identity, credential)
      originOf(request.issuer)
      const authorizationServer = await serverOf(request)
      const door = doorTo(originOf(authorizationServer.token_endpoint ?? request.issuer))
      return {
        issuer: request.issuer,
        token: await clientCredentials({ ...request, door, authorizationServer }, { client_id: identity.client_id, ...credential }),
      }
    },
  }
}

/** Files are checked long before; a library's caller may bring an identity of its own. */
function originOf(url: string): string {
  if (URL.canParse(url)) return new URL(url).origin
  throw invalidInput('the identity', [{ path: 'issuer', expected: 'an absolute URL' }])
}

export type { Credential, Identity, SecretField, TokenRequest, TokenSource } from './token-source.js'
export { AUTH_METHODS, SECRET_FIELDS } from './token-source.js'
