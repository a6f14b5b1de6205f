/** What identities of each provider ask for, as data; which fields are refused before anything is asked. */
import { describe, expect, test } from 'vitest'
import { AUTH_PROVIDERS, type AuthProvider } from '../../../core/vocabulary.js'
import { type SecretField, TOKEN_SOURCES, type TokenRequest, tokenRequest } from '../../../idp/tokens.js'

type Fields = Readonly<Record<string, string>>

/** The request of an identity whose fields have passed its provider's own schema. */
function requestOf(auth_provider: AuthProvider, fields: Fields, secret: SecretField = 'client_secret', scope?: string): TokenRequest {
  const identity = identityOf(auth_provider, fields, scope)
  expect(TOKEN_SOURCES[auth_provider].problems?.(identity, secret) ?? []).toEqual([])
  return tokenRequest(identity, { [secret]: true })
}

function identityOf(auth_provider: AuthProvider, fields: Fields, scope?: string) {
  const parsed = TOKEN_SOURCES[auth_provider].fields.parse(fields) as Fields
  return { identity_name: 'agent', auth_provider, client_id: 'client', fields: parsed, ...(scope === undefined ? {} : { scope }) }
}

interface Row {
  readonly says: string
  readonly of: AuthProvider
  readonly fields: Fields
  readonly secret?: SecretField
  readonly scope?: string
  readonly asks: TokenRequest
}
const TENANT = '6e6ee81b-6bf3-495d-a7fc-d363a551f765'
const GATEWAY = 'api://1bd17ba1-aad3-447f-be0b-26f8f9ee859f/.default'
const POOL = { region: 'eu-west-1', user_pool_id: 'eu-west-1_Ab1Cd2Ef3' }

