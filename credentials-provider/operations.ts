/** Tokens as operations: to files only. */
import { join } from 'node:path'
import { z } from 'zod'
import { isToolkitError, ToolkitError } from '../core/errors.js'
import type { Door } from '../core/http.js'
import { type Context, queryOperation, receiptShape } from '../core/operation.js'
import { readIdentities, readIdentityFolder, refuseClashes } from './identities.js'
import { type Minted, mintToFile } from './mint.js'

/** What minting asks of its surroundings besides the core context. */
export interface CredentialsContext extends Context {
  doorTo(origin: string): Door
}

export const generateCredentials = queryOperation({
  summary:
    'Mint an access token for each identity (client credentials) into a file that only you can read. A token that is still fresh is kept. One failure never stops the others.',
  input: z.strictObject({
    identities_file: z
      .string()
      .min(1)
      .max(4096)
      .optional()
      .describe('an identity, or an array of them (default: all files of identities/ in the home folder)'),
    output_dir: z.string().min(1).max(4096).optional().describe('folder of the token files (default: .oauth-tokens in the home folder)'),
    force: z.boolean().default(false).describe('mint even when the saved token is fresh'),
  }),
  output: z.strictObject({ tokens: z.array(z.strictObject({ identity_name: z.string(), reused: z.boolean(), receipt: receiptShape })) }),
  examples: [{}, { identities_file: 'identities.json' }],
  async handler(input, context: CredentialsContext) {
    const identities = input.identities_file
      ? await readIdentities(input.identities_file)
      : await readIdentityFolder(join(context.home, 'identities'))
    refuseClashes(identities)
    if (identities.length === 0) {
      throw new ToolkitError(
        'not_found',
        'there is no identity yet',
        { kind: 'identity', key: context.home },
        'run mcp-idp setup m2m-app, or name --identities-file',
      )
    }
    const folder = input.output_dir ?? join(context.home, '.oauth-tokens')
    const minting = { folder, doorTo: context.doorTo, now: () => new Date(), force: input.force }
    const tokens: Minted[] = []
    const failures: { name: string; error: unknown }[] = []
    for (const identity of identities) {
      context.signal?.throwIfAborted()
      try {
        const minted = await mintToFile(identity, minting)
        tokens.push(minted)
        context.progress(`${minted.reused ? 'kept' : 'minted'} ${identity.identity_name}`)
      } catch (error) {
        failures.push({ name: identity.identity_name, error })
        context.progress(`failed ${identity.identity_name}`)
      }
    }
    throwFailures(failures, tokens.length)
    return { tokens: tokens.map(({ identity_name, reused, receipt }) => ({ identity_name, reused, receipt })) }
  },
})

/** One identity alone fails with its own error; several with `partial`, each named. */
function throwFailures(failures: readonly { name: string; error: unknown }[], succeeded: number): void {
  const [first, ...others] = failures
  if (first === undefined) return
  if (others.length === 0 && succeeded === 0) throw first.error
  const failed = failures.map(({ name, error }) => `${name}: ${isToolkitError(error) ? `${error.code}, ${error.message}` : 'internal'}`)
  throw new ToolkitError(
    'partial',
    [`${failures.length} of ${failures.length + succeeded} identities got no token:`, ...failed].join('\n  '),
    { failed, succeeded },
  )
}
