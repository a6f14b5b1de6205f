/** Token files: where they lie, when what is in them is still what an identity asks for, and how they are written. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { savePrivateFile } from '../core/private-file.js'
import type { Receipt } from '../core/sink.js'
import type { AccessToken } from '../idp/oauth.js'
import { type Identity, TOKEN_SOURCES, type TokenRequest } from '../idp/tokens.js'
import { isFresh } from './freshness.js'
import { readTokenFile, type SavedToken } from './saved-token.js'

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
