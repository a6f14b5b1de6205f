/** What should exist for a purpose, as data: pure functions over the capability table. No request is made here. */
import type { ManualStep, Wanted } from '../core/plan.js'
import type { Ref } from '../core/resources.js'
import type { SecretSink } from '../core/sink.js'
import { DEFAULT_AUDIENCE, GROUPS_CLAIM } from '../core/vocabulary.js'
import { checkRedirectUris } from '../ide/redirect-check.js'
import { isCodexCallback } from '../ide/redirects.js'
import type { Capabilities } from '../idp/index.js'

/** Client id of the shared IDE client where it can be chosen (the name that operators of the gateway know). */
export const IDE_CLIENT_ID = 'mcp-gateway-ide'
/** The gateway's own machine client. */
export const GATEWAY_MACHINE = 'mcp-gateway-m2m'
export const IDE_CLIENT_NAME = 'MCP Gateway IDE Public Client'
/** OAuth scopes that every provider knows; without `offline_access`, which triggers consent prompts. */
export const ADVERTISED_SCOPES = 'openid email profile'

export interface IdeClient {
  readonly client_id?: string
  readonly client_name: string
  readonly redirect_uris: readonly string[]
  readonly audience?: string
  /** Also removes the callback URIs of Codex for other servers. */
  readonly prune?: boolean
  /** Take over a client that carries no mark. */
  readonly adopt?: boolean
}

/** The natural key of a client: its id where that can be chosen, else its name. */
export function clientKey(capabilities: Capabilities, client: { client_id?: string; client_name: string }): string {
  return capabilities.client_id === 'chosen' ? (client.client_id ?? client.client_name) : client.client_name
}

/** The id of a client, now or once it is created. */
export function clientRef(capabilities: Capabilities, kind: 'public-client' | 'machine-client', key: string): string | Ref {
  return capabilities.client_id === 'chosen' ? key : { from: { kind, key }, field: 'client_id' }
}

/**
 * A public client for people at an IDE: code flow with PKCE S256, no secret, nothing else (RFC 8252, RFC 9700 section 2.1).
 * @throws ToolkitError invalid_input with every reason against every redirect URI
 */
export function ideClient(capabilities: Capabilities, client: IdeClient): Wanted<'public-client'> {
  checkRedirectUris(client.redirect_uris)
  const key = clientKey(capabilities, client)
  const perClient = {
    pkce: 'S256',
    full_scope: false,
    web_origins: [],
    groups_claim: GROUPS_CLAIM,
    audience: client.audience ?? DEFAULT_AUDIENCE,
  }
  return {
    kind: 'public-client',
    key,
    ensure: 'present',
    spec: {
      ...(capabilities.client_id === 'chosen' ? { client_id: key } : {}),
      client_name: client.client_name,
      enabled: true,
      redirect_uris: client.redirect_uris,
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'none',
      ...withoutServerWide(perClient, capabilities),
    },
    ...(client.adopt ? { adopt: true } : {}),
    ...(client.prune ? {} : { keep: { redirect_uris: (uri) => typeof uri === 'string' && isCodexCallback(uri) } }),
  }
}

export interface WebClient {
  readonly client_id: string
  readonly client_name: string
  readonly redirect_uris: readonly string[]
  readonly audience: string
  readonly sink: SecretSink
  readonly adopt?: boolean
}

/**
 * The confidential client of the gateway's own web page: code flow with a secret, no direct grants (RFC 9700 section 2.4).
 * @throws ToolkitError invalid_input with every reason against every redirect URI
 */
export function webClient(client: WebClient): Wanted<'web-client'> {
  checkRedirectUris(client.redirect_uris)
  return {
    kind: 'web-client',
    key: client.client_id,
    ensure: 'present',
    spec: {
      client_id: client.client_id,
      client_name: client.client_name,
      enabled: true,
      redirect_uris: client.redirect_uris,
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'client_secret_basic',
      full_scope: false,
      web_origins: [],
      groups_claim: GROUPS_CLAIM,
      audience: client.audience,
    },
    sink: client.sink,
    ...(client.adopt ? { adopt: true } : {}),
  }
}

export interface MachineClient {
  readonly client_name: string
  readonly groups: readonly string[]
  readonly audience?: string
  readonly sink: SecretSink
  readonly adopt?: boolean
}

