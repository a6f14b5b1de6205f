/** Other tools that do the same work, each measured only where a variable says where its program is. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { KeycloakServer } from '../test/live/rig/server.js'
import type { TimedRun } from './figures.js'
import { machineIndex } from './floor.js'
import { GROUPS, groupsOf, machineName } from './machines.js'
import type { Bodies } from './ours.js'
import { terraformFile } from './terraform-file.js'

const RUN_MS = 1_800_000
/** kcadm starts a Java machine for each request, seconds each. */
const KCADM_MACHINES = 3

interface Work {
  readonly server: KeycloakServer
  readonly realm: string
  readonly bodies: Bodies
}

export interface Tool {
  readonly name: string
  /** Its requests are not seen, and not counted. */
  run(work: Work): Promise<TimedRun>
}

interface Row {
  readonly variable: string
  readonly name: string
  readonly give: string
  readonly measure: (program: string, work: Work, folder: string) => Promise<number>
  readonly is_part?: true
}

const TOOLS: readonly Row[] = [
  {
    variable: 'BENCH_TERRAFORM',
    name: 'terraform apply -parallelism=10',
    give: 'the terraform program; its own configuration says where the provider keycloak/keycloak comes from',
    measure: terraform,
  },
  {
    variable: 'BENCH_KEYCLOAK_CONFIG_CLI',
    name: 'keycloak-config-cli, parallel, no cache',
    give: 'the jar of keycloak-config-cli for this version of Keycloak; java is found by PATH',
    measure: configCli,
  },
  {
    variable: 'BENCH_KCADM',
    name: `kcadm.sh, ${KCADM_MACHINES} machines only`,
    give: 'bin/kcadm.sh of the Keycloak distribution',
    measure: kcadm,
    is_part: true,
  },
]

/** The tools that the variables name. */
export function givenTools(env: NodeJS.ProcessEnv): Tool[] {
  return TOOLS.flatMap(({ variable, name, measure, is_part }) => {
    const program = env[variable]
    if (!program) return []
    return [
      {
        name,
        run: async (work) => {
          const folder = await mkdtemp(join(tmpdir(), 'mcp-idp-bench-tool-'))
          try {
            return { ms: await measure(program, work, folder), ...(is_part ? { is_part } : {}) }
          } finally {
            await rm(folder, { recursive: true, force: true })
          }
        },
      },
    ]
  })
}

/** A line for each tool that is not there, saying how to give it. */
export function missingTools(env: NodeJS.ProcessEnv): string[] {
  return TOOLS.filter(({ variable }) => !env[variable]).map(
    ({ variable, name, give }) => `not measured: ${name}; ${variable} names ${give}`,
  )
}

/** Runs a program to its end. The administrator's password travels by the environment, never as an argument. */
async function ended(program: string, args: readonly string[], options: { cwd: string; env: Record<string, string> }): Promise<string> {
  const env = { ...process.env, ...options.env }
  const { stdout } = await promisify(execFile)(program, [...args], { cwd: options.cwd, env, timeout: RUN_MS, maxBuffer: 100_000_000 })
  return stdout.trim()
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return performance.now() - started
}

async function terraform(program: string, { server, realm, bodies }: Work, cwd: string): Promise<number> {
  const env = { KEYCLOAK_PASSWORD: server.adminPassword, TF_IN_AUTOMATION: '1' }
  await writeFile(join(cwd, 'main.tf.json'), JSON.stringify(terraformFile(server, realm, bodies.clients.length - 1)), { mode: 0o600 })
  await ended(program, ['init', '-input=false', '-no-color'], { cwd, env })
  return timed(() => ended(program, ['apply', '-auto-approve', '-input=false', '-no-color', '-parallelism=10'], { cwd, env }))
}

async function configCli(jar: string, { server, realm, bodies }: Work, cwd: string): Promise<number> {
  const clients = bodies.clients.map((body) => JSON.parse(body) as { clientId: string })
  const users = bodies.clients.flatMap((body) => {
    const index = machineIndex(body)
    if (index === undefined) return []
    const serviceAccountClientId = machineName(index)
    const groups = groupsOf(index).map((name) => `/${name}`)
    return [{ username: `service-account-${serviceAccountClientId}`, enabled: true, serviceAccountClientId, groups }]
  })
  const file = join(cwd, 'realm.json')
  await writeFile(file, JSON.stringify({ realm, enabled: true, groups: GROUPS.map((name) => ({ name })), clients, users }), { mode: 0o600 })
  const flags = [`--keycloak.url=${server.url}`, `--keycloak.user=${server.adminUser}`, `--import.files.locations=${file}`]
  const how = ['--import.parallel=true', '--import.cache.enabled=false']
  return timed(() => ended('java', ['-jar', jar, ...flags, ...how], { cwd, env: { KEYCLOAK_PASSWORD: server.adminPassword } }))
}

/** The groups too, since memberships need them: those of its machines. */
async function kcadm(program: string, { server, realm, bodies }: Work, cwd: string): Promise<number> {
  const login = ['--config', join(cwd, 'kcadm.config')]
  const run = (...args: string[]) => ended(program, [...args, ...login], { cwd, env: { KC_CLI_PASSWORD: server.adminPassword } })
  const machines = bodies.clients.filter((body) => (machineIndex(body) ?? KCADM_MACHINES) < KCADM_MACHINES)
  return timed(async () => {
    await run('config', 'credentials', '--server', server.url, '--realm', 'master', '--user', server.adminUser)
    const groupIds = new Map<string, string>()
    for (const name of new Set(machines.flatMap((body) => groupsOf(machineIndex(body) ?? 0)))) {
      groupIds.set(name, await run('create', 'groups', '-r', realm, '-s', `name=${name}`, '-i'))
    }
    for (const body of machines) {
      const file = join(cwd, 'client.json')
      await writeFile(file, body, { mode: 0o600 })
      const id = await run('create', 'clients', '-r', realm, '-f', file, '-i')
      const account = await run('get', `clients/${id}/service-account-user`, '-r', realm, '--fields', 'id', '--format', 'csv', '--noquotes')
      for (const group of groupsOf(machineIndex(body) ?? 0)) {
        await run('update', `users/${account}/groups/${groupIds.get(group)}`, '-r', realm, '-n', '-b', '{}')
      }
    }
  })
}
