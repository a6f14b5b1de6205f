/**
 * Why a login will not do, in words: pure functions over an observed client. Those over a token are in idp/claims.ts.
 * Each finding is something that makes "login works, every server answers 403", or that opens a door.
 */
import { ToolkitError } from '../core/errors.js'
import type { Observed } from '../core/plan.js'
import type { ClientKind, Resources } from '../core/resources.js'
import { GROUPS_CLAIM } from '../core/vocabulary.js'
import { isKnownRedirect } from '../ide/redirects.js'
import type { Capabilities } from '../idp/index.js'

export interface Finding {
  /** What it is about: `public-client mcp-gateway-ide`. */
  readonly object: string
  readonly finding: string
}

type ClientSpec = Partial<Resources['public-client'] & Resources['machine-client']>

/** What is wrong with a client, whatever its redirect URIs are for. */
export function clientFindings(kind: ClientKind, { spec }: Observed, capabilities: Capabilities, audience: string): string[] {
  const { enabled, redirect_uris = [], grant_types = [], full_scope, pkce, groups_claim, audience: actual } = spec as ClientSpec
  const held = (field: Capabilities['server_wide'][number]) => !capabilities.server_wide.includes(field)
  return [
    ...(enabled === false ? ['switched off'] : []),
    ...(grant_types.includes('password') ? ['direct grants on: a password can be sent to it (RFC 9700 section 2.4)'] : []),
    ...(grant_types.includes('implicit') ? ['implicit flow on (RFC 9700 section 2.1.2)'] : []),
    ...grant_types.filter((one) => !KNOWN_GRANTS[kind].includes(one)).map((one) => `grant type ${one} on`),
    ...(held('full_scope') && full_scope ? ['full scope on: every role of the person rides in the token'] : []),
    ...(kind === 'public-client' && held('pkce') && pkce !== 'S256' ? [`PKCE S256 not required (${pkce})`] : []),
    ...redirect_uris.flatMap((uri) => redirectFindings(kind, uri)),
    ...(held('groups_claim') && groups_claim !== GROUPS_CLAIM
      ? [`no groups: the claim ${GROUPS_CLAIM} is not made (${groups_claim})`]
      : []),
    ...(held('audience') && actual !== audience ? [`wrong audience: ${actual}, the gateway accepts ${audience}`] : []),
  ]
}

const KNOWN_GRANTS: Readonly<Record<ClientKind, readonly string[]>> = {
  // Those that have words of their own are left to them.
  'public-client': ['authorization_code', 'refresh_token', 'password', 'implicit'],
  'web-client': ['authorization_code', 'refresh_token', 'password', 'implicit'],
  'machine-client': ['client_credentials', 'password', 'implicit'],
}

function redirectFindings(kind: ClientKind, uri: string): string[] {
  if (kind === 'machine-client') return [`redirect URI ${uri} on a machine client`]
  if (uri.includes('*')) return [`wildcard redirect URI ${uri}`]
  return kind === 'public-client' && !isKnownRedirect(uri) ? [`foreign redirect URI ${uri}`] : []
}

/** @throws ToolkitError not_converged listing every finding, unless there is none */
export function refuseFindings(findings: readonly Finding[]): void {
  if (findings.length === 0) return
  const remaining = findings.map(({ object, finding }) => `${object}: ${finding}`)
  throw new ToolkitError(
    'not_converged',
    [`${remaining.length} ${remaining.length === 1 ? 'finding' : 'findings'}:`, ...remaining.map((line) => `  ${line}`)].join('\n'),
    { remaining },
    'run the setup command of each again; it mends what is ours',
  )
}
