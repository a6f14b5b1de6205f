/**
 * What the administrator may do in a realm, told by reads alone: by the roles in the token where it has them, else by the
 * `access` objects of the lists. `200 []` is no proof of emptiness: the query-* roles see empty lists.
 */
import { isToolkitError } from '../../core/errors.js'
import type { Kind } from '../../core/resources.js'
import { type Held, type HeldRights, RIGHTS, type Right } from '../../core/rights.js'
import { keycloakCapabilities } from './capabilities.js'
import type { Realm } from './connect.js'
import { asking, forbidden } from './vendor-error.js'

/** Roles that do what others do, beside themselves. */
const INCLUDES: Readonly<Record<string, readonly string[]>> = {
  'manage-clients': ['view-clients'],
  'manage-users': ['view-users'],
  'manage-realm': ['view-realm'],
  'realm-admin': ['manage-clients', 'view-clients', 'manage-users', 'view-users', 'manage-realm', 'view-realm'],
}

/** Every right, in a few requests. */
export async function rights(realm: Realm): Promise<HeldRights> {
  const look = looking(realm)
  const names = Object.keys(RIGHTS) as Right[]
  const held = await Promise.all(names.map(async (right) => [right, await heldBy(realm, look, right)] as const))
  return Object.fromEntries(held) as Record<Right, Held>
}

/** @throws ToolkitError forbidden, with the roles that are needed, when reads tell that the right is not held */
export async function requireRight(realm: Realm, right: Right): Promise<void> {
  if ((await heldBy(realm, looking(realm), right)) === 'no') throw forbidden(`the credential may not ${RIGHTS[right]}`, right)
}

async function heldBy(realm: Realm, look: Look, right: Right): Promise<Held> {
  if (right === 'tenant:create') return look.creation()
  // Who makes a realm has every role in it (measured).
  if (!(await realm.exists())) return (await look.creation()) === 'yes' ? 'yes' : 'unknown'
  const roles = await realm.roles()
  if (roles) {
    const all = new Set(roles.flatMap((role) => [role, ...(INCLUDES[role] ?? [])]))
    return keycloakCapabilities.rights[right].every((role) => all.has(role)) ? 'yes' : 'no'
  }
  const told = await PROBES[right](look)
  return told === 'unknown' && (await look.loginRoles())?.includes('admin') ? 'yes' : told
}

const PROBES: Readonly<Record<Exclude<Right, 'tenant:create'>, (look: Look) => Promise<Held>>> = {
  // Every realm has clients: none means that we may not see them.
  'clients:read': async ({ clients }) => yesOrNo((await clients()).length > 0),
  'clients:write': async ({ clients }) => yesOrNo((await clients())[0]?.access?.['manage'] === true),
  'groups:read': seesPeople,
  'groups:write': managesPeople,
  'users:read': seesPeople,
  'users:write': managesPeople,
  'tenant:read': async ({ tenant }) => yesOrNo((await tenant())?.accessTokenLifespan !== undefined),
  // The same answer to who may look and to who may write.
  'tenant:write': async ({ tenant }) => ((await tenant())?.accessTokenLifespan === undefined ? 'no' : 'unknown'),
  'tokens:evaluate': async ({ clients, locks }) => yesOrNo((await clients()).length > 0 && (await locks()) !== undefined),
}

/** One role shows groups and people alike, and the locks of an account, whether there is one or not (measured). */
async function seesPeople({ locks }: Look): Promise<Held> {
  return yesOrNo((await locks()) !== undefined)
}

async function managesPeople({ locks, groups, users }: Look): Promise<Held> {
  if ((await locks()) === undefined) return 'no'
  const [group] = (await groups()) ?? []
  const one = group ?? (await users())?.[0]
  return one === undefined ? 'unknown' : yesOrNo(one.access?.['manage'] === true)
}

const yesOrNo = (is: boolean): Held => (is ? 'yes' : 'no')

type Look = ReturnType<typeof looking>

/** The reads that tell, each made once and only when it is needed. */
function looking({ api, realm, login, loginRoles }: Realm) {
  const list = <T>(kind: Kind, right: Right, call: () => Promise<T>) =>
    once(() => unlessRefused(() => asking({ kind, key: 'list', needs: right }, call)))
  const clients = list('public-client', 'clients:read', () => api.clients.find({ realm, max: 1 }))
  const ownRoles = once(async () => (await loginRoles()) ?? (await unlessRefused(() => rolesOf(api, login))))
  return {
    clients: async () => (await clients()) ?? [],
    locks: list('user', 'users:read', () => api.attackDetection.findOne({ realm, id: 'nobody' })),
    groups: list('group', 'groups:read', () => api.groups.find({ realm, max: 1 })),
    users: list('user', 'users:read', () => api.users.find({ realm, max: 1 })),
    tenant: list('tenant', 'tenant:read', () => api.realms.findOne({ realm })),
    /** Roles in the realm that we log in to; `admin` of master is everything everywhere. */
    loginRoles: async (): Promise<readonly string[] | undefined> => (login.realm === 'master' ? ownRoles() : []),
    async creation(): Promise<Held> {
      if (login.realm !== 'master') return 'no'
      const roles = await ownRoles()
      return roles === undefined ? 'unknown' : yesOrNo(roles.some((role) => role === 'create-realm' || role === 'admin'))
    },
  }
}

async function rolesOf(api: Realm['api'], { realm, username }: Realm['login']): Promise<string[] | undefined> {
  const ask = <T>(call: () => Promise<T>) => asking({ kind: 'user', key: username, needs: 'users:read' }, call)
  const [user] = await ask(() => api.users.find({ realm, username, exact: true }))
  const { id } = user ?? {}
  if (id === undefined) return undefined
  return (await ask(() => api.users.listCompositeRealmRoleMappings({ realm, id }))).map(({ name = '' }) => name)
}

/** Undefined when the server refuses. */
async function unlessRefused<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (isToolkitError(error, 'forbidden')) return undefined
    throw error
  }
}

function once<T>(read: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= read()
    return made
  }
}
