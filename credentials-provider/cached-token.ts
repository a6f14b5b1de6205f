/**
 * A saved token that is certainly what an identity asks for now, told from two files and nothing else: no schema library, no
 * provider's table. Whatever is unusual is left to those who know more.
 */
import { join, resolve } from 'node:path'
import { readSmallFile } from '../core/private-file.js'
import { entryDigest, impliedBy } from './entry-digest.js'
import { isFresh } from './freshness.js'
import { readTokenFile, type SavedToken } from './saved-token.js'

export interface CachedAsk {
  readonly identity_name: string
  readonly home: string
  readonly identities_file?: string | undefined
  readonly output_dir?: string | undefined
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

/**
 * Undefined unless exactly one file names the identity, and a fresh token was saved for just what that file says.
 * @param now seconds since the epoch
 * @throws ToolkitError for files that are not ours alone
 */
export async function readCachedToken(ask: CachedAsk, now: number): Promise<SavedToken | undefined> {
  const { identity_name: name, home, identities_file, output_dir } = ask
  if (!NAME.test(name)) return undefined
  const folder = join(home, 'identities')
  const places =
    identities_file === undefined ? [`agent-${name}.json`, `${name}.json`].map((file) => join(folder, file)) : [identities_file]
  const tokens = resolve(output_dir ?? join(home, '.oauth-tokens'))
  // The documented names of token files.
  const files = [`${name}.json`, `${name.startsWith('agent-') ? name : `agent-${name}`}-token.json`]
  const [digests, saved] = await Promise.all([
    Promise.all(places.map((path) => digestsIn(resolve(path), name))),
    Promise.all(files.map((file) => readTokenFile(join(tokens, file)))),
  ])
  const [digest, ...others] = digests.flat()
  if (digest === undefined || others.length > 0) return undefined
  return saved.find((one) => one?.entry_digest === digest && isFresh(one, now))
}

/** One for each entry of the file with this name. */
async function digestsIn(path: string, name: string): Promise<string[]> {
  const text = await readSmallFile(path, { isPrivate: true })
  if (text === undefined) return []
  const rows: unknown = JSON.parse(text)
  return (Array.isArray(rows) ? rows : [rows]).flatMap((row: unknown) => {
    if (typeof row !== 'object' || row === null) return []
    const entry: Record<string, unknown> = { ...impliedBy(path), ...row }
    return entry['identity_name'] === name ? [entryDigest(entry)] : []
  })
}
