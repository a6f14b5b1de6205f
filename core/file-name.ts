/** A name that people choose as the name of a file: readable, and never the same for two names on any file system. */
import { createHash } from 'node:crypto'

/** Plain names as they are; others (spaces, slashes, capitals, which some file systems fold) get a hash that keeps them apart. */
export function fileNameOf(name: string): string {
  if (/^[a-z0-9][a-z0-9._-]{0,63}$/.test(name)) return name
  const readable = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 40)
  return `${readable}~${createHash('sha256').update(name).digest('hex').slice(0, 16)}`
}
