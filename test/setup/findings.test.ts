/** Everything that a check can find, one row a finding, in the words that a person reads. */
import { describe, expect, test } from 'vitest'
import { isToolkitError } from '../../core/errors.js'
import type { Observed } from '../../core/plan.js'
import type { ClientKind } from '../../core/resources.js'
import { claimFindings } from '../../idp/claims.js'
import { IDPS } from '../../idp/index.js'
import { clientFindings, refuseFindings } from '../../setup/findings.js'

const { keycloak, embedded } = IDPS
const AUDIENCE = 'mcp-gateway'
type Spec = Readonly<Record<string, unknown>>

/** A client of each kind as setup makes it. */
const GOOD: Readonly<Record<ClientKind, Spec>> = {
  'public-client': {
    ...{ client_id: 'ide', client_name: 'IDE', enabled: true, token_endpoint_auth_method: 'none', pkce: 'S256', full_scope: false },
    ...{ redirect_uris: ['http://localhost/callback'], grant_types: ['authorization_code', 'refresh_token'] },
    ...{ groups_claim: 'groups', audience: AUDIENCE },
  },
  'web-client': {
    ...{ client_id: 'web', client_name: 'Web', enabled: true, token_endpoint_auth_method: 'client_secret_basic', full_scope: false },
    ...{ redirect_uris: ['https://gateway.example.com/oauth2/callback/keycloak'], grant_types: ['authorization_code', 'refresh_token'] },
    ...{ groups_claim: 'groups', audience: AUDIENCE },
  },
  'machine-client': {
    ...{ client_id: 'agent', client_name: 'agent', enabled: true, token_endpoint_auth_method: 'client_secret_basic', full_scope: false },
    ...{ redirect_uris: [], grant_types: ['client_credentials'], groups_claim: 'groups', audience: AUDIENCE, groups: ['data'] },
  },
}
const KINDS = Object.keys(GOOD) as ClientKind[]
const found = (kind: ClientKind, edit: Spec, { capabilities }: (typeof IDPS)['keycloak' | 'embedded'] = keycloak) =>
  clientFindings(kind, { id: '', owner: 'us', spec: { ...GOOD[kind], ...edit } as unknown as Observed['spec'] }, capabilities, AUDIENCE)

describe('a client', () => {
  test.each(KINDS)('of kind %s as setup makes it has none', (kind) => {
    expect(found(kind, {})).toEqual([])
  })

  const EVERYWHERE: readonly (readonly [string, Spec, string])[] = [
    ['is switched off', { enabled: false }, 'switched off'],
    ['lets every role ride along', { full_scope: true }, 'full scope on: every role of the person rides in the token'],
    ['makes no groups claim', { groups_claim: undefined }, 'no groups: the claim groups is not made (undefined)'],
    ['makes another groups claim', { groups_claim: 'roles' }, 'no groups: the claim groups is not made (roles)'],
    ['is of another audience', { audience: 'account' }, 'wrong audience: account, the gateway accepts mcp-gateway'],
  ]
  test.each(EVERYWHERE.flatMap(([title, edit, words]) => KINDS.map((kind) => ({ title, kind, edit, words }))))(
    'that $title: $words ($kind)',
    ({ kind, edit, words }) => {
      expect(found(kind, edit)).toEqual([words])
    },
  )
  test.each(KINDS)('of kind %s that takes passwords, tokens in the front channel, or a grant that nobody needs', (kind) => {
    const grants = (...more: string[]) => ({ grant_types: [...(GOOD[kind]['grant_types'] as string[]), ...more] })
    expect(found(kind, grants('password'))).toEqual(['direct grants on: a password can be sent to it (RFC 9700 section 2.4)'])
    expect(found(kind, grants('implicit'))).toEqual(['implicit flow on (RFC 9700 section 2.1.2)'])
    const device = 'urn:ietf:params:oauth:grant-type:device_code'
    expect(found(kind, grants(device))).toEqual([`grant type ${device} on`])
  })
  test('for people that is a machine too, and a machine that people log in to', () => {
    expect(found('web-client', { grant_types: ['authorization_code', 'client_credentials'] })).toEqual(['grant type client_credentials on'])
    expect(found('machine-client', { grant_types: ['client_credentials', 'authorization_code'] })).toEqual([
      'grant type authorization_code on',
    ])
  })

  const REDIRECTS: readonly (readonly [ClientKind, string, string[]])[] = [
    ['public-client', 'http://localhost/*', ['wildcard redirect URI http://localhost/*']],
    ['public-client', 'https://evil.example/callback', ['foreign redirect URI https://evil.example/callback']],
    ['public-client', 'http://127.0.0.1/callback/abcdefghijkl', []],
    ['web-client', 'https://gateway.example.com/*', ['wildcard redirect URI https://gateway.example.com/*']],
    ['web-client', 'https://gateway.example.com/elsewhere', []],
    ['machine-client', 'http://localhost/callback', ['redirect URI http://localhost/callback on a machine client']],
  ]
  test.each(REDIRECTS)('of kind %s with the redirect URI %s', (kind, uri, words) => {
    expect(found(kind, { redirect_uris: [uri] })).toEqual(words)
  })
  test.each(['none', 'plain', undefined])('for IDEs that does not require PKCE S256 (%s)', (pkce) => {
    expect(found('public-client', { pkce })).toEqual([`PKCE S256 not required (${pkce})`])
    expect(found('web-client', { pkce })).toEqual([])
  })
  test('of a provider whose own policy it is has no findings about fields that the client does not have', () => {
    const { client_id, client_name, enabled, redirect_uris, grant_types } = GOOD['public-client']
    const spec = { client_id, client_name, enabled, redirect_uris, grant_types } as unknown as Observed['spec']
    expect(clientFindings('public-client', { id: '', owner: 'us', spec }, embedded.capabilities, AUDIENCE)).toEqual([])
    expect(clientFindings('public-client', { id: '', owner: 'us', spec }, keycloak.capabilities, AUDIENCE)).toHaveLength(3)
  })
  test('with everything wrong is told everything at once', () => {
    const wrong = {
      enabled: false,
      full_scope: true,
      pkce: 'none',
      groups_claim: 'x',
      audience: 'x',
      redirect_uris: ['*'],
      grant_types: ['password', 'implicit'],
    }
    expect(found('public-client', wrong)).toHaveLength(8)
  })
})

