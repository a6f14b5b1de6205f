/**
 * One kind of a tenant in memory, as an adapter would offer it: lists in pages, an object in one request and each of its
 * memberships in one of its own, every request a step of the timeline.
 */
import { ToolkitError } from '../../core/errors.js'
import type { Observed, Reconciler } from '../../core/plan.js'
import type { Kind, Resources } from '../../core/resources.js'
import type { Right } from '../../core/rights.js'
import { Secret } from '../../core/secret.js'
import type { MemoryObjects, Stored } from './memory-objects.js'
import type { Timeline } from './timeline.js'

/** The server behind all reconcilers of one tenant. */
export interface MemoryServer {
  readonly objects: MemoryObjects
  readonly line: Timeline
  readonly secrets: 'chosen' | 'issued'
  readonly showsSecrets: boolean
  /** Objects a page of a list. */
  readonly page: number
  readonly withheld: ReadonlySet<Right>
  /** One request that changes something. */
  write<T>(name: string, work: () => T): Promise<T>
}

const RIGHTS: { readonly [K in Kind]?: { readonly read: Right; readonly write: Right } } = {
  tenant: { read: 'tenant:read', write: 'tenant:write' },
  group: { read: 'groups:read', write: 'groups:write' },
  user: { read: 'users:read', write: 'users:write' },
  'public-client': { read: 'clients:read', write: 'clients:write' },
  'web-client': { read: 'clients:read', write: 'clients:write' },
  'machine-client': { read: 'clients:read', write: 'clients:write' },
}

type Fields = { groups?: readonly string[] }

export function memoryReconciler<K extends Kind>(kind: K, server: MemoryServer): Reconciler<K> {
  const { objects, line, write } = server
  const hasSecret = kind === 'web-client' || kind === 'machine-client'
  const keyById = (id: string) => (objects.rows(kind) as Stored[]).find((one) => one.id === id)?.key ?? id
  const need = (what: 'read' | 'write') => {
    const right = RIGHTS[kind]?.[what]
    if (right !== undefined && server.withheld.has(right)) {
      throw new ToolkitError('forbidden', `no right to ${what} ${kind}`, { system: 'memory', needs: [right] })
    }
  }

  async function list(name: string): Promise<Stored<K>[]> {
    const found: Stored<K>[] = []
    for (let first = 0; ; first += server.page) {
      const step = first === 0 ? name : `${name.split(' ', 2).join(' ')} page ${first / server.page + 1}`
      found.push(...(await line.during(step, () => objects.rows(kind).slice(first, first + server.page))))
      if (objects.rows(kind).length <= first + server.page) return found
    }
  }

  function observed({ id, key, owner, spec, secret }: Stored<K>): Observed<K> {
    const holds = kind === 'group' ? objects.inside(key) : []
    const isShown = hasSecret && server.showsSecrets && secret !== undefined
    return {
      id,
      owner,
      spec: structuredClone(spec),
      ...(isShown ? { secret: new Secret(secret) } : {}),
      ...(holds.length > 0 ? { holds } : {}),
    }
  }

  function refuseMissingGroups(groups: readonly string[]): void {
    const names = objects.rows('group').map(({ key }) => key)
    const missing = groups.find((one) => !names.includes(one))
    if (missing !== undefined) throw new ToolkitError('not_found', `no group ${missing}`, { kind: 'group', key: missing })
  }

  /** Additions first, one request each. */
  async function join(row: Stored<K>, groups: readonly string[]): Promise<void> {
    const fields = row.spec as Fields
    const current = fields.groups ?? []
    fields.groups = current
    for (const one of groups.filter((name) => !current.includes(name))) {
      await write(`join ${kind} ${row.key} ${one}`, () => {
        fields.groups = [...(fields.groups ?? []), one]
      })
    }
    for (const one of current.filter((name) => !groups.includes(name))) {
      await write(`leave ${kind} ${row.key} ${one}`, () => {
        fields.groups = (fields.groups ?? []).filter((name) => name !== one)
      })
    }
  }

  const isMember = kind === 'user' || kind === 'machine-client'
  const split = (spec: object): { groups: readonly string[] | undefined; rest: object } => {
    if (!isMember) return { groups: undefined, rest: spec }
    const { groups, ...rest } = spec as Fields
    return { groups, rest }
  }

  return {
    async observe(keys) {
      need('read')
      const found = new Map<string, Observed<K>>()
      for (const row of await list(`observe ${kind} ${[...keys].sort().join(' ')}`)) {
        if (!keys.includes(row.key)) continue
        const { key } = row
        if (found.has(key)) throw new ToolkitError('ambiguous', `two of ${key}`, { kind, key, matches: [row.id] })
        found.set(key, observed(row))
      }
      return found
    },
    async create(spec, chosen) {
      const key = objects.keyOf(kind, spec)
      const { groups, rest } = split(spec)
      const row = await write(`create ${kind} ${key}`, () => {
        need('write')
        refuseMissingGroups(groups ?? [])
        if (objects.rows(kind).some((one) => one.key === key)) throw new ToolkitError('conflict', `${key} is taken`, { kind, key })
        const parent = kind === 'group' && key.includes('/') ? [key.slice(0, key.lastIndexOf('/'))] : []
        refuseMissingGroups(parent)
        const added = objects.add(kind, { owner: 'us', spec: rest as Resources[K] })
        const secret = hasSecret && server.secrets === 'issued' ? `secret-of-${added.id}` : chosen?.reveal()
        return secret === undefined ? added : Object.assign(added, { secret })
      })
      if (groups) await join(row, groups)
      const { client_id } = row.spec as { client_id?: string }
      return {
        spec: (client_id === undefined ? {} : { client_id }) as Partial<Resources[K]>,
        ...(hasSecret && server.secrets === 'issued' && row.secret !== undefined ? { secret: new Secret(row.secret) } : {}),
      }
    },
    async update(current, fields) {
      const { groups, rest } = split(fields)
      const row = await write(`update ${kind} ${keyById(current.id)} ${Object.keys(fields).sort().join(' ')}`.trim(), () => {
        need('write')
        refuseMissingGroups(groups ?? [])
        const found = objects.byId(kind, current.id)
        Object.assign(found.spec, structuredClone(rest))
        if (found.owner === 'nobody') found.owner = 'us'
        return found
      })
      if (groups) await join(row, groups)
    },
    remove: (current) =>
      write(`remove ${kind} ${keyById(current.id)}`, () => {
        need('write')
        objects.remove(kind, current.id)
      }),
    owned: async () => (await list(`owned ${kind}`)).flatMap(({ key, owner }) => (owner === 'us' ? [key] : [])),
    checkWrite: async () => need('write'),
    ...(kind === 'user' ? { secret: 'initial' as const } : {}),
    ...(hasSecret ? { secret: server.secrets } : {}),
    ...(hasSecret && server.secrets === 'chosen'
      ? {
          setSecret: (current: Observed<K>, secret: Secret) =>
            write(`set_secret ${kind} ${keyById(current.id)}`, () => {
              need('write')
              objects.byId(kind, current.id).secret = secret.reveal()
            }),
        }
      : {}),
  }
}
