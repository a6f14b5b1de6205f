/** Token files: what is in them, where they lie, when they are still fresh. */
import { join } from 'node:path'
import { z } from 'zod'
import { readSmallFile, savePrivateFile } from '../core/private-file.js'
import { Secret } from '../core/secret.js'
import type { Receipt } from '../core/sink.js'
import { IDPS, type Identity } from '../idp/index.js'
import type { AccessToken } from '../idp/oauth.js'

/** A token is used until this long before its end, seconds. */
const SPARE_SECONDS = 60

/** `expires_at` is ISO 8601 or seconds since the epoch: both are in use. */
const tokenFile = z.looseObject({
  access_token: z.string().min(1),
  expires_at: z.union([z.string(), z.number()]),
  client_id: z.string().optional(),
})

export interface SavedToken {
  readonly token: Secret
  readonly expires_at: Date
}

/** Where an identity's token lies: each provider has its documented name. */
export function tokenPath(folder: string, { identity_name, auth_provider }: Identity): string {
  return join(folder, IDPS[auth_provider].capabilities.files.token(identity_name))
}

/** The saved token, if it is readable, of this client and fresh at `now`. */
export async function readFreshToken(path: string, { client_id }: Identity, now: Date): Promise<SavedToken | undefined> {
  const saved = await readTokenFile(path)
  if (saved === undefined || (saved.client_id !== undefined && saved.client_id !== client_id)) return undefined
  return saved.expires_at.getTime() - SPARE_SECONDS * 1000 > now.getTime() ? saved : undefined
}

/** A token file of any of the documented shapes; undefined when there is none or it is not one. */
export async function readTokenFile(path: string): Promise<(SavedToken & { client_id?: string }) | undefined> {
  const text = await readSmallFile(path)
  if (text === undefined) return undefined
  const result = tokenFile.safeParse(jsonOf(text))
  if (!result.success) return undefined
  const { access_token, expires_at, client_id } = result.data
  const date = new Date(typeof expires_at === 'number' ? expires_at * 1000 : expires_at)
  if (Number.isNaN(date.getTime())) return undefined
  return { token: new Secret(access_token), expires_at: date, ...(client_id === undefined ? {} : { client_id }) }
}

/** Replaces the token file as a whole; 0600. */
export async function saveToken(path: string, identity: Identity, issuer: string, token: AccessToken, now: Date): Promise<Receipt> {
  const expires_at = new Date(now.getTime() + token.expires_in * 1000).toISOString()
  const content = {
    identity_name: identity.identity_name,
    access_token: token.access_token.reveal(),
    token_type: token.token_type,
    expires_in: token.expires_in,
    generated_at: now.toISOString(),
    expires_at,
    provider: identity.auth_provider,
    issuer,
    client_id: identity.client_id,
    ...(token.scope === undefined ? {} : { scope: token.scope }),
    ...(identity.auth_provider === 'keycloak'
      ? {
          agent_name: identity.identity_name,
          keycloak_url: identity.fields['keycloak_url'],
          keycloak_realm: identity.fields['keycloak_realm'],
        }
      : {}),
  }
  const receipt = await savePrivateFile(path, `${JSON.stringify(content, null, 2)}\n`)
  return { ...receipt, expires_at }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
