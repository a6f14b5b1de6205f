/**
 * The request pattern of the gateway's documented scripts: one client after the other, a token and six requests each, and
 * a new connection a request. Without the start of curl and jq that a script pays for each of them, and with one
 * membership a client, which is what the scripts give.
 */
import type { KeycloakServer } from '../test/live/rig/server.js'
import type { Run } from './figures.js'
import { machineIndex } from './floor.js'
import { groupsOf } from './machines.js'
import type { Bodies } from './ours.js'
import { plainCalls } from './plain-calls.js'

export async function scriptRun(server: KeycloakServer, realm: string, { groups, clients }: Bodies): Promise<Run> {
  const at = `/realms/${realm}`
  const groupIds = new Map<string, string>()
  const calls = plainCalls(server, 'new')
  try {
    const started = performance.now()
    let tokens = 1
    await calls.logIn()
    for (const body of groups) {
      const { name } = JSON.parse(body) as { name: string }
      groupIds.set(name, (await calls.call('POST', `${at}/groups`, body)).id)
    }
    for (const body of clients) {
      const index = machineIndex(body)
      if (index === undefined) continue
      await calls.logIn()
      tokens += 1
      const search = `${at}/clients?clientId=machine-${index}`
      await calls.call('GET', search)
      await calls.call('POST', `${at}/clients`, body)
      const [client] = JSON.parse((await calls.call('GET', search)).text) as { id: string }[]
      const account = await calls.call('GET', `${at}/clients/${client?.id}/service-account-user`)
      const { id } = JSON.parse(account.text) as { id: string }
      await calls.call('PUT', `${at}/users/${id}/groups/${groupIds.get(groupsOf(index)[0] ?? '')}`)
      await calls.call('GET', `${at}/clients/${client?.id}/client-secret`)
    }
    const { requests, writes } = calls.counts
    return { ms: performance.now() - started, requests, writes, reads: requests - writes - tokens }
  } finally {
    calls.close()
  }
}
