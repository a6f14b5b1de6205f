/** Which identities files there are where nobody names one, and whether their names can all be files side by side. */
import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { invalidInput, type Problem, ToolkitError } from '../core/errors.js'
import { TOKEN_SOURCES } from '../idp/tokens.js'
import { type IdentityEntry, type ReadingIdentities, readIdentities } from './identities.js'

/** Identities of a run, and the folder of their token files. */
export interface Identities {
  readonly entries: readonly IdentityEntry[]
  readonly folder: string
}

/** Every identity of a folder's `*.json` files, in order of their names; token files among them are left out. */
export async function readIdentityFolder(folder: string, reading: ReadingIdentities): Promise<IdentityEntry[]> {
  const names = await readdir(folder).catch(() => [])
  const files = names.filter((name) => name.endsWith('.json') && !name.endsWith('-token.json') && !name.startsWith('.')).sort()
  return (await Promise.all(files.map((name) => readIdentities(join(folder, name), reading)))).flat()
}

/** The identity of a name; `agent-x` finds `x`, as its documented file is called. @throws ToolkitError not_found */
export function identityNamed(entries: readonly IdentityEntry[], name: string): IdentityEntry {
  const entry =
    entries.find(({ identity }) => identity.identity_name === name) ??
    entries.find(({ identity }) => `agent-${identity.identity_name}` === name)
  if (entry) return entry
  throw new ToolkitError(
    'not_found',
    `there is no identity ${name}`,
    { kind: 'identity', key: name },
    'mcp-idp credentials list shows those there are',
  )
}

/** @throws ToolkitError invalid_input when two identities would share one token file on some file system */
export function refuseClashes(entries: readonly IdentityEntry[], inputs: readonly string[] = []): void {
  const seen = new Map<string, string>(inputs.map((path) => [basename(path).toLowerCase(), path]))
  const problems: Problem[] = []
  for (const { identity, place } of entries) {
    const { identity_name, auth_provider } = identity
    const file = TOKEN_SOURCES[auth_provider].tokenFile(identity_name).toLowerCase()
    const other = seen.get(file)
    if (other === undefined) seen.set(file, place)
    else
      problems.push({
        path: place,
        expected: `a name whose token file ${file} is nobody else's, whatever its case`,
        found: `${identity_name}, as ${other}`,
      })
  }
  if (problems.length > 0) throw invalidInput('the identities', problems)
}
