/**
 * Tokens in memory alone: minted when they are asked for, again when they are no longer fresh or their identity asks for
 * something else, and once for all who ask meanwhile.
 */
import { lstat } from 'node:fs/promises'
import { isFresh } from './freshness.js'
import type { IdentityEntry } from './identities.js'
import { requestOf } from './mint.js'
import type { SavedToken } from './saved-token.js'
import { requestDigest } from './token-file.js'

export interface TokenMemory {
  /** @throws ToolkitError not_found, and as reading identities and minting */
  token(identity_name: string): Promise<SavedToken>
}

export interface TokenMemorySource {
  /** The identity of a name as its file says now. */
  find(identity_name: string): Promise<IdentityEntry>
  mint(entry: IdentityEntry): Promise<SavedToken>
  /** Seconds since the epoch. */
  now(): number
}

interface Held {
  readonly token: SavedToken
  readonly file: string
  readonly asked: string
  /** When the file was about to be read, milliseconds since the epoch. */
  readonly readAt: number
}

/** Clocks of file systems go in steps: a file changed this long before it was read may have been changed after. */
const STEP_MS = 50

export function createTokenMemory({ find, mint, now }: TokenMemorySource): TokenMemory {
  const held = new Map<string, Held>()
  const underWay = new Map<string, Promise<SavedToken>>()
  const look = async (name: string): Promise<SavedToken> => {
    const readAt = Date.now()
    const entry = await find(name)
    const asked = requestDigest(entry.identity, requestOf(entry))
    const before = held.get(name)
    const isGood = before !== undefined && before.asked === asked && isFresh(before.token, now())
    const token = isGood ? before.token : await mint(entry)
    held.set(name, { token, asked, readAt, file: entry.file })
    return token
  }
  return {
    async token(name) {
      const one = held.get(name)
      if (one && isFresh(one.token, now()) && (await isUnchanged(one))) return one.token
      const looking = underWay.get(name) ?? look(name).finally(() => underWay.delete(name))
      underWay.set(name, looking)
      return looking
    },
  }
}

async function isUnchanged({ file, readAt }: Held): Promise<boolean> {
  const found = await lstat(file).catch(() => undefined)
  return found !== undefined && Math.max(found.mtimeMs, found.ctimeMs) < readAt - STEP_MS
}
