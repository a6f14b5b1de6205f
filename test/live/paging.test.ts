/**
 * Lists that are longer than a page: what is last in the server's order is found, whatever the number, and every count is
 * exact; a last page that fails is an error of the command, never a short list, and nothing is written.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Kind } from '../../core/resources.js'
import { openToolkit } from '../../toolkit/index.js'
import { isWrite, startFront } from './front.js'
import { administrator, type Changed, cli, cliJson, makeFolder } from './product.js'
import { keycloak, makeRealm, type Realm } from './rig/keycloak.js'
import { type ConnectedTenant, connectTenant } from './tenant.js'

/** Around a hundred, which is Keycloak's own page, around 200, which is ours, and far beyond both. */
const SIZES = [0, 1, 100, 101, 200, 201, 1001] as const
const MOST = 1001
/** Where the last page of so many begins, a few others included. */
const LAST = 1000
const AT_ONCE = 8
const MARK = 'mcp_gateway_idp'
const PROFILE = 'default'

/** The last one comes first here and last at the server, which sorts by name. */
const names = (count: number) => ['zz-last', ...Array.from({ length: MOST - 1 }, (_, index) => `a-${index}`)].slice(0, count)

/** A realm with one group, which everybody is in, or everything inside. Listing a thousand children takes seconds. */
interface Place {
  readonly realm: Realm
  readonly idp: ConnectedTenant
  readonly crowd: string
}
let flat: Place
let nested: Place
let home: Awaited<ReturnType<typeof makeFolder>>
const counts = { 'web-client': 0, group: 0, child: 0, user: 0, member: 0, checked: 0, removals: 0, failures: 0 }

async function makePlace(): Promise<Place> {
  const realm = await makeRealm({ groups: ['crowd'], adminEvents: false })
  const groups = await realm.admin<{ id: string }[]>('GET', '/groups')
  // A place for marks on people.
  const { body } = await realm.admin<object>('GET', '/users/profile')
  await realm.admin('PUT', '/users/profile', { ...body, unmanagedAttributePolicy: 'ADMIN_EDIT' })
  return { realm, idp: await connectTenant(realm), crowd: groups.body[0]?.id ?? '' }
}
beforeAll(async () => {
  home = await makeFolder()
  flat = await makePlace()
  nested = await makePlace()
})
afterAll(async () => {
  for (const { realm, idp } of [flat, nested].filter(Boolean)) {
    await idp.close()
    await realm.remove()
  }
  await home?.remove()
  const { failures, checked, removals, ...lists } = counts
  const told = Object.entries(lists).map(([kind, count]) => `${count} × ${kind}`)
  console.log(
    `paging: sizes ${SIZES.join(', ')}: counted exactly ${told.join(', ')}; ${checked} by check; ` +
      `${removals} in one plan of removal; ${failures} last pages that failed were errors with 0 writes`,
  )
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0)
})

/** Grows to a number of objects; those that are there stay. */
async function grow(there: number, count: number, make: (name: string) => Promise<{ status: number }>): Promise<void> {
  const queue = names(count).slice(there)
  const worker = async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      const { status } = await make(name)
      if (status !== 201) throw new Error(`${name}: ${status}`)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}

interface List {
  readonly kind: Kind
  readonly what: 'web-client' | 'group' | 'child' | 'user'
  place(): Place
  key(name: string): string
  make(name: string): Promise<{ status: number }>
}
const marked = { attributes: { [MARK]: [PROFILE] } }
/** People first, while there is no other group: then memberships are read from the group. */
const LISTS: readonly List[] = [
  {
    what: 'user',
    kind: 'user',
    place: () => flat,
    key: (name) => name,
    make: (username) => flat.realm.admin('POST', '/users', { username, enabled: true, groups: ['/crowd'], ...marked }),
  },
  {
    what: 'web-client',
    kind: 'web-client',
    place: () => flat,
    key: (name) => name,
    make: (clientId) => flat.realm.admin('POST', '/clients', webClient(clientId)),
  },
  {
    what: 'group',
    kind: 'group',
    place: () => flat,
    key: (name) => name,
    make: (name) => flat.realm.admin('POST', '/groups', { name, ...marked }),
  },
  {
    what: 'child',
    kind: 'group',
    place: () => nested,
    key: (name) => `crowd/${name}`,
    make: (name) => nested.realm.admin('POST', `/groups/${nested.crowd}/children`, { name, ...marked }),
  },
]

describe.each(LISTS)('of the kind $what', ({ what, kind, place, key, make }) => {
  const steps = SIZES.map((count, index) => [count, SIZES[index - 1] ?? 0] as const)
  test.each(steps)('%i are counted exactly, and the last is found', async (count, before) => {
    await grow(before, count, make)
    const reconciler = place().idp.of(kind)
    const keys = names(MOST).map(key)
    const seen = await reconciler.observe(keys)
    expect([...seen.keys()].toSorted()).toEqual(keys.slice(0, count).toSorted())
    expect(seen.has(key('zz-last'))).toBe(count > 0)
    expect((await reconciler.owned?.())?.toSorted()).toEqual(keys.slice(0, count).toSorted())
    counts[what] += count
    if (what === 'web-client') await isChecked(count)
    if (what === 'user') {
      // One alone is asked for by name, not found in the list.
      expect([...(await reconciler.observe(['zz-last'])).keys()]).toEqual(count > 0 ? ['zz-last'] : [])
      const members = [...seen.values()].filter(({ spec }) => 'groups' in spec && spec.groups?.join() === 'crowd')
      expect(members).toHaveLength(count)
      counts.member += count
    }
  })

  if (what === 'user') {
    test('a last page that fails of people, of those with our mark, or of members, is an error and nothing is written', async () => {
      const { realm, crowd } = flat
      await watchWrites(realm)
      const file = join(home.path, 'people.json')
      await writeFile(file, JSON.stringify(Array.from({ length: 30 }, (_, index) => ({ username: `new-${index}` }))))
      await lastPageFails(realm, ['setup', 'users', '--file', file], (path, query) => path.endsWith('/users') && !query.has('q'))
      const remove = ['setup', 'remove', '--all-owned', '--max-removals', '10000']
      await lastPageFails(realm, remove, (path, query) => path.endsWith('/users') && query.has('q'))
      await lastPageFails(realm, remove, (path) => path.endsWith(`/groups/${crowd}/members`))
    })
  }
})

