/**
 * Machine clients at rest, with the rules that no route can go round: who may change a record, which ids may not be
 * registered, and that conferring administration is asked for by name. Each function is one transaction.
 */
import type { Transaction } from 'kysely'
import { ToolkitError } from '../../../core/errors.js'
import { adminGroups } from '../auth/permissions.js'
import { type Actor, appendAudit } from './audit.js'
import type { Database, Tables } from './database.js'
import { listScopes } from './scopes.js'

export interface M2mClient {
  readonly client_id: string
  readonly name: string
  readonly description: string | null
  readonly groups: readonly string[]
  readonly enabled: boolean
  /** `manual` for records of this API; anything else was written by a sync and is not changed here. */
  readonly provider: string
  readonly created_at: string
  readonly updated_at: string
  readonly idp_app_id: string | null
  readonly created_by: string | null
  readonly issuer: string
}
export type NewM2mClient = Pick<M2mClient, 'client_id' | 'name' | 'description' | 'groups' | 'issuer'>
export type M2mClientChange = Partial<Pick<M2mClient, 'name' | 'description' | 'groups' | 'enabled' | 'issuer'>>

/** `allow_privileged` lets a change make a client an administrator. */
export interface WriteOptions {
  readonly allow_privileged: boolean
}

/** Tokens that people make for themselves carry this client id; a record for it would enrich all of them. */
const USER_GENERATED = 'user-generated'

/** Machine clients in a database; `ideClientId` is the login client of servers without their own. */
export function m2mClientStore(db: Database, ideClientId: string | undefined) {
  return {
    async list({
      provider,
      limit,
      skip,
    }: {
      provider?: string
      limit: number
      skip: number
    }): Promise<{ total: number; items: M2mClient[] }> {
      const matching = provider === undefined ? db.selectFrom('m2m_clients') : db.selectFrom('m2m_clients').where('provider', '=', provider)
      const { total } = await matching.select(({ fn }) => fn.countAll<number>().as('total')).executeTakeFirstOrThrow()
      const rows = await matching.selectAll().orderBy('client_id').limit(limit).offset(skip).execute()
      return { total, items: rows.map(fromRow) }
    },

    async get(client_id: string): Promise<M2mClient | undefined> {
      return find(db, client_id)
    },

    /** @throws ToolkitError conflict for an existing or reserved id; forbidden when it confers administration unasked */
    async create(actor: Actor, wanted: NewM2mClient, options: WriteOptions): Promise<M2mClient> {
      return db.transaction().execute(async (trx) => {
        const { client_id } = wanted
        if (await find(trx, client_id)) throw conflict(client_id, `M2M client ${client_id} already exists`)
        await refuseReserved(trx, client_id, ideClientId)
        const at = new Date().toISOString()
        const record = {
          ...wanted,
          enabled: true,
          provider: 'manual',
          created_at: at,
          updated_at: at,
          idp_app_id: null,
          created_by: actor.name,
        }
        const privileged = await newlyPrivileged(trx, undefined, record)
        if (privileged.length > 0 && !options.allow_privileged) throw unasked(privileged)
        await trx.insertInto('m2m_clients').values(toRow(record)).execute()
        const entry = { actor, action: 'create', resource: resourceOf(client_id), before: null, after: record } as const
        await appendAudit(trx, { ...entry, privileged: privileged.length > 0 }, at)
        return record
      })
    },

    /** Changes the given fields only; none given is no write. @throws ToolkitError not_found, owned_elsewhere, forbidden */
    async update(actor: Actor, client_id: string, change: M2mClientChange, options: WriteOptions): Promise<M2mClient> {
      return db.transaction().execute(async (trx) => {
        const before = await findManual(trx, client_id, 'modified')
        if (Object.keys(change).length === 0) return before
        const at = new Date().toISOString()
        const after = { ...before, ...change, updated_at: at }
        const privileged = await newlyPrivileged(trx, before, after)
        if (privileged.length > 0 && !options.allow_privileged) throw unasked(privileged)
        const { client_id: _key, ...columns } = toRow(after)
        await trx.updateTable('m2m_clients').set(columns).where('client_id', '=', client_id).where('provider', '=', 'manual').execute()
        await appendAudit(
          trx,
          { actor, action: 'update', resource: resourceOf(client_id), before, after, privileged: privileged.length > 0 },
          at,
        )
        return after
      })
    },

    /** @throws ToolkitError not_found, owned_elsewhere */
    async remove(actor: Actor, client_id: string): Promise<void> {
      await db.transaction().execute(async (trx) => {
        const before = await findManual(trx, client_id, 'deleted')
        await trx.deleteFrom('m2m_clients').where('client_id', '=', client_id).where('provider', '=', 'manual').execute()
        const entry = { actor, action: 'delete', resource: resourceOf(client_id), before, after: null, privileged: false } as const
        await appendAudit(trx, entry, new Date().toISOString())
      })
    },
  }
}
export type M2mClientStore = ReturnType<typeof m2mClientStore>

