/**
 * Bulk reads of a realm, shared by its reconcilers, and what they tell of our rights. `200 []` is no proof of emptiness:
 * with `query-*` roles alone everything looks empty, so an empty list is believed only where seeing is proved.
 */
import type ClientRepresentation from '@keycloak/keycloak-admin-client/lib/defs/clientRepresentation.js'
import type GroupRepresentation from '@keycloak/keycloak-admin-client/lib/defs/groupRepresentation.js'
import type RealmRepresentation from '@keycloak/keycloak-admin-client/lib/defs/realmRepresentation.js'
import type { Realm } from './connect.js'
import { asking, forbidden } from './vendor-error.js'

/** One page; `max=-1` would break the size cap at about a thousand clients. */
const PAGE = 200

export interface Directory {
  clients(): Promise<readonly ClientRepresentation[]>
  groups(): Promise<readonly GroupRepresentation[]>
  /** User names of a group's members, service accounts included. */
  members(group: GroupRepresentation): Promise<readonly string[]>
  /** @throws forbidden when reads alone tell that clients cannot be written */
  checkClientWrite(): Promise<void>
  /** @throws forbidden when reads alone tell that groups and memberships cannot be written */
  checkGroupWrite(): Promise<void>
}

const CLIENTS = ['manage-clients']
const GROUPS = ['manage-users']

export function createDirectory({ api, realm, roles }: Realm): Directory {
  const clients = shared(async () => {
    const found = await pages((first) =>
      asking({ kind: 'public-client', key: 'list', needs: CLIENTS }, () => api.clients.find({ realm, first, max: PAGE })),
    )
    // Every realm has built-in clients: none means that we may not see them.
    if (found.length === 0) throw forbidden('Keycloak shows no client at all', CLIENTS)
    return found
  })
  const realmSeen = async (): Promise<RealmRepresentation> =>
    (await asking({ kind: 'group', key: 'realm', needs: ['view-realm'] }, () => api.realms.findOne({ realm }))) ?? {}
  const groups = shared(async () => {
    const found = await pages((first) =>
      asking({ kind: 'group', key: 'list', needs: GROUPS }, () => api.groups.find({ realm, first, max: PAGE, briefRepresentation: false })),
    )
    // The realm answers with this field only to those who may see users and groups.
    if (found.length === 0 && (await realmSeen()).registrationEmailAsUsername === undefined)
      throw forbidden('Keycloak shows no group at all', GROUPS)
    return found
  })
  const refuseWithout = async (needed: string, access: () => Promise<boolean | undefined>) => {
    const known = await roles()
    const may = known ? known.includes(needed) || known.includes('realm-admin') : await access()
    if (may === false) throw forbidden('the credential may look but not write', [needed])
  }
  return {
    clients,
    groups,
    async members(group) {
      const key = group.name ?? ''
      const found = await pages((first) =>
        asking({ kind: 'group', key, needs: GROUPS }, () =>
          api.groups.listMembers({ realm, id: group.id ?? '', first, max: PAGE, briefRepresentation: true }),
        ),
      )
      return found.flatMap(({ username }) => (username === undefined ? [] : [username]))
    },
    checkClientWrite: () => refuseWithout('manage-clients', async () => (await clients())[0]?.access?.['manage']),
    checkGroupWrite: () => refuseWithout('manage-users', async () => (await groups())[0]?.access?.['manage']),
  }
}

async function pages<T>(read: (first: number) => Promise<readonly T[]>): Promise<T[]> {
  const all: T[] = []
  for (;;) {
    const page = await read(all.length)
    all.push(...page)
    if (page.length < PAGE) return all
  }
}

/** Callers at the same time share one request; a later caller looks again. */
function shared<T>(read: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined
  return () => {
    running ??= read().finally(() => {
      running = undefined
    })
    return running
  }
}
