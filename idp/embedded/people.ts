/** The directory of the embedded provider: groups, people and who is in what. Passwords are kept as scrypt hashes. */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { readPasswords, savePasswords } from './kept-files.js'
import type { Store } from './store.js'

/** Someone who can log in. */
export interface Person {
  readonly username: string
  readonly name: string
  readonly email: string
  readonly groups: readonly string[]
}

export interface Group {
  readonly name: string
  /** The profile that created it; null for seeded ones. */
  readonly owner: string | null
}

export interface Directory {
  groups(): Promise<Group[]>
  /** False when the name is taken. */
  createGroup(group: Group): Promise<boolean>
  /** Removes the group and its memberships; false when there is none. */
  removeGroup(name: string): Promise<boolean>
  person(username: string): Promise<Person | undefined>
  /** Takes as long for an unknown user name as for a wrong password. */
  isPassword(username: string, password: string): Promise<boolean>
  /**
   * Adds what is missing and leaves the rest as it is. A new person gets a random password in `passwordFile` (0600), which
   * is written before the hash, so that a cut-off start is mended by the next one.
   */
  seed(seed: { groups: readonly string[]; people: readonly Person[] }, passwordFile: string): Promise<void>
}

const HASH_BYTES = 32
const hashed = promisify<string, Buffer, number, Buffer>(scrypt)

export function createDirectory(store: Store): Directory {
  const decoy = { salt: randomBytes(16).toString('base64url'), hash: randomBytes(HASH_BYTES).toString('base64url') }

  async function addPerson({ username, name, email, groups }: Person, password: string): Promise<void> {
    const salt = randomBytes(16)
    const hash = await hashed(password, salt, HASH_BYTES)
    const secret = { salt: salt.toString('base64url'), hash: hash.toString('base64url') }
    await store.transaction().execute(async (trx) => {
      await trx
        .insertInto('people')
        .values({ username, name, email, ...secret })
        .onConflict((conflict) => conflict.column('username').doUpdateSet(secret))
        .execute()
      for (const group_name of groups) {
        await trx
          .insertInto('groups')
          .values({ name: group_name, owner: null })
          .onConflict((conflict) => conflict.doNothing())
          .execute()
        await trx
          .insertInto('memberships')
          .values({ username, group_name })
          .onConflict((conflict) => conflict.doNothing())
          .execute()
      }
    })
  }

  return {
    async groups() {
      const rows = await store.selectFrom('groups').select(['name', 'owner']).orderBy('name').execute()
      return rows.map(({ name, owner }) => ({ name, owner }))
    },
    async createGroup(group) {
      const { numInsertedOrUpdatedRows } = await store
        .insertInto('groups')
        .values(group)
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirstOrThrow()
      return numInsertedOrUpdatedRows === 1n
    },
    async removeGroup(name) {
      const { numDeletedRows } = await store.deleteFrom('groups').where('name', '=', name).executeTakeFirstOrThrow()
      return numDeletedRows > 0n
    },
    async person(username) {
      const row = await store.selectFrom('people').select(['username', 'name', 'email']).where('username', '=', username).executeTakeFirst()
      if (row === undefined) return undefined
      const memberships = await store
        .selectFrom('memberships')
        .select('group_name')
        .where('username', '=', username)
        .orderBy('group_name')
        .execute()
      return { username: row.username, name: row.name, email: row.email, groups: memberships.map(({ group_name }) => group_name) }
    },
    async isPassword(username, password) {
      const row = await store.selectFrom('people').select(['salt', 'hash']).where('username', '=', username).executeTakeFirst()
      const { salt, hash } = row ?? decoy
      const given = await hashed(password, Buffer.from(salt, 'base64url'), HASH_BYTES)
      return timingSafeEqual(given, Buffer.from(hash, 'base64url')) && row !== undefined
    },
    async seed({ groups, people }, passwordFile) {
      for (const name of groups) {
        await store
          .insertInto('groups')
          .values({ name, owner: null })
          .onConflict((conflict) => conflict.doNothing())
          .execute()
      }
      const saved = await readPasswords(passwordFile)
      const fresh = people
        .filter(({ username }) => saved[username] === undefined)
        .map(({ username }) => [username, randomBytes(15).toString('base64url')])
      const passwords: Record<string, string> = { ...saved, ...Object.fromEntries(fresh) }
      if (fresh.length > 0) await savePasswords(passwordFile, passwords)
      const known = new Set((await store.selectFrom('people').select('username').execute()).map(({ username }) => username))
      for (const person of people) {
        const isNew = saved[person.username] === undefined || !known.has(person.username)
        if (isNew) await addPerson(person, passwords[person.username] ?? '')
      }
    },
  }
}
