/**
 * Least privilege, tried out: service accounts with exactly the roles that a command needs, with all of them but one, and
 * with roles that show empty lists; what `doctor` says of each, command by command, is what then happens, and who may not
 * is told the role before anything is written.
 */
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ERRORS, isToolkitError, type ToolkitError } from '../../core/errors.js'
import { keycloakCapabilities } from '../../idp/keycloak/capabilities.js'
import { NEEDS } from '../../setup/needs.js'
import { CATALOG, IDPS, type OperationName, openToolkit, recipes } from '../../toolkit/index.js'
import { memorySink } from '../fakes/memory-sink.js'
import { timeline } from '../fakes/timeline.js'
import { administrator, cli, clientOf, makeFolder, type Variables } from './product.js'
import { makeRealm, type Realm } from './rig/keycloak.js'
import { type ConnectedTenant, connectTenant, serviceAccount } from './tenant.js'

type CommandName = keyof typeof NEEDS
const COMMANDS = Object.keys(NEEDS) as CommandName[]
/** Measured: who may manage something may see it. */
const HOLDS: Readonly<Record<string, string>> = {
  'manage-clients': 'view-clients',
  'manage-users': 'view-users',
  'manage-realm': 'view-realm',
}
const QUERIES = ['query-clients', 'query-groups', 'query-users']

/** The roles that the capability table names for the rights of a command. */
const rolesFor = (command: CommandName) => [...new Set(NEEDS[command].flatMap((right) => keycloakCapabilities.rights[right]))].toSorted()
const closure = (roles: readonly string[]) => new Set(roles.flatMap((role) => [role, HOLDS[role] ?? role]))
const suffices = (roles: readonly string[], command: CommandName) => rolesFor(command).every((role) => closure(roles).has(role))

/** What each command does here: something that needs every right of its row. `name` is new each time. */
const INPUTS: Readonly<Record<CommandName, { input(name: string): Record<string, unknown>; words(name: string): string[] }>> = {
  'setup init': { input: () => ({ adopt: true }), words: () => ['--adopt'] },
  'setup ide-client': {
    input: (name) => ({ client_id: `ide-${name}` }),
    words: (name) => ['--client-id', `ide-${name}`],
  },
  'setup m2m-app': {
    input: (name) => ({ name: `machine-${name}`, groups: ['data-readers'] }),
    words: (name) => ['--name', `machine-${name}`, '--groups', 'data-readers'],
  },
  'setup groups': {
    input: (name) => ({ groups: [`team-${name}`] }),
    words: (name) => ['--groups', `team-${name}`],
  },
  'setup users': {
    input: (name) => ({ username: `person-${name}`, groups: ['data-readers'] }),
    words: (name) => ['--username', `person-${name}`, '--groups', 'data-readers'],
  },
  'setup rotate-secret': { input: () => ({ name: 'rotated' }), words: () => ['rotated'] },
  'setup remove': {
    input: () => ({ clients: ['doomed-ide', 'doomed-machine'], groups: ['doomed-group'], users: ['doomed-person'] }),
    words: () => ['--clients', 'doomed-ide,doomed-machine', '--groups', 'doomed-group', '--users', 'doomed-person'],
  },
  check: { input: () => ({}), words: () => [] },
}

function operationOf(command: string): OperationName {
  const row = CATALOG.find((one) => one.command.join(' ') === command)
  if (row === undefined) throw new Error(`no command ${command}`)
  return row.name
}

interface Account {
  readonly roles: readonly string[]
  /** Commands that it has every role for but this one. */
  readonly lacks: readonly { readonly command: CommandName; readonly role: string }[]
}
/** Each set of roles once: those of each command, those without one of them, and those that tell nothing. */
const ACCOUNTS: readonly Account[] = (() => {
  const found = new Map<string, Account>()
  const add = (roles: readonly string[], lacks: Account['lacks'] = []) => {
    const key = roles.join()
    found.set(key, { roles, lacks: [...(found.get(key)?.lacks ?? []), ...lacks] })
  }
  for (const command of COMMANDS) {
    const roles = rolesFor(command)
    add(roles)
    for (const role of roles)
      add(
        roles.filter((one) => one !== role),
        [{ command, role }],
      )
  }
  add([...QUERIES, 'view-realm'])
  return [...found.values()]
})()

let realm: Realm
let home: Awaited<ReturnType<typeof makeFolder>>
let admin: ConnectedTenant
const counts = { cells: 0, done: 0, refused: 0, dropped: 0, implied: 0, queries: 0, narrow: 0 }

