/**
 * A tenant in memory with a reconciler for every kind: it issues ids like a vendor, keeps foreign fields, refuses to
 * write while the latch is shut, as the HTTP door does, and writes every call to a timeline.
 */
import { ToolkitError } from '../../core/errors.js'
import type { WriteLatch } from '../../core/http.js'
import type { Observed, Reconciler, Reconcilers } from '../../core/plan.js'
import type { Kind, Resources } from '../../core/resources.js'
import { Secret } from '../../core/secret.js'
import { type Timeline, timeline } from './timeline.js'

export interface MemoryTenantOptions {
  readonly latch: WriteLatch
  readonly line?: Timeline
  /** Who makes client ids and secrets; `chosen` by us unless said otherwise. */
  readonly ids?: 'chosen' | 'issued'
  readonly secrets?: 'chosen' | 'issued'
  /** Whether the secret of an existing client can be read. */
  readonly showsSecrets?: boolean
}

interface Stored<K extends Kind = Kind> {
  id: string
  key: string
  owner: Observed['owner']
  spec: Resources[K]
  secret?: string
}

export interface MemoryTenant {
  readonly line: Timeline
  readonly reconcilers: Reconcilers
  /** Steps of the timeline that change the tenant. */
  writes(): string[]
  /** Every object of a kind, as stored. */
  all(kind: Kind): readonly Stored[]
  /** Puts an object there behind everybody's back. */
  plant<K extends Kind>(kind: K, spec: Resources[K], owner?: Observed['owner'], secret?: string): void
  /** Changes fields behind everybody's back. */
  meddle(kind: Kind, key: string, fields: object): void
  /** Removes an object behind everybody's back. */
  lose(kind: Kind, key: string): void
  /** Makes the secret check of rights fail for a kind. */
  forbid(kind: Kind): void
  /** Largest number of writes that were under way at once. */
  readonly mostAtOnce: number
}

const WRITES = /^(?:create|update|remove) /

/** An empty tenant. */
export function memoryTenant(options: MemoryTenantOptions): MemoryTenant {
  const { latch, ids = 'chosen', secrets = 'chosen', showsSecrets = true } = options
  const line = options.line ?? timeline()
  const store = new Map<Kind, Stored[]>()
  const forbidden = new Set<Kind>()
  let count = 0
  let atOnce = 0
  let mostAtOnce = 0
  const rows = (kind: Kind): Stored[] => {
    const found = store.get(kind) ?? []
    store.set(kind, found)
    return found
  }
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

  const reconciler = <K extends Kind>(kind: K): Reconciler<K> => {
    const isClient = kind === 'public-client' || kind === 'machine-client'
    return {
      observe: (keys) =>
        line.during(`observe ${kind} ${[...keys].sort().join(' ')}`, () => {
          const found = new Map<string, Observed<K>>()
          for (const { key, id, owner, spec } of rows(kind) as Stored<K>[]) {
            if (!keys.includes(key)) continue
            if (found.has(key)) throw new ToolkitError('ambiguous', `two of ${key}`, { kind, key, matches: [id] })
            found.set(key, { id, owner, spec: structuredClone(spec) })
          }
          return found
        }),
      create: (spec, chosen) =>
        write(`create ${kind} ${keyOf(kind, spec, ids)}`, () => {
          const key = keyOf(kind, spec, ids)
          if (rows(kind).some((one) => one.key === key)) throw new ToolkitError('conflict', `${key} is taken`, { kind, key })
          const id = `vendor-${++count}`
          const issuedId = isClient && ids === 'issued' ? { client_id: `issued-${count}` } : {}
          const secret = kind !== 'machine-client' ? undefined : secrets === 'issued' ? `secret-of-vendor-${count}` : chosen?.reveal()
          rows(kind).push({
            id,
            key,
            owner: 'us',
            spec: { ...structuredClone(spec), ...issuedId },
            ...(secret === undefined ? {} : { secret }),
          })
          return {
            spec: issuedId as Partial<Resources[K]>,
            ...(secrets === 'issued' && secret !== undefined ? { secret: new Secret(secret) } : {}),
          }
        }),
      update: (current, fields) =>
        write(`update ${kind} ${keyById(rows(kind), current.id)} ${Object.keys(fields).sort().join(' ')}`, () => {
          const row = rows(kind).find(({ id }) => id === current.id)
          if (row) Object.assign(row.spec, structuredClone(fields))
        }),
      remove: (current) =>
        write(`remove ${kind} ${keyById(rows(kind), current.id)}`, () => {
          const index = rows(kind).findIndex(({ id }) => id === current.id)
          if (index >= 0) rows(kind).splice(index, 1)
        }),
      checkWrite: async () => {
        if (forbidden.has(kind)) throw new ToolkitError('forbidden', `no right to write ${kind}`, { system: 'memory', needs: [kind] })
      },
      ...(kind === 'machine-client'
        ? {
            secret: secrets,
            ...(showsSecrets
              ? {
                  readSecret: (current: Observed<K>) =>
                    line.during(`read secret ${keyById(rows(kind), current.id)}`, () => {
                      const secret = rows(kind).find(({ id }) => id === current.id)?.secret
                      return secret === undefined ? undefined : new Secret(secret)
                    }),
                }
              : {}),
          }
        : {}),
    }
  }

  const row = (kind: Kind, key: string): Stored => {
    const found = rows(kind).find((one) => one.key === key)
    if (!found) throw new Error(`the test expects ${kind} ${key} to be there`)
    return found
  }
  return {
    line,
    reconcilers: {
      group: reconciler('group'),
      'public-client': reconciler('public-client'),
      'machine-client': reconciler('machine-client'),
      'm2m-record': reconciler('m2m-record'),
      'server-record': reconciler('server-record'),
    },
    writes: () => line.steps.filter((step) => WRITES.test(step)),
    all: (kind) => rows(kind),
    plant: (kind, spec, owner = 'us', secret) => {
      rows(kind).push({ id: `planted-${++count}`, key: keyOf(kind, spec, ids), owner, spec, ...(secret === undefined ? {} : { secret }) })
    },
    meddle: (kind, key, fields) => {
      Object.assign(row(kind, key).spec, fields)
    },
    lose: (kind, key) => {
      rows(kind).splice(rows(kind).indexOf(row(kind, key)), 1)
    },
    forbid: (kind) => {
      forbidden.add(kind)
    },
    get mostAtOnce() {
      return mostAtOnce
    },
  }
}

function keyById(rows: readonly Stored[], wantedId: string): string {
  return rows.find(({ id }) => id === wantedId)?.key ?? wantedId
}

/** The natural key of a spec, as the recipes choose it. */
function keyOf<K extends Kind>(kind: K, spec: Resources[K], ids: 'chosen' | 'issued'): string {
  const { name, client_id, client_name, path } = spec as { name?: string; client_id?: string; client_name?: string; path?: string }
  const text =
    kind === 'group' ? name : kind === 'server-record' ? path : kind === 'm2m-record' || ids === 'chosen' ? client_id : client_name
  if (typeof text !== 'string') throw new Error(`a ${kind} was written whose key is not known: a reference was left unresolved`)
  return text
}
