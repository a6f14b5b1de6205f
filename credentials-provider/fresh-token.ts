/** One identity in, one fresh token in hand: the saved one, else a new one, saved or kept in memory alone. */
import { ToolkitError } from '../core/errors.js'
import type { IdentityEntry } from './identities.js'
import { type Minting, mintToFile, requestOf } from './mint.js'
import { readTokenFile, type SavedToken } from './saved-token.js'
import { readFreshToken, tokenPath } from './token-file.js'

/** @throws ToolkitError as `Minter.mint`, and what the token file refuses */
export async function freshToken(entry: IdentityEntry, minting: Minting, { isSaved }: { isSaved: boolean }): Promise<SavedToken> {
  const { identity } = entry
  const path = tokenPath(minting.folder, identity)
  const saved = await readFreshToken(path, identity, requestOf(entry), minting.now())
  if (saved) return saved
  if (!isSaved) return mintInMemory(entry, minting)
  const { receipt } = await mintToFile(entry, minting)
  const written = await readTokenFile(receipt.saved_to)
  if (written) return written
  throw new ToolkitError(
    'unavailable',
    `${receipt.saved_to} holds no token any more`,
    { system: 'file system', reason: 'replaced' },
    'run it again',
  )
}

/** A new token that no file holds. @throws ToolkitError as `Minter.mint` */
export async function mintInMemory(
  entry: IdentityEntry,
  { minter, now, signal }: Pick<Minting, 'minter' | 'now' | 'signal'>,
): Promise<SavedToken> {
  const { token, issuer } = await minter.mint(entry.identity, await entry.credential(signal))
  const generated_at = now()
  const { access_token, token_type, expires_in } = token
  return { token: access_token, token_type, issuer, generated_at, lifetime: expires_in, expires_at: generated_at + expires_in }
}
