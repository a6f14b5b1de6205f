/** Tokens as operations: to files only. */
import { resolve } from 'node:path'
import { z } from 'zod'
import { ToolkitError } from '../core/errors.js'
import type { Door } from '../core/http.js'
import { type Context, queryOperation, receiptShape } from '../core/operation.js'
import { createMinter } from '../idp/tokens.js'
import { causeOf, type Failure, mintAll } from './batch.js'
import { refuseEnvClashes } from './env-file.js'
import { defaultFiles, type Identities, namedFile, readIdentityFiles } from './identity-files.js'
import { type IdentityState, MOST_CONCURRENCY } from './identity-state.js'
import type { Minting } from './mint.js'
import type { TryLock } from './single-flight.js'

/** What minting asks of its surroundings besides the core context. */
export interface CredentialsContext extends Context {
  /** A door for token requests to this origin. */
  doorTo(origin: string): Door
  readonly tryLock: TryLock
  /** Environment variables, for references in identities files. */
  readonly env: (name: string) => string | undefined
  /** Whether an assistant asks: a file that it names holds secrets written out only, unless it lies in the home folder. */
  readonly isAssistant?: boolean
  /** What becomes of each identity. */
  onIdentity(state: IdentityState): void
}

/** Requests at once to one issuer where nobody says otherwise. */
export const CONCURRENCY = 32
const path = z.string().min(1).max(4096)

/** Where identities come from and tokens go to; the same for all operations on identities. */
export const sourceShape = {
  identities_file: path
    .optional()
    .describe(
      'an identity, or an array of them (default: the home folder’s identities/, identities.json and .oauth-tokens/; without any, ./.oauth-tokens)',
    ),
  output_dir: path.optional().describe('folder of the token files (default: the .oauth-tokens that goes with the identities)'),
}

export const generateInput = z.strictObject({
  ...sourceShape,
  force: z.boolean().default(false).describe('mint even when the saved token is fresh'),
  env_files: z.boolean().default(false).describe('also save each token as variables for a shell: agent-<name>.env'),
  concurrency: z.number().int().min(1).max(MOST_CONCURRENCY).default(CONCURRENCY).describe('requests at once to one issuer'),
})

export const generateCredentials = queryOperation({
  summary:
    'Mint an access token for each identity (client credentials) into a file that only you can read. A token that is still fresh is kept. One failure never stops the others.',
  input: generateInput,
  output: z.strictObject({
    tokens: z.array(z.strictObject({ identity_name: z.string(), issuer: z.string(), reused: z.boolean(), receipt: receiptShape })),
  }),
  examples: [{}, { identities_file: 'identities.json' }],
  async handler({ force, env_files, concurrency, ...source }, context: CredentialsContext) {
    const { entries, folder } = await identitiesOf(source, context)
    if (env_files) refuseEnvClashes(entries)
    const { minted, failed } = await mintAll(entries, {
      ...mintingOf(context, { folder, force, envFiles: env_files }),
      concurrency,
      onState: context.onIdentity,
    })
    throwFailures(failed, minted.length)
    return { tokens: minted }
  },
})

/** How tokens are minted in a context. */
export function mintingOf(
  context: CredentialsContext,
  { folder, force = false, envFiles = false }: { folder: string; force?: boolean; envFiles?: boolean },
): Minting {
  const { doorTo, tryLock, signal } = context
  return { folder, force, envFiles, minter: createMinter(doorTo), tryLock, now: () => Date.now() / 1000, ...(signal ? { signal } : {}) }
}

/** The identities that are named, else those of the home folder; all checked. @throws ToolkitError invalid_input, not_found */
export async function identitiesOf(
  { identities_file, output_dir }: { identities_file?: string | undefined; output_dir?: string | undefined },
  { home, env, settings, isAssistant = false }: Pick<CredentialsContext, 'home' | 'env' | 'settings' | 'isAssistant'>,
): Promise<Identities> {
  const named = identities_file === undefined ? undefined : resolve(identities_file)
  const files = named === undefined ? await defaultFiles(home, resolve()) : await namedFile(named, home, isAssistant)
  const folder = resolve(output_dir ?? files.folder)
  const entries = await readIdentityFiles(files.paths, { env, settings, mayRefer: files.mayRefer }, folder)
  if (entries.length > 0) return { entries, folder }
  throw new ToolkitError(
    'not_found',
    named === undefined ? 'there is no identity yet' : `${named} holds no identity`,
    { kind: 'identity', key: named ?? home },
    'run mcp-idp setup m2m-app, or name --identities-file',
  )
}

/** One identity alone fails with its own error; several with `partial`: every cause once, with those that it hit and what to do. */
export function throwFailures(failures: readonly Failure[], succeeded: number): void {
  const [first, ...others] = failures
  if (first === undefined) return
  if (others.length === 0 && succeeded === 0) throw first.error
  const causes = new Map<string, { names: string[]; hint?: string }>()
  const failed = failures.map(({ identity_name, error }) => {
    const { code, cause, hint } = causeOf(error)
    const words = `${code}, ${cause}`
    const known = causes.get(words) ?? { names: [], ...(hint === undefined ? {} : { hint }) }
    causes.set(words, { ...known, names: [...known.names, identity_name] })
    return `${identity_name}: ${words}`
  })
  const lines = [...causes].flatMap(([words, { names, hint }]) => [
    `${words}: ${names.join(', ')}`,
    ...(hint === undefined ? [] : [`  next: ${hint}`]),
  ])
  throw new ToolkitError(
    'partial',
    [`${failures.length} of ${failures.length + succeeded} identities got no token:`, ...lines].join('\n  '),
    { failed, succeeded },
  )
}
