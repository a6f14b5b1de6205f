/** Registry rows as resources, so that they plan and converge like the objects of an identity provider. */
import { isToolkitError, ToolkitError } from '../core/errors.js'
import type { Observed, Reconciler } from '../core/plan.js'
import { isRef, type Ref, type Resources } from '../core/resources.js'
import type { M2mClientFields, NewServer, RegistryClient, ServerFields } from './client.js'
import type { M2mClientRecord, ServerRecord } from './records.js'

export interface RegistryRowOptions {
  /** Lets a change make a machine client an administrator. */
  readonly allow_privileged?: boolean
  /**
   * Taken as the issuer of records whose server does not show one (the real registry has no such field): it could neither
   * be compared nor written there, and an unseen field that is wanted would never converge.
   */
  readonly issuer?: string | undefined
}

/** Reconcilers for `m2m-record` (key: client id) and `server-record` (key: path). */
export function registryReconcilers(client: RegistryClient, options: RegistryRowOptions = {}) {
  return { 'm2m-record': m2mRecords(client, options), 'server-record': serverRecords(client) } as const
}

type M2m = Resources['m2m-record']

function m2mRecords(client: RegistryClient, { allow_privileged = false, issuer }: RegistryRowOptions): Reconciler<'m2m-record'> {
  return {
    async observe(keys) {
      const records = await client.listM2mClients()
      return new Map(
        records.filter(({ client_id }) => keys.includes(client_id)).map((record) => [record.client_id, observedM2m(record, issuer)]),
      )
    },
    async create(spec) {
      const { name: client_name, groups = [], description, enabled = true } = spec
      const client_id = resolved(spec.client_id)
      const rest = { ...(description === undefined ? {} : { description }), ...(spec.issuer === undefined ? {} : { issuer: spec.issuer }) }
      // A create always switches on, so a record that shall be off gets its groups only once it is.
      await client.createM2mClient({ client_id, client_name, groups: enabled ? groups : [], ...rest }, { allow_privileged })
      if (!enabled) await client.updateM2mClient(client_id, { enabled, groups }, { allow_privileged })
      return {}
    },
    async update(current, { client_id: _key, name, ...fields }) {
      const given: M2mClientFields = { ...fields, ...(name === undefined ? {} : { client_name: name }) }
      await client.updateM2mClient(current.id, given, { allow_privileged })
    },
    remove: (current) => client.removeM2mClient(current.id),
    checkWrite: () => requireRight(client, ({ is_admin }) => is_admin, 'registry administrator'),
  }
}

function observedM2m(record: M2mClientRecord, presumed: string | undefined): Observed<'m2m-record'> {
  const { client_id, name, description, groups, enabled, provider } = record
  const issuer = record.issuer ?? presumed
  const spec: M2m = { client_id, name, description, groups, enabled, ...(issuer === undefined ? {} : { issuer }) }
  return { id: client_id, owner: provider === 'manual' ? 'us' : { other: `the sync of ${provider}` }, spec }
}

/**
 * One request a wanted server instead of a list: the list leaves out the login client. Rows have no place for a mark of
 * ours, and setting the login client of a server that somebody else registered is the point, so all but federated ones
 * count as ours; a removal names its server.
 */
function serverRecords(client: RegistryClient): Reconciler<'server-record'> {
  return {
    async observe(keys) {
      const found = new Map<string, Observed<'server-record'>>()
      for (const key of keys) {
        const record = await client.getServer(key).catch((error: unknown) => {
          if (isToolkitError(error, 'not_found')) return undefined
          throw error
        })
        if (record) found.set(key, observedServer(key, record))
      }
      return found
    },
    async create(spec) {
      const { path, server_name, description, proxy_pass_url, oauth_client_id, append_mcp_path } = spec
      const wanted: NewServer = {
        ...{ path, server_name, description: description || server_name },
        ...(proxy_pass_url ? { proxy_pass_url } : {}),
        ...(oauth_client_id ? { oauth_client_id: resolved(oauth_client_id) } : {}),
        ...(typeof append_mcp_path === 'boolean' ? { append_mcp_path } : {}),
      }
      await client.registerServer(wanted)
      return {}
    },
    async update(current, { path: _key, oauth_client_id, ...fields }) {
      const login = oauth_client_id === undefined ? {} : { oauth_client_id: oauth_client_id === null ? null : resolved(oauth_client_id) }
      const given: ServerFields = { ...fields, ...login }
      await client.updateServer(current.id, given)
    },
    remove: (current) => client.removeServer(current.id),
    checkWrite: () => requireRight(client, (me) => me.is_admin || me.can_modify_servers, 'register and modify servers'),
  }
}

function observedServer(key: string, record: ServerRecord): Observed<'server-record'> {
  const { server_name, description, proxy_pass_url, oauth_client_id, append_mcp_path, sync_metadata } = record
  const spec: Resources['server-record'] = {
    ...{ path: key, server_name },
    ...(description ? { description } : {}),
    ...(proxy_pass_url ? { proxy_pass_url } : {}),
    // An empty id reads as unset, in the registry too.
    oauth_client_id: oauth_client_id || null,
    append_mcp_path: append_mcp_path ?? null,
  }
  const federated = sync_metadata && Object.keys(sync_metadata).length > 0
  return { id: key, owner: federated ? { other: 'another registry (federation)' } : 'us', spec }
}

async function requireRight(
  client: RegistryClient,
  holds: (me: Awaited<ReturnType<RegistryClient['me']>>) => boolean,
  right: string,
): Promise<void> {
  const me = await client.me()
  if (holds(me)) return
  const hint = 'use a token whose groups have that right'
  throw new ToolkitError(
    'forbidden',
    `the registry would refuse: the token lacks the right to ${right}`,
    { system: 'registry', needs: [right] },
    hint,
  )
}

/** Converge resolves references before it writes; one that is left is a defect. */
function resolved(value: string | Ref): string {
  if (!isRef(value)) return value
  throw new ToolkitError('internal', `${value.from.kind} ${value.from.key} has no ${value.field} yet`, { where: 'registry reconcilers' })
}
