/**
 * What the provider makes up on its first start and keeps: signing key, cookie keys, two bearer tokens, its machine client
 * and the passwords of its people. Each lies in a 0600 file of its own, so that a profile can refer to it.
 */
import { randomBytes } from 'node:crypto'
import { link } from 'node:fs/promises'
import { join } from 'node:path'
import { exportJWK, generateKeyPair } from 'jose'
import { z } from 'zod'
import { invalidInput, ToolkitError } from '../../core/errors.js'
import { readSmallFile, removeFile, savePrivateFile } from '../../core/private-file.js'

const text = z.string().min(1).max(4096)
const privateJwk = z
  .object({ kty: z.literal('RSA'), kid: text, alg: z.literal('RS256'), use: z.literal('sig'), n: text, e: text, d: text })
  .catchall(z.string())
const token = z.string().regex(/^[A-Za-z0-9_-]{43}$/)
const shapes = {
  jwks: z.strictObject({ keys: z.array(privateJwk).min(1) }),
  cookieKeys: z.array(token).min(1),
  machine: z.strictObject({ client_id: text, client_secret: token }),
  passwords: z.record(text, text),
}

/** A private RSA key as a JSON Web Key (RFC 7517). */
export type SigningKey = z.infer<typeof privateJwk>

export interface KeptFiles {
  readonly jwks: { readonly keys: SigningKey[] }
  readonly cookieKeys: readonly string[]
  readonly initialAccessToken: string
  readonly adminToken: string
  readonly machine: { readonly client_id: string; readonly client_secret: string }
  readonly paths: { readonly initialAccessToken: string; readonly adminToken: string; readonly people: string }
}

/** Reads the files, making what is missing. @throws ToolkitError invalid_input for a file that is not as we wrote it */
export async function keptFiles(folder: string): Promise<KeptFiles> {
  const paths = {
    initialAccessToken: join(folder, 'initial-access-token'),
    adminToken: join(folder, 'admin-token'),
    people: join(folder, 'demo-people.json'),
  }
  const machine = () => ({ client_id: newClientId(), client_secret: newToken() })
  return {
    jwks: await keptJson(join(folder, 'jwks.json'), shapes.jwks, async () => ({ keys: [await newSigningKey()] })),
    cookieKeys: await keptJson(join(folder, 'cookie-keys.json'), shapes.cookieKeys, async () => [newToken()]),
    initialAccessToken: await keptToken(paths.initialAccessToken),
    adminToken: await keptToken(paths.adminToken),
    machine: await keptJson(join(folder, 'machine-client.json'), shapes.machine, async () => machine()),
    paths,
  }
}

/** Passwords by user name, `{}` before the first start. @throws ToolkitError invalid_input */
export async function readPasswords(path: string): Promise<Record<string, string>> {
  const saved = await readSmallFile(path)
  return saved === undefined ? {} : parsed(saved, path, shapes.passwords)
}

/** Replaces the file as a whole. */
export async function savePasswords(path: string, passwords: Record<string, string>): Promise<void> {
  await savePrivateFile(path, `${JSON.stringify(passwords, null, 2)}\n`)
}

/** A client id that cannot be taken for a flag: ids of oidc-provider's own may begin with `-`. */
export function newClientId(): string {
  return `mcp-${randomBytes(12).toString('hex')}`
}

/** 32 random bytes in base64url, 43 characters. */
function newToken(): string {
  return randomBytes(32).toString('base64url')
}

async function newSigningKey(): Promise<SigningKey> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true })
  return privateJwk.parse({ ...(await exportJWK(privateKey)), kid: randomBytes(8).toString('hex'), alg: 'RS256', use: 'sig' })
}

async function keptToken(path: string): Promise<string> {
  const saved = (await kept(path, async () => `${newToken()}\n`)).trim()
  if (token.safeParse(saved).success) return saved
  throw notOurs(path)
}

async function keptJson<S extends z.ZodType>(path: string, shape: S, make: () => Promise<z.input<S>>): Promise<z.output<S>> {
  return parsed(await kept(path, async () => `${JSON.stringify(await make(), null, 2)}\n`), path, shape)
}

/** The file's text; the first of several that make it at once wins, and it is never seen half written. */
async function kept(path: string, make: () => Promise<string>): Promise<string> {
  const saved = await readSmallFile(path)
  if (saved !== undefined) return saved
  const whole = `${path}.${randomBytes(8).toString('hex')}.new`
  await savePrivateFile(whole, await make())
  try {
    // Unlike a rename, a link fails when the name is taken.
    await link(whole, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return
      throw new ToolkitError('unavailable', `${path} cannot be written (${error.code})`, {
        system: 'file system',
        reason: error.code ?? 'unknown',
      })
    })
  } finally {
    await removeFile(whole)
  }
  return (await readSmallFile(path)) ?? kept(path, make)
}

function parsed<S extends z.ZodType>(saved: string, path: string, shape: S): z.output<S> {
  const value = (() => {
    try {
      return JSON.parse(saved) as unknown
    } catch {
      return undefined
    }
  })()
  const result = shape.safeParse(value)
  if (result.success) return result.data
  throw notOurs(path)
}

function notOurs(path: string): ToolkitError {
  return invalidInput(
    "the identity provider's file",
    [{ path, expected: 'what this program wrote there' }],
    'restore it, or start with a new folder',
  )
}
