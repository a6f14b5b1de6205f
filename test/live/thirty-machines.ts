/** Thirty machine clients in one apply, as a program that uses the library makes them; Ctrl-C ends it as it ends the CLI. */
import { join } from 'node:path'
import { EXIT_INTERRUPTED } from '../../core/errors.js'
import { IDPS, openToolkit, recipes, secretFile } from '../../toolkit/index.js'

const GROUPS = ['data-readers', 'report-writers']
const NAMES = Array.from({ length: 30 }, (_, index) => `machine-${index}`)

const stop = new AbortController()
process.once('SIGINT', () => stop.abort())
const say = (line: string) => void process.stdout.write(`${line}\n`)
const toolkit = await openToolkit({ env: process.env, approve: async () => true, progress: say, signal: stop.signal })
try {
  const { home } = toolkit.context
  const { reconcilers, lock, identityFacts } = await toolkit.context.tenant('keycloak')
  const machines = NAMES.map((client_name) => {
    const sink = secretFile(join(home, 'identities', `agent-${client_name}.json`), identityFacts(client_name))
    return recipes.machineClient(IDPS.keycloak.capabilities, { client_name, groups: GROUPS, sink })
  })
  const { changes } = await toolkit.context.converge({
    wanted: [...recipes.namedGroups(GROUPS, true), ...machines],
    reconcilers,
    tenants: [lock],
  })
  say(`converged: ${changes.length} changes`)
} catch (error) {
  if (!stop.signal.aborted) throw error
  process.exitCode = EXIT_INTERRUPTED
} finally {
  await toolkit.close()
}
