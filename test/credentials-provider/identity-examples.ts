/** Identities as people write them: one of each kind that each provider knows, and the documents' own. Their secrets are planted. */
import type { AuthProvider } from '../../core/vocabulary.js'

export const PLANTED = 'sqFaOkF8un1tAfKXjlgm2xjGQBfLlNS3'

type Row = Readonly<Record<string, unknown>>
const named = (auth_provider: AuthProvider, identity_name: string, rest: Row): Row => ({ identity_name, auth_provider, ...rest })
const secret = { client_id: 'reporter', client_secret: PLANTED }

export const EXAMPLES: Readonly<Record<AuthProvider, readonly Row[]>> = {
  keycloak: [
    named('keycloak', 'kc', { ...secret, keycloak_url: 'https://kc.example.com', keycloak_realm: 'mcp-gateway' }),
    named('keycloak', 'kc-gateway', {
      ...secret,
      gateway_url: 'https://kc.example.com/realms/mcp-gateway/mcp',
      realm: 'other',
      further: 7,
    }),
  ],
  embedded: [named('embedded', 'own', { ...secret, issuer: 'http://127.0.0.1:8888' })],
  okta: [
    named('okta', 'okta-custom', {
      ...secret,
      okta_domain: 'dev-123456.okta.com',
      authorization_server_id: 'default',
      scope: 'mcp.read mcp.write',
    }),
    named('okta', 'okta-org', {
      client_id: 'reporter',
      private_key: { exec: ['pass', 'show', 'okta'] },
      kid: 'one',
      okta_org_url: 'https://dev-123456.okta.com',
      scope: 'okta.users.read',
    }),
  ],
  entra: [
    named('entra', 'entra-one', {
      ...secret,
      tenant_id: '6e6ee81b-6bf3-495d-a7fc-d363a551f765',
      scope: 'api://1bd17ba1-aad3-447f-be0b-26f8f9ee859f/.default',
    }),
  ],
  auth0: [named('auth0', 'auth0-one', { ...secret, auth0_domain: 'example.eu.auth0.com', audience: 'https://mcp.example.com' })],
  cognito: [
    named('cognito', 'cognito-one', { ...secret, region: 'us-east-1', user_pool_id: 'us-east-1_Ab1Cd2Ef3', scope: 'mcp-gateway/read' }),
  ],
  oidc: [
    named('oidc', 'oidc-one', { ...secret, issuer: 'https://idp.example.com', audience: 'mcp-gateway' }),
    named('oidc', 'oidc-key', { client_id: 'reporter', private_key: 'file:key.pem', issuer: 'https://idp.example.com' }),
  ],
}

/** The documented files, by the names that the documents give them. */
export const DOCUMENTED: Readonly<Record<string, unknown>> = {
  'agent-my-ai-agent.json': {
    client_id: 'my-ai-agent',
    client_secret: PLANTED,
    keycloak_url: 'https://kc.us-east-1.example.com',
    keycloak_realm: 'mcp-gateway',
    auth_provider: 'keycloak',
  },
  'entra-identities.json': [
    {
      identity_name: 'cursor-assistant',
      tenant_id: 'your-tenant-id',
      client_id: 'cursor-m2m-client-id',
      client_secret: PLANTED,
      scope: 'api://your-app-client-id/.default',
    },
    {
      identity_name: 'ci-pipeline',
      tenant_id: 'your-tenant-id',
      client_id: 'cicd-m2m-client-id',
      client_secret: PLANTED,
      scope: 'api://your-app-client-id/.default',
    },
  ],
}
