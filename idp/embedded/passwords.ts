/** Passwords at rest: scrypt with a salt of its own for each. */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

/** Both in base64url. */
export interface HashedPassword {
  readonly salt: string
  readonly hash: string
}

/** Characters of a password that a person or an administrator chooses. */
export const PASSWORD = { shortest: 12, longest: 1024 } as const

const HASH_BYTES = 32
const hashed = promisify<string, Buffer, number, Buffer>(scrypt)

export async function hashPassword(password: string): Promise<HashedPassword> {
  const salt = randomBytes(16)
  const hash = await hashed(password, salt, HASH_BYTES)
  return { salt: salt.toString('base64url'), hash: hash.toString('base64url') }
}

export async function isPassword(password: string, { salt, hash }: HashedPassword): Promise<boolean> {
  const given = await hashed(password, Buffer.from(salt, 'base64url'), HASH_BYTES)
  return timingSafeEqual(given, Buffer.from(hash, 'base64url'))
}

/** A hash that no password has, to be compared with where there is nobody. */
export function decoyPassword(): HashedPassword {
  return { salt: randomBytes(16).toString('base64url'), hash: randomBytes(HASH_BYTES).toString('base64url') }
}
