/** Token files: where they lie, when what is in them is still what an identity asks for, and how they are written. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { savePrivateFile } from '../core/private-file.js'
import type { Receipt } from '../core/sink.js'
import type { AccessToken } from '../idp/oauth.js'
import { type Identity, TOKEN_SOURCES, type TokenRequest } from '../idp/tokens.js'
import { isFresh, isoOf } from './freshness.js'
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
  return saved !== undefined && isFresh(saved, now) && isAskedFor(saved, identity, request) ? saved : undefined
}

/** Whether a saved token is one that the identity would ask for now; files that other tools wrote tell the client at most. */
export function isAskedFor(saved: SavedToken, identity: Identity, request: TokenRequest): boolean {
  if (saved.request_digest !== undefined) return saved.request_digest === requestDigest(identity, request)
  return saved.client_id === undefined || saved.client_id === identity.client_id
}

/** Replaces the token file as a whole; 0600. `entryDigest` is the identity's, where its file alone says what to ask for. */
export async function saveToken(
  path: string,
  identity: Identity,
  request: TokenRequest,
  token: AccessToken,
  now: number,
  entryDigest?: string,
): Promise<Receipt> {
  const { identity_name, auth_provider, client_id } = identity
  const { tokenFileFields, tokenFileMetadata: metadata } = TOKEN_SOURCES[auth_provider]
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
    ...tokenFileFields?.(identity),
    ...(metadata === undefined ? {} : { metadata }),
    request_digest: requestDigest(identity, request),
    ...(entryDigest === undefined ? {} : { entry_digest: entryDigest }),
  }
  const receipt = await savePrivateFile(path, `${JSON.stringify(content, null, 2)}\n`)
  return { ...receipt, expires_at }
}

export { isoOf } from './freshness.js'
