/** What a token endpoint answers: a token that we can use, or why there is none; no word of a foreign answer is repeated unchecked. */
import * as oauth from 'oauth4webapi'
import { ToolkitError, toolkitErrorIn } from '../core/errors.js'
import { jsonOf } from '../core/json-text.js'
import { masked, Secret } from '../core/secret.js'

export interface AccessToken {
  readonly access_token: Secret
  /** `Bearer`, as RFC 6750 spells it, however the server does (RFC 6749 section 5.1: case counts for nothing). */
  readonly token_type: string
  /** Seconds, from the server. */
  readonly expires_in: number
  readonly scope?: string
}

/** No access token is meant to live for ten years; times beyond that are another unit or a slip. */
const LONGEST = 10 * 365 * 86_400

/**
 * The token of an answer (RFC 6749 section 5.1).
 * @throws ToolkitError token_refused, rate_limited, unavailable, unexpected_response
 */
export async function tokenIn(
  response: Response,
  authorizationServer: oauth.AuthorizationServer,
  client: oauth.Client,
): Promise<AccessToken> {
  const { issuer } = authorizationServer
  if (response.status === 429)
    throw new ToolkitError('rate_limited', `${issuer} asks to slow down`, { system: issuer }, 'wait, then run again')
  if (response.status >= 500) throw cannotIssue(issuer, response.status)
  const answer = response.ok ? await usableIn(response, issuer) : response
  try {
    const { access_token, expires_in, scope } = await oauth.processGenericTokenEndpointResponse(authorizationServer, client, answer)
    return {
      access_token: new Secret(access_token),
      token_type: 'Bearer',
      expires_in: expires_in ?? 0,
      ...(scope === undefined ? {} : { scope }),
    }
  } catch (error) {
    throw tokenError(error, issuer)
  }
}

/** The answer without its ID token: for scope `openid` some servers tell who a machine is, to nobody who would check it. */
async function usableIn(response: Response, issuer: string): Promise<Response> {
  const { status } = response
  const text = await response.text()
  const sent = jsonOf(text)
  // The library tells what is no object at all.
  if (typeof sent !== 'object' || sent === null || Array.isArray(sent)) return new Response(text, { status, headers: JSON_ANSWER })
  const { id_token, ...fields } = sent as Record<string, unknown>
  refuseOddAnswer(fields, issuer)
  return new Response(id_token === undefined ? text : JSON.stringify(fields), { status, headers: JSON_ANSWER })
}
/** The door lets no other success pass. */
const JSON_ANSWER = { 'content-type': 'application/json' }

/** The fields as they were sent: the library reads text as a number, and takes DPoP for a token of its own. */
function refuseOddAnswer({ token_type, expires_in }: Readonly<Record<string, unknown>>, issuer: string): void {
  const type = typeof token_type === 'string' ? token_type.toLowerCase() : undefined
  if (type === 'dpop') throw odd(issuer, 'dpop_token', 'a token bound to a key (DPoP, RFC 9449), which is not supported', DPOP_HINT)
  if (type !== 'bearer') throw odd(issuer, 'token_type', 'a token that is no bearer token (token_type)')
  if (expires_in === undefined || expires_in === null) throw odd(issuer, 'expires_in_missing', 'a token without its lifetime (expires_in)')
  if (typeof expires_in !== 'number') throw odd(issuer, 'expires_in_not_number', 'a lifetime that is no number (expires_in)')
  if (expires_in <= 0) throw odd(issuer, 'expires_in_not_positive', 'a token that has expired already (expires_in)')
  if (expires_in > LONGEST) throw odd(issuer, 'expires_in_too_long', 'a lifetime of more than ten years (expires_in)')
}

function odd(issuer: string, reason: string, what: string, hint?: string): ToolkitError {
  return new ToolkitError('unexpected_response', `${issuer} sent ${what}`, { system: issuer, reason }, hint)
}

export function cannotIssue(issuer: string, status: number): ToolkitError {
  const details = { system: issuer, reason: 'server_error', status }
  return new ToolkitError('unavailable', `${issuer} cannot issue tokens now (${status})`, details, 'run again later')
}

/** Codes of RFC 6749 section 5.2 and 8628; any other word from a server is not repeated. */
const TOKEN_ERROR = /^[a-z_]{1,40}$/
/** RFC 9449 sections 5 and 8: what a server says to a client that must bind its tokens and did not. */
const DPOP_DEMANDED: ReadonlySet<string> = new Set(['use_dpop_nonce', 'invalid_dpop_proof'])
const DPOP_HINT = 'switch DPoP off for this client at its provider (Okta: "Require Demonstrating Proof of Possession")'

/** Whatever went wrong on the way to a token, as one of ours. */
export function tokenError(error: unknown, issuer: string): ToolkitError {
  const ours = toolkitErrorIn(error)
  if (ours) return ours
  if (error instanceof oauth.ResponseBodyError || error instanceof oauth.WWWAuthenticateChallengeError) {
    const said = error instanceof oauth.ResponseBodyError ? error.error : ''
    // A word that is the very password that was sent is no code.
    const code = TOKEN_ERROR.test(said) && masked(said) === said ? said : 'unknown_error'
    const isDpop = DPOP_DEMANDED.has(code)
    return new ToolkitError(
      'token_refused',
      isDpop
        ? `${issuer} demands DPoP of this client (RFC 9449), which is not supported: ${code}`
        : `${issuer} refused to issue a token: ${code}`,
      { issuer, error: code, status: error.status },
      isDpop ? DPOP_HINT : 'check the client id, the secret or password, and that the client is enabled',
    )
  }
  return new ToolkitError('unexpected_response', `${issuer} sent a token answer that is not one`, {
    system: issuer,
    reason: 'token_answer',
  })
}
