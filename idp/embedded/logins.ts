/** How a person logs in: with the password, or with a temporary one that must be changed first. */
import { decoyPassword, hashPassword, isPassword } from './passwords.js'
import type { Store } from './store.js'

/** `temporary`: the password was right and opens nothing yet; the ticket is good for changing it. */
export type LoginOutcome = { readonly is: 'wrong' } | { readonly is: 'right' } | { readonly is: 'temporary'; readonly ticket: string }

export interface Logins {
  /** Takes as long for an unknown or disabled person as for a wrong password, and answers the same. */
  check(username: string, password: string): Promise<LoginOutcome>
  /** Names this very temporary password; undefined when the person has none, or is disabled. */
  ticket(username: string): Promise<string | undefined>
  /** Replaces the temporary password that the ticket names; `same` for the old one, `over` when there is no such one any more. */
  replaceTemporary(username: string, ticket: string, password: string): Promise<'replaced' | 'same' | 'over'>
}

export function createLogins(store: Store): Logins {
  const decoy = decoyPassword()
  const temporary = (username: string) =>
    store
      .selectFrom('people')
      .select(['salt', 'hash'])
      .where('username', '=', username)
      .where('temporary', '=', 1)
      .where('enabled', '=', 1)
      .executeTakeFirst()

  return {
    async check(username, password) {
      const columns = ['salt', 'hash', 'enabled', 'temporary'] as const
      const row = await store.selectFrom('people').select(columns).where('username', '=', username).executeTakeFirst()
      const isRight = await isPassword(password, row ?? decoy)
      if (!isRight || row?.enabled !== 1) return { is: 'wrong' }
      return row.temporary === 1 ? { is: 'temporary', ticket: row.salt } : { is: 'right' }
    },
    // Every password has a salt of its own, so it tells one from the next.
    ticket: async (username) => (await temporary(username))?.salt,
    async replaceTemporary(username, ticket, password) {
      const row = await temporary(username)
      if (row?.salt !== ticket) return 'over'
      if (await isPassword(password, row)) return 'same'
      const { numUpdatedRows } = await store
        .updateTable('people')
        .set({ ...(await hashPassword(password)), temporary: 0 })
        .where('username', '=', username)
        .where('salt', '=', ticket)
        .where('enabled', '=', 1)
        .executeTakeFirstOrThrow()
      return numUpdatedRows === 1n ? 'replaced' : 'over'
    },
  }
}
