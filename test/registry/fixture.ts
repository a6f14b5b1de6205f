/** An issuer with keys of its own and a registry in memory around a temporary store; nothing listens. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { keycloakCapabilities } from '../../idp/keycloak/capabilities.js'
import { createApp } from '../../registry/server/app.js'
import { authenticator } from '../../registry/server/auth/authenticate.js'
import type { Scope } from '../../registry/server/auth/permissions.js'
import { createVerifier, type TrustedIssuer } from '../../registry/server/auth/verify.js'
import { openDatabase } from '../../registry/server/store/database.js'
import { openStore, type Seed } from '../../registry/server/store/store.js'

export const URL_OF_REGISTRY = 'http://127.0.0.1:7860'
export const PRIMARY = 'http://127.0.0.1:8080/realms/mcp-gateway'
export const SECOND = 'http://127.0.0.1:8081/realms/other'
export const ADMIN = { client_id: 'gateway', name: 'The gateway', issuer: PRIMARY }

/** A Keycloak-like issuer that signs what it is told to. */
export async function issuerWithKeys(issuer: string) {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true })
  const jwk = { ...(await exportJWK(publicKey)), kid: 'key-1', alg: 'RS256', use: 'sig' }
  const trusted: TrustedIssuer = { name: 'keycloak', issuer, rules: keycloakCapabilities.token }
  return {
    ...{ issuer, trusted, privateKey, publicKey, jwks: { keys: [jwk] } },
    sign: (claims: JWTPayload, header: Record<string, unknown> = {}) =>
      new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'key-1', typ: 'JWT', ...header }).sign(privateKey),
  }
}
export type Issuer = Awaited<ReturnType<typeof issuerWithKeys>>

/** Claims of a machine's access token as Keycloak makes them. */
export function machineClaims(issuer: string, client_id: string, groups: readonly string[] = []): JWTPayload {
  const iat = Math.floor(Date.now() / 1000)
  const shared = { iss: issuer, aud: 'mcp-gateway', iat, exp: iat + 300, typ: 'Bearer', azp: client_id }
  const machine = { sub: `subject-of-${client_id}`, client_id, preferred_username: `service-account-${client_id.toLowerCase()}` }
  return { ...shared, ...machine, ...(groups.length > 0 ? { groups } : {}) }
}

/** Claims of a person's access token. */
export function personClaims(issuer: string, azp: string, username: string, groups: readonly string[] = []): JWTPayload {
  const iat = Math.floor(Date.now() / 1000)
  return {
    iss: issuer,
    aud: 'mcp-gateway',
    iat,
    exp: iat + 300,
    typ: 'Bearer',
    azp,
    sub: `id-of-${username}`,
    preferred_username: username,
    groups,
  }
}

export interface RegistryFixtureOptions {
  readonly seed?: Seed
  readonly ide?: { client_id?: string; callback_port?: number }
}

/** A registry that trusts two issuers; the first is primary. */
export async function registryInMemory({ seed = { m2m_client: ADMIN }, ide = {} }: RegistryFixtureOptions = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'registry-'))
  const [primary, second] = await Promise.all([issuerWithKeys(PRIMARY), issuerWithKeys(SECOND)])
  const store = await openStore({ folder, seed, ...(ide.client_id ? { ideClientId: ide.client_id } : {}) })
  const issuers = [primary.trusted, second.trusted]
  const sets = new Map([primary, second].map(({ issuer, jwks }) => [issuer, jwks]))
  const verifier = createVerifier({ issuers, audience: 'mcp-gateway', jwks: async ({ issuer }) => sets.get(issuer) })
  const authenticate = authenticator(verifier, store)
  const app = createApp({ url: URL_OF_REGISTRY, store, authenticate, ide, issuers: issuers.map(({ issuer }) => issuer) })
  const tokens = {
    admin: await primary.sign(machineClaims(PRIMARY, 'gateway')),
    nobody: await primary.sign(machineClaims(PRIMARY, 'stranger')),
    reader: await primary.sign(personClaims(PRIMARY, 'ide', 'ada', ['demo-readers'])),
    person: await primary.sign(personClaims(PRIMARY, 'ide', 'grace', ['registry-admins'])),
  }
  /** One request; `as` is a token, `null` sends none. */
  const call = async (method: string, path: string, { as = tokens.admin as string | null, json, form, headers }: CallOptions = {}) => {
    const body =
      json !== undefined ? (typeof json === 'string' ? json : JSON.stringify(json)) : form ? new URLSearchParams(form) : undefined
    const response = await app.request(`${URL_OF_REGISTRY}${path}`, {
      method,
      headers: {
        ...(as === null ? {} : { authorization: `Bearer ${as}` }),
        ...(json === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body }),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, text, json: jsonOf(text) }
  }
  return {
    ...{ app, store, folder, primary, second, tokens, call, authenticate },
    /** A record that a sync wrote: the store itself has no door for it. */
    async plantSynced(client_id: string, fields: { groups?: string[]; issuer?: string; enabled?: boolean } = {}) {
      const db = await openDatabase(folder)
      const at = new Date().toISOString()
      const { groups = [], issuer = PRIMARY, enabled = true } = fields
      const row = {
        client_id,
        name: client_id,
        description: null,
        groups: JSON.stringify(groups),
        enabled: Number(enabled),
        provider: 'okta',
      }
      await db
        .insertInto('m2m_clients')
        .values({ ...row, created_at: at, updated_at: at, idp_app_id: 'app', created_by: null, issuer })
        .execute()
      await db.destroy()
    },
    /** A scope that an administrator made. */
    async plantScope(scope: Scope) {
      const db = await openDatabase(folder)
      await db
        .insertInto('scopes')
        .values({ name: scope.name, document: JSON.stringify(scope) })
        .execute()
      await db.destroy()
    },
    async close() {
      await verifier.close()
      await store.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

interface CallOptions {
  readonly as?: string | null
  readonly json?: unknown
  readonly form?: Record<string, string>
  readonly headers?: Record<string, string>
}

/** As loose as `JSON.parse`: what is in it is what the tests are about. */
function jsonOf(text: string): ReturnType<typeof JSON.parse> {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
