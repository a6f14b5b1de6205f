/** `bench converge`: our first apply and our no-op beside the floor, and beside what others do, round by round on fresh realms. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { KeycloakServer } from '../test/live/rig/server.js'
import { type Goal, goalsOf, type Round, type Row, type Run, rowsOf, type TimedRun } from './figures.js'
import { CONCURRENCIES, floorRun } from './floor.js'
import { writesFor } from './machines.js'
import { type Bodies, capturedBodies, changesLeft, ourRun } from './ours.js'
import { inFreshRealm } from './realms.js'
import { scriptRun } from './script-pattern.js'
import type { Tool } from './tools.js'

/** Slower patterns are measured up to here, and extrapolated nowhere. */
const MOST_FOR_SLOW = 100
const WARM_UP_REQUESTS = 200

export interface Measured {
  readonly machines: number
  /** Writes a second of the bare loop, by connections; the best is the floor's. */
  readonly rates: Readonly<Record<number, number>>
  readonly connections: number
  readonly warm_up_requests: number
  readonly rounds: readonly Round[]
  readonly rows: readonly Row[]
  readonly goals: readonly Goal[]
}

export interface Measuring {
  readonly server: KeycloakServer
  readonly machines: number
  readonly rounds: number
  readonly tools: readonly Tool[]
  readonly say: (line: string) => void
}

/** @throws Error when a run did not do the work that it is measured for */
export async function measureConverge(measuring: Measuring): Promise<Measured> {
  const { server, machines, say } = measuring
  return inFolder(async (home) => {
    say(`${machines} machines: keeping the bodies of our creates`)
    const bodies = await inFreshRealm(server, (realm) => capturedBodies({ server, realm, home, machines }))
    if (bodies.clients.length !== machines + 1) throw new Error(`${bodies.clients.length} clients were made, not ${machines + 1}`)
    const { rates, connections, requests } = await bestRate(measuring, bodies)
    const rounds: Round[] = []
    while (rounds.length < measuring.rounds) {
      rounds.push(await oneRound(measuring, { bodies, connections, home }))
      say(`${machines} machines: round ${rounds.length} of ${measuring.rounds}: ${roundText(rounds.at(-1))}`)
    }
    const figures = { rows: rowsOf(rounds), goals: goalsOf(machines, rounds) }
    return { machines, rates, connections, warm_up_requests: requests, rounds, ...figures }
  })
}

/** Also what warms the server: each number of connections twice, there and back, until enough was asked. */
async function bestRate({ server, machines, say }: Measuring, bodies: Bodies) {
  const few: Bodies = { groups: bodies.groups, clients: bodies.clients.slice(0, Math.min(machines, MOST_FOR_SLOW) + 1) }
  const found = new Map<number, number[]>(CONCURRENCIES.map((one) => [one, []]))
  let requests = 0
  do {
    for (const atOnce of [...CONCURRENCIES, ...CONCURRENCIES.toReversed()]) {
      const run = await inFreshRealm(server, (realm) => floorRun(server, realm, few, atOnce))
      found.get(atOnce)?.push(run.writes_per_second)
      requests += run.requests
    }
  } while (requests < WARM_UP_REQUESTS)
  // The best of several: what disturbs a run only ever slows it down.
  const rates = Object.fromEntries([...found].map(([atOnce, each]) => [atOnce, Math.max(...each)]))
  const [connections = CONCURRENCIES[0]] = CONCURRENCIES.toSorted((a, b) => (rates[b] ?? 0) - (rates[a] ?? 0))
  const told = CONCURRENCIES.map((one) => `${Math.round(rates[one] ?? 0)} writes/s at ${one}`).join(', ')
  say(`${machines} machines: the server takes ${told}`)
  return { rates, connections, requests }
}

interface Prepared {
  readonly bodies: Bodies
  readonly connections: number
  /** Where the secrets of the bodies are. */
  readonly home: string
}

async function oneRound({ server, machines, tools }: Measuring, { bodies, connections, home }: Prepared): Promise<Round> {
  const ours = await inFolder((fresh) =>
    inFreshRealm(server, async (realm) => {
      const place = { server, realm, home: fresh, machines }
      const { changes, ...first_apply } = await ourRun(place)
      const { changes: left, ...no_op } = await ourRun(place)
      if (first_apply.writes !== writesFor(machines) || left > 0) throw new Error(`${changes} changes were made, ${left} are left`)
      return { first_apply, no_op }
    }),
  )
  const floor = await inFreshRealm(server, async (realm) => {
    const run = await floorRun(server, realm, bodies, connections)
    // The floor counts only where it made the same: our own plan finds nothing to add or to mend.
    const left = await changesLeft({ server, realm, home, machines })
    if (left > 0) throw new Error(`the floor left ${left} changes undone`)
    return run
  })
  const others: Record<string, TimedRun | Run> = {}
  if (machines <= MOST_FOR_SLOW) {
    others['documented scripts’ pattern'] = await inFreshRealm(server, (realm) => scriptRun(server, realm, bodies))
    for (const { name, run } of tools) others[name] = await inFreshRealm(server, (realm) => run({ server, realm, bodies }))
  }
  return { ...ours, floor, others }
}

function roundText(round: Round | undefined): string {
  if (!round) return ''
  const { first_apply, no_op, floor } = round
  const seconds = ({ ms }: Run) => `${(ms / 1000).toFixed(2)} s`
  return `first apply ${seconds(first_apply)}, floor ${seconds(floor)} (${(first_apply.ms / floor.ms).toFixed(2)}), no-op ${seconds(no_op)}`
}

async function inFolder<T>(work: (path: string) => Promise<T>): Promise<T> {
  const path = await mkdtemp(join(tmpdir(), 'mcp-idp-bench-'))
  try {
    return await work(path)
  } finally {
    await rm(path, { recursive: true, force: true })
  }
}
