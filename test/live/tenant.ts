/** Keycloak's whole adapter on a realm, in this process: as operations connect it, with a credential and a latch of one's own. */
import { converge, type Outcome } from '../../core/converge.js'
import { createDoor, type Door, type JournalEntry, WriteLatch } from '../../core/http.js'
import type { Reconciler, Reconcilers, Wanted } from '../../core/plan.js'
import type { Kind } from '../../core/resources.js'
import { keycloak } from '../../idp/keycloak/adapter.js'
import type { Tenant } from '../../idp/port.js'
import { administrator, type Variables } from './product.js'
import type { Realm } from './rig/keycloak.js'

export interface ConnectedTenant {
  readonly tenant: Tenant
  /** Every request so far. */
  readonly journal: readonly JournalEntry[]
  /** The reconciler of a kind. @throws Error when there is none */
  of<K extends Kind>(kind: K): Reconciler<K>
  /** Runs work that may write. */
  write<T>(work: () => Promise<T>): Promise<T>
  /** Plans, agrees, applies and looks again. */
  run(wanted: readonly Wanted[]): Promise<Outcome>
  close(): Promise<void>
}

/** `variables` go over the administrator's. */
export async function connectTenant(
  realm: Pick<Realm, 'realm'>,
  { variables = {}, ...options }: { variables?: Variables; profile?: string; bootstrap?: boolean } = {},
): Promise<ConnectedTenant> {
  const settings = new Map(Object.entries({ ...administrator(realm, ''), ...variables }))
  const latch = new WriteLatch()
  const journal: JournalEntry[] = []
  const doors: Door[] = []
  const close = async () => {
    await Promise.all(doors.map((door) => door.close()))
  }
  const open: Parameters<typeof keycloak.connect>[0]['open'] = (wanted) => {
    const door = createDoor({ ...wanted, latch, onRequest: (entry) => journal.push(entry) })
    doors.push(door)
    return door
  }
  try {
    const tenant = await keycloak.connect({ settings: (name) => settings.get(name), profile: 'default', home: '', open, ...options })
    return {
      tenant,
      journal,
      of: (kind) => reconcilerOf(tenant.reconcilers, kind),
      write: (work) => latch.whileOpen(work),
      run: (wanted) =>
        converge(
          { wanted, reconcilers: tenant.reconcilers, tenants: [tenant.lock] },
          { latch, approve: async () => true, lock: (_tenants, work) => work() },
        ),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

function reconcilerOf<K extends Kind>(reconcilers: Reconcilers, kind: K): Reconciler<K> {
  const found: Reconcilers[K] = reconcilers[kind]
  if (found === undefined) throw new Error(`no reconciler of ${kind}`)
  return found as unknown as Reconciler<K>
}

/** A service account with exactly these roles, as settings: roles of `realm-management`, or realm roles of master. */
export async function serviceAccount(
  realm: Realm,
  client_id: string,
  roles: readonly string[],
  of: 'realm' | 'master' = 'realm',
): Promise<Variables> {
  const at = of === 'realm' ? '' : '/../master'
  const admin = <Body>(method: string, path: string, body?: unknown) => realm.admin<Body>(method, at + path, body)
  const secret = `the secret of ${client_id}`
  const client = await admin('POST', '/clients', { clientId: client_id, secret, serviceAccountsEnabled: true, standardFlowEnabled: false })
  const user = await admin<{ id: string }>('GET', `/clients/${client.id}/service-account-user`)
  const holder = of === 'realm' ? await admin<{ id: string }[]>('GET', '/clients?clientId=realm-management') : undefined
  const below = holder ? `clients/${holder.body[0]?.id}` : 'realm'
  const found = await Promise.all(roles.map((role) => admin('GET', holder ? `/${below}/roles/${role}` : `/roles/${role}`)))
  if (roles.length > 0) {
    const { status } = await admin(
      'POST',
      `/users/${user.body.id}/role-mappings/${below}`,
      found.map(({ body }) => body),
    )
    if (status !== 204) throw new Error(`${client_id} does not get ${roles.join(', ')}: ${status}`)
  }
  return {
    KEYCLOAK_ADMIN_REALM: of === 'realm' ? realm.realm : 'master',
    KEYCLOAK_ADMIN_CLIENT_ID: client_id,
    KEYCLOAK_ADMIN_CLIENT_SECRET: secret,
  }
}
