/** A batch of identities: what becomes of each is told, in order; a silent issuer is told from one silent identity. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { invalidInput, ToolkitError } from '../../core/errors.js'
import { Secret } from '../../core/secret.js'
import { type Batch, mintAll } from '../../credentials-provider/batch.js'
import type { IdentityEntry } from '../../credentials-provider/identities.js'
import type { IdentityState } from '../../credentials-provider/identity-state.js'
import type { Minter } from '../../idp/tokens.js'
import { temporaryFolder } from '../fakes/folder.js'

const entry = (identity_name: string, issuer = 'https://idp.example.com'): IdentityEntry =>
  ({
    identity: { identity_name, auth_provider: 'oidc', client_id: identity_name, fields: { issuer } },
    place: `identities.json:${identity_name}`,
    file: 'identities.json',
    secret: 'client_secret',
    credential: async () => ({ client_secret: new Secret('planted-4711') }),
  }) as IdentityEntry
const entries = (count: number, issuer?: string) => Array.from({ length: count }, (_, index) => entry(`agent-${index}`, issuer))
const DEADLINE_MS = 100
const unanswered = (reason = 'deadline') =>
  new ToolkitError('unavailable', 'idp.example.com did not answer', { system: 'https://idp.example.com', reason })
async function hang(reason?: string): Promise<never> {
  await sleep(DEADLINE_MS)
  throw unanswered(reason)
}

/** Mints by `mint`; remembers who asked, and what was told. */
async function run(all: readonly IdentityEntry[], mint: (name: string) => Promise<void>, options: Partial<Batch> = {}) {
  const asked: string[] = []
  const states: IdentityState[] = []
  const minter: Minter = {
    async mint({ identity_name }) {
      asked.push(identity_name)
      await mint(identity_name)
      return {
        issuer: 'https://idp.example.com',
        token: { access_token: new Secret(`token-of-${identity_name}`), token_type: 'Bearer', expires_in: 3600 },
      }
    },
  }
  const began = performance.now()
  const ends = await mintAll(all, {
    folder: temporaryFolder(),
    minter,
    tryLock: async () => () => undefined,
    now: () => 1_800_000_000,
    force: false,
    concurrency: 4,
    onState: (state) => states.push(state),
    ...options,
  })
  return { ...ends, asked, states, ms: performance.now() - began }
}

test('no more than the concurrency are under way at once, and each end is told in order of the identities', async () => {
  let [underWay, most] = [0, 0]
  const { minted, failed, states } = await run(entries(40), async () => {
    underWay += 1
    most = Math.max(most, underWay)
    await sleep(Math.random() * 10)
    underWay -= 1
  })
  expect(most).toBe(4)
  expect(failed).toEqual([])
  expect(minted.map(({ identity_name }) => identity_name)).toEqual(entries(40).map(({ identity }) => identity.identity_name))
  for (const { identity } of entries(40)) {
    const life = states.filter(({ identity_name }) => identity_name === identity.identity_name).map(({ state }) => state)
    expect(life).toEqual(['due', 'minting', 'minted'])
  }
})

test.for(['deadline', 'UND_ERR_CONNECT_TIMEOUT'])(
  'an issuer that is silent (%s) is asked once round, and all its identities are told why',
  async (reason) => {
    const { failed, asked, ms } = await run(entries(40), () => hang(reason))
    expect(failed).toHaveLength(40)
    for (const { error } of failed) expect(error).toMatchObject({ code: 'unavailable', details: { reason } })
    expect(asked.length).toBeLessThanOrEqual(4)
    expect(ms).toBeLessThan(5 * DEADLINE_MS)
  },
)

test('an issuer that falls silent in the middle is waited for twice at most', async () => {
  let answered = 0
  const { minted, failed, asked, ms } = await run(entries(60), async () => {
    await sleep(5)
    if (answered >= 10) return hang()
    answered += 1
  })
  expect(minted.length + failed.length).toBe(60)
  expect(minted.length).toBeGreaterThanOrEqual(10)
  expect(asked.length).toBeLessThanOrEqual(minted.length + 8)
  expect(ms).toBeLessThan(10 * DEADLINE_MS)
})

test.for([1, 4])('identities that hang alone stop nobody else, at %s at once', async (concurrency) => {
  const hanging = ['agent-0', 'agent-7', 'agent-21', 'agent-33']
  const { minted, failed } = await run(entries(40), (name) => (hanging.includes(name) ? hang() : sleep(5)), { concurrency })
  expect(failed.map(({ identity_name }) => identity_name)).toEqual(hanging)
  expect(minted).toHaveLength(36)
})

test('a secret that cannot be opened is no sign that the issuer answers', async () => {
  const broken = { ...entry('broken'), credential: () => Promise.reject(invalidInput('the identity', [{ path: 'x', expected: 'a file' }])) }
  const all = [broken, ...entries(20), { ...broken, identity: { ...broken.identity, identity_name: 'broken-too' } }]
  const { failed, asked } = await run(all, () => hang())
  expect(failed).toHaveLength(22)
  expect(failed[0]?.error).toMatchObject({ code: 'invalid_input' })
  expect(asked.length).toBeLessThanOrEqual(5)
})

test('a silent issuer takes no turn from another one', async () => {
  const silent = Array.from({ length: 20 }, (_, index) => entry(`silent-${index}`, 'https://silent.example.com'))
  const ends: string[] = []
  const { minted } = await run([...silent, ...entries(20)], async (name) => {
    await (name.startsWith('silent') ? hang() : sleep(2)).finally(() => ends.push(name))
  })
  expect(minted).toHaveLength(20)
  expect(ends.findIndex((name) => name.startsWith('silent'))).toBe(20)
})

test('a stop is told as a stop, not as a defect, and nobody else is asked', async () => {
  const stop = new AbortController()
  const { failed, asked } = await run(
    entries(30),
    async (name) => {
      await sleep(5)
      if (name === 'agent-6') stop.abort()
    },
    { signal: stop.signal },
  )
  expect(asked.length).toBeLessThan(15)
  expect(failed.length).toBeGreaterThan(15)
  for (const { error } of failed) expect(error).toMatchObject({ code: 'unavailable', details: { reason: 'stopped' } })
})
