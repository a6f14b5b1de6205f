/** One apply at a time per tenant on one machine: an SQLite file held exclusively, freed by the kernel when its holder dies. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ToolkitError } from '../core/errors.js'
import { makePrivateFolder } from '../core/private-file.js'

const WAIT_MS = 60_000
const STEP_MS = 50

/** Holds the locks of all tenants, in one order for everybody, while `work` runs. @throws ToolkitError unavailable after a minute */
export async function withLocks<T>(home: string, tenants: readonly string[], work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  const [first, ...rest] = [...new Set(tenants)].sort()
  if (first === undefined) return work()
  const release = await hold(home, first, signal)
  try {
    return await withLocks(home, rest, work, signal)
  } finally {
    release()
  }
}

async function hold(home: string, tenant: string, signal?: AbortSignal): Promise<() => void> {
  const folder = join(home, 'locks')
  await makePrivateFolder(folder)
  const { default: Database } = await import('libsql')
  const database = new Database(join(folder, `${createHash('sha256').update(tenant).digest('hex').slice(0, 32)}.db`), { timeout: 0 })
  const until = Date.now() + WAIT_MS
  for (;;) {
    try {
      database.exec('BEGIN EXCLUSIVE')
      return () => database.close()
    } catch (error) {
      if (!isBusy(error) || Date.now() > until || signal?.aborted) {
        database.close()
        signal?.throwIfAborted()
        throw new ToolkitError(
          'unavailable',
          `another run is changing ${tenant}`,
          { system: tenant, reason: 'locked' },
          'wait until it has ended',
        )
      }
    }
    await sleep(STEP_MS)
  }
}

function isBusy(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && String(error.code).startsWith('SQLITE_BUSY')
}
