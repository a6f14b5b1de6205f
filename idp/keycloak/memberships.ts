/** Which groups people and service accounts are in: read by the fewer requests, written one membership at a time. */
import type ClientRepresentation from '@keycloak/keycloak-admin-client/lib/defs/clientRepresentation.js'
import type UserRepresentation from '@keycloak/keycloak-admin-client/lib/defs/userRepresentation.js'
import { isToolkitError, ToolkitError } from '../../core/errors.js'
import { eachOf, PAGE, pages } from './bulk-reads.js'
import type { Realm } from './connect.js'
import type { Directory } from './directory.js'
import { asking } from './vendor-error.js'

/** Groups are named by their paths without a leading slash; a `userId` is the server's own. */
export interface Memberships {
  /** Groups of each client's service account, by client id. */
  of(clients: readonly ClientRepresentation[]): Promise<ReadonlyMap<string, readonly string[]>>
  /** Groups of each person, by user name. */
  ofUsers(people: readonly UserRepresentation[]): Promise<ReadonlyMap<string, readonly string[]>>
  /** Id of the user that a client's service account is; `id` is the server's own of the client. */
  accountOf(id: string, client_id: string): Promise<string>
  /** Makes the membership exact, additions first. `key` names the user in errors. @throws not_found before anything is written */
  set(userId: string, wanted: readonly string[], key: string): Promise<void>
  /** The same for a user made a moment ago, who can be in the realm's default groups only. */
  setFirst(userId: string, wanted: readonly string[], key: string): Promise<void>
  /** Puts a user into groups and leaves its other groups as they are. @throws not_found before anything is written */
  add(userId: string, wanted: readonly string[], key: string): Promise<void>
}

const NEEDS = ['manage-clients', 'manage-users']
/** Requests that tell the groups of one user: a service account has to be found first. */
const OF_ACCOUNT = 2
const OF_PERSON = 1

interface Member {
  readonly key: string
  readonly username: string
  userId(): Promise<string>
}

export function createMemberships({ api, realm }: Realm, directory: Directory): Memberships {
  const accountOf = async (id: string, key: string) => {
    const call = () => api.clients.getServiceAccountUser({ realm, id })
    return (await asking({ kind: 'machine-client', key, needs: NEEDS }, call)).id ?? ''
  }
  const groupIdsOf = async (id: string, key: string) => {
    const page = (first: number) => asking({ kind: 'user', key, needs: NEEDS }, () => api.users.listGroups({ realm, id, first, max: PAGE }))
    return idsOf(await pages(page))
  }

  /** By the smaller number of requests: those of each user, or one a group. */
  async function read(members: readonly Member[], requests: number): Promise<Map<string, string[]>> {
    if (members.length === 0) return new Map()
    const groups = await directory.groups()
    if (members.length * requests > groups.length) {
      const inside = await eachOf(groups, async (group) => ({ path: group.path, users: new Set(await directory.members(group)) }))
      return new Map(members.map(({ key, username }) => [key, inside.flatMap(({ path, users }) => (users.has(username) ? [path] : []))]))
    }
    const rows = await eachOf(members, async ({ key, userId }) => {
      const ids = await groupIdsOf(await userId(), key)
      return [key, groups.flatMap((group) => (ids.includes(group.id) ? [group.path] : []))] as const
    })
    return new Map(rows)
  }

  async function groupAt(path: string): Promise<{ readonly path: string; readonly id: string }> {
    const id = await directory.groupId(path)
    if (id !== undefined) return { path, id }
    throw new ToolkitError('not_found', `group ${path} does not exist`, { kind: 'group', key: path }, 'create it first')
  }

  /** Additions before removals, so that a run that is cut off never leaves a user with less than it had. */
  async function write(userId: string, key: string, current: readonly string[], wanted: readonly string[]): Promise<void> {
    const groups = await Promise.all(wanted.map(groupAt))
    for (const { path, id } of groups.filter((group) => !current.includes(group.id))) {
      const call = () => api.users.addToGroup({ realm, id: userId, groupId: id })
      await asking({ kind: 'group', key: path, needs: NEEDS }, call)
    }
    for (const groupId of current.filter((one) => !groups.some(({ id }) => id === one))) {
      await asking({ kind: 'user', key, needs: NEEDS }, () => api.users.delFromGroup({ realm, id: userId, groupId }))
    }
  }

  /** Read once until the next observation: what every new user is in. Undefined when we may not see it. */
  let defaults: Promise<readonly string[] | undefined> | undefined
  const defaultGroups = () => {
    const call = () => api.realms.getDefaultGroups({ realm })
    defaults ??= asking({ kind: 'group', key: 'defaults', needs: ['view-realm'] }, call).then(idsOf, (error: unknown) => {
      if (isToolkitError(error, 'forbidden')) return undefined
      throw error
    })
    return defaults
  }

  return {
    of(clients) {
      defaults = undefined
      const accounts = clients.filter(({ serviceAccountsEnabled }) => serviceAccountsEnabled === true)
      const members = accounts.map(({ id = '', clientId = '' }) => ({
        key: clientId,
        // The server lower-cases the user name of a service account.
        username: `service-account-${clientId.toLowerCase()}`,
        userId: () => accountOf(id, clientId),
      }))
      return read(members, OF_ACCOUNT)
    },
    ofUsers(people) {
      const members = people.map(({ id = '', username = '' }) => ({ key: username, username, userId: async () => id }))
      return read(members, OF_PERSON)
    },
    accountOf,
    async set(userId, wanted, key) {
      await write(userId, key, await groupIdsOf(userId, key), wanted)
    },
    async setFirst(userId, wanted, key) {
      await write(userId, key, (await defaultGroups()) ?? (await groupIdsOf(userId, key)), wanted)
    },
    add: (userId, wanted, key) => write(userId, key, [], wanted),
  }
}

function idsOf(groups: readonly { readonly id?: string }[]): string[] {
  return groups.flatMap(({ id }) => (id === undefined ? [] : [id]))
}
