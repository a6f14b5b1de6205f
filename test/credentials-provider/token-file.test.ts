/** Token files: what is written, what is read back, and when a saved token is what is asked for now. */
import { readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Secret } from '../../core/secret.js'
import { readTokenFile } from '../../credentials-provider/saved-token.js'
import { readFreshToken, requestDigest, saveToken, tokenPath } from '../../credentials-provider/token-file.js'
import { type Identity, tokenRequest } from '../../idp/tokens.js'
import { temporaryFolder } from '../fakes/folder.js'

const NOW = 1_800_000_000
const identity: Identity = {
  identity_name: 'reporter',
  auth_provider: 'oidc',
  client_id: 'reporter-client',
  scope: 'read write',
  fields: { issuer: 'https://idp.example.com', audience: 'mcp-gateway' },
}
const requestOf = (one: Identity) => tokenRequest(one, { client_secret: true })
const token = { access_token: new Secret('planted-token-4711'), token_type: 'Bearer', expires_in: 3_600 }

async function saved(one = identity) {
  const folder = temporaryFolder()
  const path = tokenPath(folder, one)
  const receipt = await saveToken(path, one, requestOf(one), token, NOW)
  return { folder, path, receipt }
}

describe('a token', () => {
  test('is saved with its facts, 0600, and the receipt holds no secret', async () => {
    const { folder, path, receipt } = await saved()
    expect(receipt).toEqual({ saved_to: path, mode: '0600', expires_at: '2027-01-15T09:00:00.000Z' })
    expect([readdirSync(folder), statSync(path).mode & 0o777]).toEqual([['reporter.json'], 0o600])
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({
      identity_name: 'reporter',
      access_token: 'planted-token-4711',
      token_type: 'Bearer',
      expires_in: 3_600,
      generated_at: '2027-01-15T08:00:00.000Z',
      expires_at: '2027-01-15T09:00:00.000Z',
      provider: 'oidc',
      issuer: 'https://idp.example.com',
      client_id: 'reporter-client',
      scope: 'read write',
      request_digest: requestDigest(identity, requestOf(identity)),
    })
  })
  test('is read back as it was saved', async () => {
    const { path } = await saved()
    const read = await readTokenFile(path)
    expect(read).toMatchObject({ token_type: 'Bearer', expires_at: NOW + 3_600, lifetime: 3_600, generated_at: NOW })
    expect(read?.token.equals(token.access_token)).toBe(true)
  })
  test('of a narrower scope than was asked for is kept with what was granted', async () => {
    const path = join(temporaryFolder(), 'reporter.json')
    await saveToken(path, identity, requestOf(identity), { ...token, scope: 'read' }, NOW)
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ scope: 'read' })
    expect(await readFreshToken(path, identity, requestOf(identity), NOW)).toBeDefined()
  })
})

describe('a saved token is what is asked for', () => {
  test('while it is fresh', async () => {
    const { path } = await saved()
    const at = (now: number) => readFreshToken(path, identity, requestOf(identity), now)
    expect([await at(NOW), await at(NOW + 2_999), await at(NOW + 3_000)].map((one) => one !== undefined)).toEqual([true, true, false])
  })
  const others: [string, Identity][] = [
    ['client', { ...identity, client_id: 'another' }],
    ['scope', { ...identity, scope: 'read' }],
    ['issuer', { ...identity, fields: { ...identity.fields, issuer: 'https://other.example.com' } }],
    ['audience', { ...identity, fields: { ...identity.fields, audience: 'another' } }],
    ['token endpoint', { ...identity, fields: { ...identity.fields, token_endpoint: 'https://idp.example.com/token' } }],
  ]
  test.for(others)('but not for another %s', async ([, other]) => {
    const { path } = await saved()
    expect(await readFreshToken(path, other, requestOf(other), NOW)).toBeUndefined()
  })
  test('when another tool wrote it for the same client, or for nobody named', async () => {
    const path = join(temporaryFolder(), 'reporter.json')
    const read = async (facts: object) => {
      writeFileSync(path, JSON.stringify({ access_token: 'theirs', expires_at: NOW + 3_600, ...facts }))
      return (await readFreshToken(path, identity, requestOf(identity), NOW)) !== undefined
    }
    expect([await read({}), await read({ client_id: 'reporter-client' }), await read({ client_id: 'another' })]).toEqual([
      true,
      true,
      false,
    ])
  })
})

describe('what is no token file', () => {
  test.for([
    ['nothing', undefined],
    ['half of one', '{"access_token": "planted'],
    ['a list', '[]'],
    ['null', 'null'],
    ['a token without an end', '{"access_token": "x"}'],
    ['an end without a token', '{"expires_at": 1800003600}'],
    ['an empty token', '{"access_token": "", "expires_at": 1800003600}'],
    ['a token that is a number', '{"access_token": 1, "expires_at": 1800003600}'],
  ])('is no token: %s', async ([, text]) => {
    const path = join(temporaryFolder(), 'reporter.json')
    if (text !== undefined) writeFileSync(path, text)
    expect(await readTokenFile(path)).toBeUndefined()
  })
  test('is refused where it is a link', async () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'other'), '{}')
    symlinkSync('other', join(folder, 'reporter.json'))
    await expect(readTokenFile(join(folder, 'reporter.json'))).rejects.toMatchObject({ code: 'invalid_input' })
  })
})
