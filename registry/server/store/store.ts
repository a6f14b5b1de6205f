/** The registry's store: one SQLite file, seeded. Every method is one transaction. */
import type { Transaction } from 'kysely'
import { ToolkitError } from '../../../core/errors.js'
import type { Scope } from '../auth/permissions.js'
import { type AuditEntry, appendAudit, firstBrokenAudit, listAudit } from './audit.js'
import { openDatabase, type Tables } from './database.js'
import { find, type M2mClientStore, m2mClientStore, toRow } from './m2m-clients.js'
import { ADMIN_GROUP, listScopes, seedScopes } from './scopes.js'
import { type ServerStore, serverStore } from './servers.js'

/** What a registry starts with besides its scopes. */
export interface Seed {
  /** The gateway's own machine client, which administers the registry; an existing record stays as it is. */
  readonly m2m_client?: { readonly client_id: string; readonly name: string; readonly issuer: string; readonly groups?: readonly string[] }
}

export interface Store {
  readonly m2mClients: M2mClientStore
  readonly servers: ServerStore
  scopes(): Promise<Scope[]>
  audit(): Promise<(AuditEntry & { seq: number; at: string })[]>
  /** Number of the first audit row that was tampered with; undefined when none was. */
  firstBrokenAudit(): Promise<number | undefined>
  close(): Promise<void>
}

/** @throws ToolkitError invalid_input for a folder that others may enter; unavailable when the disk or another process refuses */
export async function openStore({ folder, seed = {}, ideClientId }: { folder: string; seed?: Seed; ideClientId?: string }): Promise<Store> {
  const db = await openDatabase(folder)
  try {
    await db.transaction().execute(async (trx) => {
      await seedScopes(trx)
      await seedM2mClient(trx, seed)
    })
  } catch (error) {
    await db.destroy()
    throw error
  }
  return {
    m2mClients: guarded(m2mClientStore(db, ideClientId)),
    servers: guarded(serverStore(db)),
    ...guarded({
      scopes: () => listScopes(db),
      audit: () => listAudit(db),
      firstBrokenAudit: () => firstBrokenAudit(db),
    }),
    close: () => db.destroy(),
  }
}

async function seedM2mClient(trx: Transaction<Tables>, { m2m_client }: Seed): Promise<void> {
  if (!m2m_client || (await find(trx, m2m_client.client_id))) return
  const { client_id, name, issuer, groups = [ADMIN_GROUP] } = m2m_client
  const at = new Date().toISOString()
  const base = {
    client_id,
    name,
    issuer,
    groups,
    description: null,
    enabled: true,
    provider: 'manual',
    idp_app_id: null,
    created_by: 'seed',
  }
  const record = { ...base, created_at: at, updated_at: at }
  await trx.insertInto('m2m_clients').values(toRow(record)).execute()
  const actor = { issuer: 'registry', subject: 'seed', name: 'seed' }
  await appendAudit(
    trx,
    { actor, action: 'create', resource: `m2m_client:${client_id}`, before: null, after: record, privileged: true },
    at,
  )
}

/** SQLite's own errors (locked, full, corrupt) become `unavailable` with their code and without their text. */
function guarded<T extends Readonly<Record<string, (...args: never[]) => Promise<unknown>>>>(methods: T): T {
  return Object.fromEntries(
    Object.entries(methods).map(([name, method]) => [
      name,
      (...args: never[]) =>
        method(...args).catch((error: unknown) => {
          const code = error instanceof Error && 'code' in error ? String(error.code) : ''
          if (!code.startsWith('SQLITE_')) throw error
          throw new ToolkitError('unavailable', `the registry's database refused (${code})`, { system: 'registry database', reason: code })
        }),
    ]),
  ) as T
}
