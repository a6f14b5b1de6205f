/** The server of a bench, and realms on it that live for one run each. */
import { randomBytes } from 'node:crypto'
import { type KeycloakServer, startKeycloak } from '../test/live/rig/server.js'
import { plainCalls } from './plain-calls.js'

/** The Keycloak that RIG_KEYCLOAK_URL, RIG_KEYCLOAK_USER and RIG_KEYCLOAK_PASSWORD name, else one of our own. */
export async function benchServer(): Promise<{ readonly server: KeycloakServer; stop(): Promise<void> }> {
  const { RIG_KEYCLOAK_URL: url, RIG_KEYCLOAK_USER: adminUser, RIG_KEYCLOAK_PASSWORD: adminPassword } = process.env
  if (!url) return startKeycloak()
  if (!adminUser || !adminPassword) throw new Error('RIG_KEYCLOAK_URL needs RIG_KEYCLOAK_USER and RIG_KEYCLOAK_PASSWORD too')
  return { server: { url, adminUser, adminPassword, version: 'unknown' }, stop: async () => {} }
}

/** Runs `work` with the name of a realm of its own; neither making nor removing it belongs to what is measured. */
export async function inFreshRealm<T>(server: KeycloakServer, work: (realm: string) => Promise<T>): Promise<T> {
  const realm = `bench-${randomBytes(5).toString('hex')}`
  const calls = plainCalls(server, 1)
  await calls.call('POST', '/realms', JSON.stringify({ realm, enabled: true }))
  try {
    return await work(realm)
  } finally {
    await calls.call('DELETE', `/realms/${realm}`)
    calls.close()
  }
}
