/** A realm's reconcilers connected in this process, without a command around them, and every request that they make. */
import { createDoor, type JournalEntry, WriteLatch } from '../../core/http.js'
import type { Reconciler } from '../../core/plan.js'
import { connectRealm } from '../../idp/keycloak/connect.js'
import { createDirectory, type Directory } from '../../idp/keycloak/directory.js'
import { createMemberships, type Memberships } from '../../idp/keycloak/memberships.js'
import { peopleMark } from '../../idp/keycloak/people-mark.js'
import { machineClients } from '../../idp/keycloak/reconcilers/clients.js'
import { groups } from '../../idp/keycloak/reconcilers/groups.js'
import { users } from '../../idp/keycloak/reconcilers/users.js'
import { administrator } from './product.js'
import type { Realm } from './rig/keycloak.js'

export interface Connected {
  readonly directory: Directory
  readonly memberships: Memberships
  readonly groups: Reconciler<'group'>
  readonly users: Reconciler<'user'>
  readonly machines: Reconciler<'machine-client'>
  readonly latch: WriteLatch
  /** Runs work that may write. */
  write<T>(work: () => Promise<T>): Promise<T>
  /** What the work asked of the realm: `GET /groups/{id}/members`, without queries, tokens and the server's own ids. */
  requests(work: () => Promise<unknown>): Promise<string[]>
  close(): Promise<void>
}

/** A service account in the realm may be named instead of the administrator of the rig. */
export interface ConnectOptions {
  readonly profile?: string
  readonly serviceAccount?: { readonly client_id: string; readonly client_secret: string }
}

export async function connectTo(realm: Realm, { profile = 'default', serviceAccount }: ConnectOptions = {}): Promise<Connected> {
  const latch = new WriteLatch()
  const journal: JournalEntry[] = []
  const doors: ReturnType<typeof createDoor>[] = []
  const variables = {
    ...administrator(realm, ''),
    ...(serviceAccount && {
      KEYCLOAK_ADMIN_REALM: realm.realm,
      KEYCLOAK_ADMIN_CLIENT_ID: serviceAccount.client_id,
      KEYCLOAK_ADMIN_CLIENT_SECRET: serviceAccount.client_secret,
    }),
  }
  const connected = await connectRealm({
    settings: (name) => Object.entries(variables).find(([variable]) => variable === name)?.[1],
    profile,
    home: '',
    open(options) {
      const door = createDoor({ ...options, latch, onRequest: (entry) => journal.push(entry) })
      doors.push(door)
      return door
    },
  })
  const directory = createDirectory(connected)
  const memberships = createMemberships(connected, directory)
  return {
    directory,
    memberships,
    groups: groups(connected, directory),
    users: users(connected, directory, memberships, peopleMark(connected)),
    machines: machineClients(connected, directory, memberships),
    latch,
    write: (work) => latch.whileOpen(work),
    async requests(work) {
      const before = journal.length
      await work()
      return journal.slice(before).flatMap((entry) => requestOf(entry, realm.realm))
    },
    async close() {
      await Promise.all(doors.map((door) => door.close()))
    },
  }
}

function requestOf({ method, url }: JournalEntry, realm: string): string[] {
  const { pathname } = new URL(url)
  const below = pathname.split(`/admin/realms/${realm}`)[1]
  return below === undefined
    ? []
    : [`${method} ${below.replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '{id}').replace(/\/$/, '')}`]
}

/** How often each request was made. */
export function tally(requests: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const request of requests) counts[request] = (counts[request] ?? 0) + 1
  return counts
}