const ROWS: readonly Row[] = [
  {
    says: 'a realm’s token endpoint with the secret in the header',
    of: 'keycloak',
    fields: { keycloak_url: 'https://kc.example.com/', keycloak_realm: 'my realm' },
    asks: {
      issuer: 'https://kc.example.com/realms/my%20realm',
      token_endpoint: 'https://kc.example.com/realms/my%20realm/protocol/openid-connect/token',
      token_endpoint_auth_method: 'client_secret_basic',
    },
  },
  {
    says: 'an embedded provider’s, found by discovery',
    of: 'embedded',
    fields: { issuer: 'http://127.0.0.1:8888' },
    asks: { issuer: 'http://127.0.0.1:8888', token_endpoint_auth_method: 'client_secret_basic' },
  },
  {
    says: 'any issuer’s, with the audience that its entry names',
    of: 'oidc',
    fields: { issuer: 'https://idp.example.com', audience: 'mcp-gateway' },
    secret: 'private_key',
    asks: {
      issuer: 'https://idp.example.com',
      token_endpoint_auth_method: 'private_key_jwt',
      parameters: { audience: 'mcp-gateway' },
    },
  },
  {
    says: 'a custom authorization server of Okta with a secret',
    of: 'okta',
    fields: { okta_domain: 'dev-1.okta.com', authorization_server_id: 'default' },
    scope: 'mcp.invoke',
    asks: {
      issuer: 'https://dev-1.okta.com/oauth2/default',
      token_endpoint: 'https://dev-1.okta.com/oauth2/default/v1/token',
      token_endpoint_auth_method: 'client_secret_basic',
      scope: 'mcp.invoke',
    },
  },
  {
    says: 'a custom authorization server of Okta with a key, the assertion made out to the endpoint',
    of: 'okta',
    fields: { okta_org_url: 'https://dev-1.okta.com/', authorization_server_id: 'aus1', kid: 'key-1' },
    secret: 'private_key',
    scope: 'mcp.invoke',
    asks: {
      issuer: 'https://dev-1.okta.com/oauth2/aus1',
      token_endpoint: 'https://dev-1.okta.com/oauth2/aus1/v1/token',
      token_endpoint_auth_method: 'private_key_jwt',
      assertion: { kid: 'key-1', audience: 'https://dev-1.okta.com/oauth2/aus1/v1/token' },
      scope: 'mcp.invoke',
    },
  },
  {
    says: 'the org authorization server of Okta',
    of: 'okta',
    fields: { okta_domain: 'dev-1.okta.com' },
    secret: 'private_key',
    scope: 'okta.users.read okta.groups.read',
    asks: {
      issuer: 'https://dev-1.okta.com',
      token_endpoint: 'https://dev-1.okta.com/oauth2/v1/token',
      token_endpoint_auth_method: 'private_key_jwt',
      assertion: { audience: 'https://dev-1.okta.com/oauth2/v1/token' },
      scope: 'okta.users.read okta.groups.read',
    },
  },
  {
    says: 'an Entra tenant’s v2.0 endpoint with the secret in the form',
    of: 'entra',
    fields: { tenant_id: TENANT },
    scope: GATEWAY,
    asks: {
      issuer: `https://login.microsoftonline.com/${TENANT}/v2.0`,
      token_endpoint: `https://login.microsoftonline.com/${TENANT}/oauth2/v2.0/token`,
      token_endpoint_auth_method: 'client_secret_post',
      scope: GATEWAY,
    },
  },
  {
    says: 'another cloud of Entra with a certificate',
    of: 'entra',
    fields: { tenant_id: 'contoso.onmicrosoft.com', login_url: 'https://login.microsoftonline.us/' },
    secret: 'client_certificate',
    scope: GATEWAY,
    asks: {
      issuer: 'https://login.microsoftonline.us/contoso.onmicrosoft.com/v2.0',
      token_endpoint: 'https://login.microsoftonline.us/contoso.onmicrosoft.com/oauth2/v2.0/token',
      token_endpoint_auth_method: 'private_key_jwt',
      scope: GATEWAY,
    },
  },
  {
    says: 'an Auth0 tenant’s, whose issuer ends in a slash, for an audience',
    of: 'auth0',
    fields: { auth0_domain: 'example.eu.auth0.com', audience: 'https://gateway.example.com/mcp' },
    asks: {
      issuer: 'https://example.eu.auth0.com/',
      token_endpoint: 'https://example.eu.auth0.com/oauth/token',
      token_endpoint_auth_method: 'client_secret_post',
      parameters: { audience: 'https://gateway.example.com/mcp' },
    },
  },
  {
    says: 'a user pool’s, at a domain of Cognito that discovery names',
    of: 'cognito',
    fields: POOL,
    scope: 'mcp-gateway/invoke',
    asks: {
      issuer: 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab1Cd2Ef3',
      discovery: 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab1Cd2Ef3',
      origins: ['https://*.auth.eu-west-1.amazoncognito.com'],
      token_endpoint_auth_method: 'client_secret_post',
      scope: 'mcp-gateway/invoke',
    },
  },
  {
    says: 'a user pool’s with a domain of its own, behind an emulator',
    of: 'cognito',
    fields: { ...POOL, domain: 'auth.example.com', endpoint: 'http://127.0.0.1:4566' },
    asks: {
      issuer: 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab1Cd2Ef3',
      discovery: 'http://127.0.0.1:4566/eu-west-1_Ab1Cd2Ef3',
      origins: ['https://auth.example.com'],
      token_endpoint_auth_method: 'client_secret_post',
    },
  },
]

describe('an identity asks', () => {
  test.for(ROWS)('$of: $says', ({ of, fields, secret, scope, asks }) => {
    expect(requestOf(of, fields, secret, scope)).toEqual(asks)
  })
  test('each provider has a row', () => {
    expect([...new Set(ROWS.map((row) => row.of))].toSorted()).toEqual([...AUTH_PROVIDERS].toSorted())
  })
})

