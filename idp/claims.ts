/** What an access token says, whoever issued it: decoded and never verified, and what of it will not do, in words. */
import { decodeProtectedHeader } from 'jose/decode/protected_header'
import { decodeJwt } from 'jose/jwt/decode'
import type { Secret } from '../core/secret.js'
import type { Claims } from './capabilities.js'

export interface DecodedToken {
  readonly header: Claims
  readonly claims: Claims
}

/** Header and claims of a token that is a JWT (RFC 7519 section 7.2); undefined for one that only its issuer can read. */
export function decodedToken(token: Secret): DecodedToken | undefined {
  const text = token.reveal()
  try {
    return { header: decodeProtectedHeader(text), claims: decodeJwt(text) }
  } catch {
    return undefined
  }
}

/** What tokens must hold. */
export interface Expected {
  readonly audience: string
  /** Groups that must be there, by the last segment of their path; undefined when any will do. */
  readonly groups?: readonly string[]
}

/** What is wrong with an access token, by its claims. */
export function claimFindings(claims: Claims, { audience, groups }: Expected, groupsClaim: string): string[] {
  const actual = textsOf(claims, groupsClaim)
  const lacking = (groups ?? []).map(lastSegment).filter((one) => !actual.includes(one))
  const audiences = audiencesOf(claims)
  return [
    ...(groups === undefined && actual.length === 0 ? ['no groups in the token'] : []),
    ...(lacking.length > 0
      ? [`${actual.length === 0 ? 'no groups in the token' : 'groups missing in the token'}: ${lacking.join(', ')}`]
      : []),
    ...(audiences.includes(audience) ? [] : [`wrong audience: ${audiences.join(', ') || 'none'}, the gateway accepts ${audience}`]),
    ...audiences.filter((one) => one !== audience && audiences.includes(audience)).map((one) => `further audience ${one}`),
    ...(typeof claims['sub'] === 'string' ? [] : ['scope dropped: the token has no sub']),
  ]
}

/** One audience is a string, several are a list (RFC 7519 section 4.1.3). */
export function audiencesOf({ aud }: Claims): string[] {
  return [aud].flat().filter((one) => typeof one === 'string')
}

/** A claim that is a list of texts; empty when it is anything else. */
export function textsOf(claims: Claims, name: string): string[] {
  const held = claims[name]
  return Array.isArray(held) ? held.map(String) : []
}

/** The claim holds names, not paths (`full.path` off). */
function lastSegment(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}
