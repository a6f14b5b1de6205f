/** One realm of one Keycloak: its admin client behind our door, and the administrator's token. */
import KeycloakAdminClient from '@keycloak/keycloak-admin-client'
import { decodeJwt } from 'jose/jwt/decode'
import { Agent, type Dispatcher } from 'undici'
import { z } from 'zod'
import { invalidInput, isToolkitError, ToolkitError } from '../../core/errors.js'
import type { Door } from '../../core/http.js'
import type { Secret } from '../../core/secret.js'
import { SettingsReader } from '../../core/settings.js'
import { type AccessToken, clientCredentials, passwordGrant } from '../oauth.js'
import type { Connecting } from '../port.js'
import { existence } from './existence.js'

export interface Realm {
  readonly api: KeycloakAdminClient
  readonly realm: string
  /** As the server spells it, which is what tokens say. */
  readonly issuer: string
  readonly url: string
  readonly profile: string
  /** Whether the realm is there; asked until it is, since it may be made by us. @throws unexpected_response for another issuer */
  exists(): Promise<boolean>
  /** Who we are: a user, or the user of a service account, of the realm that we log in to. */
  readonly login: { readonly realm: string; readonly username: string }
  /** Roles of this realm that the administrator's token itself tells; undefined where it tells none, as an admin-cli token does. */
  roles(): Promise<readonly string[] | undefined>
  /** Roles of the realm that we log in to, as the token tells them; undefined where it tells none. */
  loginRoles(): Promise<readonly string[] | undefined>
}

type Administrator =
  | { readonly username: string; readonly password: Secret }
  | { readonly client_id: string; readonly client_secret: Secret }

/** @throws ToolkitError not_configured, unauthenticated, not_found for a missing realm unless `bootstrap`, unavailable */
export async function connectRealm(connecting: Connecting): Promise<Realm> {
  const { url, realm, adminRealm, administrator } = configuration(connecting)
  const door = connecting.open({
    origins: [new URL(url).origin],
    isRead: ({ method, url: { pathname } }) =>
      method === 'POST' && pathname.endsWith(`/realms/${adminRealm}/protocol/openid-connect/token`) && 'once',
  })
  const { issuer, exists } = await existence({ url, realm, door, mayBeMissing: connecting.bootstrap === true })
  const adminToken = singleFlight(() => logIn({ url, adminRealm, administrator, door }))
  // `setConfig` would wipe requestOptions, and realmName decides where its own token refresh goes: both stay untouched.
  const api = new KeycloakAdminClient({
    baseUrl: url,
    realmName: adminRealm,
    requestOptions: { dispatcher: throughDoor(renewing(door, adminToken)), redirect: 'error' } as unknown as RequestInit,
  })
  api.registerTokenProvider({ getAccessToken: async () => (await adminToken.get()).reveal() })
  await adminToken.get()
  const told = async () => rolesIn((await adminToken.get()).reveal())
  // Each realm keeps its own administrators' roles in one client, master those of every realm in a client each.
  const holder = adminRealm === realm && realm !== 'master' ? 'realm-management' : `${realm}-realm`
  return {
    api,
    realm,
    issuer,
    url,
    profile: connecting.profile,
    exists,
    login: { realm: adminRealm, username: usernameOf(administrator) },
    roles: async () => (await told()).resource_access?.[holder]?.roles,
    loginRoles: async () => (await told()).realm_access?.roles,
  }
}

function configuration({ settings }: Connecting) {
  const reader = new SettingsReader(settings)
  const url = reader.url('KEYCLOAK_URL')
  const realm = reader.required('KEYCLOAK_REALM')
  const adminRealm = reader.required('KEYCLOAK_ADMIN_REALM')
  const client_id = reader.optional('KEYCLOAK_ADMIN_CLIENT_ID')
  const administrator: Administrator =
    client_id === undefined
      ? { username: reader.required('KEYCLOAK_ADMIN'), password: reader.secret('KEYCLOAK_ADMIN_PASSWORD') }
      : { client_id, client_secret: reader.secret('KEYCLOAK_ADMIN_CLIENT_SECRET') }
  reader.check('Keycloak')
  const problems = [
    ['KEYCLOAK_REALM', realm],
    ['KEYCLOAK_ADMIN_REALM', adminRealm],
  ].flatMap(([path = '', value = '']) =>
    /^[A-Za-z0-9._-]{1,255}$/.test(value) ? [] : [{ path, expected: 'a realm name: letters, digits, . _ -' }],
  )
  if (problems.length > 0) throw invalidInput('the configuration', problems)
  return { url, realm, adminRealm, administrator }
}

