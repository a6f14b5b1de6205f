import { KeyObject } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { embeddedCapabilities } from '../../idp/embedded/capabilities.js'
import { createVerifier } from '../../registry/server/auth/verify.js'
import { type Issuer, issuerWithKeys, machineClaims, PRIMARY, personClaims, SECOND } from './fixture.js'
import { type Material, TOKEN_MUTATIONS } from './token-mutations.js'

let collector: Server
let collected = 0
let collectorUrl: string
let primary: Issuer
let second: Issuer
let verifier: ReturnType<typeof createVerifier>
let material: Material

beforeAll(async () => {
  collector = createServer((_request, response) => {
    collected += 1
    response.end('{}')
  })
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve))
  collectorUrl = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`
  ;[primary, second] = await Promise.all([issuerWithKeys(PRIMARY), issuerWithKeys(SECOND)])
  const sets = new Map([primary, second].map(({ issuer, jwks }) => [issuer, jwks]))
  verifier = createVerifier({
    issuers: [primary.trusted, second.trusted],
    audience: 'mcp-gateway',
    jwks: async ({ issuer }) => sets.get(issuer),
  })
  const token = await primary.sign(machineClaims(PRIMARY, 'agent', ['readers']))
  material = { token, publicKey: KeyObject.from(primary.publicKey), issuerKey: KeyObject.from(primary.privateKey), collector: collectorUrl }
})
afterAll(async () => {
  await new Promise((resolve) => collector.close(resolve))
})

describe('forgeries of a valid token (JW1)', () => {
  test('the table has at least 40 of them, each with a name of its own', () => {
    expect(new Set(TOKEN_MUTATIONS.map(({ name }) => name)).size).toBe(TOKEN_MUTATIONS.length)
    expect(TOKEN_MUTATIONS.length).toBeGreaterThanOrEqual(40)
  })

  test('the token that they are made from is accepted', async () => {
    await expect(verifier.verify(material.token)).resolves.toMatchObject({ client_id: 'agent', kind: 'machine', groups: ['readers'] })
  })

  for (const { name, needs, forge } of TOKEN_MUTATIONS) {
    test(`refused: ${name}`, async () => {
      const token = forge(material)
      expect(token).not.toBe(material.token)
      const error: unknown = await verifier.verify(token).then(
        () => 'accepted',
        (caught: unknown) => caught,
      )
      expect(error).toMatchObject({ code: 'unauthenticated' })
      // What the issuer signed must fail by what it says, or the case proves nothing.
      if (needs === 'issuer_key')
        expect(error).not.toMatchObject({ details: { vendor_code: expect.stringMatching(/^(?:signature|key)$/) } })
      const told = JSON.stringify(error) + String(error)
      for (const part of token.split('.').filter((one) => one.length > 8)) expect(told).not.toContain(part)
    })
  }

  test('no forgery makes the verifier call anybody', () => {
    expect(collected).toBe(0)
  })

  test('headers that name a key source are ignored on a good token, not followed', async () => {
    const header = { jku: `${collectorUrl}/jku`, x5u: `${collectorUrl}/x5u`, jwk: material.publicKey.export({ format: 'jwk' }) }
    const token = await primary.sign(machineClaims(PRIMARY, 'agent'), header)
    await expect(verifier.verify(token)).resolves.toMatchObject({ client_id: 'agent' })
    expect(collected).toBe(0)
  })
})

test('one issuer cannot sign for another', async () => {
  await expect(verifier.verify(await second.sign(machineClaims(PRIMARY, 'agent')))).rejects.toMatchObject({
    details: { vendor_code: 'signature' },
  })
  await expect(verifier.verify(await second.sign(machineClaims(SECOND, 'agent')))).resolves.toMatchObject({ issuer: SECOND })
})

test('an audience list that contains ours is accepted', async () => {
  const claims = { ...machineClaims(PRIMARY, 'agent'), aud: ['mcp-gateway'] }
  await expect(verifier.verify(await primary.sign(claims))).resolves.toMatchObject({ client_id: 'agent' })
})

test('30 seconds of clock difference are forgiven, 31 are not', async () => {
  const at = Math.floor(Date.now() / 1000)
  const strict = createVerifier({
    issuers: [primary.trusted],
    audience: 'mcp-gateway',
    jwks: async () => primary.jwks,
    now: () => at * 1000,
  })
  const verify = async (times: object) => strict.verify(await primary.sign({ ...machineClaims(PRIMARY, 'agent'), ...times }))
  await expect(verify({ iat: at - 100, exp: at - 29 })).resolves.toBeDefined()
  await expect(verify({ iat: at - 100, exp: at - 31 })).rejects.toMatchObject({ details: { vendor_code: 'expired' } })
  await expect(verify({ iat: at + 29, exp: at + 300 })).resolves.toBeDefined()
  await expect(verify({ iat: at + 31, exp: at + 300 })).rejects.toMatchObject({ details: { vendor_code: 'time' } })
  await expect(verify({ nbf: at + 31 })).rejects.toMatchObject({ details: { vendor_code: 'time' } })
  await expect(verify({ iat: at, exp: at + 86_401 })).rejects.toMatchObject({ details: { vendor_code: 'lifetime' } })
})

test("a person's token of a client with a service account is a person's", async () => {
  const token = await primary.sign({ ...personClaims(PRIMARY, 'agent', 'ada'), client_id: 'agent' })
  await expect(verifier.verify(token)).resolves.toMatchObject({ kind: 'person', client_id: 'agent', username: 'ada' })
})

test('tokens of the embedded provider need the header type at+jwt (RFC 9068)', async () => {
  const issuer = 'http://127.0.0.1:8888'
  const keys = await issuerWithKeys(issuer)
  const trusted = { name: 'embedded', issuer, rules: embeddedCapabilities.token }
  const embedded = createVerifier({ issuers: [trusted], audience: 'mcp-gateway', jwks: async () => keys.jwks })
  const iat = Math.floor(Date.now() / 1000)
  const claims = { iss: issuer, aud: 'mcp-gateway', iat, exp: iat + 300, sub: 'mcp-1', client_id: 'mcp-1' }
  await expect(embedded.verify(await keys.sign(claims, { typ: 'at+jwt' }))).resolves.toMatchObject({ kind: 'machine', client_id: 'mcp-1' })
  await expect(embedded.verify(await keys.sign(claims, { typ: 'JWT' }))).rejects.toMatchObject({ details: { vendor_code: 'token_type' } })
  const person = { ...claims, sub: 'ada', client_id: 'ide' }
  await expect(embedded.verify(await keys.sign(person, { typ: 'at+jwt' }))).resolves.toMatchObject({ kind: 'person' })
})

describe('signing keys', () => {
  /** A verifier with a clock and an issuer that we turn. */
  async function turning() {
    const issuer = await issuerWithKeys(PRIMARY)
    const state = { now: Date.now(), fetches: 0, down: false, jwks: issuer.jwks }
    const turned = createVerifier({
      issuers: [issuer.trusted],
      audience: 'mcp-gateway',
      now: () => state.now,
      jwks: async () => {
        state.fetches += 1
        if (state.down) throw new Error('down')
        return state.jwks
      },
    })
    const valid = async () => {
      const iat = Math.floor(state.now / 1000)
      return turned.verify(await issuer.sign({ ...machineClaims(PRIMARY, 'agent'), iat, exp: iat + 300 }))
    }
    const unknownKid = async (kid: string) => turned.verify(await issuer.sign(machineClaims(PRIMARY, 'agent'), { kid }))
    return { issuer, state, turned, valid, unknownKid }
  }

  test('a new key is found with one more fetch', async () => {
    const { issuer, state, turned, valid } = await turning()
    await valid()
    const [old] = issuer.jwks.keys
    state.jwks = { keys: [{ ...old, kid: 'key-2' }] as typeof issuer.jwks.keys }
    state.now += 31_000
    const claims = { ...machineClaims(PRIMARY, 'agent'), iat: Math.floor(state.now / 1000), exp: Math.floor(state.now / 1000) + 60 }
    await expect(turned.verify(await issuer.sign(claims, { kid: 'key-2' }))).resolves.toBeDefined()
    expect(state.fetches).toBe(2)
  })

  test('1,000 tokens with unknown keys cost at most one fetch each 30 seconds, and good tokens go on', async () => {
    const { state, valid, unknownKid } = await turning()
    await valid()
    for (let index = 0; index < 1_000; index++) {
      state.now += 60
      await expect(unknownKid(`no-${index}`)).rejects.toMatchObject({ details: { vendor_code: 'key' } })
    }
    await expect(valid()).resolves.toBeDefined()
    expect(state.fetches).toBeLessThanOrEqual(3)
  })

  test('known keys serve for a day while the issuer is down, and not longer', async () => {
    const { state, valid } = await turning()
    await valid()
    state.down = true
    state.now += 23 * 3_600_000
    await expect(valid()).resolves.toBeDefined()
    state.now += 2 * 3_600_000
    await expect(valid()).rejects.toMatchObject({ code: 'unavailable' })
  })

  test('an issuer that starts after us is found within seconds', async () => {
    const { state, valid } = await turning()
    state.down = true
    await expect(valid()).rejects.toMatchObject({ code: 'unavailable' })
    state.down = false
    state.now += 1_001
    await expect(valid()).resolves.toBeDefined()
  })

  test('100 first requests at once share one fetch', async () => {
    const { state, valid } = await turning()
    await Promise.all(Array.from({ length: 100 }, valid))
    expect(state.fetches).toBe(1)
  })
})
