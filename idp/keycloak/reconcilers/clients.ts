/** Public, web and machine clients: one kind of object at Keycloak, three kinds of ours. */
import type { Observed, Reconciler } from '../../../core/plan.js'
import type { Secret } from '../../../core/secret.js'
import type { ClientSpec } from '../client-fields.js'
import type { Realm } from '../connect.js'
import type { Directory } from '../directory.js'
import type { Memberships } from '../memberships.js'
import { requireRight } from '../rights.js'
import { clientStore, type SeenClient } from './client-store.js'

export function publicClients(realm: Realm, directory: Directory): Reconciler<'public-client'> {
  const store = clientStore('public-client', realm, directory)
  return {
    observe: async (keys) => observedIn(await store.observe(keys)),
    async create(spec) {
      await store.create(spec)
      return {}
    },
    update: (current, fields) => store.update(current, fields),
    remove: store.remove,
    owned: store.owned,
    checkWrite: () => requireRight(realm, 'clients:write'),
  }
}

export function webClients(realm: Realm, directory: Directory): Reconciler<'web-client'> {
  const store = clientStore('web-client', realm, directory)
  return {
    secret: 'chosen',
    observe: async (keys) => observedIn(await store.observe(keys)),
    async create(spec, secret) {
      await store.create(spec, opened(secret))
      return {}
    },
    update: (current, fields, secret) => store.update(current, fields, opened(secret)),
    setSecret: (current, secret) => store.setSecret(current, opened(secret)),
    remove: store.remove,
    owned: store.owned,
    checkWrite: () => requireRight(realm, 'clients:write'),
  }
}

export function machineClients(realm: Realm, directory: Directory, memberships: Memberships): Reconciler<'machine-client'> {
  const store = clientStore('machine-client', realm, directory)
  return {
    secret: 'chosen',
    async observe(keys) {
      const found = await store.observe(keys)
      const groups = await memberships.of([...found.values()].map(({ client }) => client))
      return new Map(
        [...found].map(([key, { observed }]) => [key, { ...observed, spec: { ...observed.spec, groups: groups.get(key) ?? [] } }]),
      )
    },
    async create({ groups, ...spec }, secret) {
      const key = spec.client_id ?? ''
      const id = await store.create(spec, opened(secret))
      if (groups) await memberships.setFirst(await memberships.accountOf(id, key), groups, key)
      return {}
    },
    async update(current, { groups, ...fields }, secret) {
      await store.update(current, fields, opened(secret))
      const key = current.spec.client_id ?? ''
      if (groups) await memberships.set(await memberships.accountOf(current.id, key), groups, key)
    },
    setSecret: (current, secret) => store.setSecret(current, opened(secret)),
    remove: store.remove,
    owned: store.owned,
    async checkWrite(changes) {
      await requireRight(realm, 'clients:write')
      // Its service account is put into groups like a person; a new secret and a removal take the client alone.
      if (changes.some(({ fields }) => fields.some(({ field }) => field === 'groups'))) await requireRight(realm, 'users:write')
    },
  }
}

function observedIn(found: ReadonlyMap<string, SeenClient>): Map<string, Observed & { spec: ClientSpec }> {
  return new Map([...found].map(([key, { observed }]) => [key, observed]))
}

function opened(secret: Secret): { secret: string }
function opened(secret: Secret | undefined): { secret: string } | undefined
function opened(secret: Secret | undefined): { secret: string } | undefined {
  return secret && { secret: secret.reveal() }
}
