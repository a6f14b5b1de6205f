/** Our own runs, through the library as people use it, and the bodies that they send. */

import { converge } from '../core/converge.js'
import { createDoor, type Door, type JournalEntry, WriteLatch } from '../core/http.js'
import type { KeycloakServer } from '../test/live/rig/server.js'
import { IDPS, openToolkit } from '../toolkit/index.js'
import type { Run } from './figures.js'
import { targetFor } from './machines.js'

/** Where a run of ours works. */
export interface Place {
  readonly server: KeycloakServer
  readonly realm: string
  /** Folder of the secrets. */
  readonly home: string
  readonly machines: number
}

/** One run from opening the toolkit to closing it. */
export async function ourRun(place: Place): Promise<Run & { readonly changes: number }> {
  const started = performance.now()
  const toolkit = await openToolkit({ env: settingsOf(place), home: place.home, approve: async () => true })
  try {
    const target = targetFor(await toolkit.context.tenant('keycloak'), place.machines, place.home)
    const { changes } = await toolkit.context.converge(target)
    return { ms: performance.now() - started, ...countsOf(toolkit.context.requests), changes: changes.length }
  } finally {
    await toolkit.close()
  }
}

/** How many changes our plan finds in the realm; nothing is written. */
export async function changesLeft(place: Place): Promise<number> {
  const toolkit = await openToolkit({ env: settingsOf(place), home: place.home, planOnly: true })
  try {
    const { changes } = await toolkit.context.converge(targetFor(await toolkit.context.tenant('keycloak'), place.machines, place.home))
    return changes.length
  } finally {
    await toolkit.close()
  }
}

/** What a first apply creates, by the last word of its path: JSON texts in the order of sending. */
export interface Bodies {
  readonly groups: readonly string[]
  readonly clients: readonly string[]
}

/** Applies once, with nothing between the adapter and the server but a listener that keeps the bodies of its creates. */
export async function capturedBodies(place: Place): Promise<Bodies> {
  const bodies = { groups: [] as string[], clients: [] as string[] }
  const listening = (door: Door): Door => ({
    ...door,
    fetch: (input, init) => {
      const kind = /\/(groups|clients)\/?$/.exec(String(input))?.[1] as keyof Bodies | undefined
      if (init?.method === 'POST' && kind) bodies[kind].push(Buffer.from(init.body as string | Uint8Array).toString())
      return door.fetch(input, init)
    },
  })
  const settings = new Map(Object.entries(settingsOf(place)))
  const latch = new WriteLatch()
  const doors: Door[] = []
  try {
    const tenant = await (await IDPS.keycloak.load()).connect({
      settings: (name) => settings.get(name),
      profile: 'default',
      home: place.home,
      open(options) {
        const door = createDoor({ ...options, latch })
        doors.push(door)
        return listening(door)
      },
    })
    const agreed = { latch, approve: async () => true, lock: <T>(_tenants: readonly string[], work: () => Promise<T>) => work() }
    await converge(targetFor(tenant, place.machines, place.home), agreed)
    return bodies
  } finally {
    await Promise.all(doors.map((door) => door.close()))
  }
}

/** Tokens are counted as requests, and are neither reads nor writes. */
function countsOf(requests: readonly JournalEntry[]): Pick<Run, 'requests' | 'reads' | 'writes'> {
  return {
    requests: requests.length,
    reads: requests.filter(({ method }) => method === 'GET').length,
    writes: requests.filter((one) => one.class === 'write').length,
  }
}

function settingsOf({ server, realm }: Place): Record<string, string> {
  return {
    KEYCLOAK_URL: server.url,
    KEYCLOAK_REALM: realm,
    KEYCLOAK_ADMIN: server.adminUser,
    KEYCLOAK_ADMIN_PASSWORD: server.adminPassword,
  }
}
