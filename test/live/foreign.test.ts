/**
 * A hundred objects of others with names like ours, some of them marked by another profile, beside everything that we do:
 * none of them differs afterwards. Removal of everything of ours is exactly that, and adopting changes what it plans alone.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ERRORS, isToolkitError } from '../../core/errors.js'
import { clientId, fileSafeName, groupPath } from '../../core/vocabulary.js'
import { type OperationName, openToolkit } from '../../toolkit/index.js'
import { clients, flatFields, groups, ids, people, plant, type Snapshot, snapshot } from './foreign-objects.js'
import { administrator, type Changed, cli, clientOf, cliJson, makeFolder } from './product.js'
import { makeRealm, type Realm } from './rig/keycloak.js'

let realm: Realm
/** A whole realm of somebody else. */
let theirs: Realm
let home: Awaited<ReturnType<typeof makeFolder>>
let before: Snapshot
const counts = { planted: 0, commands: 0, aimed: 0, compared: 0, removed: 0, kept: 0 }

/** Everything of ours, in the end. */
const OURS = [
  'public-client mcp-gateway-ide',
  'web-client mcp-gateway-web',
  'machine-client mcp-gateway-m2m',
  'machine-client reporting-agent',
  'group registry-admins',
  'group data-readers',
  'group engineering',
  'group engineering/platform',
  'user admin',
  'user jsmith',
]

beforeAll(async () => {
  home = await makeFolder()
  theirs = await makeRealm({ groups: ['registry-admins'] })
  realm = await makeRealm()
  // Made by setup, so that it is ours and people in it can carry marks.
  await realm.remove()
  await done('setup', 'init')
  await realm.admin('PUT', '', { adminEventsEnabled: true })
  await done('setup', 'ide-client')
  await done('setup', 'groups', '--groups', 'data-readers,engineering,engineering/platform')
  await done('setup', 'm2m-app', '--name', 'reporting-agent', '--groups', 'data-readers')
  await done('setup', 'users', '--username', 'jsmith', '--groups', 'data-readers')
  counts.planted = await plant(realm)
  before = await snapshot(realm)
})
afterAll(async () => {
  await realm?.remove()
  await theirs?.remove()
  await home?.remove()
  const { planted, commands, aimed, compared, removed, kept } = counts
  console.log(
    `foreign: ${planted} objects of others; ${commands} commands of ours done beside them, ${aimed} aimed at them and refused; ` +
      `0 of ${compared} comparisons differ; ${removed} of ours removed, exactly; ${kept} foreign fields of adopted objects as they were`,
  )
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0)
})

const variables = () => administrator(realm, home.path)
/** Runs a command for real; it has something to do. */
async function done(...words: string[]): Promise<Changed> {
  const result = await cliJson<Changed>([...words, '--idp', 'keycloak', '--yes'], variables())
  expect({ words, applied: result.applied }).toEqual({ words, applied: true })
  counts.commands++
  return result
}
/** Every object of others is as it was, `except` those that a test moved or adopted itself. */
async function nothingDiffers(except: readonly string[] = []): Promise<void> {
  const now = await snapshot(realm)
  const without = (all: Snapshot) => Object.fromEntries(Object.entries(all).filter(([name]) => !except.includes(name)))
  expect(Object.keys(now).toSorted()).toEqual(Object.keys(before).toSorted())
  expect(without(now)).toEqual(without(before))
  counts.compared += Object.keys(without(now)).length
}
async function refused(words: readonly string[], exit: number, says: RegExp, more = {}): Promise<void> {
  const writes = await realm.writes()
  const ran = await cli([...words, '--idp', 'keycloak', '--yes'], { ...variables(), ...more })
  expect({ words, exit: ran.exit, stdout: ran.stdout }).toEqual({ words, exit, stdout: '' })
  expect(ran.stderr).toMatch(says)
  expect(await realm.writes()).toBe(writes)
}

