/**
 * The audit log: one row a change, written in the change's own transaction, each carrying the SHA-256 of the one before.
 * Rows are never edited or deleted. Records hold no secrets, so before and after are whole.
 */
import { createHash } from 'node:crypto'
import type { Transaction } from 'kysely'
import type { Database, Tables } from './database.js'

/** Who did it: issuer and subject decide, the name is for people. */
export interface Actor {
  readonly issuer: string
  readonly subject: string
  readonly name: string
}

export interface AuditEntry {
  readonly actor: Actor
  readonly action: 'create' | 'update' | 'delete'
  /** Kind and key: `m2m_client:reporting-agent`. */
  readonly resource: string
  /** The change made somebody an administrator. */
  readonly privileged: boolean
  readonly before: object | null
  readonly after: object | null
}

const FIRST = '0'.repeat(64)

export async function appendAudit(trx: Transaction<Tables>, entry: AuditEntry, at: string): Promise<void> {
  const last = await trx.selectFrom('audit').select(['seq', 'hash']).orderBy('seq', 'desc').limit(1).executeTakeFirst()
  const row = {
    seq: (last?.seq ?? 0) + 1,
    at,
    actor: JSON.stringify(entry.actor),
    action: entry.action,
    resource: entry.resource,
    privileged: entry.privileged ? 1 : 0,
    before: entry.before === null ? null : JSON.stringify(entry.before),
    after: entry.after === null ? null : JSON.stringify(entry.after),
    previous: last?.hash ?? FIRST,
  }
  await trx
    .insertInto('audit')
    .values({ ...row, hash: hashOf(row) })
    .execute()
}

/** The whole log, oldest first. */
export async function listAudit(db: Database): Promise<(AuditEntry & { seq: number; at: string })[]> {
  const rows = await db.selectFrom('audit').selectAll().orderBy('seq').execute()
  return rows.map(({ seq, at, actor, action, resource, privileged, before, after }) => ({
    seq,
    at,
    actor: JSON.parse(actor) as Actor,
    action: action as AuditEntry['action'],
    resource,
    privileged: privileged === 1,
    before: before === null ? null : (JSON.parse(before) as object),
    after: after === null ? null : (JSON.parse(after) as object),
  }))
}

/** The number of the first row that does not follow from the one before; undefined when the chain holds. */
export async function firstBrokenAudit(db: Database): Promise<number | undefined> {
  let previous = FIRST
  let expected = 1
  for (const row of await db.selectFrom('audit').selectAll().orderBy('seq').execute()) {
    if (row.seq !== expected || row.previous !== previous || row.hash !== hashOf(row)) return expected
    previous = row.hash
    expected += 1
  }
  return undefined
}

function hashOf(row: Omit<Tables['audit'], 'hash'>): string {
  const { seq, at, actor, action, resource, privileged, before, after, previous } = row
  return createHash('sha256')
    .update(JSON.stringify([seq, at, actor, action, resource, privileged, before, after, previous]))
    .digest('hex')
}