describe('an access token', () => {
  const CLAIMS = { sub: 'x', aud: AUDIENCE, groups: ['data', 'platform'] }
  const CASES: readonly (readonly [string, Spec, readonly string[] | undefined, readonly string[]])[] = [
    ['as it should be', {}, ['data', 'engineering/platform'], []],
    ['with groups beside those that are asked for', {}, ['data'], []],
    ['of somebody of whom no group is known', {}, undefined, []],
    ['of somebody who is in no group, as asked', { groups: undefined }, [], []],
    ['without groups, of somebody who is in some', { groups: undefined }, undefined, ['no groups in the token']],
    ['with groups that are no list', { groups: 'data' }, undefined, ['no groups in the token']],
    ['without the groups that are asked for', { groups: [] }, ['data', 'ops'], ['no groups in the token: data, ops']],
    ['without one of them', {}, ['data', 'teams/ops'], ['groups missing in the token: ops']],
    ['of another audience', { aud: 'account' }, [], ['wrong audience: account, the gateway accepts mcp-gateway']],
    ['of several others', { aud: ['account', 'broker'] }, [], ['wrong audience: account, broker, the gateway accepts mcp-gateway']],
    ['of none', { aud: undefined }, [], ['wrong audience: none, the gateway accepts mcp-gateway']],
    ['of a further one', { aud: [AUDIENCE, 'account'] }, [], ['further audience account']],
    ['without sub', { sub: undefined }, [], ['scope dropped: the token has no sub']],
  ]
  test.each(CASES)('%s', (_, edit, groups, words) => {
    expect(claimFindings({ ...CLAIMS, ...edit }, { audience: AUDIENCE, ...(groups ? { groups } : {}) }, 'groups')).toEqual(words)
  })
})

describe('findings together', () => {
  const failure = (count: number) => {
    try {
      refuseFindings(Array.from({ length: count }, (_, index) => ({ object: `public-client ide-${index}`, finding: 'switched off' })))
    } catch (error) {
      if (isToolkitError(error, 'not_converged')) return error
      throw error
    }
    return undefined
  }
  test('are one failure that names each with its object', () => {
    expect(failure(0)).toBeUndefined()
    expect(failure(1)?.message).toBe('1 finding:\n  public-client ide-0: switched off')
    expect(failure(2)).toMatchObject({
      message: expect.stringMatching(/^2 findings:\n/),
      details: { remaining: ['public-client ide-0: switched off', 'public-client ide-1: switched off'] },
    })
  })
})
