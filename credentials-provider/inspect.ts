/** A token as an operation may show it: its claims by an allow-list and what is wrong with it, never the token itself. */
import { resolve } from 'node:path'
import { z } from 'zod'
import { invalidInput, ToolkitError } from '../core/errors.js'
import { cleanText } from '../core/foreign-text.js'
import { queryOperation } from '../core/operation.js'
import { audienceOf } from '../core/settings.js'
import { audiencesOf, type DecodedToken, decodedToken, textsOf } from '../idp/claims.js'
import type { Claims } from '../idp/index.js'
import { isoOf } from './freshness.js'
import { identityNamed } from './identity-files.js'
import { type CredentialsContext, identitiesOf, sourceShape } from './operations.js'
import { readTokenFile } from './saved-token.js'
import { tokenPath } from './token-file.js'
import { groupsClaimOf, tokenFindings, tokenState } from './token-findings.js'

/** Claims that name the client, in the words of RFC 9068, OpenID Connect, Okta and Entra v1. */
const CLIENT_CLAIMS = ['client_id', 'azp', 'cid', 'appid'] as const
/** No list of rights is longer than a person reads. */
const MOST_VALUES = 200

const text = z.string().optional()
const texts = z.array(z.string()).optional()
const seconds = z.number().optional()
const claimsShape = z.strictObject({
  ...{ iss: text, aud: z.array(z.string()), client_id: text, azp: text, cid: text, appid: text },
  sub: text.describe('only where it is the client itself: of people it is nobody’s business'),
  ...{ scope: text, scp: texts, groups: texts, roles: texts, permissions: texts },
  ...{ iat: seconds, nbf: seconds, exp: seconds },
})

export const inspectToken = queryOperation({
  summary:
    'Show what a saved token says and what is wrong with it: issuer, audience, client, scopes, groups, times, and findings such as a wrong audience or no groups. The token itself is never shown, and its signature is not checked.',
  input: z.strictObject({
    identity: z.string().min(1).max(256).optional().describe('name of an identity'),
    token_file: z.string().min(1).max(4096).optional().describe('a token file, instead of an identity'),
    ...sourceShape,
  }),
  output: z.strictObject({
    identity_name: text,
    token_file: z.string(),
    state: z.enum(['fresh', 'due', 'expired']),
    expires_at: z.string(),
    token_type: z.string(),
    format: z.string().describe('typ of the header for a JWT (RFC 9068 section 2.1), or opaque'),
    claims: claimsShape.nullable(),
    findings: z.array(z.string()),
  }),
  positionals: ['identity'],
  examples: [{ identity: 'reporter' }, { token_file: '.oauth-tokens/agent-reporter-token.json' }],
  async handler({ identity, token_file, ...source }, context: CredentialsContext) {
    const { path, provider } = await placeOf({ identity, token_file, source }, context)
    const saved = await readTokenFile(path)
    if (saved === undefined) {
      const hint = 'mint one with mcp-idp credentials generate'
      throw new ToolkitError('not_found', `${path} holds no token`, { kind: 'file', key: path }, hint)
    }
    const now = Date.now() / 1000
    const known = { provider: provider ?? saved.provider, issuer: saved.issuer }
    const decoded = decodedToken(saved.token)
    const state = tokenState(saved, now)
    return {
      identity_name: saved.identity_name,
      token_file: path,
      state: state === 'none' ? 'expired' : state,
      expires_at: isoOf(saved.expires_at),
      token_type: cleanText(saved.token_type),
      format: decoded === undefined ? 'opaque' : cleanText(String(decoded.header['typ'] ?? 'JWT')),
      claims: decoded === undefined ? null : shownClaims(decoded, groupsClaimOf(known.provider)),
      findings: tokenFindings({ times: saved, decoded, ...known, audience: audienceOf(context) }, now).map((one) => cleanText(one)),
    }
  },
})

/** @throws ToolkitError invalid_input unless exactly one of both is named; not_found */
async function placeOf(
  asked: { identity: string | undefined; token_file: string | undefined; source: Parameters<typeof identitiesOf>[0] },
  context: CredentialsContext,
): Promise<{ path: string; provider?: string }> {
  const { identity, token_file, source } = asked
  if (identity !== undefined && token_file === undefined) {
    const { entries, folder } = await identitiesOf(source, context)
    const { identity: found } = identityNamed(entries, identity)
    return { path: tokenPath(folder, found), provider: found.auth_provider }
  }
  if (token_file !== undefined && identity === undefined) return { path: resolve(token_file) }
  throw invalidInput('the input', [{ path: 'identity', expected: 'the name of an identity, or --token-file instead of it' }])
}

/** By allow-list: everything else of a token stays in its file. */
function shownClaims({ claims }: DecodedToken, groupsClaim: string): z.infer<typeof claimsShape> {
  const clients = CLIENT_CLAIMS.map((name) => claims[name])
  const list = (name: string) =>
    textsOf(claims, name)
      .slice(0, MOST_VALUES)
      .map((one) => cleanText(one))
  const groups = list(groupsClaim)
  return {
    ...textFields(claims, ['iss', ...CLIENT_CLAIMS, 'scope']),
    aud: audiencesOf(claims).map((one) => cleanText(one)),
    ...(typeof claims['sub'] === 'string' && clients.includes(claims['sub']) ? textFields(claims, ['sub']) : {}),
    ...listFields(claims, ['roles', 'permissions'], list),
    // Okta writes a list, Entra one text.
    ...('scp' in claims ? { scp: typeof claims['scp'] === 'string' ? cleanText(claims['scp']).split(' ') : list('scp') } : {}),
    ...(groupsClaim in claims ? { groups } : {}),
    ...numberFields(claims, ['iat', 'nbf', 'exp']),
  }
}

function textFields(claims: Claims, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = claims[name]
      return typeof value === 'string' ? [[name, cleanText(value)]] : []
    }),
  )
}

function numberFields(claims: Claims, names: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = claims[name]
      return typeof value === 'number' ? [[name, value]] : []
    }),
  )
}

function listFields(claims: Claims, names: readonly string[], list: (name: string) => string[]): Record<string, string[]> {
  return Object.fromEntries(names.filter((name) => name in claims).map((name) => [name, list(name)]))
}
