/** Where a saved token stands, and why it may not open what it should, in words that end in what to do. */
import { GROUPS_CLAIM } from '../core/vocabulary.js'
import { claimFindings, type DecodedToken, textsOf } from '../idp/claims.js'
import { type Capabilities, type Claims, IDPS } from '../idp/index.js'
import { isFresh, isoOf, type TokenTimes } from './freshness.js'
import { spanText } from './time-span.js'

/** `due`: still good, and replaced by the next run. */
export type TokenState = 'none' | 'fresh' | 'due' | 'expired'

/** @param now seconds since the epoch */
export function tokenState(times: TokenTimes | undefined, now: number): TokenState {
  if (times === undefined) return 'none'
  if (isFresh(times, now)) return 'fresh'
  return times.expires_at > now ? 'due' : 'expired'
}

export interface TokenFacts {
  readonly times: TokenTimes
  /** Undefined for a token that only its issuer can read. */
  readonly decoded: DecodedToken | undefined
  readonly provider?: string | undefined
  readonly issuer?: string | undefined
  /** What the gateway accepts. */
  readonly audience: string
}

/** Two clocks that differ by less are the same. */
const CLOCK_TOLERANCE = 60
/** Where providers put what a machine may do; Auth0 and Entra have no groups for machines. */
const RIGHTS_CLAIMS = ['roles', 'permissions', 'cognito:groups']

/** Everything that is wrong with a token at `now`, seconds since the epoch; the worst first. */
export function tokenFindings(facts: TokenFacts, now: number): string[] {
  const { times, decoded } = facts
  return [
    ...timeFindings(times, decoded?.claims ?? {}, now),
    ...(decoded === undefined ? [opaqueFinding(facts)] : contentFindings(decoded, facts)),
  ]
}

function timeFindings(times: TokenTimes, { iat, nbf }: Claims, now: number): string[] {
  const state = tokenState(times, now)
  const left = times.expires_at - now
  const issued = typeof iat === 'number' ? iat : times.generated_at
  const isEarly = issued !== undefined && issued > now + CLOCK_TOLERANCE
  return [
    ...(state === 'expired' ? [`expired ${spanText(left)} ago: run mcp-idp credentials generate`] : []),
    ...(state === 'due' && !isEarly ? [`expires in ${spanText(left)}: run mcp-idp credentials generate`] : []),
    ...(isEarly ? [`clock off: issued ${spanText(issued - now)} in the future; set the clock of this machine, or the issuer's`] : []),
    ...(typeof nbf === 'number' && nbf > now + CLOCK_TOLERANCE ? [`not valid before ${isoOf(nbf)}`] : []),
  ]
}

/** Auth0 issues what only itself can read where no audience is asked for (https://auth0.com/docs/secure/tokens/access-tokens). */
function opaqueFinding({ provider, issuer = '' }: TokenFacts): string {
  const isAuth0 = provider === 'auth0' || /^https:\/\/[^/]+\.auth0\.com(?:\/|$)/.test(issuer)
  return isAuth0
    ? 'opaque token: Auth0 issues it where no audience is asked for; add audience to the identity'
    : 'opaque token: only its issuer can read it, the gateway cannot'
}

function contentFindings({ header, claims }: DecodedToken, { provider, audience }: TokenFacts): string[] {
  const capabilities = capabilitiesOf(provider)
  const groupsClaim = groupsClaimOf(provider)
  const isCognito = claims['token_use'] === 'access' && claims['aud'] === undefined
  const hasRights = RIGHTS_CLAIMS.some((name) => textsOf(claims, name).length > 0)
  const isRecorded = capabilities?.machine_groups === 'record'
  const told = claimFindings(claims, { audience, ...(hasRights || isRecorded ? { groups: [] } : {}) }, groupsClaim)
  return [
    ...(capabilities && !capabilities.token.isAccessToken(header, claims)
      ? ['not an access token: ask for one at the token endpoint']
      : []),
    // https://learn.microsoft.com/entra/identity-platform/access-tokens#token-formats
    ...(claims['ver'] === '1.0' && typeof claims['tid'] === 'string'
      ? ['Entra v1 token: set requestedAccessTokenVersion to 2 in the manifest of the app that is the API']
      : []),
    // Cognito's access tokens have no audience; the gateway goes by their client_id.
    ...told.filter((finding) => !(isCognito && finding.startsWith('wrong audience'))).map(withStep),
  ]
}

/** What to do about it, where setup's own findings leave that to `check`. */
function withStep(finding: string): string {
  if (finding.startsWith('wrong audience')) return `${finding} (setting MCP_GATEWAY_AUDIENCE)`
  if (finding === 'no groups in the token') return `${finding}: the gateway goes by the client's record, see mcp-idp m2m get`
  return finding
}

/** The claim that holds the groups in tokens of a provider. */
export function groupsClaimOf(provider: string | undefined): string {
  return capabilitiesOf(provider)?.token.groups_claim ?? GROUPS_CLAIM
}

function capabilitiesOf(provider: string | undefined): Capabilities | undefined {
  return Object.entries(IDPS).find(([name]) => name === provider)?.[1].capabilities
}
