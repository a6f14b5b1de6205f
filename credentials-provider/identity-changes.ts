/** Identities files that are read again when one of them has changed, come or gone. */
import { stat } from 'node:fs/promises'
import type { IdentityEntry } from './identities.js'

export interface WatchedFiles {
  /** Paths of the files there are now. */
  readonly paths: () => Promise<readonly string[]>
  readonly read: () => Promise<readonly IdentityEntry[]>
  /** Told of a change that cannot be read: what was read before stays in force. */
  readonly onProblem: (error: unknown) => void
}

/**
 * Asked again and again: all identities the first time and after each change, undefined in between.
 * @throws ToolkitError the first time only, as `read`
 */
export function identityChanges({ paths, read, onProblem }: WatchedFiles): () => Promise<readonly IdentityEntry[] | undefined> {
  let seen: string | undefined
  return async () => {
    const isFirst = seen === undefined
    try {
      const now = await signature(await paths())
      if (now === seen) return undefined
      seen = now
      return await read()
    } catch (error) {
      if (isFirst) throw error
      onProblem(error)
      return undefined
    }
  }
}

/** Changes whenever a file is replaced, written, added or removed. */
async function signature(paths: readonly string[]): Promise<string> {
  const found = await Promise.all(paths.map((path) => stat(path).catch(() => undefined)))
  return paths
    .map((path, index) => [path, found[index]?.ino, found[index]?.size, found[index]?.mtimeMs, found[index]?.ctimeMs].join(' '))
    .join('\n')
}
