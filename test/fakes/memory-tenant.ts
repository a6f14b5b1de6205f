/**
 * The reference tenant, in memory, with a reconciler for every kind: it issues ids like a vendor, keeps foreign fields,
 * refuses to write while the latch is shut, as the HTTP door does, and writes every request to a timeline.
 */
import { ToolkitError } from '../../core/errors.js'
import type { WriteLatch } from '../../core/http.js'
import type { Observed, Reconcilers } from '../../core/plan.js'
import { type Kind, ORDER, type Resources } from '../../core/resources.js'
import { type HeldRights, RIGHTS, type Right } from '../../core/rights.js'
import { memoryObjects, type Stored } from './memory-objects.js'
import { memoryReconciler } from './memory-reconciler.js'
import { type Timeline, timeline } from './timeline.js'

export interface MemoryTenantOptions {
  readonly latch: WriteLatch
  readonly line?: Timeline
  /** Who makes client ids and secrets; `chosen` by us unless said otherwise. */
  readonly ids?: 'chosen' | 'issued'
  readonly secrets?: 'chosen' | 'issued'
  /** Whether the secret of an existing client can be read. */
  readonly showsSecrets?: boolean
  /** Objects a page of a list; the further pages of `observe group a b` are the steps `observe group page 2` and so on. */
  readonly page?: number
}

export interface MemoryTenant {
  readonly line: Timeline
  readonly reconcilers: Reconcilers
  rights(): Promise<HeldRights>
  /** Steps of the timeline that change an object; memberships, a request each, are left out. */
  writes(): string[]
  /** Every object of a kind, as stored. */
  all<K extends Kind>(kind: K): readonly Stored<K>[]
  /** Puts an object there behind everybody's back. */
  plant<K extends Kind>(kind: K, spec: Resources[K], owner?: Observed['owner'], secret?: string): void
  /** Changes fields behind everybody's back. */
  meddle(kind: Kind, key: string, fields: object): void
  /** Gives an object another owner, or another secret, behind everybody's back. */
  disown(kind: Kind, key: string, owner: Observed['owner']): void
  reset(kind: Kind, key: string, secret: string): void
  /** Removes an object behind everybody's back. */
  lose(kind: Kind, key: string): void
  /** Takes a right away from our credential. */
  withhold(right: Right): void
  /** Largest number of writes that were under way at once. */
  readonly mostAtOnce: number
}

const WRITES = /^(?:create|update|remove|set_secret) /

/** An empty tenant. */
export function memoryTenant(options: MemoryTenantOptions): MemoryTenant {
  const { latch, ids = 'chosen', secrets = 'chosen', showsSecrets = true, page = 100 } = options
  const line = options.line ?? timeline()
  const objects = memoryObjects(ids)
  const withheld = new Set<Right>()
  let atOnce = 0
  let mostAtOnce = 0
  const write = async <T>(name: string, work: () => T): Promise<T> => {
    if (!latch.isOpen) throw new ToolkitError('internal', `${name} while only reading is allowed`, { where: 'memory tenant' })
    mostAtOnce = Math.max(mostAtOnce, ++atOnce)
    try {
      return await line.during(name, async () => {
        // A turn of the event loop, so that writes overlap as requests do.
        await new Promise((resolve) => setImmediate(resolve))
        return work()
      })
    } finally {
      atOnce--
    }
  }
  const row = (kind: Kind, key: string): Stored => {
    const found = objects.rows(kind).find((one) => one.key === key)
    if (!found) throw new Error(`the test expects ${kind} ${key} to be there`)
    return found
  }
  const server = { objects, line, secrets, showsSecrets, page, withheld, write }
  return {
    line,
    reconcilers: Object.fromEntries(ORDER.map((kind) => [kind, memoryReconciler(kind, server)])),
    async rights() {
      const names = Object.keys(RIGHTS) as Right[]
      return Object.fromEntries(names.map((right) => [right, withheld.has(right) ? 'no' : 'yes'])) as HeldRights
    },
    writes: () => line.steps.filter((step) => WRITES.test(step)),
    all: (kind) => objects.rows(kind),
    plant(kind, spec, owner = 'us', secret) {
      objects.add(kind, { spec, owner, ...(secret === undefined ? {} : { secret }) })
    },
    meddle(kind, key, fields) {
      Object.assign(row(kind, key).spec, fields)
    },
    disown(kind, key, owner) {
      row(kind, key).owner = owner
    },
    reset(kind, key, secret) {
      row(kind, key).secret = secret
    },
    lose(kind, key) {
      objects.remove(kind, row(kind, key).id)
    },
    withhold(right) {
      withheld.add(right)
    },
    get mostAtOnce() {
      return mostAtOnce
    },
  }
}
