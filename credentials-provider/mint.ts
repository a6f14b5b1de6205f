/** One identity in, one fresh token file out. */
import type { Receipt } from '../core/sink.js'
import { type Minter, tokenRequest } from '../idp/tokens.js'
import { saveEnvFile } from './env-file.js'
import type { IdentityEntry } from './identities.js'
import { singleFlight, type TryLock } from './single-flight.js'
import { isoOf, readFreshToken, saveToken, tokenPath } from './token-file.js'

export interface Minting {
  readonly folder: string
  readonly minter: Minter
  readonly tryLock: TryLock
  /** Seconds since the epoch. */
  readonly now: () => number
  /** Mint even when the saved token is fresh. */
  readonly force: boolean
  /** Whether each token is also written as variables for a shell. */
  readonly envFiles?: boolean
  readonly signal?: AbortSignal
}

export interface Minted {
  readonly identity_name: string
  readonly issuer: string
  readonly reused: boolean
  readonly receipt: Receipt
}

/** Keeps a token that is fresh. Undefined when one must be minted. */
export async function keepFresh(entry: IdentityEntry, { folder, now, force, envFiles }: Minting): Promise<Minted | undefined> {
  if (force) return undefined
  const { identity } = entry
  const path = tokenPath(folder, identity)
  const request = requestOf(entry)
  const saved = await readFreshToken(path, identity, request, now())
  if (saved === undefined) return undefined
  if (envFiles) await saveEnvFile(path, identity, saved.token)
  const receipt = { saved_to: path, mode: '0600', expires_at: isoOf(saved.expires_at) }
  return { identity_name: identity.identity_name, issuer: request.issuer, reused: true, receipt }
}

/** Mints and saves whole; one process at a time for one file. @throws ToolkitError as `Minter.mint`, and what the file refuses */
export async function mintToFile(entry: IdentityEntry, minting: Minting): Promise<Minted> {
  const { identity } = entry
  const { folder, minter, tryLock, now, envFiles, signal } = minting
  const path = tokenPath(folder, identity)
  return singleFlight(path, {
    tryLock,
    there: () => keepFresh(entry, minting),
    work: async () => {
      const { token } = await minter.mint(identity, await entry.credential(signal))
      const request = requestOf(entry)
      const receipt = await saveToken(path, identity, request, token, now(), entry.digest)
      if (envFiles) await saveEnvFile(path, identity, token.access_token)
      return { identity_name: identity.identity_name, issuer: request.issuer, reused: false, receipt }
    },
    ...(signal ? { signal } : {}),
  })
}

/** What the identity asks for. */
export function requestOf({ identity, secret }: IdentityEntry) {
  return tokenRequest(identity, { [secret]: true })
}
