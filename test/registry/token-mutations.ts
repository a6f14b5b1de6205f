/**
 * Forgeries of one valid access token, by name; a verifier must accept none. Those marked `issuer_key` are signed with the
 * issuer's own key and wrong in what they say; the others need the token and the public key alone, so they run against
 * tokens of real servers as well.
 */
import { constants, createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'

export interface Material {
  /** A token that the verifier accepts. */
  readonly token: string
  /** The issuer's public signing key. */
  readonly publicKey: KeyObject
  /** The private one, where we have it. */
  readonly issuerKey?: KeyObject
  /** URL that nobody may call because of a token. */
  readonly collector: string
}

export interface TokenMutation {
  readonly name: string
  /** `none`: the token alone is enough; `issuer_key`: signed by the issuer. */
  readonly needs: 'nothing' | 'issuer_key'
  forge(material: Material): string
}

type Json = Record<string, unknown>

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const ed = generateKeyPairSync('ed25519')
const attackerJwk = rsa.publicKey.export({ format: 'jwk' })

const text = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
const parts = (token: string) => token.split('.') as [string, string, string]
const headerOf = (token: string): Json => JSON.parse(Buffer.from(parts(token)[0], 'base64url').toString())
const claimsOf = (token: string): Json => JSON.parse(Buffer.from(parts(token)[1], 'base64url').toString())

/** Signs anything at all: header and payload are taken as they are. */
function compact(header: unknown, claims: unknown, signature: (input: Buffer) => Buffer | string): string {
  const input = `${text(header)}.${text(claims)}`
  const made = signature(Buffer.from(input))
  return `${input}.${typeof made === 'string' ? made : made.toString('base64url')}`
}

const rs256 = (key: KeyObject) => (input: Buffer) => sign('sha256', input, key)
const hmac = (hash: string, key: string | Buffer) => (input: Buffer) => createHmac(hash, key).update(input).digest()
const pss = (key: KeyObject) => (input: Buffer) => sign('sha256', input, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 })

/** The token with another header, signed by the attacker's RSA key. */
const byAttacker = (
  name: string,
  header: (own: Json, material: Material) => Json,
  claims: (own: Json, material: Material) => Json = (own) => own,
) =>
  tampered(name, (material) =>
    compact(header(headerOf(material.token), material), claims(claimsOf(material.token), material), rs256(rsa.privateKey)),
  )

function tampered(name: string, forge: TokenMutation['forge']): TokenMutation {
  return { name, needs: 'nothing', forge }
}

/** The token with other claims or header, signed by the issuer itself. */
function byIssuer(name: string, change: (claims: Json, material: Material) => unknown, header: Json = {}): TokenMutation {
  return {
    name,
    needs: 'issuer_key',
    forge(material) {
      if (!material.issuerKey) throw new Error(`${name} needs the issuer's private key`)
      return compact({ ...headerOf(material.token), ...header }, change(claimsOf(material.token), material), rs256(material.issuerKey))
    },
  }
}

const spki = (key: KeyObject) => key.export({ format: 'pem', type: 'spki' }).toString()
const pkcs1 = (key: KeyObject) => key.export({ format: 'pem', type: 'pkcs1' }).toString()
const jwkText = (key: KeyObject) => JSON.stringify(key.export({ format: 'jwk' }))
const modulus = (key: KeyObject) => Buffer.from(String(key.export({ format: 'jwk' }).n), 'base64url')
const unsigned = (alg: unknown) => (m: Material) => compact({ ...headerOf(m.token), alg }, claimsOf(m.token), () => '')
const symmetric = (alg: string, hash: string, key: (publicKey: KeyObject) => string | Buffer) => (m: Material) =>
  compact({ ...headerOf(m.token), alg }, claimsOf(m.token), hmac(hash, key(m.publicKey)))
const without = (object: Json, key: string): Json => Object.fromEntries(Object.entries(object).filter(([name]) => name !== key))
const flipped = (signature: string) => {
  const bytes = Buffer.from(signature, 'base64url')
  bytes[0] = (bytes[0] ?? 0) ^ 1
  return bytes.toString('base64url')
}
const soon = (seconds: number) => Math.floor(Date.now() / 1000) + seconds

