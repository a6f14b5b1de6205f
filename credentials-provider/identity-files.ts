/** Which identities files there are where nobody names one, all of them read at once, and whether their names can be files side by side. */
import { readdir, realpath } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { type ErrorDetails, invalidInput, isToolkitError, type Problem, ToolkitError } from '../core/errors.js'
import { TOKEN_SOURCES } from '../idp/tokens.js'
import { type FileOfIdentities, type IdentityEntry, identitiesIn, type ReadingIdentities } from './identities.js'

/** Identities of a run, and the folder of their token files. */
export interface Identities {
  readonly entries: readonly IdentityEntry[]
  readonly folder: string
}

/** Files to read, and what goes with where they lie. */
export interface IdentityFiles {
  readonly paths: readonly string[]
  /** Whether their secrets may be references. */
  readonly mayRefer: boolean
  /** Where their tokens go unless somebody says otherwise. */
  readonly folder: string
}

/** The documented folder of identities and tokens. */
const DOCUMENTED = '.oauth-tokens'
/** Inputs that are called so wherever they lie; no token file may take their names. */
const INPUTS = ['identities.json', 'entra-identities.json']

/**
 * The files of the home folder; only where it has none, those of `.oauth-tokens` in the folder `here`, which anybody may
 * have put there: nothing in them is opened or run.
 */
export async function defaultFiles(home: string, here: string): Promise<IdentityFiles> {
  const own = [
    ...(await filesOf(join(home, 'identities'), () => true)),
    ...(await filesOf(home, (name) => name === 'identities.json')),
    ...(await filesOf(join(home, DOCUMENTED), isDocumented)),
  ]
  if (own.length > 0) return { paths: own, mayRefer: true, folder: join(home, DOCUMENTED) }
  const folder = join(here, DOCUMENTED)
  const paths = await filesOf(folder, isDocumented)
  return { paths, mayRefer: false, folder: paths.length > 0 ? folder : join(home, DOCUMENTED) }
}

/**
 * A file that somebody named. What an assistant names may have been written by whoever writes to it: nothing in such a file
 * is opened or run, unless it lies in the home folder.
 */
export async function namedFile(path: string, home: string, isAssistant: boolean): Promise<IdentityFiles> {
  const [folder, own] = await Promise.all([real(dirname(path)), real(home)])
  const way = relative(own, folder)
  const isOwn = way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
  return { paths: [path], mayRefer: !isAssistant || isOwn, folder: join(home, DOCUMENTED) }
}

const real = (path: string) => realpath(path).catch(() => resolve(path))

const isDocumented = (name: string) => INPUTS.includes(name) || (name.startsWith('agent-') && !name.endsWith('-token.json'))

async function filesOf(folder: string, isWanted: (name: string) => boolean): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return []
    const reason = String(error.code)
    throw new ToolkitError('unavailable', `${folder} cannot be read (${reason})`, { system: 'file system', reason })
  })
  return names
    .filter((name) => name.endsWith('.json') && !name.startsWith('.') && isWanted(name))
    .sort()
    .map((name) => join(folder, name))
}

/**
 * The identities of all files, checked together, for token files in `folder`.
 * @throws ToolkitError not_found; invalid_input with every problem of every file
 */
export async function readIdentityFiles(paths: readonly string[], reading: ReadingIdentities, folder: string): Promise<IdentityEntry[]> {
  const files = await Promise.all(paths.map((path) => fileOrProblems(path, reading)))
  const entries = files.flatMap((file) => file.entries)
  const clashes = clashesOf(entries, await inputsIn(folder, paths))
  const problems = [...files.flatMap((file) => file.problems), ...clashes]
  const hints = new Set(files.flatMap(({ hint }) => hint ?? []))
  if (problems.length === 0) return entries
  throw invalidInput(paths.length === 1 ? (paths[0] ?? '') : 'the identities', problems, hints.size > 0 ? [...hints].join('; ') : undefined)
}

/** A file that cannot be read as one does not hide what is wrong with the others. */
async function fileOrProblems(path: string, reading: ReadingIdentities): Promise<FileOfIdentities & { readonly hint?: string }> {
  try {
    return await identitiesIn(path, reading)
  } catch (error) {
    if (!isToolkitError(error, 'invalid_input')) throw error
    const { problems } = error.details as ErrorDetails['invalid_input']
    return { entries: [], problems, ...(error.hint === undefined ? {} : { hint: error.hint }) }
  }
}

/** Names of the files that lie in the folder itself, by whatever way it is named. */
async function inputsIn(folder: string, paths: readonly string[]): Promise<string[]> {
  const [target, ...folders] = await Promise.all([folder, ...paths.map((path) => dirname(path))].map(real))
  return paths.filter((_, index) => folders[index] === target).map((path) => basename(path))
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

/** @throws ToolkitError invalid_input as `clashesOf` */
export function refuseClashes(entries: readonly IdentityEntry[], inputs: readonly string[] = []): void {
  const problems = clashesOf(entries, inputs)
  if (problems.length > 0) throw invalidInput('the identities', problems)
}

/**
 * Identities of one name or of one token file on some file system, and those whose token file is an input: one of the
 * documented names, or of `inputs`.
 */
function clashesOf(entries: readonly IdentityEntry[], inputs: readonly string[]): Problem[] {
  const names = new Map<string, IdentityEntry>()
  const files = new Map<string, IdentityEntry>()
  const reserved = new Set([...INPUTS, ...inputs].map((name) => basename(name).toLowerCase()))
  return entries.flatMap((entry) => {
    const { identity_name: found, auth_provider } = entry.identity
    const file = TOKEN_SOURCES[auth_provider].tokenFile(found).toLowerCase()
    const other = names.get(found.toLowerCase()) ?? files.get(file)
    if (other === undefined) {
      names.set(found.toLowerCase(), entry)
      files.set(file, entry)
      if (!reserved.has(file)) return []
      return [{ path: entry.place, expected: `a name whose token file is not ${file}, a file of identities`, found }]
    }
    const expected = `a name that, whatever its case, is nobody else's, and neither is its token file ${file}`
    return [{ path: entry.place, expected, found: `${found}, as ${other.place}` }]
  })
}
