/**
 * Tokens kept fresh for as long as it runs: each is refreshed by its real expiry, a failed one again after growing pauses
 * while the old token stays, and identities are read anew when they change. Time and minting come from outside.
 */
import { isoOf, type TokenTimes } from './freshness.js'
import type { IdentityEntry } from './identities.js'
import type { IdentityState } from './identity-state.js'
import { requestOf } from './mint.js'
import { refreshTime, retryPause } from './refresh-times.js'

export interface Watching {
  /** All identities at first and whenever they have changed, else undefined. */
  readonly changed: () => Promise<readonly IdentityEntry[] | undefined>
  /** The token that is saved, if it is the one that the identity asks for. */
  readonly saved: (entry: IdentityEntry) => Promise<{ readonly times: TokenTimes; readonly saved_to: string } | undefined>
  /** Mints, whatever is saved; tells the end of each as it comes and never throws for one. */
  readonly mint: (entries: readonly IdentityEntry[], onState: (state: IdentityState) => void) => Promise<void>
  readonly onState: (state: IdentityState) => void
  /** Told which identities there are, at first and after each change. */
  readonly onIdentities: (names: readonly string[]) => void
  /** Seconds since the epoch. */
  readonly now: () => number
  /** Resolves after so many seconds, or at once when the watch is to end. */
  readonly wait: (seconds: number) => Promise<void>
  /** 0 up to 1. */
  readonly random: () => number
  readonly signal: AbortSignal
}

/** What is planned for an identity. */
interface Plan {
  entry: IdentityEntry
  /** Seconds since the epoch; undefined while it is being minted. */
  at: number | undefined
  failures: number
  /** What the plan was made for; its end in seconds since the epoch. */
  token?: { readonly expires_at: number; readonly saved_to: string }
}

/** The clock and the file are looked at so often, seconds. */
const LOOK = 1

/** Ends when the signal is given and what was under way has ended. @throws ToolkitError for identities that cannot be read at the beginning */
export async function watchTokens(watching: Watching): Promise<void> {
  const { signal, changed, now, wait } = watching
  const running = new Set<Promise<void>>()
  let plans = new Map<string, Plan>()
  while (!signal.aborted) {
    const entries = await changed()
    if (entries) {
      watching.onIdentities(entries.map(({ identity }) => identity.identity_name))
      plans = await plansOf(entries, plans, watching)
    }
    const due = [...plans.values()].filter(({ at }) => at !== undefined && at <= now())
    if (due.length > 0) {
      // Not awaited: an issuer that hangs must not hold up those whose time comes meanwhile.
      const run = refresh(due, watching).finally(() => running.delete(run))
      running.add(run)
    }
    await wait(LOOK)
  }
  await Promise.all(running)
}

/** The plans of identities that are as they were stay; the others are made from what is saved. */
async function plansOf(
  entries: readonly IdentityEntry[],
  before: ReadonlyMap<string, Plan>,
  watching: Watching,
): Promise<Map<string, Plan>> {
  const plans = new Map<string, Plan>()
  for (const entry of entries) {
    const { identity_name } = entry.identity
    const known = before.get(identity_name)
    if (known && sameIdentity(known.entry, entry)) {
      known.entry = entry
      // The secret may be another one now: a failed identity is tried at once.
      if (known.failures > 0 && known.at !== undefined) known.at = watching.now()
      plans.set(identity_name, known)
    } else {
      const plan = await planned({ entry, at: undefined, failures: 0 }, watching)
      plans.set(identity_name, plan)
      tellKept(plan, watching)
    }
  }
  return plans
}

function sameIdentity({ identity: a }: IdentityEntry, { identity: b }: IdentityEntry): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

/** By the token that is saved; at once when none is. */
async function planned(plan: Plan, { saved, now, random }: Watching): Promise<Plan> {
  const found = await saved(plan.entry).catch(() => undefined)
  plan.at = found === undefined ? now() : refreshTime(found.times, random())
  if (found) plan.token = { expires_at: found.times.expires_at, saved_to: found.saved_to }
  else delete plan.token
  return plan
}

/** A token that needs nothing now is told as it stands. */
function tellKept({ entry, at, token }: Plan, { onState, now }: Watching): void {
  if (token === undefined || at === undefined || at <= now()) return
  const { identity_name } = entry.identity
  onState({ state: 'kept', identity_name, issuer: requestOf(entry).issuer, saved_to: token.saved_to, expires_at: isoOf(token.expires_at) })
}

async function refresh(due: readonly Plan[], watching: Watching): Promise<void> {
  const { mint, onState, now, random, signal } = watching
  const plans = new Map(due.map((plan) => [plan.entry.identity.identity_name, plan]))
  const ends: Promise<unknown>[] = []
  const wanted: IdentityEntry[] = []
  for (const plan of due) plan.at = undefined
  for (const plan of due) {
    const before = plan.token?.expires_at
    await planned(plan, watching)
    const isLater = before !== undefined && plan.token !== undefined && plan.token.expires_at > before
    // Somebody else has refreshed it: there is another time for it.
    if (isLater) tellKept(plan, watching)
    else {
      plan.at = undefined
      wanted.push(plan.entry)
    }
  }
  if (wanted.length === 0) return
  await mint(wanted, (state) => {
    const plan = plans.get(state.identity_name)
    if (plan === undefined || (signal.aborted && state.state === 'failed')) return
    onState(state)
    if (state.state === 'failed') {
      plan.failures += 1
      plan.at = now() + retryPause(plan.failures, random())
    } else if (state.state === 'minted' || state.state === 'kept') {
      plan.failures = 0
      // A server that hands out what is nearly over would be asked in every second.
      const earliest = now() + retryPause(1, random())
      ends.push(
        planned(plan, watching).then((again) => {
          again.at = Math.max(again.at ?? 0, earliest)
        }),
      )
    }
  })
  await Promise.all(ends)
}
