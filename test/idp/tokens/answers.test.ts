/** What a token endpoint may answer, at a loopback server: good tokens are taken, odd ones refused with a reason of their own. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Secret } from '../../../core/secret.js'
import { createMinter, type Identity, tokenRequest } from '../../../idp/tokens.js'
import { doorTo, failureOf, type TestDoor } from '../../fakes/door.js'
import { answerJson, type FakeServer, serve } from '../../fakes/server.js'

let server: FakeServer
let door: TestDoor
let answer: { status: number; body: unknown } = { status: 200, body: {} }
beforeAll(async () => {
  server = await serve((_request, response) => answerJson(response, answer.status, answer.body))
  door = doorTo([server.origin], { isRead: ({ method }) => method === 'POST' && 'once' })
})
afterAll(async () => {
  await door.close()
  await server.close()
})

const GOOD = { access_token: 'a-token', token_type: 'Bearer', expires_in: 3600 }
function mint(body: unknown, status = 200) {
  answer = { status, body }
  const identity: Identity = {
    ...{ identity_name: 'agent', auth_provider: 'okta', client_id: 'client', scope: 'mcp.invoke' },
    fields: { okta_domain: server.origin, authorization_server_id: 'default' },
  }
  return createMinter(() => door).mint(identity, { client_secret: new Secret('the secret of client') })
}

describe('a token is taken', () => {
  test('without a look at an ID token beside it, which a Keycloak gives for scope openid', async () => {
    const { token } = await mint({ ...GOOD, id_token: 'e30.e30.x' })
    expect(token).toMatchObject({ token_type: 'Bearer', expires_in: 3600 })
    expect(token.access_token.reveal()).toBe('a-token')
  })
  test.for(['Bearer', 'bearer', 'BEARER'])('of type %s, and is a Bearer', async (token_type) => {
    const { token } = await mint({ ...GOOD, token_type, scope: 'mcp.invoke' })
    expect({ ...token, access_token: token.access_token.reveal() }).toEqual({ ...GOOD, scope: 'mcp.invoke' })
  })
})

describe('a token is refused', () => {
  test.for<[string, object, string]>([
    ['bound to a key (DPoP)', { token_type: 'DPoP' }, 'dpop_token'],
    ['of another type', { token_type: 'mac' }, 'token_type'],
    ['of no type', { token_type: undefined }, 'token_type'],
    ['whose type is no text', { token_type: ['Bearer'] }, 'token_type'],
    ['without its lifetime', { expires_in: undefined }, 'expires_in_missing'],
    ['with null for its lifetime', { expires_in: null }, 'expires_in_missing'],
    ['with a text for its lifetime', { expires_in: '3600' }, 'expires_in_not_number'],
    ['with a list for its lifetime', { expires_in: [3600] }, 'expires_in_not_number'],
    ['that lives for no time', { expires_in: 0 }, 'expires_in_not_positive'],
    ['that ended before it began', { expires_in: -60 }, 'expires_in_not_positive'],
    ['that lives for ages', { expires_in: 1e12 }, 'expires_in_too_long'],
    ['that is not there', { access_token: undefined }, 'token_answer'],
    ['that is empty', { access_token: '' }, 'token_answer'],
  ])('%s', async ([, odd, reason]) => {
    const failure = await failureOf(mint({ ...GOOD, ...odd }))
    expect(failure).toMatchObject({ code: 'unexpected_response', details: { reason } })
    expect(JSON.stringify([failure.message, failure.details])).not.toContain('a-token')
  })
  test.for([[[]], ['text'], [null], [42]])('when the answer is %j', async ([body]) => {
    expect(await failureOf(mint(body))).toMatchObject({ code: 'unexpected_response', details: { reason: 'token_answer' } })
  })
})

describe('a refusal', () => {
  test.for(['use_dpop_nonce', 'invalid_dpop_proof'])(
    '%s says that the client must bind its tokens, which is not supported',
    async (error) => {
      const failure = await failureOf(mint({ error, error_description: 'foreign words' }, 400))
      expect(failure).toMatchObject({ code: 'token_refused', details: { error, status: 400 } })
      expect(failure.message).toMatch(/demands DPoP.*not supported/)
      expect(failure.hint).toMatch(/switch DPoP off/)
    },
  )
  test('of any other kind is told by its code alone', async () => {
    const failure = await failureOf(mint({ error: 'invalid_client', error_description: 'foreign words' }, 401))
    expect(failure).toMatchObject({ code: 'token_refused', details: { error: 'invalid_client', status: 401 } })
    expect(`${failure.message} ${failure.hint}`).not.toMatch(/foreign words|DPoP/)
  })
})

describe('a token endpoint that discovery names', () => {
  const POOL = 'eu-west-1_Ab1Cd2Ef3'
  const cognito = (fields: Readonly<Record<string, string>> = {}): Identity => ({
    ...{ identity_name: 'agent', auth_provider: 'cognito', client_id: 'client' },
    fields: { region: 'eu-west-1', user_pool_id: POOL, endpoint: server.origin, ...fields },
  })
  const discovered = (token_endpoint: string, identity = cognito()) => {
    answer = { status: 200, body: { issuer: tokenRequest(identity, { client_secret: true }).issuer, token_endpoint } }
    const asked: string[] = []
    const minter = createMinter((origin) => {
      asked.push(origin)
      return door
    })
    return { asked, minted: minter.mint(identity, { client_secret: new Secret('the secret of client') }) }
  }
  test.for([
    'https://evil.example.com/oauth2/token',
    'https://auth.eu-west-1.amazoncognito.com/oauth2/token',
    'https://gateway.auth.us-east-1.amazoncognito.com/oauth2/token',
    'https://gateway.auth.eu-west-1.amazoncognito.com.evil.example.com/oauth2/token',
    'https://gatewayauth.eu-west-1.amazoncognito.com/oauth2/token',
    'https://gateway.auth.eu-west-1.amazoncognito.com:8443/oauth2/token',
    'http://gateway.auth.eu-west-1.amazoncognito.com/oauth2/token',
  ])('at %s is no domain of the user pool, and gets no secret', async (token_endpoint) => {
    const { asked, minted } = discovered(token_endpoint)
    expect(await failureOf(minted)).toMatchObject({ code: 'unexpected_response', details: { reason: 'foreign_origin' } })
    expect(asked).toEqual([server.origin])
  })
  test.for<[string, Readonly<Record<string, string>>]>([
    ['https://gateway.auth.eu-west-1.amazoncognito.com/oauth2/token', {}],
    ['https://auth.example.com/oauth2/token', { domain: 'https://auth.example.com' }],
  ])('at %s is asked', async ([token_endpoint, fields]) => {
    const { asked, minted } = discovered(token_endpoint, cognito(fields))
    // The test's one door does not go there; what counts is that a door to it was asked for.
    await failureOf(minted)
    expect(asked).toEqual([server.origin, new URL(token_endpoint).origin])
  })
  test('is no longer a pool’s own once the identity names its domain', async () => {
    const { minted } = discovered(
      'https://gateway.auth.eu-west-1.amazoncognito.com/oauth2/token',
      cognito({ domain: 'https://auth.example.com' }),
    )
    expect(await failureOf(minted)).toMatchObject({ details: { reason: 'foreign_origin' } })
  })
})
