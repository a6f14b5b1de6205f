/** Servers at rest. Each function is one transaction; who may call it is the route's question, told by `may`. */
import { randomUUID } from 'node:crypto'
import type { Transaction } from 'kysely'
import { ToolkitError } from '../../../core/errors.js'
import { type Actor, appendAudit } from './audit.js'
import type { Database, Tables } from './database.js'
import { find as findM2mClient } from './m2m-clients.js'

export interface Server {
  readonly id: string
  /** With its leading slash; the key. */
  readonly path: string
  readonly server_name: string
  readonly description: string
  readonly proxy_pass_url: string | null
  readonly mcp_endpoint: string | null
  /** The login client of people at this server; an empty string reads as unset. */
  readonly oauth_client_id: string | null
  readonly append_mcp_path: boolean | null
  readonly tags: readonly string[]
  /** The name of who registered it, for people; `owner` decides. */
  readonly registered_by: string
  readonly owner: { readonly issuer: string; readonly subject: string }
  readonly registered_at: string
  readonly updated_at: string
}
export type NewServer = Pick<
  Server,
  'path' | 'server_name' | 'description' | 'proxy_pass_url' | 'mcp_endpoint' | 'oauth_client_id' | 'append_mcp_path' | 'tags'
>
export type ServerChange = Partial<Pick<Server, 'server_name' | 'description' | 'proxy_pass_url' | 'oauth_client_id' | 'append_mcp_path'>>
/** Throws when the caller may not do it to this server; asked inside the transaction. */
export type May = (server: Server) => void

/** Servers in a database. */
export function serverStore(db: Database) {
  return {
    async list(): Promise<Server[]> {
      const rows = await db.selectFrom('servers').selectAll().orderBy('path').execute()
      return rows.map(fromRow)
    },

    async get(path: string): Promise<Server | undefined> {
      return find(db, path)
    },

    /** Adds a server, or replaces one where `overwrite` says so. @throws ToolkitError conflict; whatever `may` throws */
    async save(actor: Actor, wanted: NewServer, overwrite: boolean, may: May): Promise<Server> {
      return db.transaction().execute(async (trx) => {
        const before = await find(trx, wanted.path)
        if (before && !overwrite) throw existing(wanted.path)
        if (before) may(before)
        await refuseMachine(trx, wanted.oauth_client_id)
        const at = new Date().toISOString()
        const { issuer, subject, name } = actor
        const fresh = { id: randomUUID(), registered_by: name, owner: { issuer, subject }, registered_at: at }
        const after: Server = { ...(before ?? fresh), ...wanted, updated_at: at }
        await trx
          .insertInto('servers')
          .values(toRow(after))
          .onConflict((conflict) => conflict.column('path').doUpdateSet(toRow(after)))
          .execute()
        const action = before ? 'update' : 'create'
        await appendAudit(trx, { actor, action, resource: resourceOf(wanted.path), before: before ?? null, after, privileged: false }, at)
        return after
      })
    },

    /** @throws ToolkitError not_found, conflict; whatever `may` throws */
    async update(actor: Actor, path: string, change: ServerChange, may: May): Promise<Server> {
      return db.transaction().execute(async (trx) => {
        const before = await findOrThrow(trx, path)
        may(before)
        await refuseMachine(trx, change.oauth_client_id)
        const at = new Date().toISOString()
        const after = { ...before, ...change, updated_at: at }
        await trx.updateTable('servers').set(toRow(after)).where('path', '=', path).execute()
        await appendAudit(trx, { actor, action: 'update', resource: resourceOf(path), before, after, privileged: false }, at)
        return after
      })
    },

    /** @throws ToolkitError not_found; whatever `may` throws */
    async remove(actor: Actor, path: string, may: May): Promise<void> {
      await db.transaction().execute(async (trx) => {
        const before = await findOrThrow(trx, path)
        may(before)
        await trx.deleteFrom('servers').where('path', '=', path).execute()
        const entry = { actor, action: 'delete', resource: resourceOf(path), before, after: null, privileged: false } as const
        await appendAudit(trx, entry, new Date().toISOString())
      })
    },
  }
}
export type ServerStore = ReturnType<typeof serverStore>

async function find(db: Database | Transaction<Tables>, path: string): Promise<Server | undefined> {
  const row = await db.selectFrom('servers').selectAll().where('path', '=', path).executeTakeFirst()
  return row && fromRow(row)
}

async function findOrThrow(trx: Transaction<Tables>, path: string): Promise<Server> {
  const server = await find(trx, path)
  if (server) return server
  throw new ToolkitError('not_found', `Server not found at path '${path}'`, { kind: 'server-record', key: path })
}

/** The other half of the rule that a login client is no M2M client: whichever came first stays what it is. */
async function refuseMachine(trx: Transaction<Tables>, client_id: string | null | undefined): Promise<void> {
  if (!client_id || !(await findM2mClient(trx, client_id))) return
  throw new ToolkitError('conflict', `${client_id} is registered as an M2M client and cannot be a login client`, {
    kind: 'm2m-record',
    key: client_id,
  })
}

function existing(path: string): ToolkitError {
  return new ToolkitError('conflict', `A service with path '${path}' already exists with version v1.0.0`, {
    kind: 'server-record',
    key: path,
  })
}

const resourceOf = (path: string) => `server:${path}`

function toRow({ owner, tags, append_mcp_path, ...rest }: Server): Tables['servers'] {
  return {
    ...rest,
    tags: JSON.stringify(tags),
    append_mcp_path: append_mcp_path === null ? null : Number(append_mcp_path),
    owner_issuer: owner.issuer,
    owner_subject: owner.subject,
  }
}

function fromRow(row: Tables['servers']): Server {
  const { id, path, server_name, description, proxy_pass_url, mcp_endpoint, oauth_client_id, append_mcp_path, tags, registered_by } = row
  return {
    ...{ id, path, server_name, description, proxy_pass_url, mcp_endpoint, oauth_client_id, registered_by },
    append_mcp_path: append_mcp_path === null ? null : append_mcp_path === 1,
    tags: JSON.parse(tags) as string[],
    owner: { issuer: row.owner_issuer, subject: row.owner_subject },
    registered_at: row.registered_at,
    updated_at: row.updated_at,
  }
}
