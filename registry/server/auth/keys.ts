/**
 * One issuer's signing keys: cached, refetched for an unknown key id at most once per cooldown, kept while the issuer is
 * down. A bad token can neither evict a good key nor cause more than one fetch per cooldown.
 */
import { JWKSNoMatchingKey } from 'jose/errors'
import { createLocalJWKSet } from 'jose/jwks/local'
import { isToolkitError, ToolkitError } from '../../../core/errors.js'
import type { Door } from '../../../core/http.js'
import { discover } from '../../../idp/oauth.js'

/** Whose keys are read, and from where when not from where its metadata says. */
export interface KeySource {
  readonly issuer: string
  readonly jwks_uri?: string
}

/** Fetches an issuer's JWK set (RFC 7517 section 5), unparsed beyond JSON. */
export type FetchKeySet = (issuer: KeySource) => Promise<unknown>

type KeySet = ReturnType<typeof createLocalJWKSet>

const FRESH_MS = 600_000
/** Known keys go on working this long while the issuer cannot be asked. */
const STALE_MS = 24 * 3_600_000
const COOLDOWN_MS = 30_000
/** Without any key yet: soon enough for an issuer that starts beside us, and not a fetch for every request. */
const FIRST_COOLDOWN_MS = 1_000

/** A key resolver for `jwtVerify`. @throws ToolkitError unavailable when no key set can be had */
export function createKeys(issuer: KeySource, fetchKeySet: FetchKeySet, now: () => number): KeySet {
  let known: { keys: KeySet; at: number } | undefined
  let attemptedAt = Number.NEGATIVE_INFINITY
  let failure: unknown
  let pending: Promise<void> | undefined

  const refresh = async (): Promise<void> => {
    if (now() - attemptedAt < (known ? COOLDOWN_MS : FIRST_COOLDOWN_MS)) return pending
    attemptedAt = now()
    pending = fetchKeySet(issuer)
      .then((document) => {
        known = { keys: createLocalJWKSet(document as Parameters<typeof createLocalJWKSet>[0]), at: now() }
      })
      .catch((error: unknown) => {
        failure = error
      })
      .finally(() => {
        pending = undefined
      })
    return pending
  }
  const current = (): KeySet => {
    if (known && now() - known.at < STALE_MS) return known.keys
    if (isToolkitError(failure)) throw failure
    throw new ToolkitError('unavailable', `the signing keys of ${issuer.issuer} cannot be read`, { system: issuer.issuer, reason: 'jwks' })
  }

  const keys = async (...args: Parameters<KeySet>) => {
    if (!known || now() - known.at > FRESH_MS) await refresh()
    try {
      return await current()(...args)
    } catch (error) {
      if (!(error instanceof JWKSNoMatchingKey)) throw error
      await refresh()
      return await current()(...args)
    }
  }
  return Object.assign(keys, { jwks: () => current().jwks() })
}

/** The key set by way of the issuer's own metadata, through the door. A `jwks_uri` on another origin is refused there. */
export function keySetThrough(door: Door): FetchKeySet {
  return async (issuer) => {
    const url = issuer.jwks_uri ?? (await discover(issuer.issuer, door)).jwks_uri
    const answer = url === undefined ? undefined : await door.send({ method: 'GET', url })
    if (answer?.status === 200) return answer.json
    const status = answer === undefined ? {} : { status: answer.status }
    throw new ToolkitError('unavailable', `${issuer.issuer} does not show its signing keys`, {
      system: issuer.issuer,
      reason: 'jwks',
      ...status,
    })
  }
}
