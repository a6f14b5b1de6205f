/** Locks between processes of one machine: an SQLite file each, held exclusively, freed by the kernel when its holder dies. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ToolkitError } from '../core/errors.js'
import { makePrivateFolder } from '../core/private-folder.js'

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

/** The lock of a name, freed by calling what is returned; undefined while another process, or another call of this one, has it. */
export async function tryLock(home: string, name: string): Promise<(() => void) | undefined> {
  const folder = join(home, 'locks')
  // Looked at first, as a batch takes hundreds of locks.
  if (!existsSync(folder)) await makePrivateFolder(folder)
  const { default: Database } = await import('libsql')
  const file = join(folder, `${createHash('sha256').update(name).digest('hex').slice(0, 32)}.db`)
  let database: InstanceType<typeof Database> | undefined
  try {
    const held = new Database(file, { timeout: 0 })
    database = held
    // Nothing is written, so there is no journal to make and to remove.
    held.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    return () => held.close()
  } catch (error) {
    database?.close()
    if (isBusy(error)) return undefined
    throw new ToolkitError(
      'unavailable',
      `the lock of ${name} cannot be taken`,
      { system: 'file system', reason: 'lock' },
      `see that ${file} can be read and written`,
    )
  }
}

async function hold(home: string, tenant: string, signal?: AbortSignal): Promise<() => void> {
  const until = Date.now() + WAIT_MS
  for (;;) {
    const release = await tryLock(home, tenant)
    if (release) return release
    signal?.throwIfAborted()
    if (Date.now() > until) {
      throw new ToolkitError(
        'unavailable',
        `another run is changing ${tenant}`,
        { system: tenant, reason: 'locked' },
        'wait until it has ended',
      )
    }
    await sleep(STEP_MS)
  }
}

function isBusy(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && String(error.code).startsWith('SQLITE_BUSY')
}
