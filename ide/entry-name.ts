/** The name of a server inside a client's configuration: the narrowest rule of all clients, so that one name serves everywhere. */
import { createHash } from 'node:crypto'

const LONGEST = 64

/**
 * From a server's name or its path to 1 to 64 of `a-z 0-9 -`, beginning with a letter or digit. White space becomes a dash,
 * and so do the slashes of a path; other characters are dropped. A name of which nothing is left gets a short digest, so
 * that two such servers do not overwrite each other.
 */
export function serverEntryName(nameOrPath: string): string {
  const words = nameOrPath.startsWith('/') ? nameOrPath.replace(/[/._]+/g, ' ') : nameOrPath
  const name = words
    .toLowerCase()
    .trim()
    .replace(/\s+/g, '-')
    .replace(/[^a-z0-9-]/g, '')
    .replace(/^-+/, '')
    .slice(0, LONGEST)
    .replace(/-+$/, '')
  return name === '' ? `server-${createHash('sha256').update(nameOrPath).digest('hex').slice(0, 8)}` : name
}