async function logIn(at: { url: string; adminRealm: string; administrator: Administrator; door: Door }): Promise<AccessToken> {
  const { url, adminRealm, administrator, door } = at
  const issuer = `${url}/realms/${adminRealm}`
  const request = { door, authorizationServer: { issuer, token_endpoint: `${issuer}/protocol/openid-connect/token` } }
  try {
    return 'username' in administrator
      ? await passwordGrant(request, 'admin-cli', administrator.username, administrator.password)
      : await clientCredentials(request, administrator)
  } catch (error) {
    if (!isToolkitError(error, 'token_refused')) throw error
    const { status, error: vendor_code } = error.details
    const who = 'username' in administrator ? `administrator ${administrator.username}` : `client ${administrator.client_id}`
    const details = { system: issuer, vendor_code, ...(status === undefined ? {} : { status }) }
    throw new ToolkitError(
      'unauthenticated',
      `Keycloak did not accept ${who} in realm ${adminRealm}`,
      details,
      'check the credential and KEYCLOAK_ADMIN_REALM',
    )
  }
}

interface KeptToken {
  get(): Promise<Secret>
  /** Forgets a token that the server refused, unless another has taken its place. */
  forget(refused: string): void
}

/** The admin client refreshes without single flight, and not at all for a service account; an admin-cli token lives 60 s. */
function singleFlight(mint: () => Promise<AccessToken>): KeptToken {
  const SPARE_SECONDS = 10
  let current: { token: Secret; until: number } | undefined
  let running: Promise<Secret> | undefined
  return {
    get() {
      if (current && Date.now() < current.until) return Promise.resolve(current.token)
      running ??= mint()
        .then(({ access_token, expires_in }) => {
          current = { token: access_token, until: Date.now() + (expires_in - SPARE_SECONDS) * 1000 }
          return access_token
        })
        .finally(() => {
          running = undefined
        })
      return running
    },
    forget(refused) {
      if (current?.token.reveal() === refused) current = undefined
    },
  }
}

/**
 * Logs in anew and sends once more after a 401, which has changed nothing: a server that was killed forgets the sessions of
 * tokens that it issued just before.
 */
function renewing(door: Door, token: KeptToken): Door['fetch'] {
  return async (url, init = {}) => {
    const answer = await door.fetch(url, init)
    if (answer.status !== 401) return answer
    const headers = new Headers(init.headers)
    token.forget((headers.get('authorization') ?? '').replace(/^Bearer /i, ''))
    headers.set('authorization', `Bearer ${(await token.get()).reveal()}`)
    return door.fetch(url, { ...init, headers })
  }
}

/** The server lower-cases the user name of a service account. */
function usernameOf(administrator: Administrator): string {
  return 'username' in administrator ? administrator.username : `service-account-${administrator.client_id.toLowerCase()}`
}

const holding = z.object({ roles: z.array(z.string()) })
const roleClaims = z.object({ realm_access: holding.optional(), resource_access: z.record(z.string(), holding).optional() })

/** Keycloak's own claims for roles; an admin-cli token has neither, its roles are read at the server. */
function rolesIn(token: string): z.infer<typeof roleClaims> {
  const claims = roleClaims.safeParse(decodeJwt(token))
  return claims.success ? claims.data : {}
}

/** A dispatcher that hands every request of the built-in fetch to the door. `compose` adapts the handlers of all Node versions. */
function throughDoor(send: Door['fetch']): Dispatcher {
  return new Agent().compose(() => (options, handler) => {
    void relay(send, options, handler)
    return true
  })
}

async function relay(send: Door['fetch'], options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): Promise<void> {
  const controller = {
    aborted: false,
    paused: false,
    reason: null,
    abort() {},
    pause() {},
    resume() {},
  } as unknown as Dispatcher.DispatchController
  try {
    handler.onRequestStart?.(controller, {})
    const body = options.body === undefined || options.body === null ? undefined : await collected(options.body)
    const response = await send(`${options.origin}${options.path}`, {
      method: options.method,
      headers: options.headers as Record<string, string>,
      ...(body === undefined ? {} : { body }),
    })
    handler.onResponseStart?.(controller, response.status, Object.fromEntries(response.headers), response.statusText)
    const bytes = Buffer.from(await response.arrayBuffer())
    if (bytes.byteLength > 0) handler.onResponseData?.(controller, bytes)
    handler.onResponseEnd?.(controller, {})
  } catch (error) {
    handler.onResponseError?.(controller, error as Error)
  }
}

async function collected(body: unknown): Promise<string | Buffer<ArrayBuffer>> {
  if (typeof body === 'string') return body
  const chunks: Uint8Array[] = []
  for await (const chunk of body as AsyncIterable<Uint8Array>) chunks.push(chunk)
  return Buffer.from(Buffer.concat(chunks))
}
