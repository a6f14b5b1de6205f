/** What the provider is born with: demo groups, and people whose random passwords lie in one 0600 file. */
import { randomBytes } from 'node:crypto'
import { readPasswords, savePasswords } from './kept-files.js'
import { hashPassword } from './passwords.js'
import type { Store } from './store.js'

export interface SeededPerson {
  readonly username: string
  /** Display name, given and family name in one. */
  readonly name: string
  readonly email: string
  readonly groups: readonly string[]
}

export interface Seed {
  readonly groups: readonly string[]
  readonly people: readonly SeededPerson[]
}

/**
 * Adds what is missing and leaves the rest as it is. A new person gets a random password in `passwordFile` (0600), which
 * is written before the hash, so that a cut-off start is mended by the next one.
 */
export async function seedDirectory(store: Store, { groups, people }: Seed, passwordFile: string): Promise<void> {
  for (const name of groups) await addGroup(store, name)
  const saved = await readPasswords(passwordFile)
  const fresh = people
    .filter(({ username }) => saved[username] === undefined)
    .map(({ username }) => [username, randomBytes(15).toString('base64url')])
  const passwords: Record<string, string> = { ...saved, ...Object.fromEntries(fresh) }
  if (fresh.length > 0) await savePasswords(passwordFile, passwords)
  const known = new Set((await store.selectFrom('people').select('username').execute()).map(({ username }) => username))
  for (const person of people) {
    const isNew = saved[person.username] === undefined || !known.has(person.username)
    if (isNew) await addPerson(store, person, passwords[person.username] ?? '')
  }
}

async function addPerson(store: Store, { username, name, email, groups }: SeededPerson, password: string): Promise<void> {
  const secret = await hashPassword(password)
  const nothing = { given_name: null, family_name: null, owner: null }
  await store.transaction().execute(async (trx) => {
    await trx
      .insertInto('people')
      .values({ username, name, email, ...nothing, enabled: 1, temporary: 0, ...secret })
      .onConflict((conflict) => conflict.column('username').doUpdateSet(secret))
      .execute()
    for (const group_name of groups) {
      await addGroup(trx, group_name)
      await trx
        .insertInto('memberships')
        .values({ username, group_name })
        .onConflict((conflict) => conflict.doNothing())
        .execute()
    }
  })
}

async function addGroup(store: Store, name: string): Promise<void> {
  await store
    .insertInto('groups')
    .values({ name, owner: null, description: null })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}
