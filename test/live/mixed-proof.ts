/** Proof, by plain requests, that the thirty objects of `thirty-machines.ts mixed` are in a realm, each once, and their secrets in a home. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { OWNER_MARK } from '../../core/vocabulary.js'
import { askToken, claimsOf, tokenEndpoint } from './product.js'
import { keycloak, makeRealm, type Realm } from './rig/keycloak.js'
import { MIXED } from './thirty-machines.js'

/** As the server and its tokens name the groups: the last part of each path. */
const LAST_NAMES = MIXED.groups.map((path) => path.split('/').at(-1)).toSorted()

interface Named {
  readonly id: string
  readonly clientId?: string
  readonly name?: string
  readonly username?: string
  readonly attributes?: Readonly<Record<string, unknown>>
}

/** A realm where people, too, can carry our mark. */
export async function markedRealm(server = keycloak()): Promise<Realm> {
  const realm = await makeRealm({}, server)
  const { body } = await realm.admin<object>('GET', '/users/profile')
  const { status } = await realm.admin('PUT', '/users/profile', { ...body, unmanagedAttributePolicy: 'ADMIN_EDIT' })
  expect(status).toBe(200)
  await realm.admin('PUT', '', { accessTokenLifespan: 1800 })
  return realm
}

/** Everything with our mark is wanted, everything wanted is there once, every saved secret works; how many secrets that are. */
export async function expectMixed(realm: Realm, home: string): Promise<number> {
  const list = async (path: string) => (await realm.admin<Named[]>('GET', path)).body
  const clients = await list('/clients?max=1000')
  const top = await list('/groups?max=1000&briefRepresentation=false')
  const inside = await Promise.all(top.map(({ id }) => list(`/groups/${id}/children?max=1000&briefRepresentation=false`)))
  const people = await list('/users?max=1000&briefRepresentation=false')
  const marked = [clients, top, inside.flat(), people].map((all) => all.filter(({ attributes = {} }) => OWNER_MARK in attributes))
  const names = marked.map((all) => all.map(({ clientId, username, name }) => clientId ?? username ?? name ?? '').toSorted())
  const [parent = '', child = ''] = MIXED.groups
  expect(names).toEqual([[MIXED.ide, MIXED.web, ...MIXED.machines].toSorted(), [parent], [child.slice(parent.length + 1)], [MIXED.person]])
  // Without a mark there is nothing but what every realm has.
  expect([top.length, inside.flat().length, people.length]).toEqual([1, 1, 1])

  const files = (await readdir(home, { recursive: true })).filter((file) => !/^(?:locks|identities$|clients$|people$)/.test(file))
  const identities = MIXED.machines.map((name) => `identities/agent-${name}.json`)
  const [web, person] = [`clients/${MIXED.web}.json`, `people/${MIXED.person}.json`]
  expect(files.toSorted()).toEqual([...identities, web, person].toSorted())
  const saved = async (file: string) => JSON.parse(await readFile(join(home, file), 'utf8')) as Record<string, string>
  for (const file of identities) {
    const { client_id = '', client_secret = '' } = await saved(file)
    const { status, access_token } = await askToken(realm, { grant_type: 'client_credentials', client_id, client_secret })
    expect({ client_id, status }).toEqual({ client_id, status: 200 })
    expect((claimsOf(access_token)['groups'] as string[]).toSorted()).toEqual(LAST_NAMES)
  }
  const [{ id = '' } = {}] = clients.filter(({ clientId }) => clientId === MIXED.web)
  const { body } = await realm.admin<{ value: string }>('GET', `/clients/${id}/client-secret`)
  expect(await saved(web)).toMatchObject({ client_id: MIXED.web, client_secret: body.value })
  await expectPassword(realm, await saved(person), people[0]?.id ?? '')
  return identities.length + 2
}

/** To somebody who must change it, the right password is answered otherwise than a wrong one. */
async function expectPassword(realm: Realm, { username = '', password = '' }: Record<string, string>, id: string): Promise<void> {
  expect(username).toBe(MIXED.person)
  const answerTo = async (typed: string) => {
    const body = new URLSearchParams({ grant_type: 'password', client_id: 'admin-cli', username, password: typed })
    const response = await fetch(tokenEndpoint(realm), { method: 'POST', body, signal: AbortSignal.timeout(30_000) })
    return ((await response.json()) as { error_description?: string }).error_description
  }
  expect(await answerTo(password)).toBe('Account is not fully set up')
  expect(await answerTo(`${password}x`)).toBe('Invalid user credentials')
  const { body } = await realm.admin<Named[]>('GET', `/users/${id}/groups`)
  expect(body.map(({ name }) => name).toSorted()).toEqual(LAST_NAMES)
}
