/** Runs the drop-in for `generate_creds.sh`, for the CLI and for the script of that name: receipts out, failures told. */
import { resolve } from 'node:path'
import { EXIT_INTERRUPTED } from '../core/errors.js'
import { Secret } from '../core/secret.js'
import type { TypedOptions } from '../credentials-provider/documented-options.js'
import { documentedRun, generateDocumented } from '../credentials-provider/documented-run.js'
import { throwFailures } from '../credentials-provider/operations.js'
import { createContext, type ToolkitContext } from '../toolkit/context.js'
import { homeFolder, openHome } from '../toolkit/home.js'
import { stepTeller } from './progress.js'
import { environmentOf, type Globals, print, reportFailure, say, stopAtInterrupt } from './run.js'

/** Of the current folder: the documented place of identities and tokens. */
const FOLDER = '.oauth-tokens'

/** The exit status. */
export async function generateCreds(typed: TypedOptions, globals: Globals): Promise<number> {
  const stop = stopAtInterrupt()
  const json = globals.json === true
  const steps = stepTeller(json)
  const verbose = typed.verbose === true
  let context: ToolkitContext | undefined
  try {
    for (const line of remarks(typed)) steps.note(line)
    const env = environmentOf(globals)
    const wanted = documentedRun(typed, (name) => env[name])
    context = createContext({
      ...(await openHome(homeFolder(globals.home, env), env)),
      signal: stop.signal,
      progress: steps.note,
      onIdentity: steps.identity,
      ...(verbose
        ? { onRequest: ({ method, url, status, error, ms }) => steps.note(`${method} ${url}: ${status ?? error}, ${Math.round(ms)} ms`) }
        : {}),
      approve: async () => false,
    })
    const { minted, failed } = await generateDocumented(wanted, resolve(FOLDER), context)
    steps.end()
    throwFailures(failed, minted.length)
    if (json) print(JSON.stringify({ tokens: minted }, null, 2))
    else if (minted.length === 0)
      print(`there is nothing to do: no identity for ${wanted.authProvider} in ${wanted.identitiesFile ?? FOLDER}`)
    else print(['Tokens:', ...minted.map(({ receipt }) => `  ${receipt.saved_to}`)].join('\n'))
    return 0
  } catch (error) {
    if (!stop.signal.aborted) return reportFailure(error, globals)
    say('stopped; run it again, it takes up where it was')
    return EXIT_INTERRUPTED
  } finally {
    steps.end()
    stop.end()
    await context?.close().catch(() => undefined)
  }
}

/** What was typed and does nothing; a secret among it is kept out of all that is printed. */
function remarks(typed: TypedOptions): string[] {
  const secret = typed['entra-client-secret']
  if (typeof secret === 'string') new Secret(secret)
  return [
    ...(typeof secret === 'string' ? ['warning: --entra-client-secret is in the process list, for everybody on this machine to read'] : []),
    ...(['entra-tenant-id', 'entra-client-id', 'entra-client-secret'] as const)
      .filter((name) => typed[name] !== undefined)
      .map((name) => `--${name} is not used: the identities file says it`),
  ]
}
