/** The OAuth steps that every provider shares, on oauth4webapi and through the one outbound door. */
import * as oauth from 'oauth4webapi'
import { invalidInput, ToolkitError } from '../core/errors.js'
import type { Door } from '../core/http.js'
import type { Secret } from '../core/secret.js'
import { type AccessToken, cannotIssue, tokenError, tokenIn } from './token-answer.js'
import type { Credential, TokenRequest } from './token-source.js'

export type AuthorizationServer = oauth.AuthorizationServer

/** Where a token is asked for and what for; the authorization server is discovered, or made from what is configured. */
interface Asking extends Partial<Pick<TokenRequest, 'token_endpoint_auth_method' | 'scope' | 'parameters' | 'assertion'>> {
  /** Its token requests are `once` by its `isRead`: they are repeated here, made anew. */
  readonly door: Door
  readonly authorizationServer: AuthorizationServer
}

/** OpenID Connect Discovery 1.0 section 4; the issuer of the answer must be the one asked for (RFC 8414 section 3.3). */
export async function discover(issuer: string, door: Door, at = issuer): Promise<AuthorizationServer> {
  const answer = await door.send({ method: 'GET', url: `${at.replace(/\/+$/, '')}/.well-known/openid-configuration` })
  if (answer.status === 404) {
    throw new ToolkitError('not_found', `there is no issuer ${issuer}`, { kind: 'issuer', key: issuer }, 'check the URL and the realm')
  }
  const metadata = answer.json as Partial<AuthorizationServer> | undefined
  if (answer.status === 200 && metadata?.issuer === issuer && typeof metadata.token_endpoint === 'string') {
    return metadata as AuthorizationServer
  }
  if (answer.status >= 500) throw cannotIssue(issuer, answer.status)
  throw new ToolkitError(
    'unexpected_response',
    `${issuer} does not describe itself as that issuer`,
    { system: issuer, reason: 'issuer_mismatch', status: answer.status },
    'spell the URL exactly as the server does: scheme, host, port',
  )
}

/** The authorization server of a request, whose token endpoint must be at an origin that the identity itself allows. */
export async function discoverTokenEndpoint(
  { issuer, discovery = issuer, origins = [] }: TokenRequest,
  doorTo: (origin: string) => Door,
): Promise<AuthorizationServer> {
  const server = await discover(issuer, doorTo(new URL(discovery).origin), discovery)
  const endpoint = server.token_endpoint ?? ''
  if (URL.canParse(endpoint) && [issuer, discovery, ...origins].some((one) => covers(one, new URL(endpoint)))) return server
  throw new ToolkitError(
    'unexpected_response',
    `${issuer} has its token endpoint at another origin, which nothing here allows`,
    { system: issuer, reason: 'foreign_origin' },
    'name token_endpoint in the identity if that is right',
  )
}

/** Whether a URL is at an origin, or at a host below one that begins with `*.`. */
function covers(allowed: string, { origin, protocol, hostname, port }: URL): boolean {
  const [, host] = /^https:\/\/\*(\..+)$/.exec(allowed) ?? []
  if (host === undefined) return new URL(allowed).origin === origin
  return protocol === 'https:' && port === '' && hostname.endsWith(host) && hostname.length > host.length
}

/** Client credentials grant (RFC 6749 section 4.4). @throws ToolkitError token_refused, rate_limited, unavailable, unexpected_response */
export async function clientCredentials(asking: Asking, client: { readonly client_id: string } & Credential): Promise<AccessToken> {
  return tokenFrom(asking, client.client_id, await authentication(asking, client), 'client_credentials', asking.parameters ?? {})
}

/** Resource owner password grant (RFC 6749 section 4.3), for an administrator at a Keycloak's `admin-cli` only. */
export async function passwordGrant(asking: Asking, client_id: string, username: string, password: Secret): Promise<AccessToken> {
  return tokenFrom(asking, client_id, oauth.None(), 'password', { username, password: password.reveal() })
}

async function authentication(
  { token_endpoint_auth_method: method = 'client_secret_basic', assertion = {} }: Asking,
  { client_secret, private_key }: Credential,
): Promise<oauth.ClientAuth> {
  if (method === 'private_key_jwt') {
    if (private_key === undefined) throw missing('private_key')
    const { privateKeyJwt } = await import('./client-assertion.js')
    return privateKeyJwt(private_key, assertion)
  }
  if (client_secret === undefined) throw missing('client_secret')
  const secret = client_secret.reveal()
  return method === 'client_secret_post' ? oauth.ClientSecretPost(secret) : oauth.ClientSecretBasic(secret)
}

function missing(field: string): ToolkitError {
  return invalidInput('the identity', [{ path: field, expected: 'one, which its token_endpoint_auth_method needs' }])
}

async function tokenFrom(
  { door, authorizationServer, scope }: Asking,
  client_id: string,
  clientAuthentication: oauth.ClientAuth,
  grant_type: string,
  parameters: Readonly<Record<string, string>>,
): Promise<AccessToken> {
  const { issuer, token_endpoint = issuer } = authorizationServer
  const client = { client_id }
  const form = new URLSearchParams({ ...parameters, ...(scope === undefined ? {} : { scope }) })
  // Plain http is refused off loopback by whoever configures the issuer; the door sends to that origin only.
  const insecure = token_endpoint.startsWith('http:')
  const options = {
    [oauth.customFetch]: (url: string, init: unknown) => door.fetch(url, init as RequestInit),
    [oauth.allowInsecureRequests]: insecure,
  }
  try {
    const response = await door.patiently(token_endpoint, () =>
      oauth.genericTokenEndpointRequest(authorizationServer, client, clientAuthentication, grant_type, form, options),
    )
    return await tokenIn(response, authorizationServer, client)
  } catch (error) {
    throw tokenError(error, issuer)
  }
}

export type { AccessToken } from './token-answer.js'