beforeAll(async () => {
  home = await makeFolder()
  realm = await makeRealm({ groups: ['data-readers'] })
  await run(administrator(realm, join(home.path, 'admin')), 'setup init', '')
  admin = await connectTenant(realm)
  const sink = memorySink(timeline(), 'memory/rotated.json')
  await admin.run([recipes.machineClient(IDPS.keycloak.capabilities, { client_name: 'rotated', groups: ['data-readers'], sink })])
})
afterAll(async () => {
  await admin?.close()
  await realm?.remove()
  await home?.remove()
  const { cells, done, refused, dropped, implied, queries, narrow } = counts
  console.log(
    `rights: ${ACCOUNTS.length} service accounts, ${cells} cells in which doctor and the run agree (${done} done, ${refused} refused with 0 writes); ` +
      `${dropped} roles missed by name, ${implied} held by a greater one; ` +
      `${queries} commands refused to who may only query, ${narrow} to who has full scope off`,
  )
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0)
})

interface Told {
  readonly can: 'yes' | 'no' | 'unknown'
  readonly missing: readonly string[]
}
/** What doctor says, by command. */
async function doctor(variables: Variables): Promise<Readonly<Record<string, Told>>> {
  const toolkit = await openToolkit({ env: variables })
  try {
    const { commands } = (await toolkit.run(operationOf('doctor'), { idp: 'keycloak' })) as {
      commands: { command: string; can: Told['can']; missing: string }[]
    }
    return Object.fromEntries(commands.map(({ command, can, missing }) => [command, { can, missing: missing.split(', ').filter(Boolean) }]))
  } finally {
    await toolkit.close()
  }
}

/** The refusal, if it is one. @throws whatever else goes wrong; findings of a check are no failure of the credential */
async function run(variables: Variables, command: CommandName, name: string): Promise<ToolkitError<'forbidden'> | undefined> {
  const toolkit = await openToolkit({ env: variables, approve: async () => true })
  try {
    const result = await toolkit.run(operationOf(command), { idp: 'keycloak', ...INPUTS[command].input(name) })
    if (command !== 'check') expect(result).toMatchObject({ applied: true })
    return undefined
  } catch (error) {
    if (command === 'check' && isToolkitError(error, 'not_converged')) return undefined
    if (isToolkitError(error, 'forbidden')) return error
    throw error
  } finally {
    await toolkit.close()
  }
}

/** What this account wrote, by the server's own count. */
async function writesOf(client_id: string): Promise<number> {
  const { id } = await clientOf(realm, client_id)
  return (await realm.admin<unknown[]>('GET', `/admin-events?authClient=${id}&max=500`)).body.length
}

/** Makes what there is to remove, and takes away what init makes. */
async function arrange(command: CommandName): Promise<void> {
  const sink = (name: string) => memorySink(timeline(), `memory/${name}.json`)
  const { capabilities } = IDPS.keycloak
  if (command === 'setup remove') {
    await admin.run([
      ...recipes.namedGroups(['doomed-group'], true),
      recipes.ideClient(capabilities, { client_id: 'doomed-ide', client_name: 'Doomed', redirect_uris: ['http://127.0.0.1/callback'] }),
      recipes.machineClient(capabilities, { client_name: 'doomed-machine', groups: ['doomed-group'], sink: sink('machine') }),
      recipes.person({ username: 'doomed-person', groups: ['doomed-group'], sink: sink('person') }),
    ])
  }
  if (command !== 'setup init') return
  await realm.admin('PUT', '', { accessTokenLifespan: 111 })
  for (const client_id of ['mcp-gateway-web', 'mcp-gateway-m2m']) {
    const [client] = (await realm.admin<{ id: string }[]>('GET', `/clients?clientId=${client_id}`)).body
    if (client) await realm.admin('DELETE', `/clients/${client.id}`)
  }
  const people = await realm.admin<{ id: string }[]>('GET', '/users?username=admin&exact=true')
  for (const { id } of people.body) await realm.admin('DELETE', `/users/${id}`)
}

const named = (account: Account, index: number) => [account.roles.join(' + ') || 'nothing', account, `account-${index}`] as const

