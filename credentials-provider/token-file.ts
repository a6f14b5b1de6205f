/** Token files: what is in them, where they lie, when they are still fresh. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { z } from 'zod'
import { readSmallFile, savePrivateFile } from '../core/private-file.js'
import { Secret } from '../core/secret.js'
import type { Receipt } from '../core/sink.js'
import type { AccessToken } from '../idp/oauth.js'
import { type Identity, TOKEN_SOURCES, type TokenRequest } from '../idp/tokens.js'
import { isFresh, secondsOf } from './freshness.js'

/** `expires_at` is ISO 8601 or seconds since the epoch: both are in use. */
const tokenFile = z.looseObject({
  access_token: z.string().min(1),
  expires_at: z.union([z.string(), z.number()]),
  generated_at: z.union([z.string(), z.number()]).optional(),
  expires_in: z.number().optional(),
  client_id: z.string().optional(),
  issuer: z.string().optional(),
  request_digest: z.string().optional(),
})

/** A token at rest; times in seconds since the epoch. */
export interface SavedToken {
  readonly token: Secret
  readonly expires_at: number
  /** Seconds from its issue to its end, where the file tells. */
  readonly lifetime?: number
  readonly generated_at?: number
  readonly client_id?: string
  readonly issuer?: string
  readonly request_digest?: string
}

/** Where an identity's token lies: each provider has its documented name. */
export function tokenPath(folder: string, { identity_name, auth_provider }: Identity): string {
  return join(folder, TOKEN_SOURCES[auth_provider].tokenFile(identity_name))
}

/** Sixteen hex digits that change with whatever is asked for: issuer, client, scope, audience. */
export function requestDigest({ client_id }: Identity, { issuer, token_endpoint, scope, parameters }: TokenRequest): string {
  const asked = JSON.stringify([issuer, token_endpoint ?? '', client_id, scope ?? '', parameters ?? {}])
  return createHash('sha256').update(asked).digest('hex').slice(0, 16)
}

/** The saved token, if it is what the identity asks for now and fresh at `now`, seconds since the epoch. */
export async function readFreshToken(
  path: string,
  identity: Identity,
  request: TokenRequest,
  now: number,
): Promise<SavedToken | undefined> {
  const saved = await readTokenFile(path)
  if (saved === undefined || !isFresh(saved, now)) return undefined
  const isAsked =
    saved.request_digest === undefined
      ? saved.client_id === undefined || saved.client_id === identity.client_id
      : saved.request_digest === requestDigest(identity, request)
  return isAsked ? saved : undefined
}

/** A token file of any of the documented shapes; undefined when there is none or it is not one. */
export async function readTokenFile(path: string): Promise<SavedToken | undefined> {
  const text = await readSmallFile(path)
  if (text === undefined) return undefined
  const result = tokenFile.safeParse(jsonOf(text))
  if (!result.success) return undefined
  const { access_token, expires_at, generated_at, expires_in, client_id, issuer, request_digest } = result.data
  const [until, from] = [secondsOf(expires_at), generated_at === undefined ? undefined : secondsOf(generated_at)]
  if (until === undefined) return undefined
  const lifetime = expires_in ?? (from === undefined ? undefined : until - from)
  return {
    token: new Secret(access_token),
    expires_at: until,
    ...(lifetime === undefined ? {} : { lifetime }),
    ...(from === undefined ? {} : { generated_at: from }),
    ...(client_id === undefined ? {} : { client_id }),
    ...(issuer === undefined ? {} : { issuer }),
    ...(request_digest === undefined ? {} : { request_digest }),
  }
}

/** Replaces the token file as a whole; 0600. */
export async function saveToken(
  path: string,
  identity: Identity,
  request: TokenRequest,
  token: AccessToken,
  now: number,
): Promise<Receipt> {
  const { identity_name, auth_provider, client_id } = identity
  const expires_at = isoOf(now + token.expires_in)
  const scope = token.scope ?? request.scope
  const content = {
    identity_name,
    access_token: token.access_token.reveal(),
    token_type: token.token_type,
    expires_in: token.expires_in,
    generated_at: isoOf(now),
    expires_at,
    provider: auth_provider,
    issuer: request.issuer,
    client_id,
    ...(scope === undefined ? {} : { scope }),
    ...TOKEN_SOURCES[auth_provider].tokenFileFields?.(identity),
    request_digest: requestDigest(identity, request),
  }
  const receipt = await savePrivateFile(path, `${JSON.stringify(content, null, 2)}\n`)
  return { ...receipt, expires_at }
}

/** RFC 3339, UTC, of seconds since the epoch. */
export function isoOf(seconds: number): string {
  return new Date(seconds * 1000).toISOString()
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