describe('a hundred objects of others', () => {
  test('are there, with names like ours, of every shape, and marked by others', () => {
    expect(counts.planted).toBe(100)
    expect(Object.keys(before)).toHaveLength(100)
    const owners = [...clients, ...groups, ...people].filter(({ mark }) => mark !== undefined)
    expect(owners.length).toBeGreaterThanOrEqual(6)
    expect(new Set(clients.map(({ shape }) => shape)).size).toBe(6)
  })

  test('differ by one when one field of one of them changes', async () => {
    const id = (await ids(realm)).get('person jsmith.old')
    const rename = (lastName: string) => realm.admin('PUT', `/users/${id}`, { lastName })
    await rename('Somebody else')
    const now = await snapshot(realm)
    expect(Object.keys(before).filter((name) => JSON.stringify(now[name]) !== JSON.stringify(before[name]))).toEqual(['person jsmith.old'])
    await rename('Person')
    await nothingDiffers()
  })

  test('are as they were after everything that changes something was done beside them', async () => {
    await done('setup', 'ide-client', '--server-url', 'https://gateway.example.com/my-server/mcp')
    await done('setup', 'm2m-app', '--name', 'reporting-agent', '--groups', 'engineering/platform')
    await done('setup', 'm2m-app', '--name', 'short-lived', '--groups', 'short-lived', '--create-groups')
    await done('setup', 'groups', '--groups', 'short-lived/inner')
    await done('setup', 'users', '--username', 'short-lived', '--groups', 'short-lived/inner')
    await done('setup', 'users', '--username', 'jsmith', '--given-name', 'John', '--groups', 'engineering')
    await done('setup', 'rotate-secret', 'reporting-agent')
    const { id } = await clientOf(realm, 'mcp-gateway-web')
    await realm.admin('PUT', `/clients/${id}`, { enabled: false, webOrigins: [] })
    await done('setup', 'init')
    await done('setup', 'remove', '--clients', 'short-lived', '--groups', 'short-lived,short-lived/inner', '--users', 'short-lived')
    await nothingDiffers()
  })

  test('and a realm of others are not prepared for the gateway', async () => {
    const look = async () => [(await theirs.admin('GET', '')).body, await theirs.writes()]
    const [at, conflict] = [{ KEYCLOAK_REALM: theirs.realm }, /error \(conflict\): tenant .* carries no mark of ours/]
    let was = await look()
    await refused(['setup', 'init'], 3, conflict, at)
    expect(await look()).toEqual(was)
    await theirs.admin('PUT', '', { attributes: { mcp_gateway_idp: 'other' } })
    was = await look()
    await refused(['setup', 'init', '--adopt'], 3, /error \(owned_elsewhere\): tenant .* belongs to profile other/, at)
    expect(await look()).toEqual(was)
    counts.aimed += 2
  })

  test('are refused to every command that is aimed at one of them', async () => {
    const free = { group: 'their-team', client: 'mcp-gateway-ide2', machine: 'reporting-agent2', person: 'jsmith2' }
    const conflict = /error \(conflict\): .* carries no mark of ours; it was left alone/
    const marked = /error \(owned_elsewhere\): .* belongs to profile other/
    const aims: readonly (readonly [string[], RegExp])[] = [
      [['setup', 'ide-client', '--client-id', free.client], conflict],
      [['setup', 'ide-client', '--client-id', 'other-public-client', '--adopt'], marked],
      [['setup', 'm2m-app', '--name', free.machine], conflict],
      [['setup', 'm2m-app', '--name', 'other-machine-client', '--adopt'], marked],
      [['setup', 'groups', '--groups', free.group], conflict],
      [['setup', 'groups', '--groups', 'other-group', '--adopt'], marked],
      [['setup', 'users', '--username', free.person, '--given-name', 'Ours'], conflict],
      [['setup', 'users', '--username', 'other-person', '--given-name', 'Ours', '--adopt'], marked],
      [['setup', 'rotate-secret', free.machine], conflict],
      [['setup', 'rotate-secret', 'other-web-client'], marked],
      [['setup', 'remove', '--clients', `short-lived,${free.client}`], conflict],
      [['setup', 'remove', '--groups', 'other-group'], marked],
      [['setup', 'remove', '--users', free.person], conflict],
    ]
    for (const [words, says] of aims) await refused(words, 3, says)
    counts.aimed += aims.length
    await nothingDiffers()
  })

  test('are refused one by one, whatever their shape, to each operation that can name them', async () => {
    const writes = await realm.writes()
    const idp = 'keycloak'
    const aims: [OperationName, Record<string, unknown>][] = [
      ...clients
        .filter(({ name }) => clientId.safeParse(name).success)
        .flatMap(({ name }): [OperationName, Record<string, unknown>][] => [
          ['setup_ide_client', { idp, client_id: name }],
          ...(fileSafeName.safeParse(name).success
            ? [['setup_m2m_app', { idp, name }] as [OperationName, object & Record<string, unknown>]]
            : []),
          ['rotate_secret', { idp, name }],
          ['remove_setup', { idp, clients: [name] }],
        ]),
      ...groups
        .filter(({ path }) => path !== undefined && groupPath.safeParse(path).success)
        .flatMap(({ path }): [OperationName, Record<string, unknown>][] => [
          ['setup_groups', { idp, groups: [path] }],
          ['remove_setup', { idp, groups: [path] }],
        ]),
      ...people.flatMap(({ name }): [OperationName, Record<string, unknown>][] => [
        ['setup_users', { idp, username: name, given_name: 'Ours' }],
        ['remove_setup', { idp, users: [name] }],
      ]),
    ]
    const codes = new Map<string, number>()
    const toolkit = await openToolkit({ env: variables(), approve: async () => true })
    try {
      for (const [operation, input] of aims) {
        const failure = await toolkit.run(operation, input).then(
          () => undefined,
          (error: unknown) => error,
        )
        if (!isToolkitError(failure)) throw new Error(`${operation} ${JSON.stringify(input)}: ${String(failure)}`)
        expect({ operation, input, exit: ERRORS[failure.code].exit }).toEqual({ operation, input, exit: 3 })
        // A client without a secret of its own is no client of that name to a rotation.
        const expected = ['conflict', 'owned_elsewhere', ...(operation === 'rotate_secret' ? ['not_found'] : [])]
        expect(expected).toContain(failure.code)
        codes.set(failure.code, (codes.get(failure.code) ?? 0) + 1)
      }
    } finally {
      await toolkit.close()
    }
    console.log(`foreign: aimed ${aims.length} times:`, Object.fromEntries(codes))
    counts.aimed += aims.length
    expect(aims.length).toBeGreaterThan(200)
    expect(await realm.writes()).toBe(writes)
    await nothingDiffers()
  })
})

