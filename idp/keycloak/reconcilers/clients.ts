/** Public clients and machine clients: one kind of object at Keycloak, two kinds of ours. */
import type ClientRepresentation from '@keycloak/keycloak-admin-client/lib/defs/clientRepresentation.js'
import { ToolkitError } from '../../../core/errors.js'
import { clientIdOf, type Observed, type Reconciler } from '../../../core/plan.js'
import { Secret } from '../../../core/secret.js'
import { OWNER_MARK } from '../../../core/vocabulary.js'
import { type ClientKind, type ClientSpec, KIND_MARK, mapperNamed, mappersFor, observedSpec, representationOf } from '../client-fields.js'
import type { Realm } from '../connect.js'
import type { Directory } from '../directory.js'
import type { Memberships } from '../memberships.js'
import { asking } from '../vendor-error.js'

const NEEDS = ['manage-clients']

export function publicClients(realm: Realm, directory: Directory): Reconciler<'public-client'> {
  const store = clientStore('public-client', realm, directory)
  return {
    observe: async (keys) => new Map([...(await store.observe(keys))].map(([key, { observed }]) => [key, observed])),
    async create(spec) {
      await store.create(spec)
      return {}
    },
    update: (current, fields) => store.update(current, fields),
    remove: store.remove,
    checkWrite: directory.checkClientWrite,
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
      const id = await store.create(spec, secret)
      if (groups && groups.length > 0) await memberships.set(id, spec.client_id ?? '', groups)
      return {}
    },
    async update(current, { groups, ...fields }) {
      await store.update(current, fields)
      if (groups) await memberships.set(current.id, current.spec.client_id ?? '', groups)
    },
    remove: store.remove,
    async readSecret(current) {
      const key = current.spec.client_id ?? ''
      const { value } = await asking({ kind: 'machine-client', key, needs: NEEDS }, () =>
        realm.api.clients.getClientSecret({ realm: realm.realm, id: current.id }),
      )
      return value === undefined ? undefined : new Secret(value)
    },
    async checkWrite() {
      await directory.checkClientWrite()
      await directory.checkGroupWrite()
    },
  }
}

interface Found {
  readonly client: ClientRepresentation
  readonly observed: Observed<'public-client'>
}

function clientStore(kind: ClientKind, { api, realm, profile }: Realm, directory: Directory) {
  const ask = <T>(key: string, call: () => Promise<T>) => asking({ kind, key, needs: NEEDS }, call)
  return {
    async observe(keys: readonly string[]): Promise<Map<string, Found>> {
      const wanted = new Set(keys)
      const found = (await directory.clients()).filter(({ clientId }) => clientId !== undefined && wanted.has(clientId))
      return new Map(found.map((client) => [client.clientId ?? '', { client, observed: observed(kind, client, profile) }]))
    },
    async create(spec: Partial<ClientSpec>, secret?: Secret): Promise<string> {
      const body = {
        ...representationOf(spec),
        protocol: 'openid-connect',
        consentRequired: false,
        protocolMappers: mappersFor(spec),
        ...(secret ? { secret: secret.reveal() } : {}),
      }
      const attributes = { ...body.attributes, [OWNER_MARK]: profile, [KIND_MARK]: kind }
      const { id } = await ask(spec.client_id ?? '', () => api.clients.create({ realm, ...body, attributes }))
      return id
    },
    async update(current: Observed, fields: Partial<ClientSpec>): Promise<void> {
      const key = clientIdOf(current) ?? ''
      const body = representationOf(fields)
      if (Object.keys(body).length > 0) {
        await ask(key, () => api.clients.update({ realm, id: current.id }, { ...representationOf(originsOf(current)), ...body }))
      }
      await mendMappers(current.id, key, fields)
    },
    async remove(current: Observed): Promise<void> {
      const key = clientIdOf(current) ?? ''
      await ask(key, () => api.clients.del({ realm, id: current.id }))
    },
  }

  /** A mapper of our name is put right, a missing one added; foreign mappers are not touched. */
  async function mendMappers(id: string, key: string, fields: Partial<ClientSpec>): Promise<void> {
    const mappers = mappersFor(fields)
    if (mappers.length === 0) return
    const client = (await directory.clients()).find((one) => one.id === id) ?? {}
    for (const mapper of mappers) {
      const existing = mapperNamed(client, mapper.name ?? '')
      if (existing?.id !== undefined && existing.protocolMapper !== mapper.protocolMapper) {
        // A mapper's type cannot be changed in place.
        await ask(key, () => api.clients.delProtocolMapper({ realm, id, mapperId: existing.id ?? '' }))
        await ask(key, () => api.clients.addProtocolMapper({ realm, id }, mapper))
      } else if (existing?.id !== undefined) {
        await ask(key, () =>
          api.clients.updateProtocolMapper(
            { realm, id, mapperId: existing.id ?? '' },
            { ...existing, ...mapper, config: { ...existing.config, ...mapper.config } },
          ),
        )
      } else {
        await ask(key, () => api.clients.addProtocolMapper({ realm, id }, mapper))
      }
    }
  }
}

/** Sent with every PUT: without them Keycloak derives origins from the redirect URIs wherever there are none (measured). */
function originsOf({ spec }: Observed): Partial<ClientSpec> {
  return 'web_origins' in spec && spec.web_origins ? { web_origins: spec.web_origins } : {}
}

function observed(kind: ClientKind, client: ClientRepresentation, profile: string): Observed<'public-client'> {
  const attributes: Record<string, unknown> = client.attributes ?? {}
  const mark = attributes[OWNER_MARK]
  const owner = mark === undefined ? 'nobody' : mark === profile ? 'us' : { other: `profile ${String(mark).slice(0, 64)}` }
  if (owner === 'us' && attributes[KIND_MARK] !== kind) {
    const key = client.clientId ?? ''
    throw new ToolkitError(
      'conflict',
      `client ${key} is a ${String(attributes[KIND_MARK]).slice(0, 40)} of ours, not a ${kind}`,
      { kind, key },
      'choose another client id',
    )
  }
  return { id: client.id ?? '', owner, spec: observedSpec(client) }
}
