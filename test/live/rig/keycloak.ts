/**
 * Realms for live tests, made with plain fetch so that a defect of the product cannot hide in its own proof.
 * A test file makes one realm and removes it; admin events tell how much was written to it since.
 */
import { randomBytes } from 'node:crypto'
import { inject } from 'vitest'
import type { KeycloakServer } from './server.js'

/** One call may take this long, milliseconds. */
const CALL_MS = 120_000
/** A token of admin-cli lives 60 s. */
const TOKEN_MS = 45_000
const EVENTS_PAGE = 500

export interface Person {
  readonly username: string
  readonly password: string
  readonly groups?: readonly string[]
}

/** An answer of the admin API: parsed JSON, text otherwise; `id` is the end of the Location header of a create. */
export interface AdminAnswer<Body = unknown> {
  readonly status: number
  readonly body: Body
  readonly id: string | undefined
}

export interface Realm {
  readonly realm: string
  readonly issuer: string
  /** Calls the admin API; `path` is below the realm, such as `/clients`. Any status is an answer, not an error. */
  admin<Body = unknown>(method: string, path: string, body?: unknown): Promise<AdminAnswer<Body>>
  /** How many writes the realm saw since it was made: one admin event each, an unchanged PUT included, a refused one not. */
  writes(): Promise<number>
  remove(): Promise<void>
}

/** The Keycloak of this run. */
export function keycloak(): KeycloakServer {
  return inject('keycloak')
}

/** A realm with a random name, groups, and people who can log in at once. */
export async function makeRealm(
  wanted: { groups?: readonly string[]; people?: readonly Person[]; adminEvents?: boolean } = {},
  server = keycloak(),
): Promise<Realm> {
  const realm = `rig-${randomBytes(5).toString('hex')}`
  const call = adminOf(server)
  const made = await call('POST', '/realms', {
    realm,
    enabled: true,
    adminEventsEnabled: wanted.adminEvents ?? true,
    adminEventsDetailsEnabled: true,
    groups: (wanted.groups ?? []).map((name) => ({ name })),
    users: (wanted.people ?? []).map(userOf),
  })
  if (made.status !== 201) throw new Error(`realm ${realm}: ${made.status} ${JSON.stringify(made.body)}`)
  await call('DELETE', `/realms/${realm}/admin-events`)
  return realmAt(realm, server)
}

/** A realm of a random name that is not there, for the product to make; `remove` it all the same. */
export function unmadeRealm(server = keycloak()): Realm {
  return realmAt(`rig-${randomBytes(5).toString('hex')}`, server)
}

function realmAt(realm: string, server: KeycloakServer): Realm {
  const call = adminOf(server)
  const path = `/realms/${realm}`
  return {
    realm,
    issuer: `${server.url}/realms/${realm}`,
    admin: (method, below, body) => call(method, path + below, body),
    async writes() {
      for (let total = 0; ; ) {
        const { status, body } = await call<unknown[]>('GET', `${path}/admin-events?first=${total}&max=${EVENTS_PAGE}`)
        if (status !== 200) throw new Error(`admin events of ${realm}: ${status} ${JSON.stringify(body)}`)
        total += body.length
        if (body.length < EVENTS_PAGE) return total
      }
    },
    async remove() {
      await call('DELETE', path)
    },
  }
}

/** Without a name and an address Keycloak asks for them at the first login. */
function userOf({ username, password, groups = [] }: Person): Record<string, unknown> {
  return {
    username,
    enabled: true,
    firstName: username,
    lastName: 'Rig',
    email: `${username}@example.com`,
    emailVerified: true,
    requiredActions: [],
    credentials: [{ type: 'password', value: password, temporary: false }],
    groups: groups.map((name) => `/${name}`),
  }
}

type AdminCall = <Body = unknown>(method: string, path: string, body?: unknown) => Promise<AdminAnswer<Body>>

function adminOf(server: KeycloakServer): AdminCall {
  let token: { value: Promise<string>; until: number } | undefined
  return async <Body>(method: string, path: string, body?: unknown) => {
    if (!token || token.until < Date.now()) token = { value: adminToken(server), until: Date.now() + TOKEN_MS }
    const response = await fetch(`${server.url}/admin${path}`, {
      method,
      headers: { authorization: `Bearer ${await token.value}`, 'content-type': 'application/json' },
      signal: AbortSignal.timeout(CALL_MS),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    const isJson = /json/.test(response.headers.get('content-type') ?? '')
    return {
      status: response.status,
      body: (isJson && text !== '' ? JSON.parse(text) : text) as Body,
      id: response.headers.get('location')?.split('/').at(-1),
    }
  }
}

async function adminToken({ url, adminUser, adminPassword }: KeycloakServer): Promise<string> {
  const response = await fetch(`${url}/realms/master/protocol/openid-connect/token`, {
    method: 'POST',
    body: new URLSearchParams({ client_id: 'admin-cli', grant_type: 'password', username: adminUser, password: adminPassword }),
    signal: AbortSignal.timeout(CALL_MS),
  })
  if (!response.ok) throw new Error(`the administrator of ${url} cannot log in: ${response.status}`)
  const { access_token } = (await response.json()) as { access_token: string }
  return access_token
}
