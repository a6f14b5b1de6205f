/** `mcp-idp credentials generate --watch`: tokens kept fresh in the foreground, told as a table or in lines, until it is stopped. */
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseInput } from '../core/operation.js'
import { causeOf, mintAll } from '../credentials-provider/batch.js'
import { identityChanges } from '../credentials-provider/identity-changes.js'
import { defaultFiles } from '../credentials-provider/identity-files.js'
import { requestOf } from '../credentials-provider/mint.js'
import { type CredentialsContext, generateInput, identitiesOf, mintingOf } from '../credentials-provider/operations.js'
import { readTokenFile } from '../credentials-provider/saved-token.js'
import { isAskedFor, tokenPath } from '../credentials-provider/token-file.js'
import { watchTokens } from '../credentials-provider/watch.js'
import { homeFolder } from '../toolkit/home.js'
import { withContext } from './credentials-token.js'
import { stepTeller } from './progress.js'
import { type Globals, reportFailure, stopAtInterrupt } from './run.js'

/** Runs until SIGINT or SIGTERM, then 0: it left nothing half done. Else the status of what it could not begin with. */
export async function watchCredentials(given: Readonly<Record<string, unknown>>, globals: Globals): Promise<number> {
  const stop = stopAtInterrupt()
  const { signal } = stop
  const steps = stepTeller(globals.json === true)
  const home = homeFolder(globals.home, process.env)
  try {
    const { force, env_files: envFiles, concurrency, ...source } = parseInput(generateInput, given)
    const { identities_file } = source
    let folder = ''
    /** With --force nothing that was saved before counts, once for each identity. */
    const looked = new Set<string>()
    await watchTokens({
      signal,
      changed: identityChanges({
        paths: async () => (identities_file === undefined ? (await defaultFiles(home, resolve())).paths : [resolve(identities_file)]),
        read: async () => {
          const found = await withContext(globals, signal, (context) => identitiesOf(source, context))
          folder = found.folder
          return found.entries
        },
        onProblem: (error) => {
          const { code, cause, hint } = causeOf(error)
          steps.note(`identities stay as they were: ${code}, ${cause}${hint === undefined ? '' : `; next: ${hint}`}`)
        },
      }),
      saved: async (entry) => {
        const { identity } = entry
        const saved_to = tokenPath(folder, identity)
        const isFirst = !looked.has(identity.identity_name)
        looked.add(identity.identity_name)
        const times = force && isFirst ? undefined : await readTokenFile(saved_to)
        return times && isAskedFor(times, identity, requestOf(entry)) ? { times, saved_to } : undefined
      },
      mint: async (entries, onState) => {
        const work = (context: CredentialsContext) =>
          mintAll(entries, { ...mintingOf(context, { folder, force: true, envFiles }), concurrency, onState })
        await withContext(globals, signal, work, steps.note).catch((error: unknown) => {
          for (const entry of entries) {
            const { issuer } = requestOf(entry)
            onState({ state: 'failed', identity_name: entry.identity.identity_name, issuer, ...causeOf(error) })
          }
        })
      },
      onState: steps.identity,
      onIdentities: steps.identities,
      now: () => Date.now() / 1000,
      wait: (seconds) => sleep(seconds * 1000, undefined, { signal }).catch(() => undefined),
      random: Math.random,
    })
    steps.end()
    steps.note('stopped')
    return 0
  } catch (error) {
    steps.end()
    return signal.aborted ? 0 : reportFailure(error, globals)
  } finally {
    steps.end()
    stop.end()
  }
}
