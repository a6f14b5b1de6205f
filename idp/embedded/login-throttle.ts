/** How often a password may be tried: a few wrong tries a minute for each user name, known or not. In memory only. */

export interface LoginThrottle {
  /** Counts a try before the password is looked at, so that parallel guesses count too; false when there were too many. */
  admit(username: string): boolean
  /** The password was right: its tries no longer count. */
  forgive(username: string): void
}

const TRIES = 5
const WINDOW_MS = 60_000

/** `now` in milliseconds, for tests. */
export function createLoginThrottle(now: () => number = Date.now): LoginThrottle {
  const tries = new Map<string, number[]>()
  const recent = (times: readonly number[]) => times.filter((time) => time > now() - WINDOW_MS)
  return {
    admit(username) {
      // Made-up user names must not fill the memory.
      for (const [name, times] of tries) if (recent(times).length === 0) tries.delete(name)
      const times = recent(tries.get(username) ?? [])
      if (times.length >= TRIES) return false
      tries.set(username, [...times, now()])
      return true
    },
    forgive: (username) => void tries.delete(username),
  }
}
