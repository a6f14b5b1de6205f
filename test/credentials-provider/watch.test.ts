/** The watch on a simulated clock: a day of 500 identities, an issuer that fails or hangs, and identities that change meanwhile. */
import { describe, expect, test } from 'vitest'
import { marginOf, type TokenTimes } from '../../credentials-provider/freshness.js'
import type { IdentityEntry } from '../../credentials-provider/identities.js'
import type { IdentityState } from '../../credentials-provider/identity-state.js'
import { refreshTime, retryPause } from '../../credentials-provider/refresh-times.js'
import { type Watching, watchTokens } from '../../credentials-provider/watch.js'

const DAY = 86_400
const START = 1_800_000_000

/** A generator of its own, so that a run can be repeated by its seed. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

const entryOf = (identity_name: string, client_id = identity_name): IdentityEntry => ({
  identity: { identity_name, auth_provider: 'oidc', client_id, fields: { issuer: 'https://idp.example.com' } },
  ...{ place: 'identities.json:1:1', file: 'identities.json', secret: 'client_secret', credential: async () => ({}) },
})

interface Issuing {
  readonly lifetime: (name: string) => number
  /** Seconds that a request takes; undefined when it fails, forever for one that hangs. */
  readonly answer?: (name: string, now: number) => 'token' | 'failure' | 'never'
}

/** A world with a clock that stands until everybody waits for it; seconds. */
function simulated(names: readonly string[], { lifetime, answer = () => 'token' }: Issuing, seed = 1) {
  const random = seeded(seed)
  const controller = new AbortController()
  const tokens = new Map<string, TokenTimes>()
  const requests: { name: string; at: number }[] = []
  const told: IdentityState[] = []
  const gone: (readonly string[])[] = []
  const at: { now: number; until: number; entries: readonly IdentityEntry[] | undefined } = {
    now: START,
    until: START,
    entries: names.map((name) => entryOf(name)),
  }
  const everyTick: (() => void)[] = []
  const watching: Watching = {
    changed: async () => {
      const { entries } = at
      at.entries = undefined
      return entries
    },
    saved: async ({ identity }) => {
      const times = tokens.get(identity.identity_name)
      return times && { times, saved_to: `/tokens/${identity.identity_name}.json` }
    },
    mint: async (entries, onState) => {
      const ends = entries.map(({ identity: { identity_name } }) => {
        requests.push({ name: identity_name, at: at.now })
        const named = { identity_name, issuer: 'https://idp.example.com' }
        onState({ state: 'minting', ...named })
        const end = answer(identity_name, at.now)
        if (end === 'never') return new Promise<void>((settle) => controller.signal.addEventListener('abort', () => settle()))
        if (end === 'failure') onState({ state: 'failed', ...named, code: 'unavailable', cause: 'it is down' })
        else {
          const expires_at = at.now + lifetime(identity_name)
          tokens.set(identity_name, { expires_at, lifetime: lifetime(identity_name), generated_at: at.now })
          onState({ state: 'minted', ...named, saved_to: '', expires_at: new Date(expires_at * 1000).toISOString() })
        }
        return Promise.resolve()
      })
      await Promise.all(ends)
    },
    onState: (state) => told.push(state),
    onIdentities: (all) => gone.push(all),
    now: () => at.now,
    wait: async (seconds) => {
      // What was started in this second ends in it.
      for (let turn = 0; turn < 5; turn++) await new Promise((settle) => setImmediate(settle))
      for (const look of everyTick) look()
      at.now += seconds
      if (at.now >= at.until) controller.abort()
    },
    random,
    signal: controller.signal,
  }
  return {
    ...{ tokens, requests, told, gone, at, everyTick },
    async run(seconds: number) {
      at.until = START + seconds
      await watchTokens(watching)
    },
  }
}
const names = (count: number) => Array.from({ length: count }, (_, index) => `agent-${index}`)

describe('a day of 500 identities', () => {
  test('has no expired token, no burst after the first second, and no more requests than it needs', { timeout: 120_000 }, async () => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    const lifetimes = [900, 3600, 7200]
    const lifetime = (name: string) => lifetimes[Number(name.split('-')[1]) % 3] ?? 3600
    const world = simulated(names(500), { lifetime }, seed)
    let reads = 0
    const expired: string[] = []
    const stale: string[] = []
    world.everyTick.push(() => {
      for (const [name, times] of world.tokens) {
        reads += 1
        if (times.expires_at <= world.at.now) expired.push(name)
        if (times.expires_at - marginOf(times) < world.at.now) stale.push(name)
      }
    })
    await world.run(DAY)
    const perSecond = new Map<number, number>()
    for (const { at } of world.requests) perSecond.set(at, (perSecond.get(at) ?? 0) + 1)
    expect(perSecond.get(START)).toBe(500)
    perSecond.delete(START)
    const most = Math.max(...perSecond.values())
    const refreshes = world.requests.length - 500
    console.log(`watch: seed ${seed}, ${reads} reads, ${expired.length} expired, ${refreshes} refreshes, at most ${most} in a second`)
    expect(world.tokens.size).toBe(500)
    expect(reads).toBeGreaterThan(40_000_000)
    expect(expired).toEqual([])
    // Whoever asks for a token meets one that needs no request.
    expect(stale).toEqual([])
    expect(most).toBeLessThanOrEqual(25)
    const fewest = names(500).reduce(
      (sum, name) => sum + Math.floor(DAY / (lifetime(name) - marginOf({ expires_at: 0, lifetime: lifetime(name) }))),
      0,
    )
    expect(refreshes).toBeGreaterThanOrEqual(fewest - 500)
    expect(refreshes).toBeLessThan(fewest * 1.6)
  })
})