describe('removing everything of ours', () => {
  const all = ['setup', 'remove', '--all-owned']
  const guest = 'engineering/guest'

  test('is refused while a group of others lies inside one of ours', async () => {
    await refused(all, 3, /error \(conflict\): group engineering cannot be removed: inside of it are engineering\/guest/)
    await refused(['setup', 'remove', '--groups', 'engineering'], 3, /inside of it are engineering\/guest, engineering\/platform/)
    counts.aimed += 2
    // Moved to the top by its owner.
    const id = (await ids(realm)).get(`group ${guest}`)
    expect((await realm.admin('POST', '/groups', { id, name: 'guest' })).status).toBe(204)
    await nothingDiffers([`group ${guest}`])
    before = await snapshot(realm)
  })

  test('lists exactly that, stops before the first when there are more than agreed, and removes exactly that', async () => {
    const listed = await cliJson<Changed>([...all, '--idp', 'keycloak', '--plan'], variables())
    expect(listed.changes.map(({ action, kind, key }) => `${action} ${kind} ${key}`).toSorted()).toEqual(
      OURS.map((one) => `remove ${one}`).toSorted(),
    )
    const tooFew = String(OURS.length - 1)
    await refused([...all, '--max-removals', tooFew], 2, new RegExp(`max_removals: at most ${tooFew} .*found ${OURS.length}: `))
    await nothingDiffers()

    const writes = await realm.writes()
    const { changes } = await done(...all, '--max-removals', String(OURS.length))
    expect(changes).toEqual(listed.changes)
    expect((await realm.writes()) - writes).toBe(OURS.length)
    counts.removed += changes.length
    await nothingDiffers()
    expect(await cliJson([...all, '--idp', 'keycloak', '--plan'], variables())).toMatchObject({ changes: [] })
  })
})

