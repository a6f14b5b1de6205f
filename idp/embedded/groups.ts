/** Groups of the embedded provider's directory. A nested one is named by its path, and goes away with what it is inside of. */
import type { Store } from './store.js'

export interface Group {
  /** Path without a leading slash: `engineering/platform`. */
  readonly name: string
  readonly description: string | null
  /** The profile that created it or took it over; null for seeded ones. */
  readonly owner: string | null
}

/** Where a page begins (after this key) and how many it holds. */
export interface PageWish {
  readonly after: string
  readonly limit: number
}

export interface Groups {
  /** In the order of their paths, byte by byte; one more than `limit` when there are more. */
  list(page: PageWish): Promise<Group[]>
  create(group: Group): Promise<'created' | 'taken' | 'no_parent'>
  /** The group as it is then; undefined when there is none. */
  change(name: string, fields: Partial<Pick<Group, 'description' | 'owner'>>): Promise<Group | undefined>
  /** Removes the group, those inside and every membership of them; false when there is none. */
  remove(name: string): Promise<boolean>
}

const COLUMNS = ['name', 'description', 'owner'] as const

export function createGroups(store: Store): Groups {
  return {
    list: ({ after, limit }) =>
      store
        .selectFrom('groups')
        .select(COLUMNS)
        .where('name', '>', after)
        .orderBy('name')
        .limit(limit + 1)
        .execute(),
    create: (group) =>
      store.transaction().execute(async (trx) => {
        const parent = parentOf(group.name)
        const isThere = async (name: string) =>
          (await trx.selectFrom('groups').select('name').where('name', '=', name).executeTakeFirst()) !== undefined
        if (await isThere(group.name)) return 'taken'
        if (parent !== undefined && !(await isThere(parent))) return 'no_parent'
        await trx.insertInto('groups').values(group).execute()
        return 'created'
      }),
    async change(name, fields) {
      // An update that sets nothing is no SQL.
      if (Object.keys(fields).length > 0) await store.updateTable('groups').set(fields).where('name', '=', name).execute()
      return store.selectFrom('groups').select(COLUMNS).where('name', '=', name).executeTakeFirst()
    },
    async remove(name) {
      const { numDeletedRows } = await store
        .deleteFrom('groups')
        // `0` follows `/`, so this is everything that begins with the path and a slash; LIKE would fold case.
        .where(({ eb, and, or }) => or([eb('name', '=', name), and([eb('name', '>', `${name}/`), eb('name', '<', `${name}0`)])]))
        .executeTakeFirstOrThrow()
      return numDeletedRows > 0n
    },
  }
}

/** The path of the group that this one is inside of; undefined at the top. */
function parentOf(name: string): string | undefined {
  const end = name.lastIndexOf('/')
  return end === -1 ? undefined : name.slice(0, end)
}

/** The name that tokens carry: the last part of the path, as Keycloak's mapper writes it without full paths. */
export function nameInToken(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}
