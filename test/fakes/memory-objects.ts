/** What a tenant in memory holds, and what any server sees to: ids, groups inside groups, members that leave with their group. */
import { ToolkitError } from '../../core/errors.js'
import type { Observed } from '../../core/plan.js'
import type { Kind, Resources } from '../../core/resources.js'

export interface Stored<K extends Kind = Kind> {
  readonly id: string
  readonly key: string
  owner: Observed['owner']
  spec: Resources[K]
  secret?: string
}

export interface MemoryObjects {
  /** Every object of a kind, in the order of their making. */
  rows<K extends Kind>(kind: K): Stored<K>[]
  /** Adds an object, even a second one of the same key. */
  add<K extends Kind>(kind: K, row: Omit<Stored<K>, 'key' | 'id'>): Stored<K>
  /** @throws not_found */
  byId<K extends Kind>(kind: K, id: string): Stored<K>
  /** A group takes what is inside of it along, and everybody leaves it. */
  remove(kind: Kind, id: string): void
  /** Keys of the groups inside a group, at any depth. */
  inside(path: string): string[]
  keyOf<K extends Kind>(kind: K, spec: Resources[K]): string
}

/** Nothing. Client ids are the natural keys of clients where we choose them, names where they are issued. */
export function memoryObjects(ids: 'chosen' | 'issued'): MemoryObjects {
  const store: { [K in Kind]?: Stored<K>[] } = {}
  let count = 0
  const rows = <K extends Kind>(kind: K): Stored<K>[] => {
    const found = (store[kind] ?? []) as Stored<K>[]
    Object.assign(store, { [kind]: found })
    return found
  }
  const inside = (path: string) => rows('group').flatMap(({ key }) => (key.startsWith(`${path}/`) ? [key] : []))
  const keyOf = <K extends Kind>(kind: K, spec: Resources[K]) => naturalKey(kind, spec, ids)
  const drop = (kind: Kind, key: string) => {
    const all: Stored[] = rows(kind)
    all.splice(
      all.findIndex((one) => one.key === key),
      1,
    )
  }
  const leave = (path: string) => {
    for (const { spec } of [...rows('user'), ...rows('machine-client')]) {
      if (spec.groups) spec.groups = spec.groups.filter((one) => one !== path)
    }
  }
  return {
    rows,
    inside,
    keyOf,
    add(kind, { spec, owner, secret }) {
      const id = `vendor-${++count}`
      const isClient = kind.endsWith('-client')
      const issued = isClient && ids === 'issued' && !('client_id' in spec) ? { client_id: `issued-${count}` } : {}
      const kept = secret === undefined ? {} : { secret }
      const row = { id, key: keyOf(kind, spec), owner, spec: { ...structuredClone(spec), ...issued }, ...kept }
      rows(kind).push(row)
      return row
    },
    byId(kind, id) {
      const row = rows(kind).find((one) => one.id === id)
      if (row) return row
      throw new ToolkitError('not_found', `${kind} ${id} is gone`, { kind, key: id })
    },
    remove(kind, id) {
      const row: Stored = this.byId(kind, id)
      if (kind === 'group') {
        for (const path of inside(row.key)) {
          drop('group', path)
          leave(path)
        }
        leave(row.key)
      }
      drop(kind, row.key)
    },
  }
}

/** The natural key of a spec, as the recipes choose it. */
function naturalKey<K extends Kind>(kind: K, spec: Resources[K], ids: 'chosen' | 'issued'): string {
  const known = spec as { [field in 'name' | 'username' | 'path' | 'client_id' | 'client_name']?: unknown }
  const text = known[keyField(kind, ids)]
  if (typeof text !== 'string') throw new Error(`a ${kind} was written whose key is not known: a reference was left unresolved`)
  return text
}

function keyField(kind: Kind, ids: 'chosen' | 'issued') {
  if (kind === 'tenant' || kind === 'group') return 'name'
  if (kind === 'user') return 'username'
  if (kind === 'server-record' || kind === 'registry-environment') return 'path'
  return kind === 'm2m-record' || ids === 'chosen' ? 'client_id' : 'client_name'
}
