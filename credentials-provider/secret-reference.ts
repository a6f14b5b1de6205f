/**
 * Where an identity's secret is: written out, or named by `env:NAME`, `file:PATH` or `{"exec": [program, argument, ...]}`.
 * A reference is opened only when a token is due, and only from files that their owner was asked to trust.
 */
import { isAbsolute, resolve } from 'node:path'
import { z } from 'zod'
import { invalidInput } from '../core/errors.js'
import { readSmallFile } from '../core/private-file.js'
import { Secret } from '../core/secret.js'
import { SECRET_FIELDS } from '../idp/tokens.js'

const ENV = /^env:([A-Za-z_][A-Za-z0-9_]{0,255})$/
const FILE = /^file:([^\0]{1,4096})$/
/** What begins like a reference is never taken for a secret: a slip in it would send it to a server. */
const LOOKS_LIKE_ONE = /^(?:env|file|exec):/

const variable = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,255}$/)
const argument = z
  .string()
  .max(4096)
  .regex(/^[^\0]*$/)
const command = z.strictObject({
  exec: z.tuple([argument.min(1)], argument).describe('program and arguments; no shell reads them'),
  env: z.array(variable).max(64).optional().describe('names of variables that the program gets besides PATH, HOME and the like'),
})
export type Command = z.infer<typeof command>

const text = z
  .string()
  .min(1)
  .max(16_384)
  .refine((value) => !value.includes('\0') && (!LOOKS_LIKE_ONE.test(value) || ENV.test(value) || FILE.test(value)))

/** How a secret may stand in a file. */
export const secretValue = z
  .union([text, command], { error: 'a secret, env:NAME, file:PATH, or {"exec": ["program", "argument"]} for a program that prints it' })
  .describe('the secret itself, env:NAME, file:PATH, or the program that prints it')
export type SecretValue = z.infer<typeof secretValue>

/** True for a value that names a secret instead of being one. */
export function isReference(value: SecretValue): boolean {
  return typeof value !== 'string' || LOOKS_LIKE_ONE.test(value)
}

/** False only for entries whose every secret is named and none written out; such a file may be open to others. */
export function holdsSecrets(rows: readonly unknown[]): boolean {
  return !rows.every((row) => {
    if (typeof row !== 'object' || row === null) return false
    const values = SECRET_FIELDS.flatMap((field): unknown[] => (Object.hasOwn(row, field) ? [(row as Record<string, unknown>)[field]] : []))
    return values.length > 0 && values.every((value) => secretValue.safeParse(value).success && isReference(value as SecretValue))
  })
}

export interface Opening {
  /** Where the value stands, for messages. */
  readonly place: string
  /** Paths count from here. */
  readonly folder: string
  readonly env: (name: string) => string | undefined
  readonly signal?: AbortSignal
}

/** The secret of a value. @throws ToolkitError invalid_input or unavailable, telling the `place` and never what was read */
export async function openSecret(value: SecretValue, opening: Opening): Promise<Secret> {
  const found = typeof value === 'string' ? await opened(value, opening) : await printed(value, opening)
  // What people and programs write ends a line.
  const secret = value === found ? found : found.replace(/\r?\n$/, '')
  if (secret === '') throw refused(opening, 'a secret; what it names is empty')
  return new Secret(secret)
}

async function opened(value: string, opening: Opening): Promise<string> {
  const name = ENV.exec(value)?.[1]
  if (name !== undefined) {
    const found = opening.env(name)
    if (found !== undefined && found !== '') return found
    throw refused(opening, `the variable ${name}, which is not set`)
  }
  const path = FILE.exec(value)?.[1]
  if (path === undefined) return value
  const found = await readSmallFile(isAbsolute(path) ? path : resolve(opening.folder, path), { isPrivate: true })
  if (found === undefined) throw refused(opening, `the file ${path}, which is not there`)
  return found
}

async function printed({ exec, env: names = [] }: Command, { place, env, signal }: Opening): Promise<string> {
  const { outputOf } = await import('./secret-command.js')
  return outputOf(exec, { place, environment: childEnvironment(names, env), ...(signal ? { signal } : {}) })
}

/**
 * What programs need to find themselves, their configuration and the agent they talk to. Not the whole environment: the
 * administrator's password and the secrets of other identities may be in it. What else a password manager needs, such as
 * a token of its own, the entry names.
 */
const ALWAYS = [
  ...['PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'LC_ALL', 'TMPDIR', 'XDG_CONFIG_HOME', 'XDG_DATA_HOME', 'XDG_RUNTIME_DIR'],
  ...['DBUS_SESSION_BUS_ADDRESS', 'DISPLAY', 'WAYLAND_DISPLAY', 'GNUPGHOME', 'SSH_AUTH_SOCK'],
  // Windows.
  ...['SystemRoot', 'USERPROFILE', 'APPDATA', 'LOCALAPPDATA', 'TEMP'],
] as const

function childEnvironment(names: readonly string[], env: Opening['env']): Record<string, string> {
  return Object.fromEntries(
    [...ALWAYS, ...names].flatMap((name) => {
      const value = env(name)
      return value === undefined ? [] : [[name, value]]
    }),
  )
}

function refused({ place }: Opening, expected: string) {
  return invalidInput('the identity', [{ path: place, expected }])
}
