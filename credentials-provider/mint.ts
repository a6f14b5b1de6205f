/** One identity in, one fresh token file out. */
import type { Door } from '../core/http.js'
import type { Receipt } from '../core/sink.js'
import { IDPS, type Identity } from '../idp/index.js'
import { readFreshToken, saveToken, tokenPath } from './token-file.js'

export interface Minting {
  readonly folder: string
  readonly doorTo: (origin: string) => Door
  readonly now: () => Date
  /** Mint even when the saved token is fresh. */
  readonly force?: boolean
}

export interface Minted {
  readonly identity_name: string
  readonly receipt: Receipt
  readonly reused: boolean
}

/** Keeps a token that is fresh; otherwise mints one and saves it whole. @throws token_refused and what the file refuses */
export async function mintToFile(identity: Identity, minting: Minting): Promise<Minted> {
  const { identity_name, auth_provider } = identity
  const path = tokenPath(minting.folder, identity)
  const saved = minting.force ? undefined : await readFreshToken(path, identity, minting.now())
  if (saved) return { identity_name, reused: true, receipt: { saved_to: path, mode: '0600', expires_at: saved.expires_at.toISOString() } }
  const adapter = await IDPS[auth_provider].load()
  const { issuer, token } = await adapter.mint(identity, minting.doorTo)
  return { identity_name, reused: false, receipt: await saveToken(path, identity, issuer, token, minting.now()) }
}
