/** People of the embedded provider's directory: who they are and what they are in. How they log in is in `logins.ts`. */
import { sql } from 'kysely'
import type { PageWish } from './groups.js'
import { hashPassword } from './passwords.js'
import type { PersonRow, Store } from './store.js'

/** Someone who may log in. */
export interface Person {
  readonly username: string
  /** For tokens: given and family name, else the display name of a seeded person, else the user name. */
  readonly name: string
  readonly email?: string
  readonly given_name?: string
  readonly family_name?: string
  readonly enabled: boolean
  /** Paths, in order. */
  readonly groups: readonly string[]
  /** The profile that created them or took them over; null for seeded people. */
  readonly owner: string | null
}
type Fields = Partial<Omit<Person, 'username' | 'name'>>

export interface People {
  /** In the order of their user names; one more than `limit` when there are more. */
  list(page: PageWish): Promise<Person[]>
  person(username: string): Promise<Person | undefined>
  /** With a temporary password. */
  create(person: Fields & { readonly username: string }, password: string): Promise<'created' | 'taken' | 'no_group'>
  /** Sets the given fields; `groups` are exact then. The person as they are then. */
  change(username: string, fields: Fields): Promise<Person | 'no_person' | 'no_group'>
  /** Removes the person with their sessions, grants and tokens: the next one of that name starts anew. False when there is none. */
  remove(username: string): Promise<boolean>
}

const COLUMNS = ['username', 'name', 'email', 'given_name', 'family_name', 'enabled', 'owner'] as const
type Row = Pick<PersonRow, (typeof COLUMNS)[number]>

export function createPeople(store: Store): People {
  async function withGroups(rows: readonly Row[]): Promise<Person[]> {
    const memberships = await store
      .selectFrom('memberships')
      .select(['username', 'group_name'])
      .where(
        'username',
        'in',
        rows.map(({ username }) => username),
      )
      .orderBy('group_name')
      .execute()
    const groups = new Map<string, string[]>(rows.map(({ username }) => [username, []]))
    for (const { username, group_name } of memberships) groups.get(username)?.push(group_name)
    return rows.map((row) => personOf(row, groups.get(row.username) ?? []))
  }

  async function person(username: string): Promise<Person | undefined> {
    const row = await store.selectFrom('people').select(COLUMNS).where('username', '=', username).executeTakeFirst()
    return row && (await withGroups([row]))[0]
  }

  return {
    person,
    async list({ after, limit }) {
      const rows = store.selectFrom('people').select(COLUMNS).where('username', '>', after).orderBy('username')
      return withGroups(await rows.limit(limit + 1).execute())
    },
    async create({ username, groups = [], ...fields }, password) {
      const hashed = await hashPassword(password)
      return store.transaction().execute(async (trx) => {
        const row = { username, name: '', email: '', ...columnsOf(fields), temporary: 1, ...hashed }
        if (!(await areThere(trx, groups))) return 'no_group'
        const { numInsertedOrUpdatedRows } = await trx
          .insertInto('people')
          .values({ given_name: null, family_name: null, owner: null, enabled: 1, ...row })
          .onConflict((conflict) => conflict.doNothing())
          .executeTakeFirstOrThrow()
        if (numInsertedOrUpdatedRows !== 1n) return 'taken'
        await join(trx, username, groups)
        return 'created'
      })
    },
    async change(username, { groups, ...fields }) {
      const outcome = await store.transaction().execute(async (trx) => {
        const there = await trx.selectFrom('people').select('username').where('username', '=', username).executeTakeFirst()
        if (there === undefined) return 'no_person'
        if (groups && !(await areThere(trx, groups))) return 'no_group'
        const columns = columnsOf(fields)
        // An update that sets nothing is no SQL.
        if (Object.keys(columns).length > 0) await trx.updateTable('people').set(columns).where('username', '=', username).execute()
        if (groups) {
          await trx.deleteFrom('memberships').where('username', '=', username).execute()
          await join(trx, username, groups)
        }
        return undefined
      })
      return outcome ?? (await person(username)) ?? 'no_person'
    },
    remove: (username) =>
      store.transaction().execute(async (trx) => {
        await trx.deleteFrom('objects').where(sql`json_extract(payload, '$.accountId')`, '=', username).execute()
        const { numDeletedRows } = await trx.deleteFrom('people').where('username', '=', username).executeTakeFirstOrThrow()
        return numDeletedRows > 0n
      }),
  }
}

function personOf({ username, name, email, given_name, family_name, enabled, owner }: Row, groups: readonly string[]): Person {
  const given = [given_name, family_name].filter((one) => one !== null).join(' ')
  return {
    username,
    name: given || name || username,
    ...(email === '' ? {} : { email }),
    ...(given_name === null ? {} : { given_name }),
    ...(family_name === null ? {} : { family_name }),
    enabled: enabled === 1,
    groups,
    owner,
  }
}

function columnsOf({ enabled, ...fields }: Omit<Fields, 'groups'>): Partial<Row> {
  return { ...fields, ...(enabled === undefined ? {} : { enabled: enabled ? 1 : 0 }) }
}

async function areThere(store: Store, groups: readonly string[]): Promise<boolean> {
  const wanted = [...new Set(groups)]
  const found = await store.selectFrom('groups').select('name').where('name', 'in', wanted).execute()
  return found.length === wanted.length
}

async function join(store: Store, username: string, groups: readonly string[]): Promise<void> {
  const rows = [...new Set(groups)].map((group_name) => ({ username, group_name }))
  if (rows.length > 0) await store.insertInto('memberships').values(rows).execute()
}
