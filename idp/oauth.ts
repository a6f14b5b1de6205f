/** The OAuth steps that every provider shares, on oauth4webapi and through the one outbound door. */
import { decodeJwt } from 'jose/jwt/decode'
import * as oauth from 'oauth4webapi'
import { ToolkitError, toolkitErrorIn } from '../core/errors.js'
import type { Door } from '../core/http.js'
import { masked, Secret } from '../core/secret.js'

export interface AccessToken {
  readonly access_token: Secret
  readonly token_type: string
  /** Seconds, from the server. */
  readonly expires_in: number
  readonly scope?: string
}

/** A client that authenticates with its secret (RFC 6749 section 2.3.1). */
export interface ClientCredentials {
  readonly client_id: string
  readonly client_secret: Secret
}

/** Where a token is asked for; `authorization_server` is discovered, or made from what is configured. */
interface TokenRequest {
  readonly door: Door
  readonly authorizationServer: oauth.AuthorizationServer
  readonly scope?: string
}

/** OpenID Connect Discovery 1.0 section 4; the issuer of the answer must be the one asked for (RFC 8414 section 3.3). */
export async function discover(issuer: string, door: Door): Promise<oauth.AuthorizationServer> {
  const answer = await door.send({ method: 'GET', url: `${issuer}/.well-known/openid-configuration` })
  if (answer.status === 404) {
    throw new ToolkitError('not_found', `there is no issuer ${issuer}`, { kind: 'issuer', key: issuer }, 'check the URL and the realm')
  }
  const metadata = answer.json as Partial<oauth.AuthorizationServer> | undefined
  if (answer.status === 200 && metadata?.issuer === issuer && typeof metadata.token_endpoint === 'string') {
    return metadata as oauth.AuthorizationServer
  }
  throw new ToolkitError(
    'unexpected_response',
    `${issuer} does not describe itself as that issuer`,
    { system: issuer, reason: 'issuer_mismatch', status: answer.status },
    'spell the URL exactly as the server does: scheme, host, port',
  )
}

/** Client credentials grant (RFC 6749 section 4.4) with `client_secret_basic`. @throws ToolkitError token_refused */
export async function clientCredentials(request: TokenRequest, client: ClientCredentials): Promise<AccessToken> {
  return tokenFrom(request, client.client_id, oauth.ClientSecretBasic(client.client_secret.reveal()), 'client_credentials', {})
}

/** Resource owner password grant (RFC 6749 section 4.3), for an administrator at a Keycloak's `admin-cli` only. */
export async function passwordGrant(request: TokenRequest, client_id: string, username: string, password: Secret): Promise<AccessToken> {
  return tokenFrom(request, client_id, oauth.None(), 'password', { username, password: password.reveal() })
}

/** The claims of an access token that is a JWT (RFC 9068), unverified: who asked for it has it from the server itself. */
export function claimsOf({ access_token }: AccessToken): Readonly<Record<string, unknown>> {
  return decodeJwt(access_token.reveal())
}

async function tokenFrom(
  { door, authorizationServer, scope }: TokenRequest,
  client_id: string,
  authentication: oauth.ClientAuth,
  grant_type: string,
  parameters: Record<string, string>,
): Promise<AccessToken> {
  const client = { client_id }
  const insecure = authorizationServer.token_endpoint?.startsWith('http:') === true
  try {
    const response = await oauth.genericTokenEndpointRequest(
      authorizationServer,
      client,
      authentication,
      grant_type,
      new URLSearchParams({ ...parameters, ...(scope === undefined ? {} : { scope }) }),
      // Plain http is refused off loopback by whoever configures the issuer; the door sends to that origin only.
      { [oauth.customFetch]: (url, init) => door.fetch(url, init as RequestInit), [oauth.allowInsecureRequests]: insecure },
    )
    const answer = await oauth.processGenericTokenEndpointResponse(authorizationServer, client, response)
    return {
      access_token: new Secret(answer.access_token),
      token_type: answer.token_type,
      expires_in: answer.expires_in ?? 0,
      ...(answer.scope === undefined ? {} : { scope: answer.scope }),
    }
  } catch (error) {
    throw tokenError(error, authorizationServer.issuer)
  }
}

/** Codes of RFC 6749 section 5.2 and 8628; any other word from a server is not repeated. */
const TOKEN_ERROR = /^[a-z_]{1,40}$/

function tokenError(error: unknown, issuer: string): ToolkitError {
  const ours = toolkitErrorIn(error)
  if (ours) return ours
  if (error instanceof oauth.ResponseBodyError || error instanceof oauth.WWWAuthenticateChallengeError) {
    const said = error instanceof oauth.ResponseBodyError ? error.error : ''
    // A word that is the very password that was sent is no code.
    const code = TOKEN_ERROR.test(said) && masked(said) === said ? said : 'unknown_error'
    if (error.status >= 500) {
      return new ToolkitError('unavailable', `${issuer} cannot issue tokens now (${error.status})`, {
        system: issuer,
        reason: 'server_error',
        status: error.status,
      })
    }
    return new ToolkitError(
      'token_refused',
      `${issuer} refused to issue a token: ${code}`,
      { issuer, error: code, status: error.status },
      'check the client id, the secret or password, and that the client is enabled',
    )
  }
  return new ToolkitError('unexpected_response', `${issuer} sent a token answer that is not one`, {
    system: issuer,
    reason: 'token_answer',
  })
}
