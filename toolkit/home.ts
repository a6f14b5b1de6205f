/**
 * The home folder and its one profile. Configuration is read from here and the environment only, never from the current
 * folder: a cloned repository must not be able to set a URL.
 */
import { lstat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { invalidInput } from '../core/errors.js'
import { problemsOf } from '../core/operation.js'
import { readSmallFile, savePrivateFile } from '../core/private-file.js'
import { SETTINGS, type SettingSource } from '../core/settings.js'
import { type Environment, homeFolder } from './home-folder.js'

export { type Environment, homeFolder } from './home-folder.js'

const NAMES = Object.entries(SETTINGS).flatMap(([name, row]) => [name, ...('aliases' in row ? row.aliases : [])])

/** `profile.json`: settings by name; a value may point elsewhere with `env:NAME` or `file:path` (relative to the home). */
const profileFile = z.strictObject({
  profile: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,31}$/)
    .default('default'),
  settings: z.partialRecord(z.enum(NAMES as [string, ...string[]]), z.string().max(4096)).default({}),
})
export type Profile = z.infer<typeof profileFile>

/** Words that name this home at a terminal where nothing is set: none for the user's own configuration folder. */
export function homeWords(home: string): string[] {
  return home === homeFolder(undefined, {}) ? [] : ['--home', home]
}

/** A home as a run needs it. */
export interface Home {
  readonly home: string
  readonly profile: string
  readonly settings: SettingSource
  /** PEM of the authorities in the file that `MCP_IDP_CA_FILE` names. */
  readonly ca?: string
  readonly env: Environment
}

/** Reads the profile of a home and resolves its settings. @throws ToolkitError invalid_input */
export async function openHome(home: string, env: Environment): Promise<Home> {
  const profile = await readProfile(home)
  const settings = await settingSource(home, profile, env)
  const ca = await authorities(home, settings('MCP_IDP_CA_FILE'))
  return { home, profile: profile.profile, settings, env, ...(ca === undefined ? {} : { ca }) }
}

/** The profile of a home; an empty one when there is none. @throws ToolkitError invalid_input */
export async function readProfile(home: string): Promise<Profile> {
  const path = join(home, 'profile.json')
  await refuseForeignOwner(home)
  await refuseForeignOwner(path)
  const text = await readSmallFile(path)
  if (text === undefined) return { profile: 'default', settings: {} }
  const result = profileFile.safeParse(parsed(text, path))
  if (result.success) return result.data
  throw invalidInput(path, problemsOf(result.error))
}

export async function saveProfile(home: string, profile: Profile): Promise<void> {
  await savePrivateFile(join(home, 'profile.json'), `${JSON.stringify(profile, null, 2)}\n`)
}

/** Environment first, then the profile with its references resolved. An empty value counts as unset. */
export async function settingSource(home: string, profile: Profile, env: Environment): Promise<SettingSource> {
  const resolved = new Map<string, string>()
  for (const [name, value] of Object.entries(profile.settings)) {
    if (value === undefined) continue
    const text = value.startsWith('env:') ? env[value.slice(4)] : value.startsWith('file:') ? await referenced(home, value.slice(5)) : value
    if (text !== undefined && text !== '') resolved.set(name, text)
  }
  return (name) => env[name] || resolved.get(name)
}

async function authorities(home: string, path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined
  const text = await readSmallFile(resolve(home, path))
  if (text?.includes('-----BEGIN CERTIFICATE-----')) return text
  throw invalidInput('the configuration', [{ path: 'MCP_IDP_CA_FILE', expected: 'a file of certificates in PEM', found: path }])
}

async function referenced(home: string, path: string): Promise<string | undefined> {
  return (await readSmallFile(resolve(home, path)))?.trim()
}

function parsed(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw invalidInput('the profile', [{ path, expected: 'JSON' }])
  }
}

/** Whoever can write the home can set every URL that credentials are sent to. */
async function refuseForeignOwner(path: string): Promise<void> {
  const stat = await lstat(path).catch(() => undefined)
  if (stat === undefined || process.getuid === undefined) return
  if (stat.uid !== process.getuid()) throw invalidInput('the home folder', [{ path, expected: 'owned by you' }])
  if ((stat.mode & 0o022) !== 0)
    throw invalidInput(
      'the home folder',
      [{ path, expected: 'not writable by group or others', found: (stat.mode & 0o777).toString(8) }],
      `chmod go-w ${path}`,
    )
}