describe('refused is', () => {
  test.for<[AuthProvider, Fields, string]>([
    ['keycloak', { keycloak_url: 'ftp://kc.example.com' }, 'keycloak_url'],
    ['oidc', { issuer: 'https://user@idp.example.com' }, 'issuer'],
    ['okta', { okta_domain: 'https://dev-1.okta.com/admin' }, 'okta_domain'],
    ['okta', { okta_domain: 'dev-1.okta.com', authorization_server_id: '../v1' }, 'authorization_server_id'],
    ['entra', {}, 'tenant_id'],
    ['entra', { tenant_id: 'common' }, 'tenant_id'],
    ['entra', { tenant_id: 'a/b' }, 'tenant_id'],
    ['auth0', { audience: 'a' }, 'auth0_domain'],
    ['auth0', { auth0_domain: 'example.auth0.com' }, 'audience'],
    ['auth0', { auth0_domain: 'example.auth0.com', audience: '' }, 'audience'],
    ['cognito', { region: 'Ireland', user_pool_id: 'eu-west-1_Ab1' }, 'region'],
    ['cognito', { region: 'eu-west-1', user_pool_id: '../pool' }, 'user_pool_id'],
    ['cognito', { ...POOL, domain: 'auth.example.com/oauth2' }, 'domain'],
  ])('a field of %s: %j', ([of, fields, wrong]) => {
    const result = TOKEN_SOURCES[of].fields.safeParse(fields)
    expect(result.error?.issues.map(({ path }) => path.join('.'))).toEqual([wrong])
  })

  test.for<[AuthProvider, Fields, SecretField, string | undefined, readonly string[]]>([
    ['keycloak', {}, 'client_secret', undefined, ['keycloak_url']],
    ['okta', { authorization_server_id: 'default' }, 'client_secret', 'mcp.invoke', ['okta_domain']],
    ['okta', { okta_domain: 'dev-1.okta.com' }, 'client_secret', 'okta.users.read', ['client_secret']],
    ['okta', { okta_domain: 'dev-1.okta.com' }, 'private_key', 'openid', ['scope']],
    ['entra', { tenant_id: TENANT, login_url: 'http://127.0.0.1:1' }, 'client_certificate', GATEWAY, ['login_url']],
    ['cognito', { region: 'us-east-1', user_pool_id: 'eu-west-1_Ab1' }, 'client_secret', undefined, ['user_pool_id']],
  ])('what does not fit together at %s: %j with a %s and %s', ([of, fields, secret, scope, wrong]) => {
    const problems = TOKEN_SOURCES[of].problems?.(identityOf(of, fields, scope), secret) ?? []
    expect(problems.map(({ path }) => path)).toEqual(wrong)
  })
})

describe('an identity at Entra', () => {
  const defaults = (settings: Fields) => TOKEN_SOURCES.entra.defaults?.((name) => settings[name])
  test('must say its scope', () => {
    expect(TOKEN_SOURCES.entra.scope).toBe('required')
    expect(defaults({ ENTRA_CLIENT_ID: '' })).toEqual({})
  })
  test('asks for the gateway’s app where that is configured, never for its own', () => {
    expect(defaults({ ENTRA_CLIENT_ID: 'the-gateway' })).toEqual({ scope: 'api://the-gateway/.default' })
  })
  test('logs in where the documented variable says', () => {
    expect(defaults({ ENTRA_LOGIN_BASE_URL: 'https://login.example.com' })).toEqual({ login_url: 'https://login.example.com' })
  })
})

describe('the token file', () => {
  test('of Entra tells the tenant, as documented', () => {
    expect(TOKEN_SOURCES.entra.tokenFileFields?.(identityOf('entra', { tenant_id: TENANT }))).toEqual({ tenant_id: TENANT })
  })
  test.for(['okta', 'entra', 'auth0', 'cognito', 'embedded', 'oidc'] as const)('of %s has the identity’s name', (of) => {
    expect(TOKEN_SOURCES[of].tokenFile('my-ai-agent')).toBe('my-ai-agent.json')
  })
})
