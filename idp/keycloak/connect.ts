/** One realm of one Keycloak: its admin client behind our door, and the administrator's token. */
import KeycloakAdminClient from '@keycloak/keycloak-admin-client'
import { decodeJwt } from 'jose/jwt/decode'
import { Agent, type Dispatcher } from 'undici'
import { invalidInput, isToolkitError, ToolkitError } from '../../core/errors.js'
import type { Door } from '../../core/http.js'
import type { Secret } from '../../core/secret.js'
import { SettingsReader } from '../../core/settings.js'
import { type AccessToken, clientCredentials, passwordGrant } from '../oauth.js'
import type { Connecting } from '../port.js'

export interface Realm {
  readonly api: KeycloakAdminClient
  readonly realm: string
  /** As the server spells it, which is what tokens say. */
  readonly issuer: string
  readonly url: string
  readonly profile: string
  /** Roles of this realm that the administrator's token itself tells; undefined where it tells none, as an admin-cli token does. */
  roles(): Promise<readonly string[] | undefined>
}

type Administrator =
  | { readonly username: string; readonly password: Secret }
  | { readonly client_id: string; readonly client_secret: Secret }

/** @throws ToolkitError not_configured, unauthenticated, not_found for a missing realm, unavailable */
export async function connectRealm(connecting: Connecting): Promise<Realm> {
  const { url, realm, adminRealm, administrator } = configuration(connecting)
  const door = connecting.open({
    origins: [new URL(url).origin],
    isRead: ({ method, url: { pathname } }) =>
      method === 'POST' && pathname.endsWith(`/realms/${adminRealm}/protocol/openid-connect/token`),
  })
  const issuer = await issuerOf(url, realm, door)
  const adminToken = singleFlight(() => logIn({ url, adminRealm, administrator, door }))
  // `setConfig` would wipe requestOptions, and realmName decides where its own token refresh goes: both stay untouched.
  const api = new KeycloakAdminClient({
    baseUrl: url,
    realmName: adminRealm,
    requestOptions: { dispatcher: through(door), redirect: 'error' } as unknown as RequestInit,
  })
  api.registerTokenProvider({ getAccessToken: async () => (await adminToken()).reveal() })
  await adminToken()
  return { api, realm, issuer, url, profile: connecting.profile, roles: async () => rolesIn((await adminToken()).reveal(), realm) }
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

async function issuerOf(url: string, realm: string, door: Door): Promise<string> {
  const base = `${url}/realms/${realm}`
  const { status, json } = await door.send({ method: 'GET', url: `${base}/.well-known/openid-configuration` })
  if (status === 404) {
    throw new ToolkitError(
      'not_found',
      `realm ${realm} does not exist at ${url}`,
      { kind: 'realm', key: realm },
      'check KEYCLOAK_REALM and the path of KEYCLOAK_URL',
    )
  }
  const issuer = typeof json === 'object' && json !== null && 'issuer' in json ? json.issuer : undefined
  if (status === 200 && typeof issuer === 'string') return issuer
  if (status >= 500)
    throw new ToolkitError(
      'unavailable',
      `${url} answers ${status}`,
      { system: url, reason: 'server_error', status },
      'wait until it has started',
    )
  throw new ToolkitError(
    'unexpected_response',
    `${url} does not answer as a Keycloak`,
    { system: url, reason: 'no_metadata', status },
    'check KEYCLOAK_URL',
  )
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

/** The admin client refreshes without single flight, and not at all for a service account; an admin-cli token lives 60 s. */
function singleFlight(mint: () => Promise<AccessToken>): () => Promise<Secret> {
  const SPARE_SECONDS = 10
  let current: { token: Secret; until: number } | undefined
  let running: Promise<Secret> | undefined
  return () => {
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
  }
}

function rolesIn(token: string, realm: string): readonly string[] | undefined {
  const access = decodeJwt(token)['resource_access']
  if (typeof access !== 'object' || access === null) return undefined
  const roles = Object.entries(access).flatMap(([client, entry]) =>
    client === 'realm-management' || client === `${realm}-realm` ? ((entry as { roles?: unknown }).roles ?? []) : [],
  )
  return Array.isArray(roles) && roles.length > 0 ? roles.map(String) : undefined
}

/** A dispatcher that hands every request of the built-in fetch to the door. `compose` adapts the handlers of all Node versions. */
function through(door: Door): Dispatcher {
  return new Agent().compose(() => (options, handler) => {
    void relay(door, options, handler)
    return true
  })
}

async function relay(door: Door, options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): Promise<void> {
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
    const response = await door.fetch(`${options.origin}${options.path}`, {
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
