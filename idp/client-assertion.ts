/** A client's own key as proof of who it is: assertions of RFC 7523 section 2.2, signed anew for each request. */
import { createPrivateKey, type JsonWebKey, type KeyObject, webcrypto } from 'node:crypto'
import * as oauth from 'oauth4webapi'
import { invalidInput } from '../core/errors.js'
import type { Secret } from '../core/secret.js'
import type { TokenRequest } from './token-source.js'

/** Algorithms by the kind of key (RFC 7518 section 3.1, RFC 8037 section 3.1). */
const ALGORITHMS: Readonly<Record<string, webcrypto.AlgorithmIdentifier | webcrypto.RsaHashedImportParams | webcrypto.EcKeyImportParams>> =
  {
    RS256: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
    PS256: { name: 'RSA-PSS', hash: 'SHA-256' },
    ES256: { name: 'ECDSA', namedCurve: 'P-256' },
    ES384: { name: 'ECDSA', namedCurve: 'P-384' },
    EdDSA: { name: 'Ed25519' },
  }
const CURVES: Readonly<Record<string, string>> = { prime256v1: 'ES256', secp384r1: 'ES384' }

/** @param privateKey PEM (PKCS #8, PKCS #1, SEC 1) or a JWK @throws ToolkitError invalid_input for anything else */
export async function privateKeyJwt(
  privateKey: Secret,
  { kid, alg, audience }: NonNullable<TokenRequest['assertion']>,
): Promise<oauth.ClientAuth> {
  const { key, kid: ownKid } = keyOf(privateKey)
  const algorithm = ALGORITHMS[alg ?? algorithmOf(key)]
  if (algorithm === undefined) throw notKey('a key for RS256, PS256, ES256, ES384 or EdDSA')
  const der = key.export({ format: 'der', type: 'pkcs8' })
  const cryptoKey = await webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign'])
  const named = kid ?? ownKid
  const setAudience = (_header: unknown, payload: Record<string, unknown>) => {
    payload['aud'] = audience
  }
  const modify = audience === undefined ? {} : { [oauth.modifyAssertion]: setAudience }
  return oauth.PrivateKeyJwt(named === undefined ? cryptoKey : { key: cryptoKey, kid: named }, modify)
}

function keyOf(privateKey: Secret): { key: KeyObject; kid?: string } {
  const text = privateKey.reveal().trim()
  try {
    if (!text.startsWith('{')) return { key: createPrivateKey(text) }
    const jwk = JSON.parse(text) as JsonWebKey & { kid?: unknown }
    return { key: createPrivateKey({ key: jwk, format: 'jwk' }), ...(typeof jwk.kid === 'string' ? { kid: jwk.kid } : {}) }
  } catch {
    // What the library says may quote the key.
    throw notKey('a private key as PEM or JWK')
  }
}

function algorithmOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string {
  if (asymmetricKeyType === 'rsa') return 'RS256'
  if (asymmetricKeyType === 'ed25519') return 'EdDSA'
  return CURVES[asymmetricKeyDetails?.namedCurve ?? ''] ?? ''
}

function notKey(expected: string) {
  return invalidInput('the identity', [{ path: 'private_key', expected }])
}