describe('a service account of the realm with', () => {
  test.each(ACCOUNTS.map(named))(
    '%s can do what doctor says, and is told what it lacks before anything is written',
    async (_, account, name) => {
      const variables = { ...administrator(realm, join(home.path, name)), ...(await serviceAccount(realm, name, account.roles)) }
      const told = await doctor(variables)
      expect(Object.keys(told).toSorted()).toEqual(COMMANDS.toSorted())
      for (const command of COMMANDS) {
        await arrange(command)
        const before = await writesOf(name)
        const refusal = await run(variables, command, name)
        const happened = refusal === undefined ? 'yes' : 'no'
        const wanted = suffices(account.roles, command) ? 'yes' : 'no'
        expect({ command, doctor: told[command]?.can, happened }).toEqual({ command, doctor: wanted, happened: wanted })
        const written = (await writesOf(name)) - before
        expect({ command, writes: written > 0 }).toEqual({ command, writes: happened === 'yes' && command !== 'check' })
        counts.cells++
        if (refusal === undefined) counts.done++
        else {
          expect(ERRORS[refusal.code].exit).toBe(4)
          expect(refusal.message).toContain(`(needs ${refusal.details.needs.join(', ')})`)
          // What it names is missing, and doctor knows more: all that is.
          expect(refusal.details.needs.filter((role) => !closure(account.roles).has(role))).not.toEqual([])
          expect(told[command]?.missing).toEqual(
            expect.arrayContaining(rolesFor(command).filter((role) => !closure(account.roles).has(role))),
          )
          counts.refused++
        }
        for (const { role } of account.lacks.filter((one) => one.command === command)) {
          if (refusal === undefined) {
            expect(closure(account.roles)).toContain(role)
            counts.implied++
          } else {
            // A list names the role that also writes, which holds the one that looks.
            expect(refusal.details.needs.flatMap((one) => [one, HOLDS[one]])).toContain(role)
            counts.dropped++
          }
        }
      }
    },
  )

  test('the roles of queries alone gets no plan of any command, and exit status 4', async () => {
    const variables = { ...administrator(realm, join(home.path, 'queries')), ...(await serviceAccount(realm, 'queries', QUERIES)) }
    await Promise.all(
      COMMANDS.map(async (command) => {
        const plan = command === 'check' ? [] : ['--plan']
        const { exit, stdout, stderr } = await cli(
          [...command.split(' '), '--idp', 'keycloak', ...INPUTS[command].words('queries'), ...plan],
          variables,
        )
        expect({ command, exit, stdout }).toEqual({ command, exit: 4, stdout: '' })
        expect(stderr).toMatch(/error \(forbidden\): .* \(needs [a-z-]+(, [a-z-]+)*\)/)
        counts.queries++
      }),
    )
    expect(await writesOf('queries')).toBe(0)
    for (const { can } of Object.values(await doctor(variables))) expect(can).toBe('no')
  })

  test('every role, whose own client has full scope off, is told of that', async () => {
    const variables = {
      ...administrator(realm, join(home.path, 'narrow')),
      ...(await serviceAccount(realm, 'narrow', rolesFor('setup init'))),
    }
    const { id } = await clientOf(realm, 'narrow')
    await realm.admin('PUT', `/clients/${id}`, { fullScopeAllowed: false })
    const told = await doctor(variables)
    for (const command of COMMANDS) {
      await arrange(command)
      const refusal = await run(variables, command, 'narrow')
      expect([command, refusal?.hint]).toEqual([command, expect.stringContaining('full scope')])
      expect(told[command]?.can).toBe('no')
      counts.narrow++
    }
    expect(await writesOf('narrow')).toBe(0)
  })
})

describe('somebody who logs in with a password, whose token tells no role', () => {
  const ALL = rolesFor('setup init')
  test.each([
    ['every role', ALL, true],
    ['all but manage-realm', ALL.map((role) => (role === 'manage-realm' ? 'view-realm' : role)), false],
  ])('and %s: reads do not tell whether the realm may be changed, so the first write does', async (_, roles, may) => {
    const variables = await person(may ? 'with-all' : 'without-realm', roles)
    const told = await doctor(variables)
    for (const command of COMMANDS) expect([command, told[command]?.can]).toEqual([command, command === 'setup init' ? 'unknown' : 'yes'])
    await arrange('setup init')
    const before = await realm.writes()
    const refusal = await run(variables, 'setup init', '')
    expect(refusal?.details.needs).toEqual(may ? undefined : ['manage-realm'])
    // The realm comes first, and a refused write is none.
    expect((await realm.writes()) > before).toBe(may)
  })

  async function person(username: string, roles: readonly string[]): Promise<Variables> {
    const password = `the password of ${username}`
    const { id } = await realm.admin('POST', '/users', {
      username,
      enabled: true,
      firstName: username,
      lastName: 'Rig',
      email: `${username}@example.com`,
      emailVerified: true,
      credentials: [{ type: 'password', value: password }],
    })
    const holder = await clientOf(realm, 'realm-management')
    const found = await Promise.all([...new Set(roles)].map((role) => realm.admin('GET', `/clients/${holder.id}/roles/${role}`)))
    const bodies = found.map(({ body }) => body)
    expect((await realm.admin('POST', `/users/${id}/role-mappings/clients/${holder.id}`, bodies)).status).toBe(204)
    const { KEYCLOAK_ADMIN: _, ...rest } = administrator(realm, join(home.path, username))
    return { ...rest, KEYCLOAK_ADMIN_REALM: realm.realm, KEYCLOAK_ADMIN: username, KEYCLOAK_ADMIN_PASSWORD: password }
  }
})