describe('an identity that fails', () => {
  test('is asked again after growing pauses, keeps its old token, and is fresh again when the issuer is back', async () => {
    const down = [START + 300, START + 1500] as const
    const world = simulated(['agent-1'], {
      lifetime: () => 600,
      answer: (_, now) => (now >= down[0] && now < down[1] ? 'failure' : 'token'),
    })
    await world.run(2400)
    const inVain = world.requests.filter(({ at }) => at >= down[0] && at < down[1]).map(({ at }) => at)
    const pauses = inVain.slice(1).map((at, index) => at - (inVain[index] ?? 0))
    expect(inVain.length).toBeGreaterThan(4)
    expect(inVain.length).toBeLessThan(16)
    expect(pauses[0]).toBeLessThanOrEqual(6)
    expect(Math.max(...pauses)).toBeGreaterThan(100)
    expect(Math.max(...pauses)).toBeLessThanOrEqual(301)
    expect(world.told.filter(({ state }) => state === 'failed')).toHaveLength(inVain.length)
    expect(world.tokens.get('agent-1')?.expires_at).toBeGreaterThan(START + 2400)
  })

  test('and one that hangs hold up nobody else', async () => {
    const world = simulated(['hangs', 'fails', 'works'], {
      lifetime: () => 300,
      answer: (name) => (name === 'hangs' ? 'never' : name === 'fails' ? 'failure' : 'token'),
    })
    const expired: number[] = []
    world.everyTick.push(() => {
      if ((world.tokens.get('works')?.expires_at ?? 0) <= world.at.now) expired.push(world.at.now)
    })
    await world.run(3600)
    expect(expired).toEqual([])
    expect(world.requests.filter(({ name }) => name === 'hangs')).toHaveLength(1)
    expect(world.requests.filter(({ name }) => name === 'works').length).toBeGreaterThan(12)
  })
})

describe('what others do meanwhile', () => {
  test('a token that somebody else has refreshed is not asked for again', async () => {
    const world = simulated(['agent-1'], { lifetime: () => 600 })
    world.everyTick.push(() => {
      const held = world.tokens.get('agent-1')
      // Another watch, which is always earlier.
      if (held && held.expires_at - world.at.now < 450)
        world.tokens.set('agent-1', { expires_at: world.at.now + 600, lifetime: 600, generated_at: world.at.now })
    })
    await world.run(7200)
    expect(world.requests).toHaveLength(1)
  })

  test('identities that come are minted, those that go are left alone, one that changed is minted anew', async () => {
    const world = simulated(['stays', 'goes'], { lifetime: () => 3600 })
    world.everyTick.push(() => {
      if (world.at.now === START + 60) {
        world.tokens.delete('stays')
        world.at.entries = [entryOf('stays', 'another-client'), entryOf('comes')]
      }
    })
    await world.run(7200)
    const asked = (name: string) => world.requests.filter((one) => one.name === name).map(({ at }) => at - START)
    expect(asked('goes')).toEqual([0])
    expect(asked('comes')[0]).toBe(61)
    expect(asked('stays').slice(0, 2)).toEqual([0, 61])
    expect(world.gone).toEqual([
      ['stays', 'goes'],
      ['stays', 'comes'],
    ])
  })

  test('a failed one is tried at once when its file was mended', async () => {
    let isMended = false
    const world = simulated(['agent-1'], { lifetime: () => 3600, answer: () => (isMended ? 'token' : 'failure') })
    world.everyTick.push(() => {
      if (world.at.now === START + 1000) {
        isMended = true
        world.at.entries = [entryOf('agent-1')]
      }
    })
    await world.run(1010)
    expect(world.requests.at(-1)).toEqual({ name: 'agent-1', at: START + 1001 })
    expect(world.told.at(-1)).toMatchObject({ state: 'minted' })
  })

  test('a server that hands out what is nearly over is not asked in every second', async () => {
    const world = simulated(['agent-1'], { lifetime: () => 1 })
    await world.run(600)
    expect(world.requests.length).toBeGreaterThan(50)
    expect(world.requests.length).toBeLessThan(260)
  })
})

describe('the times', () => {
  test.each([60, 300, 3600, 86_400])(
    'of a token of %i s lie before its margin, all of them, and part by where they are drawn',
    (lifetime) => {
      const times = { expires_at: START + lifetime, lifetime, generated_at: START }
      const drawn = Array.from({ length: 1000 }, (_, index) => refreshTime(times, index / 1000))
      expect(Math.max(...drawn)).toBeLessThan(times.expires_at - marginOf(times))
      expect(Math.min(...drawn)).toBeGreaterThanOrEqual(START + lifetime * 0.49)
      expect(new Set(drawn).size).toBe(1000)
    },
  )
  test('after failures grow from seconds to five minutes and part, too', () => {
    expect([1, 2, 3, 4, 5, 6, 7, 8, 100].map((failures) => retryPause(failures, 1))).toEqual([5, 10, 20, 40, 80, 160, 300, 300, 300])
    expect(retryPause(8, 0)).toBe(150)
  })
})