/** `check` looks at each client of ours, once. */
async function isChecked(count: number): Promise<void> {
  const toolkit = await openToolkit({ env: administrator(flat.realm, home.path), home: home.path })
  try {
    const { checked, findings } = (await toolkit.run('check_setup', { idp: 'keycloak' })) as {
      checked: { name: string }[]
      findings: object[]
    }
    expect(checked.map(({ name }) => name).toSorted()).toEqual(names(count).toSorted())
    expect(findings).toEqual([])
    counts.checked += checked.length
  } finally {
    await toolkit.close()
  }
}

test('the plan of removing everything of ours holds each of them once, and no more', async () => {
  const remove = ['setup', 'remove', '--idp', 'keycloak', '--all-owned', '--max-removals', '10000', '--plan']
  for (const place of [flat, nested]) {
    const { changes } = await cliJson<Changed>(remove, administrator(place.realm, home.path))
    const there = LISTS.filter((list) => list.place() === place)
    const wanted = there.flatMap(({ kind, key }) => names(MOST).map((name) => `remove ${kind} ${key(name)}`))
    expect(changes.map(({ action, kind, key }) => `${action} ${kind} ${key}`).toSorted()).toEqual(wanted.toSorted())
    counts.removals += changes.length
  }
})

test('a last page that fails of clients, groups or children is an error and nothing is written', async () => {
  const { realm } = flat
  await lastPageFails(realm, ['setup', 'ide-client'], (path) => path.endsWith('/clients'))
  await lastPageFails(realm, ['check'], (path) => path.endsWith('/clients'))
  await lastPageFails(realm, ['setup', 'groups', '--groups', 'new-group'], (path) => path.endsWith('/groups'))
  await watchWrites(nested.realm)
  const inside = ['setup', 'groups', '--groups', 'crowd/new-group']
  await lastPageFails(nested.realm, inside, (path) => path.endsWith(`/groups/${nested.crowd}/children`))
})

/** The command plans without harm, and ends with exit status 5 when the last page of the list is an error. */
async function lastPageFails(
  realm: Realm,
  words: readonly string[],
  isList: (path: string, query: URLSearchParams) => boolean,
): Promise<void> {
  let [pages, failed, writes, fails] = [0, 0, 0, false]
  const front = await startFront(keycloak().url, (asked, answer, passOn) => {
    const { pathname, searchParams } = new URL(answer.req.url ?? '', 'http://front')
    const isAsked = asked.method === 'GET' && isList(pathname.replace(/\/$/, ''), searchParams)
    if (isWrite(asked)) writes++
    if (isAsked) pages++
    if (!fails || !isAsked || Number(searchParams.get('first')) < LAST) return passOn(true)
    failed++
    answer.writeHead(500, { 'content-type': 'application/json' }).end('{"error":"unknown_error"}')
  })
  try {
    const run = (flag: string) =>
      cli([...words, '--idp', 'keycloak', ...(words[0] === 'check' ? [] : [flag])], administrator(realm, home.path, front.url))
    expect(await run('--plan')).toMatchObject({ exit: 0 })
    expect(pages).toBeGreaterThan(LAST / 200)
    fails = true
    const before = await realm.writes()
    const { exit, stdout, stderr } = await run('--yes')
    expect({ words, exit, stdout }).toEqual({ words, exit: 5, stdout: '' })
    expect(stderr).toContain('error (unavailable): Keycloak answers 500')
    expect({ failed: failed > 0, writes, events: await realm.writes() }).toEqual({ failed: true, writes: 0, events: before })
    counts.failures++
  } finally {
    await front.close()
  }
}

/** Admin events from now on; those of the making would only have to be counted each time. */
async function watchWrites(realm: Realm): Promise<void> {
  const { status } = await realm.admin('PUT', '', { adminEventsEnabled: true })
  expect(status).toBe(204)
}

/** A web client of ours as setup would make it, so that check has nothing to say. */
function webClient(clientId: string): object {
  const mapper = (name: string, protocolMapper: string, config: object) => ({ name, protocol: 'openid-connect', protocolMapper, config })
  return {
    clientId,
    name: clientId,
    standardFlowEnabled: true,
    directAccessGrantsEnabled: false,
    fullScopeAllowed: false,
    redirectUris: ['https://gateway.example.com/oauth2/callback/keycloak'],
    webOrigins: [],
    attributes: { [MARK]: PROFILE, [`${MARK}.kind`]: 'web-client' },
    protocolMappers: [
      mapper('groups', 'oidc-group-membership-mapper', { 'claim.name': 'groups', 'full.path': 'false', 'access.token.claim': 'true' }),
      mapper('gateway-audience', 'oidc-audience-mapper', { 'included.custom.audience': 'mcp-gateway', 'access.token.claim': 'true' }),
    ],
  }
}