describe('adopting', () => {
  /** The leaves that changed between two looks at one object, and how many did not. */
  const compared = async (name: string, adopt: () => Promise<unknown>) => {
    const [old, , now] = [flatFields((await snapshot(realm))[name]), await adopt(), flatFields((await snapshot(realm))[name])]
    const all = [...new Set([...old.keys(), ...now.keys()])]
    const changed = all.filter((field) => old.get(field) !== now.get(field))
    return { changed, kept: [...old.keys()].filter((field) => !changed.includes(field)) }
  }

  test('a client changes what the plan says, and leaves 60 fields of others as they were', async () => {
    const name = 'mcp-gateway-ide2'
    const words = ['setup', 'ide-client', '--client-id', name, '--adopt']
    const { changes } = await cliJson<Changed>([...words, '--idp', 'keycloak', '--plan'], variables())
    expect(changes).toMatchObject([{ action: 'adopt', kind: 'public-client', key: name }])
    const { changed, kept } = await compared(`client ${name}`, () => done(...words))
    const PLANNED: Readonly<Record<string, RegExp>> = {
      client_name: /^name$/,
      redirect_uris: /^redirectUris\./,
      web_origins: /^webOrigins\./,
      grant_types: /(?:Enabled|grant\.enabled|exchange\.enabled|refresh\.tokens)$/,
      full_scope: /^fullScopeAllowed$/,
      pkce: /^attributes\.pkce\.code\.challenge\.method$/,
      groups_claim: /^protocolMappers\.groups\./,
      audience: /^protocolMappers\.gateway-audience\./,
    }
    const MARKS = /^attributes\.mcp_gateway_idp(?:\.kind)?$/
    const fields = changes[0]?.fields ?? []
    expect(fields.filter((field) => PLANNED[field] === undefined)).toEqual([])
    expect(changed.filter((one) => ![MARKS, ...fields.map((field) => PLANNED[field])].some((pattern) => pattern?.test(one)))).toEqual([])
    for (const field of fields) expect({ field, seen: changed.some((one) => PLANNED[field]?.test(one)) }).toEqual({ field, seen: true })
    const foreign = kept.filter((field) =>
      /^(?:attributes\.their\.|protocolMappers\.their-|description|baseUrl|rootUrl|adminUrl)/.test(field),
    )
    expect(foreign.length).toBeGreaterThanOrEqual(60)
    counts.kept += foreign.length
    await nothingDiffers([`client ${name}`])
  })

  test('a group adds our mark and nothing else', async () => {
    const { changed, kept } = await compared('group their-team', () => done('setup', 'groups', '--groups', 'their-team', '--adopt'))
    expect(changed).toEqual(['attributes.mcp_gateway_idp.0'])
    expect(kept).toEqual(expect.arrayContaining(['description', 'attributes.cost-centre.0', 'members.0', 'children.0']))
    counts.kept += kept.length
    await nothingDiffers(['client mcp-gateway-ide2', 'group their-team'])
  })

  test('a person changes the given fields, and keeps groups, password and the rest', async () => {
    const words = ['setup', 'users', '--username', 'jsmith2', '--given-name', 'Jane', '--adopt']
    const { changed, kept } = await compared('person jsmith2', () => done(...words))
    expect(changed.toSorted()).toEqual(['attributes.mcp_gateway_idp.0', 'firstName'])
    expect(kept).toEqual(expect.arrayContaining(['lastName', 'email', 'groups.0', 'credentials.0.id', 'requiredActions.0']))
    counts.kept += kept.length
    await nothingDiffers(['client mcp-gateway-ide2', 'group their-team', 'person jsmith2'])
  })
})