/** The record of a client, or undefined. */
export async function find(db: Database | Transaction<Tables>, client_id: string): Promise<M2mClient | undefined> {
  const row = await db.selectFrom('m2m_clients').selectAll().where('client_id', '=', client_id).executeTakeFirst()
  return row && fromRow(row)
}

async function findManual(trx: Transaction<Tables>, client_id: string, verb: 'modified' | 'deleted'): Promise<M2mClient> {
  const record = await find(trx, client_id)
  if (!record) throw new ToolkitError('not_found', `M2M client ${client_id} not found`, { kind: 'm2m-record', key: client_id })
  if (record.provider === 'manual') return record
  throw new ToolkitError('owned_elsewhere', `M2M client ${client_id} was registered by IdP sync and cannot be ${verb} via this API`, {
    kind: 'm2m-record',
    key: client_id,
    owner: record.provider,
  })
}

/** A login client's id stands for every person who logs in with it, so it can never be a machine. */
async function refuseReserved(trx: Transaction<Tables>, client_id: string, ideClientId: string | undefined): Promise<void> {
  const text = 'is the login client of people and cannot be registered as an M2M client'
  if (client_id === USER_GENERATED) throw conflict(client_id, `${client_id} is reserved and cannot be registered as an M2M client`)
  if (client_id === ideClientId) throw conflict(client_id, `${client_id} ${text}`)
  const server = await trx.selectFrom('servers').select('path').where('oauth_client_id', '=', client_id).limit(1).executeTakeFirst()
  if (server) throw conflict(client_id, `${client_id} ${text} (server ${server.path})`)
}

/** Groups by which the record confers administration on a principal that did not have it from there before. */
async function newlyPrivileged(trx: Transaction<Tables>, before: M2mClient | undefined, after: M2mClient): Promise<string[]> {
  if (!after.enabled) return []
  const scopes = await listScopes(trx)
  const had = before?.enabled && before.issuer === after.issuer ? before.groups : []
  return adminGroups(after.groups, scopes).filter((group) => !had.includes(group))
}

function unasked(groups: readonly string[]): ToolkitError {
  const text = `Groups that confer administration need allow_privileged=true: ${groups.join(', ')}`
  return new ToolkitError('forbidden', text, { system: 'registry', needs: ['allow_privileged'] }, 'repeat with --allow-privileged')
}

function conflict(client_id: string, message: string): ToolkitError {
  return new ToolkitError('conflict', message, { kind: 'm2m-record', key: client_id })
}

const resourceOf = (client_id: string) => `m2m_client:${client_id}`

export function toRow(record: M2mClient): Tables['m2m_clients'] {
  return { ...record, groups: JSON.stringify(record.groups), enabled: record.enabled ? 1 : 0 }
}

function fromRow(row: Tables['m2m_clients']): M2mClient {
  const { client_id, name, description, groups, enabled, provider, created_at, updated_at, idp_app_id, created_by, issuer } = row
  const parsed = JSON.parse(groups) as string[]
  return {
    client_id,
    name,
    description,
    groups: parsed,
    enabled: enabled === 1,
    provider,
    created_at,
    updated_at,
    idp_app_id,
    created_by,
    issuer,
  }
}