/** A confidential client for a machine: client credentials only (RFC 6749 section 4.4). */
export function machineClient(capabilities: Capabilities, client: MachineClient): Wanted<'machine-client'> {
  const perClient = { full_scope: false, groups_claim: GROUPS_CLAIM, audience: client.audience ?? DEFAULT_AUDIENCE }
  return {
    kind: 'machine-client',
    key: client.client_name,
    ensure: 'present',
    spec: {
      ...(capabilities.client_id === 'chosen' ? { client_id: client.client_name } : {}),
      client_name: client.client_name,
      enabled: true,
      redirect_uris: [],
      grant_types: ['client_credentials'],
      token_endpoint_auth_method: 'client_secret_basic',
      ...withoutServerWide(perClient, capabilities),
      ...(capabilities.machine_groups === 'token' ? { groups: client.groups } : {}),
    },
    sink: client.sink,
    ...(client.adopt ? { adopt: true } : {}),
  }
}

/** Lifetimes of the gateway's tenant, seconds: a short token, since a group change acts with the next one; a working day's session. */
export const LIFETIMES = { access_token: 300, session_idle: 1800, session: 36_000 } as const

/** A tenant for the gateway: people cannot register themselves, passwords cannot be guessed at leisure. */
export function gatewayTenant(
  name: string,
  { access_token_lifetime, adopt }: { access_token_lifetime: number; adopt: boolean },
): Wanted<'tenant'> {
  return {
    kind: 'tenant',
    key: name,
    ensure: 'present',
    spec: {
      name,
      enabled: true,
      access_token_lifetime,
      session_idle_lifetime: LIFETIMES.session_idle,
      session_lifetime: LIFETIMES.session,
      brute_force_protection: true,
      login_failures: 5,
      self_registration: false,
    },
    ...(adopt ? { adopt } : {}),
  }
}

export interface Person {
  readonly username: string
  readonly email?: string | undefined
  readonly given_name?: string | undefined
  readonly family_name?: string | undefined
  readonly groups?: readonly string[] | undefined
  /** Where the first password goes. */
  readonly sink: SecretSink
  readonly adopt?: boolean
}

/** A person in groups. Groups that somebody else gave stay: a person is in many, and not only for us. */
export function person({ username, email, given_name, family_name, groups, sink, adopt }: Person): Wanted<'user'> {
  return {
    kind: 'user',
    key: username,
    ensure: 'present',
    spec: {
      username,
      ...(email === undefined ? {} : { email }),
      ...(given_name === undefined ? {} : { given_name }),
      ...(family_name === undefined ? {} : { family_name }),
      ...(groups === undefined ? {} : { groups }),
    },
    keep: { groups: () => true },
    sink,
    ...(adopt ? { adopt } : {}),
  }
}

/** Groups that must exist before anything is written; with `create`, missing ones are made. */
export function namedGroups(groups: readonly string[], create: boolean): Wanted<'group'>[] {
  return groups.map((name) =>
    create ? { kind: 'group', key: name, ensure: 'exists', spec: { name } } : { kind: 'group', key: name, ensure: 'referenced' },
  )
}

/** The registry's record of a machine client; `enabled` is the operator's alone. */
export function m2mRecord(
  capabilities: Capabilities,
  client: { client_name: string; groups: readonly string[]; issuer: string },
): Wanted<'m2m-record'> {
  const client_id = clientRef(capabilities, 'machine-client', client.client_name)
  return {
    kind: 'm2m-record',
    key: client_id,
    ensure: 'present',
    spec: { client_id, name: client.client_name, groups: client.groups, issuer: client.issuer },
  }
}

/** Said instead of a record when no registry is configured. */
export function recordByHand(client_name: string, groups: readonly string[], commandLine: (argv: readonly string[]) => string): ManualStep {
  const argv = ['mcp-idp', 'm2m', 'register', '--client-id', client_name, '--client-name', client_name, '--groups', groups.join(',')]
  return { title: 'set REGISTRY_URL and record the client in the registry', steps: [commandLine(argv)] }
}

function withoutServerWide<T extends object>(fields: T, { server_wide }: Capabilities): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([field]) => !server_wide.some((one) => one === field))) as Partial<T>
}
