/** What becomes of each identity of a batch, as it is told while it happens. Loads nothing. */

/** Requests at once to one issuer, at most. */
export const MOST_CONCURRENCY = 64

interface Named {
  readonly identity_name: string
  readonly issuer: string
}
interface Saved {
  readonly saved_to: string
  /** RFC 3339, UTC. */
  readonly expires_at: string
}

/** Told when it changes: `due` waits for its turn, `kept` was fresh already. */
export type IdentityState =
  | (Named & { readonly state: 'due' | 'minting' })
  | (Named & Saved & { readonly state: 'kept' | 'minted' })
  | (Named & { readonly state: 'failed'; readonly code: string; readonly cause: string; readonly hint?: string })

/** One line for people: `minted reporter (https://idp.example.com), expires 2026-11-21T10:00:00.000Z`. */
export function identityText(state: IdentityState): string {
  const { identity_name, issuer } = state
  const head = `${state.state} ${identity_name} (${issuer})`
  if (state.state === 'failed') return `${head}: ${state.code}, ${state.cause}${state.hint === undefined ? '' : `; next: ${state.hint}`}`
  return state.state === 'kept' || state.state === 'minted' ? `${head}, expires ${state.expires_at}` : head
}
