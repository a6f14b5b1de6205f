/** The table of identities: what a person sees of 5, 60 and 500 identities on a screen of any size. */
import { describe, expect, test } from 'vitest'
import { type IdentityRow, identitySummary, identityTable, withState } from '../../cli/identity-table.js'
import type { IdentityState } from '../../credentials-provider/identity-state.js'

const NOW = Date.parse('2026-01-01T00:00:00Z')
const issuer = 'https://idp.example.com/realms/customers'
const inMinutes = (minutes: number) => new Date(NOW + minutes * 60_000).toISOString()
const minted = (identity_name: string, minutes = 60): IdentityState => ({
  ...{ state: 'minted', identity_name, issuer, saved_to: `/tokens/${identity_name}.json`, expires_at: inMinutes(minutes) },
})
const failed = (identity_name: string): IdentityState => ({
  ...{ state: 'failed', identity_name, issuer, code: 'token_refused', cause: `${issuer} refused to issue a token: invalid_client` },
  hint: 'check the client id and the secret',
})
const waiting = (identity_name: string, state: 'due' | 'minting' = 'due'): IdentityState => ({ state, identity_name, issuer })

function rowsOf(states: readonly IdentityState[]): IdentityRow[] {
  const rows = new Map<string, IdentityRow>()
  for (const state of states) withState(rows, state)
  return [...rows.values()]
}
const table = (states: readonly IdentityState[], columns = 80, rows = 24) => identityTable(rowsOf(states), { columns, rows }, NOW)

describe('the table', () => {
  test('shows what failed with its reason and the next step, then what runs, what waits and what is done', () => {
    expect(table([minted('a'), waiting('b'), waiting('c', 'minting'), failed('d'), minted('e', 5)])).toEqual([
      'identity  issuer                            state    expiry',
      'd         idp.example.com/realms/customers  failed',
      '  refused to issue a token: invalid_client',
      '  next: check the client id and the secret',
      'c         idp.example.com/realms/customers  minting',
      'b         idp.example.com/realms/customers  waiting',
      'e         idp.example.com/realms/customers  minted   in 5 min',
      'a         idp.example.com/realms/customers  minted   in 60 min',
      '5 identities: 1 failed, 1 minting, 1 waiting, 2 minted',
    ])
  })

  test('is never wider than the screen and leaves its last line to the cursor, whatever is in it', () => {
    const long = (index: number) => `${index}-${'name-'.repeat(12)}`.slice(0, 64)
    let cases = 0
    for (const columns of [40, 80, 132])
      for (const rows of [6, 10, 24, 50])
        for (const count of [1, 5, 60, 500]) {
          const states = Array.from(
            { length: count },
            (_, index) => [minted, failed, waiting][index % 3]?.(long(index)) ?? waiting(long(index)),
          )
          const lines = table(states, columns, rows)
          expect(lines.length, `${columns}x${rows}, ${count}`).toBeLessThan(rows)
          expect(lines.filter((line) => line.length > columns)).toEqual([])
          expect(lines.at(-1)).toMatch(new RegExp(`^${count} identit`))
          cases += 1
        }
    expect(cases).toBe(48)
  })

  test('tells how many have no room', () => {
    const lines = table(Array.from({ length: 60 }, (_, index) => minted(`agent-${index}`)))
    expect(lines).toHaveLength(23)
    expect(lines.at(-2)).toBe('… and 40 more')
    expect(lines.at(-1)).toBe('60 identities: 60 minted')
  })

  test('keeps both ends of an issuer that is too long, since the ends differ', () => {
    const far = (region: number): IdentityState => ({
      state: 'due',
      identity_name: `agent-${region}`,
      issuer: `https://${'login.'.repeat(12)}example.com/realms/region-${region}`,
    })
    const lines = table([far(1), far(2)])
    expect(lines[1]).toMatch(/login.*….*region-1/)
    expect(lines[2]).toMatch(/login.*….*region-2/)
  })

  test('shows the old token of an identity that failed, and that a token has ended', () => {
    const lines = table([minted('a', -3), minted('b', 7), failed('b')])
    expect(lines.find((line) => line.startsWith('b'))).toMatch(/failed {3}in 7 min$/)
    expect(lines.find((line) => line.startsWith('a'))).toMatch(/minted {3}expired 3 min ago$/)
  })
})

test('the summary counts what there is, in one word each', () => {
  expect(identitySummary(rowsOf([minted('a')]))).toBe('1 identity: 1 minted')
  expect(identitySummary(rowsOf([minted('a'), { ...minted('b'), state: 'kept' } as IdentityState, failed('c')]))).toBe(
    '3 identities: 1 failed, 1 minted, 1 kept',
  )
})
