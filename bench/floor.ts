/**
 * The floor: how fast the same server takes the same bodies from a bare loop over kept connections, after one token and
 * one list of each kind. It decides nothing, checks nothing and saves no secret.
 */
import type { KeycloakServer } from '../test/live/rig/server.js'
import type { FloorRun } from './figures.js'
import { groupsOf } from './machines.js'
import type { Bodies } from './ours.js'
import { bounded, type PlainCalls, plainCalls } from './plain-calls.js'

const PAGE = 200
/** Connections that are tried for the best rate. */
export const CONCURRENCIES = [4, 8, 16] as const

export async function floorRun(server: KeycloakServer, realm: string, bodies: Bodies, atOnce: number): Promise<FloorRun> {
  const calls = plainCalls(server, atOnce)
  try {
    const started = performance.now()
    await calls.logIn()
    await Promise.all(['clients', 'groups'].map((kind) => listAll(calls, `/realms/${realm}/${kind}`)))
    const list_ms = performance.now() - started
    await sendAll(calls, realm, bodies, atOnce)
    const ms = performance.now() - started
    const { requests, writes } = calls.counts
    // One token; the seconds of a run are too few for a second one to matter.
    return { ms, list_ms, writes_per_second: (1000 * writes) / (ms - list_ms), requests, writes, reads: requests - writes - 1 }
  } finally {
    calls.close()
  }
}

async function listAll(calls: PlainCalls, path: string): Promise<void> {
  for (let first = 0; ; first += PAGE) {
    const { text } = await calls.call('GET', `${path}?first=${first}&max=${PAGE}&briefRepresentation=false`)
    if ((JSON.parse(text) as unknown[]).length < PAGE) return
  }
}

/** Groups first, since memberships need them; then each client with its account and memberships, many clients at once. */
async function sendAll(calls: PlainCalls, realm: string, { groups, clients }: Bodies, atOnce: number): Promise<void> {
  const at = `/realms/${realm}`
  const groupIds = new Map<string, string>()
  await bounded(groups, atOnce, async (body) => {
    const { name } = JSON.parse(body) as { name: string }
    groupIds.set(name, (await calls.call('POST', `${at}/groups`, body)).id)
  })
  await bounded(clients, atOnce, async (body) => {
    const { id } = await calls.call('POST', `${at}/clients`, body)
    const index = machineIndex(body)
    if (index === undefined) return
    const { text } = await calls.call('GET', `${at}/clients/${id}/service-account-user`)
    const account = JSON.parse(text) as { id: string }
    for (const group of groupsOf(index)) await calls.call('PUT', `${at}/users/${account.id}/groups/${groupIds.get(group)}`)
  })
}

/** Which machine a client's body makes; none for the IDE client. */
export function machineIndex(body: string): number | undefined {
  const { clientId } = JSON.parse(body) as { clientId: string }
  const [, digits] = /^machine-(\d+)$/.exec(clientId) ?? []
  return digits === undefined ? undefined : Number(digits)
}
