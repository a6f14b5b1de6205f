/**
 * Access tokens of trusted issuers, and nothing else: the rules of RFC 8725 and RFC 9068 with the exact issuer string, a
 * fixed list of algorithms and keys from that issuer's own key set. Headers that name a key source are never followed.
 */
import { JOSEError, JWKSNoMatchingKey, JWSSignatureVerificationFailed, JWTClaimValidationFailed, JWTExpired } from 'jose/errors'
import { decodeJwt } from 'jose/jwt/decode'
import { jwtVerify } from 'jose/jwt/verify'
import { isToolkitError, ToolkitError } from '../../../core/errors.js'
import { createDoor, WriteLatch } from '../../../core/http.js'
import type { Claims, TokenRules } from '../../../idp/capabilities.js'
import { createKeys, type FetchKeySet, keySetThrough } from './keys.js'

/** An issuer whose tokens are accepted; `name` is its identity provider's. */
export interface TrustedIssuer {
  readonly name: string
  /** Compared with `iss` as it is, byte for byte. */
  readonly issuer: string
  readonly rules: TokenRules
  /** Where its keys are, when not where its metadata says. */
  readonly jwks_uri?: string
}

/** What a verified token says; `claims` is for rules, never for answers. */
export interface VerifiedToken {
  /** The identity provider's name. */
  readonly provider: string
  readonly issuer: string
  readonly subject: string
  readonly client_id: string | null
  readonly kind: 'person' | 'machine'
  readonly username?: string
  readonly groups: readonly string[]
  readonly claims: Claims
}

export interface Verifier {
  /** @throws ToolkitError unauthenticated without any part of the token; unavailable when no key can be read */
  verify(token: string): Promise<VerifiedToken>
  close(): Promise<void>
}

export interface VerifierOptions {
  readonly issuers: readonly TrustedIssuer[]
  readonly audience: string
  /** Reads an issuer's key set; through the outbound door when absent. */
  readonly jwks?: FetchKeySet
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

/** Longest token looked at; a header of Node's server is at most 32 KiB. */
const MAX_TOKEN = 24_576
const LEEWAY_SECONDS = 30
/** No access token lives longer; one that claims to is a mistake or a refresh token. */
const MAX_LIFETIME_SECONDS = 24 * 3600

/** A verifier with one key cache an issuer; keep it for the life of the process. */
export function createVerifier({ issuers, audience, jwks, now = Date.now }: VerifierOptions): Verifier {
  const urls = issuers.flatMap(({ issuer, jwks_uri }) => (jwks_uri === undefined ? [issuer] : [issuer, jwks_uri]))
  const door = jwks ? undefined : createDoor({ origins: urls, latch: new WriteLatch(), timeoutMs: 5_000 })
  const fetchKeySet = jwks ?? (door ? keySetThrough(door) : async () => undefined)
  const trusted = new Map(issuers.map((issuer) => [issuer.issuer, { ...issuer, keys: createKeys(issuer, fetchKeySet, now) }]))

  return {
    close: async () => door?.close(),
    async verify(token) {
      const issuer = trusted.get(claimedIssuer(token))
      if (!issuer) throw refused('issuer')
      const { payload, protectedHeader } = await jwtVerify(token, issuer.keys, {
        algorithms: [...issuer.rules.algorithms],
        issuer: issuer.issuer,
        audience,
        clockTolerance: LEEWAY_SECONDS,
        currentDate: new Date(now()),
        requiredClaims: ['exp', 'iat'],
      }).catch((error: unknown) => {
        throw asRefusal(error)
      })
      checkShape(payload, now() / 1000)
      if (!issuer.rules.isAccessToken(protectedHeader, payload)) throw refused('token_type')
      return described(issuer, payload)
    },
  }
}

/** Read before any check, only to choose the trusted issuer whose rules and keys then apply. */
function claimedIssuer(token: string): string {
  if (token.length > MAX_TOKEN) throw refused('malformed')
  try {
    const { iss } = decodeJwt(token)
    if (typeof iss === 'string') return iss
  } catch {
    throw refused('malformed')
  }
  throw refused('issuer')
}

function checkShape({ aud, exp, iat }: Claims, now: number): void {
  if ([aud].flat().some((one) => typeof one !== 'string')) throw refused('audience')
  if (typeof exp !== 'number' || typeof iat !== 'number') throw refused('time')
  if (iat < 0 || iat > now + LEEWAY_SECONDS) throw refused('time')
  if (exp <= iat || exp - iat > MAX_LIFETIME_SECONDS) throw refused('lifetime')
}

function described({ name, issuer, rules }: TrustedIssuer, claims: Claims): VerifiedToken {
  const kind = rules.isMachine(claims) ? 'machine' : 'person'
  const client_id = rules.clientId(claims) ?? null
  // Keycloak leaves `sub` out of a machine's token when the client lacks the scope `basic`.
  const subject = typeof claims['sub'] === 'string' && claims['sub'] !== '' ? claims['sub'] : kind === 'machine' ? client_id : null
  if (subject === null) throw refused('subject')
  const username = rules.username(claims)
  return {
    provider: name,
    issuer,
    subject,
    client_id,
    kind,
    groups: groupsIn(claims, rules),
    claims,
    ...(username === undefined ? {} : { username }),
  }
}

function groupsIn(claims: Claims, { groups_claim }: TokenRules): string[] {
  const value = Object.hasOwn(claims, groups_claim) ? claims[groups_claim] : undefined
  return Array.isArray(value) ? value.filter((group): group is string => typeof group === 'string' && group !== '') : []
}

const REASONS = {
  malformed: 'it is not a JWT',
  issuer: 'its issuer is not trusted here',
  algorithm: 'its signature algorithm is not accepted',
  key: 'it names a key that its issuer does not have',
  signature: 'its signature does not verify',
  expired: 'it has expired',
  time: 'its times are missing or in the future',
  lifetime: 'its lifetime is longer than an access token has',
  audience: 'it is not meant for this gateway',
  subject: 'it names no subject',
  token_type: 'it is not an access token',
} as const

function refused(reason: keyof typeof REASONS): ToolkitError {
  return new ToolkitError('unauthenticated', `the token was not accepted: ${REASONS[reason]}`, { system: 'registry', vendor_code: reason })
}

/** jose's errors may quote claims; only the kind of failure gets out. */
function asRefusal(error: unknown): unknown {
  if (isToolkitError(error) || !(error instanceof JOSEError)) return error
  if (error instanceof JWTExpired) return refused('expired')
  if (error instanceof JWSSignatureVerificationFailed) return refused('signature')
  if (error instanceof JWKSNoMatchingKey) return refused('key')
  if (error instanceof JWTClaimValidationFailed)
    return refused(error.claim === 'aud' ? 'audience' : error.claim === 'iss' ? 'issuer' : 'time')
  return refused(error.code === 'ERR_JOSE_ALG_NOT_ALLOWED' ? 'algorithm' : 'malformed')
}
