/**
 * Thirty objects in one apply, as a program that uses the library makes them: thirty machine clients in two groups, or
 * with the word `mixed` 25 of them and one of everything else. Ctrl-C ends it as it ends the CLI.
 */
import { join, resolve } from 'node:path'
import { ERRORS, EXIT_INTERRUPTED, isToolkitError } from '../../core/errors.js'
import { passwordFile } from '../../core/password-file.js'
import { places } from '../../setup/context.js'
import { IDPS, openToolkit, recipes, secretFile, type Target, type ToolkitContext, type Wanted } from '../../toolkit/index.js'

const FLAT = ['data-readers', 'report-writers']
const machines = (count: number) => Array.from({ length: count }, (_, index) => `machine-${index}`)

/** The thirty of `mixed`: a group inside another, 25 machines in both of them, a person too. */
export const MIXED = {
  groups: ['data-readers', 'data-readers/report-writers'],
  ide: 'mixed-ide',
  web: 'mixed-web',
  person: 'mixed-person',
  machines: machines(25),
} as const

export async function mixedTarget(context: ToolkitContext): Promise<Target> {
  const { capabilities } = IDPS.keycloak
  const { reconcilers, lock, identityFacts, issuer } = await context.tenant('keycloak')
  const { groups, ide, web, person: username } = MIXED
  const webSink = secretFile(places.client(context, web), identityFacts(web))
  const redirect_uris = ['http://127.0.0.1/callback']
  return {
    wanted: [
      ...recipes.namedGroups(groups, true),
      recipes.ideClient(capabilities, { client_id: ide, client_name: ide, redirect_uris }),
      recipes.webClient({ client_id: web, client_name: web, redirect_uris, audience: 'mcp-gateway', sink: webSink }),
      recipes.person({ username, groups, sink: passwordFile(places.person(context, username), { username, issuer }) }),
      ...machineClients(context, { names: MIXED.machines, groups, identityFacts }),
    ],
    reconcilers,
    tenants: [lock],
  }
}

async function flatTarget(context: ToolkitContext): Promise<Target> {
  const { reconcilers, lock, identityFacts } = await context.tenant('keycloak')
  const wanted = [...recipes.namedGroups(FLAT, true), ...machineClients(context, { names: machines(30), groups: FLAT, identityFacts })]
  return { wanted, reconcilers, tenants: [lock] }
}

type Facts = Awaited<ReturnType<ToolkitContext['tenant']>>['identityFacts']

/** Machine clients whose secrets go where `setup m2m-app` puts them. */
export function machineClients(
  { home }: ToolkitContext,
  { names, groups, identityFacts }: { names: readonly string[]; groups: readonly string[]; identityFacts: Facts },
): Wanted[] {
  return names.map((client_name) => {
    const sink = secretFile(join(home, 'identities', `agent-${client_name}.json`), identityFacts(client_name))
    return recipes.machineClient(IDPS.keycloak.capabilities, { client_name, groups, sink })
  })
}

async function main(isMixed: boolean): Promise<void> {
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  const say = (line: string) => void process.stdout.write(`${line}\n`)
  const toolkit = await openToolkit({ env: process.env, approve: async () => true, progress: say, signal: stop.signal })
  try {
    const { context } = toolkit
    const { changes } = await context.converge(await (isMixed ? mixedTarget(context) : flatTarget(context)))
    say(`converged: ${changes.length} changes`)
  } catch (error) {
    if (stop.signal.aborted) {
      process.exitCode = EXIT_INTERRUPTED
      return
    }
    if (!isToolkitError(error)) throw error
    process.stderr.write(`error (${error.code}): ${error.message}\n`)
    process.exitCode = ERRORS[error.code].exit
  } finally {
    await toolkit.close()
  }
}

if (process.argv[1] && resolve(process.argv[1]) === import.meta.filename) await main(process.argv[2] === 'mixed')
