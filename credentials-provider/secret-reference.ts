/**
 * Where an identity's secret is: written out, or named by `env:NAME`, `file:PATH` or `{"exec": [program, argument, ...]}`.
 * A reference is opened only when a token is due, and only from files that their owner was asked to trust.
 */
import { execFile } from 'node:child_process'
import { isAbsolute, resolve } from 'node:path'
import { promisify } from 'node:util'
import { z } from 'zod'
import { invalidInput, ToolkitError } from '../core/errors.js'
import { readSmallFile } from '../core/private-file.js'
import { Secret } from '../core/secret.js'

const ENV = /^env:([A-Za-z_][A-Za-z0-9_]*)$/
const FILE = /^file:(.+)$/s
/** A password manager may ask for a touch; nothing it prints is that long. */
const EXEC_MS = 30_000
const EXEC_BYTES = 64_000

/** How a secret may stand in a file. */
export const secretValue = z
  .union([
    z.string().min(1).max(16_384),
    z.strictObject({ exec: z.array(z.string().max(4096)).min(1).max(64).describe('program and arguments; no shell reads them') }),
  ])
  .describe('the secret itself, env:NAME, file:PATH, or the program that prints it')
export type SecretValue = z.infer<typeof secretValue>

/** True for a value that names a secret instead of being one. */
export function isReference(value: SecretValue): boolean {
  return typeof value !== 'string' || ENV.test(value) || FILE.test(value)
}

/**
 * The secret of a value. Paths count from `folder`, whose file it stands in.
 * @throws ToolkitError invalid_input or unavailable, telling the `place` and never what was read
 */
export async function openSecret(
  value: SecretValue,
  { place, folder, env, signal }: { place: string; folder: string; env: (name: string) => string | undefined; signal?: AbortSignal },
): Promise<Secret> {
  const text = typeof value === 'string' ? await opened(value, { place, folder, env }) : await printed(value.exec, place, signal)
  if (text === '') throw invalidInput('the identity', [{ path: place, expected: 'a secret; what it names is empty' }])
  return new Secret(text)
}

async function opened(
  value: string,
  { place, folder, env }: { place: string; folder: string; env: (name: string) => string | undefined },
): Promise<string> {
  const name = ENV.exec(value)?.[1]
  if (name !== undefined) {
    const text = env(name)
    if (text !== undefined && text !== '') return text
    throw invalidInput('the identity', [{ path: place, expected: `the variable ${name}, which is not set` }])
  }
  const path = FILE.exec(value)?.[1]
  if (path === undefined) return value
  const text = await readSmallFile(isAbsolute(path) ? path : resolve(folder, path), { isPrivate: true })
  if (text === undefined) throw invalidInput('the identity', [{ path: place, expected: `the file ${path}, which is not there` }])
  return text.replace(/\r?\n$/, '')
}

async function printed([program = '', ...words]: readonly string[], place: string, signal: AbortSignal | undefined): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(program, words, {
      timeout: EXEC_MS,
      maxBuffer: EXEC_BYTES,
      encoding: 'utf8',
      ...(signal ? { signal } : {}),
    })
    return stdout.replace(/\r?\n$/, '')
  } catch (error) {
    // What the program said may hold the secret.
    const { code, killed } = error as { code?: unknown; killed?: boolean }
    const why = killed === true ? 'too_slow' : typeof code === 'number' ? `exit_${code}` : String(code)
    throw new ToolkitError('unavailable', `${place}: ${program} did not print a secret (${why})`, { system: program, reason: why })
  }
}
