/**
 * Bulk reads of a realm, shared by its reconcilers. `200 []` is no proof of emptiness:
 * with `query-*` roles alone everything looks empty, so an empty list is believed only where seeing is proved.
 */
import type ClientRepresentation from '@keycloak/keycloak-admin-client/lib/defs/clientRepresentation.js'
import type UserRepresentation from '@keycloak/keycloak-admin-client/lib/defs/userRepresentation.js'
import { ToolkitError } from '../../core/errors.js'
import { eachOf, PAGE, pages, shared } from './bulk-reads.js'
import type { Realm } from './connect.js'
import { type Group, groupTree } from './group-tree.js'
import { asking, forbidden } from './vendor-error.js'

/** Of a realm that is not there yet every list is empty. */
export interface Directory {
  clients(): Promise<readonly ClientRepresentation[]>
  /** Every group at every depth with its attributes, parents before children. */
  groups(): Promise<readonly Group[]>
  /** A group's id by its path; one that was not there when the groups were last listed is looked for again. */
  groupId(path: string): Promise<string | undefined>
  /** User names of a group's members, service accounts included. */
  members(group: Group): Promise<readonly string[]>
  /** The people of these user names, which are in lower case; nobody for a name that is not there. */
  people(usernames: readonly string[]): Promise<readonly UserRepresentation[]>
  /** The people with this value of an attribute, which the server compares without regard to case. */
  peopleWith(attribute: string, value: string): Promise<readonly UserRepresentation[]>
}

const CLIENTS = ['manage-clients']
const USERS = ['manage-users']
/** Up to here people are asked for one by one without counting them first. */
const FEW = 20

export function createDirectory({ api, realm, exists }: Realm): Directory {
  const clients = shared(async () => {
    if (!(await exists())) return []
    const found = await pages((first) =>
      asking({ kind: 'public-client', key: 'list', needs: CLIENTS }, () => api.clients.find({ realm, first, max: PAGE })),
    )
    // Every realm has built-in clients: none means that we may not see them.
    if (found.length === 0) throw forbidden('Keycloak shows no client at all', CLIENTS)
    return found
  })

  /** Asks for the locks of an account that is not there: answered to those who may see people and groups, refused to others (measured). */
  const believeNone = (kind: 'group' | 'user') =>
    asking({ kind, key: 'list', needs: USERS }, () => api.attackDetection.findOne({ realm, id: 'nobody' }))

  const ask = <T>(key: string, call: () => Promise<T>) => asking({ kind: 'group', key, needs: USERS }, call)
  const topLevel = () => pages((first) => ask('list', () => api.groups.find({ realm, first, max: PAGE, briefRepresentation: false })))
  const inside = async (parent: Group) => {
    const query = { realm, parentId: parent.id, max: PAGE, briefRepresentation: false }
    const found = await pages(async (first) => present(parent, await ask(parent.path, () => api.groups.listSubGroups({ ...query, first }))))
    // The count is the server's own: a shorter list means that some of them are hidden from us.
    if (found.length < (parent.subGroupCount ?? 0)) throw forbidden(`Keycloak does not show every group inside ${parent.path}`, USERS)
    return found
  }
  let ids: ReadonlyMap<string, string> = new Map()
  const groups = shared(async () => {
    const there = await exists()
    const found = there ? await groupTree((parent) => (parent ? inside(parent) : topLevel())) : []
    if (there && found.length === 0) await believeNone('group')
    ids = new Map(found.map(({ path, id }) => [path, id]))
    return found
  })

  const askPeople = (query: Record<string, string | number | boolean>) =>
    asking({ kind: 'user', key: 'list', needs: USERS }, () => api.users.find({ ...query, realm, briefRepresentation: false }))
  const believed = async (found: readonly UserRepresentation[]) => {
    if (found.length === 0) await believeNone('user')
    return found
  }
  const countPeople = () => asking({ kind: 'user', key: 'count', needs: USERS }, () => api.users.count({ realm }))

  return {
    clients,
    groups,
    async groupId(path) {
      if (!ids.has(path)) await groups()
      return ids.get(path)
    },
    async members(group) {
      const query = { realm, id: group.id, max: PAGE, briefRepresentation: true }
      const found = await pages(async (first) => present(group, await ask(group.path, () => api.groups.listMembers({ ...query, first }))))
      return found.flatMap(({ username }) => (username === undefined ? [] : [username]))
    },
    async people(usernames) {
      if (usernames.length === 0 || !(await exists())) return []
      // The fewer requests: one a name, or one a page of everybody.
      if (usernames.length > FEW && (await countPeople()) < usernames.length * PAGE) {
        const asked = new Set(usernames)
        const everybody = await believed(await pages((first) => askPeople({ first, max: PAGE })))
        return everybody.filter(({ username = '' }) => asked.has(username))
      }
      const found = await eachOf(usernames, (username) => askPeople({ username, exact: true }))
      return believed(found.flat())
    },
    async peopleWith(attribute, value) {
      if (!(await exists())) return []
      return believed(await pages((first) => askPeople({ q: `${attribute}:"${value}"`, first, max: PAGE })))
    },
  }
}

/** The admin client makes nothing of a 404: a group that went away while it was read is no empty one. */
function present<T>({ path }: Group, found: T[] | null | undefined): T[] {
  if (found) return found
  throw new ToolkitError('not_found', `group ${path} went away while it was read`, { kind: 'group', key: path }, 'run again')
}
