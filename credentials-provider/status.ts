/** What identities there are and how their tokens stand: read from files only, nothing is asked and no secret is opened. */
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { isToolkitError } from '../core/errors.js'
import { queryOperation } from '../core/operation.js'
import { audienceOf } from '../core/settings.js'
import { decodedToken } from '../idp/claims.js'
import { isoOf } from './freshness.js'
import type { IdentityEntry } from './identities.js'
import { requestOf } from './mint.js'
import { type CredentialsContext, identitiesOf, sourceShape } from './operations.js'
import { readTokenFile, type SavedToken } from './saved-token.js'
import { isAskedFor, tokenPath } from './token-file.js'
import { type TokenState, tokenFindings, tokenState } from './token-findings.js'

const states = z.enum(['none', 'fresh', 'due', 'expired'])

export const listIdentities = queryOperation({
  summary:
    'List the identities that tokens are minted for: name, provider, issuer, client id, scope, token file, and the place in which file each stands. Secrets are never shown.',
  input: z.strictObject(sourceShape),
  output: z.strictObject({
    total: z.number(),
    identities: z.array(
      z.strictObject({
        identity_name: z.string(),
        auth_provider: z.string(),
        issuer: z.string(),
        client_id: z.string(),
        scope: z.string().nullable(),
        token_file: z.string(),
        place: z.string().describe('file, line and column'),
      }),
    ),
  }),
  examples: [{}, { identities_file: 'identities.json' }],
  async handler(source, context: CredentialsContext) {
    const { entries, folder } = await identitiesOf(source, context)
    const identities = entries.map((entry) => {
      const { identity_name, auth_provider, client_id } = entry.identity
      const { issuer, scope = null } = requestOf(entry)
      const place = join(dirname(entry.file), entry.place)
      const token_file = tokenPath(folder, entry.identity)
      return { identity_name, auth_provider, issuer, client_id, scope, token_file, place }
    })
    return { total: identities.length, identities }
  },
})

export const tokenStatus = queryOperation({
  summary:
    'Show how each saved token stands: none, fresh, due (replaced by the next run) or expired, minutes left, its file, and findings such as a wrong audience, no groups or a clock that is off. Nothing is minted and no server is asked.',
  input: z.strictObject(sourceShape),
  output: z.strictObject({
    counts: z.strictObject({ fresh: z.number(), due: z.number(), expired: z.number(), none: z.number() }),
    identities: z.array(
      z.strictObject({
        identity_name: z.string(),
        state: states,
        expires_at: z.string().nullable(),
        minutes_left: z.number().nullable(),
        token_file: z.string(),
        findings: z.array(z.string()),
      }),
    ),
  }),
  examples: [{}, { identities_file: 'identities.json', output_dir: 'tokens' }],
  async handler(source, context: CredentialsContext) {
    const { entries, folder } = await identitiesOf(source, context)
    const audience = audienceOf(context)
    const now = Date.now() / 1000
    const identities: Standing[] = []
    // One file after the other: a thousand open files are more than some systems allow.
    for (const entry of entries) identities.push(await standingOf(entry, { folder, audience, now }))
    const count = (state: TokenState) => identities.filter((one) => one.state === state).length
    return { counts: { fresh: count('fresh'), due: count('due'), expired: count('expired'), none: count('none') }, identities }
  },
})

interface Standing {
  readonly identity_name: string
  readonly state: TokenState
  readonly expires_at: string | null
  readonly minutes_left: number | null
  readonly token_file: string
  findings: string[]
}

async function standingOf(
  entry: IdentityEntry,
  { folder, audience, now }: { folder: string; audience: string; now: number },
): Promise<Standing> {
  const { identity } = entry
  const { identity_name, auth_provider: provider } = identity
  const token_file = tokenPath(folder, identity)
  const saved = await savedOrWhy(token_file)
  if (saved === undefined || typeof saved === 'string') {
    const none = { expires_at: null, minutes_left: null }
    return { identity_name, state: 'none', ...none, token_file, findings: saved === undefined ? [] : [saved] }
  }
  const request = requestOf(entry)
  const isAsked = isAskedFor(saved, identity, request)
  const state = tokenState(saved, now)
  const decoded = decodedToken(saved.token)
  return {
    identity_name,
    state: state === 'fresh' && !isAsked ? 'due' : state,
    expires_at: isoOf(saved.expires_at),
    minutes_left: Math.max(0, Math.floor((saved.expires_at - now) / 60)),
    token_file,
    findings: [
      ...(isAsked ? [] : ['the identity asks for another token now: run mcp-idp credentials generate']),
      ...tokenFindings({ times: saved, decoded, provider, issuer: request.issuer, audience }, now),
    ],
  }
}

/** A file that is none of ours spoils its own row only. */
async function savedOrWhy(path: string): Promise<SavedToken | string | undefined> {
  try {
    return await readTokenFile(path)
  } catch (error) {
    if (!isToolkitError(error)) throw error
    return error.message.replace(/\n\s*/g, ' ')
  }
}
