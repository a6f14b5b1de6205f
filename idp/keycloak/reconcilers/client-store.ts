/** Clients of one kind at Keycloak: seen in one list, made in one request, changed field by field, foreign parts left alone. */
import type ClientRepresentation from '@keycloak/keycloak-admin-client/lib/defs/clientRepresentation.js'
import type ProtocolMapperRepresentation from '@keycloak/keycloak-admin-client/lib/defs/protocolMapperRepresentation.js'
import { isToolkitError, ToolkitError } from '../../../core/errors.js'
import { clientIdOf, type Observed } from '../../../core/plan.js'
import type { ClientKind } from '../../../core/resources.js'
import { Secret } from '../../../core/secret.js'
import { type ClientSpec, mapperNamed, mappersFor, observedSpec, representationOf } from '../client-fields.js'
import { carriesMarks, clientOwner, marksOf } from '../client-ownership.js'
import type { Realm } from '../connect.js'
import type { Directory } from '../directory.js'
import { asking } from '../vendor-error.js'

/** A client as it is, and as our spec says it. */
export interface SeenClient {
  readonly client: ClientRepresentation
  readonly observed: Omit<Observed, 'spec'> & { readonly spec: ClientSpec }
}

export interface ClientStore {
  observe(keys: readonly string[]): Promise<Map<string, SeenClient>>
  /** @returns the vendor's id. @throws conflict when the id, or one that differs in case only, is taken */
  create(spec: Partial<ClientSpec>, secret?: ClientSecret): Promise<string>
  /** `secret` is for a client that has none; Keycloak would make one up for whoever stops being public. */
  update(current: Observed, fields: Partial<ClientSpec>, secret?: ClientSecret): Promise<void>
  setSecret(current: Observed, secret: ClientSecret): Promise<void>
  remove(current: Observed): Promise<void>
  owned(): Promise<string[]>
}
type ClientSecret = Required<Pick<ClientRepresentation, 'secret'>>

export function clientStore(kind: ClientKind, realm: Realm, directory: Directory): ClientStore {
  const { api, profile } = realm
  const ask = <T>(key: string, call: () => Promise<T>) => asking({ kind, key, needs: 'clients:write' }, call)
  /** Every client id of the last list and of ours since: a list for each create would be slow. */
  let taken = new Set<string>()

  async function observe(keys: readonly string[]): Promise<Map<string, SeenClient>> {
    const all = await directory.clients()
    taken = new Set(all.map(({ clientId = '' }) => clientId))
    const wanted = new Set(keys)
    return new Map(
      all.flatMap((client): [string, SeenClient][] => {
        const { clientId: key = '', id = '', secret } = client
        if (!wanted.has(key)) return []
        const owner = clientOwner(client, kind, realm)
        const isShown = kind !== 'public-client' && typeof owner === 'string' && secret !== undefined && secret !== ''
        return [[key, { client, observed: { id, owner, spec: observedSpec(client), ...(isShown ? { secret: new Secret(secret) } : {}) } }]]
      }),
    )
  }

  /** The user name of a service account is in lower case, so the accounts of twins would be one. */
  function refuseTwin(key: string, names: Iterable<string>): void {
    const twin = [...names].find((name) => name !== key && name.toLowerCase() === key.toLowerCase())
    if (twin === undefined) return
    throw new ToolkitError(
      'conflict',
      `client ${key} differs from client ${twin} in case only`,
      { kind, key },
      `use ${twin}, or choose another client id`,
    )
  }

  /** Keycloak answers 409 with the same words when the id is free and the user name of its service account is not. */
  async function refuseTaken(key: string): Promise<void> {
    const names = (await directory.clients()).map(({ clientId = '' }) => clientId)
    if (names.includes(key)) return
    refuseTwin(key, names)
    const user = `service-account-${key.toLowerCase()}`
    throw new ToolkitError(
      'conflict',
      `there is no client ${key}, but its service account cannot be made: a user ${user} exists`,
      { kind, key },
      'remove that user if nobody needs it, or choose another client id',
    )
  }

  async function put(current: Observed, body: ClientRepresentation): Promise<void> {
    await ask(clientIdOf(current) ?? '', () =>
      api.clients.update({ realm: realm.realm, id: current.id }, { ...representationOf(originsOf(current)), ...body }),
    )
  }

  async function mendMapper(id: string, key: string, client: ClientRepresentation, mapper: ProtocolMapperRepresentation): Promise<void> {
    const at = { realm: realm.realm, id }
    const existing = mapperNamed(client, mapper.name ?? '')
    if (existing?.id === undefined) return ask(key, () => api.clients.addProtocolMapper(at, mapper))
    const mapperId = existing.id
    if (existing.protocolMapper === mapper.protocolMapper) {
      const mended = { ...existing, ...mapper, config: { ...existing.config, ...mapper.config } }
      return ask(key, () => api.clients.updateProtocolMapper({ ...at, mapperId }, mended))
    }
    // A mapper's type cannot be changed in place.
    await ask(key, () => api.clients.delProtocolMapper({ ...at, mapperId }))
    await ask(key, () => api.clients.addProtocolMapper(at, mapper))
  }

  return {
    observe,
    async create(spec, secret) {
      const key = spec.client_id ?? ''
      refuseTwin(key, taken)
      taken.add(key)
      const body = {
        ...representationOf(spec),
        ...secret,
        protocol: 'openid-connect',
        consentRequired: false,
        protocolMappers: mappersFor(spec),
      }
      const attributes = { ...body.attributes, ...marksOf(kind, profile) }
      try {
        return (await ask(key, () => api.clients.create({ realm: realm.realm, ...body, attributes }))).id
      } catch (error) {
        if (isToolkitError(error, 'conflict')) await refuseTaken(key)
        throw error
      }
    },
    async update(current, fields, secret) {
      const body = { ...representationOf(fields), ...secret }
      const marks = current.owner === 'nobody' ? marksOf(kind, profile) : {}
      const attributes = { ...body.attributes, ...marks }
      if (Object.keys({ ...body, ...attributes }).length > 0) await put(current, { ...body, attributes })
      const mappers = mappersFor(fields)
      if (mappers.length === 0) return
      // A mapper of our name is put right, a missing one added; foreign mappers are not touched.
      const key = clientIdOf(current) ?? ''
      const client = (await ask(key, () => api.clients.findOne({ realm: realm.realm, id: current.id }))) ?? {}
      for (const mapper of mappers) await mendMapper(current.id, key, client, mapper)
    },
    setSecret: put,
    async remove(current) {
      await ask(clientIdOf(current) ?? '', () => api.clients.del({ realm: realm.realm, id: current.id }))
    },
    async owned() {
      return (await directory.clients()).flatMap((client) => (carriesMarks(client, kind, profile) ? [client.clientId ?? ''] : []))
    },
  }
}

/** Sent with every PUT: without them Keycloak derives origins from the redirect URIs wherever there are none (docs/decisions/0006). */
function originsOf({ spec }: Observed): Partial<ClientSpec> {
  return 'web_origins' in spec && spec.web_origins ? { web_origins: spec.web_origins } : {}
}
