/** Which groups a service account is in: read by the smaller of 2N and G requests, written one membership at a time. */
import type ClientRepresentation from '@keycloak/keycloak-admin-client/lib/defs/clientRepresentation.js'
import type GroupRepresentation from '@keycloak/keycloak-admin-client/lib/defs/groupRepresentation.js'
import { ToolkitError } from '../../core/errors.js'
import type { Realm } from './connect.js'
import type { Directory } from './directory.js'
import { asking } from './vendor-error.js'

export interface Memberships {
  /** By client id: names of top-level groups, paths without the leading slash for nested ones. */
  of(clients: readonly ClientRepresentation[]): Promise<ReadonlyMap<string, readonly string[]>>
  /** Makes the membership exact. */
  set(id: string, client_id: string, groups: readonly string[]): Promise<void>
}

const NEEDS = ['manage-clients', 'manage-users']

export function createMemberships({ api, realm }: Realm, directory: Directory): Memberships {
  const ask = <T>(key: string, call: () => Promise<T>) => asking({ kind: 'machine-client', key, needs: NEEDS }, call)
  const accountOf = async (id: string, key: string) => (await ask(key, () => api.clients.getServiceAccountUser({ realm, id }))).id ?? ''
  const groupsOf = (user: string, key: string) => ask(key, () => api.users.listGroups({ id: user, realm, max: 1000 }))

  async function byClient(clients: readonly ClientRepresentation[]): Promise<Map<string, string[]>> {
    const rows = await Promise.all(
      clients.map(
        async ({ id = '', clientId = '' }) => [clientId, (await groupsOf(await accountOf(id, clientId), clientId)).map(nameOf)] as const,
      ),
    )
    return new Map(rows)
  }

  async function byGroup(clients: readonly ClientRepresentation[], groups: readonly GroupRepresentation[]): Promise<Map<string, string[]>> {
    const members = await Promise.all(
      groups.map(async (group) => ({ name: nameOf(group), users: new Set(await directory.members(group)) })),
    )
    return new Map(
      clients.map(({ clientId = '' }) => {
        // The server lower-cases the user name of a service account.
        const user = `service-account-${clientId.toLowerCase()}`
        return [clientId, members.flatMap(({ name, users }) => (users.has(user) ? [name] : []))]
      }),
    )
  }

  return {
    async of(clients) {
      const accounts = clients.filter(({ serviceAccountsEnabled }) => serviceAccountsEnabled === true)
      if (accounts.length === 0) return new Map()
      const groups = await directory.groups()
      const nested = groups.some(({ subGroupCount }) => (subGroupCount ?? 0) > 0)
      return nested || 2 * accounts.length <= groups.length ? byClient(accounts) : byGroup(accounts, groups)
    },
    async set(id, client_id, wanted) {
      const user = await accountOf(id, client_id)
      const [current, all] = await Promise.all([groupsOf(user, client_id), directory.groups()])
      for (const name of wanted.filter((one) => !current.some((group) => nameOf(group) === one))) {
        const group = all.find((one) => one.name === name)
        if (group?.id === undefined) throw new ToolkitError('not_found', `group ${name} does not exist`, { kind: 'group', key: name })
        await ask(client_id, () => api.users.addToGroup({ realm, id: user, groupId: group.id ?? '' }))
      }
      for (const group of current.filter((one) => !wanted.includes(nameOf(one)))) {
        await ask(client_id, () => api.users.delFromGroup({ realm, id: user, groupId: group.id ?? '' }))
      }
    },
  }
}

function nameOf({ name = '', path = '' }: GroupRepresentation): string {
  return path.lastIndexOf('/') > 0 ? path.slice(1) : name
}