export const TOKEN_MUTATIONS: readonly TokenMutation[] = [
  // Algorithms (RFC 8725 section 2.1)
  tampered('alg none without signature', unsigned('none')),
  tampered('alg None', unsigned('None')),
  tampered('alg nOnE', unsigned('nOnE')),
  tampered('alg none with the old signature', (m) =>
    compact({ ...headerOf(m.token), alg: 'none' }, claimsOf(m.token), () => parts(m.token)[2]),
  ),
  tampered('alg missing', (m) => compact(without(headerOf(m.token), 'alg'), claimsOf(m.token), () => parts(m.token)[2])),
  tampered('alg empty', unsigned('')),
  tampered('alg as a list', unsigned(['RS256'])),
  tampered('HS256 with the public key as SPKI PEM', symmetric('HS256', 'sha256', spki)),
  tampered('HS256 with the public key as PKCS1 PEM', symmetric('HS256', 'sha256', pkcs1)),
  tampered('HS256 with the public JWK as text', symmetric('HS256', 'sha256', jwkText)),
  tampered('HS256 with the modulus', symmetric('HS256', 'sha256', modulus)),
  tampered('HS384 with the public key', symmetric('HS384', 'sha384', spki)),
  tampered('HS512 with the public key', symmetric('HS512', 'sha512', spki)),
  tampered('HS256 with an empty key and a kid of /dev/null', (m) =>
    compact({ ...headerOf(m.token), alg: 'HS256', kid: '../../../../dev/null' }, claimsOf(m.token), hmac('sha256', '')),
  ),
  tampered('PS256 by another key', (m) => compact({ ...headerOf(m.token), alg: 'PS256' }, claimsOf(m.token), pss(rsa.privateKey))),
  tampered('ES256 by another key', (m) =>
    compact({ ...headerOf(m.token), alg: 'ES256' }, claimsOf(m.token), (input) =>
      sign('sha256', input, { key: ec.privateKey, dsaEncoding: 'ieee-p1363' }),
    ),
  ),
  tampered('EdDSA by another key', (m) =>
    compact({ ...headerOf(m.token), alg: 'EdDSA' }, claimsOf(m.token), (input) => sign(null, input, ed.privateKey)),
  ),
  // Keys
  byAttacker('another key under the same kid', (own) => own),
  byAttacker('another key without kid', (own) => without(own, 'kid')),
  byAttacker('another key under an unknown kid', (own) => ({ ...own, kid: 'nobody' })),
  byAttacker('kid with SQL', (own) => ({ ...own, kid: "x' union select 'key' --" })),
  byAttacker('kid as a number', (own) => ({ ...own, kid: 1 })),
  byAttacker('kid as an object', (own) => ({ ...own, kid: { toString: 'x' } })),
  byAttacker('kid as a URL', (own, { collector }) => ({ ...own, kid: `${collector}/kid` })),
  byAttacker('jwk in the header', (own) => ({ ...own, jwk: attackerJwk })),
  byAttacker('jwk in the header under its own kid', (own) => ({ ...own, kid: 'mine', jwk: { ...attackerJwk, kid: 'mine' } })),
  byAttacker('jku in the header', (own, { collector }) => ({ ...own, jku: `${collector}/jku` })),
  byAttacker('jku in the header under its own kid', (own, { collector }) => ({ ...own, kid: 'mine', jku: `${collector}/jku` })),
  byAttacker('x5u in the header', (own, { collector }) => ({ ...own, x5u: `${collector}/x5u` })),
  byAttacker('x5c in the header', (own) => ({ ...own, x5c: [rsa.publicKey.export({ format: 'der', type: 'spki' }).toString('base64')] })),
  byAttacker(
    'issuer of the attacker',
    (own) => own,
    (own, { collector }) => ({ ...own, iss: collector }),
  ),
  byAttacker('__proto__ in the header', (own) =>
    JSON.parse(`{"__proto__":{"alg":"none"},"alg":"RS256","kid":${JSON.stringify(own['kid'])}}`),
  ),
  // Signature and payload
  tampered('signature cut short', (m) => m.token.slice(0, -8)),
  tampered('signature empty', (m) => `${parts(m.token)[0]}.${parts(m.token)[1]}.`),
  tampered('signature missing', (m) => `${parts(m.token)[0]}.${parts(m.token)[1]}`),
  tampered('signature with one bit turned', (m) => `${parts(m.token)[0]}.${parts(m.token)[1]}.${flipped(parts(m.token)[2])}`),
  tampered('signature of zeros', (m) => `${parts(m.token)[0]}.${parts(m.token)[1]}.${Buffer.alloc(256).toString('base64url')}`),
  tampered(
    'payload with another subject',
    (m) => `${parts(m.token)[0]}.${text({ ...claimsOf(m.token), sub: 'someone-else' })}.${parts(m.token)[2]}`,
  ),
  tampered(
    'payload with more groups',
    (m) => `${parts(m.token)[0]}.${text({ ...claimsOf(m.token), groups: ['registry-admins'] })}.${parts(m.token)[2]}`,
  ),
  tampered(
    'header changed under the old signature',
    (m) => `${text({ ...headerOf(m.token), typ: 'at+jwt' })}.${parts(m.token)[1]}.${parts(m.token)[2]}`,
  ),
  tampered('four segments', (m) => `${m.token}.${parts(m.token)[2]}`),
  tampered('five segments, as a JWE', (m) => `${m.token}.${parts(m.token)[1]}.${parts(m.token)[2]}`),
  tampered('payload that is not JSON', (m) => `${parts(m.token)[0]}.${text('{')}.${parts(m.token)[2]}`),
  tampered('payload that is a list', (m) => `${parts(m.token)[0]}.${text([claimsOf(m.token)])}.${parts(m.token)[2]}`),
  // Signed by the issuer, and still not for us
  byIssuer('unknown critical header', (own) => own, { crit: ['urn:example:must-understand'], 'urn:example:must-understand': true }),
  byIssuer('empty list of critical headers', (own) => own, { crit: [] }),
  byIssuer('unencoded payload', (own) => own, { crit: ['b64'], b64: false }),
  byIssuer('audience of another service', (own) => ({ ...own, aud: 'another-service' })),
  byIssuer("the provider's default audience", (own) => ({ ...own, aud: 'account' })),
  byIssuer('several audiences without ours', (own) => ({ ...own, aud: ['account', 'another-service'] })),
  byIssuer('audience missing', (own) => without(own, 'aud')),
  byIssuer('audience in another case', (own) => ({ ...own, aud: String([own['aud']].flat()[0]).toUpperCase() })),
  byIssuer('audience with a blank', (own) => ({ ...own, aud: `${[own['aud']].flat()[0]} ` })),
  byIssuer('audience in a nested list', (own) => ({ ...own, aud: [[own['aud']].flat()] })),
  byIssuer('audience among other things', (own) => ({ ...own, aud: [[own['aud']].flat()[0], 5] })),
  byIssuer('issuer with a slash', (own) => ({ ...own, iss: `${own['iss']}/` })),
  byIssuer('issuer in another case', (own) => ({ ...own, iss: String(own['iss']).toUpperCase() })),
  byIssuer('issuer as a list', (own) => ({ ...own, iss: [own['iss']] })),
  byIssuer('issuer missing', (own) => without(own, 'iss')),
  byIssuer('exp missing', (own) => without(own, 'exp')),
  byIssuer('exp as text', (own) => ({ ...own, exp: String(own['exp']) })),
  byIssuer('exp null', (own) => ({ ...own, exp: null })),
  byIssuer('expired', (own) => ({ ...own, iat: soon(-400), exp: soon(-60) })),
  byIssuer('exp in a hundred years', (own) => ({ ...own, exp: soon(3_155_760_000) })),
  byIssuer('exp beyond all numbers', (own) => JSON.stringify(own).replace(/"exp":\d+/, '"exp":1e999')),
  byIssuer('exp before iat', (own) => ({ ...own, iat: soon(20), exp: soon(10) })),
  byIssuer('nbf in the future', (own) => ({ ...own, nbf: soon(120) })),
  byIssuer('nbf as text', (own) => ({ ...own, nbf: '0' })),
  byIssuer('iat in the future', (own) => ({ ...own, iat: soon(120) })),
  byIssuer('iat missing', (own) => without(own, 'iat')),
  byIssuer('iat as text', (own) => ({ ...own, iat: String(own['iat']) })),
  byIssuer('iat before time began', (own) => ({ ...own, iat: -1 })),
  byIssuer('an ID token', (own) => ({ ...own, typ: 'ID' })),
  byIssuer('a refresh token', (own) => ({ ...own, typ: 'Refresh' })),
  byIssuer('a logout token', (own) => ({ ...own, typ: 'Logout' })),
  byIssuer('no type', (own) => without(own, 'typ')),
  {
    name: 'PS256 by the right key',
    needs: 'issuer_key',
    forge: (m) => compact({ ...headerOf(m.token), alg: 'PS256' }, claimsOf(m.token), pss(m.issuerKey ?? rsa.privateKey)),
  },
  {
    name: 'RS512 by the right key',
    needs: 'issuer_key',
    forge: (m) =>
      compact({ ...headerOf(m.token), alg: 'RS512' }, claimsOf(m.token), (input) => sign('sha512', input, m.issuerKey ?? rsa.privateKey)),
  },
]
