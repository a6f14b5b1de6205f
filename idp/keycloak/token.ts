/** Tokens of a Keycloak realm for identities, in the documented shape of `agent-<name>.json`. */
import { z } from 'zod'
import { issuerUrl, type TokenSource } from '../token-source.js'
import { keycloakCapabilities } from './capabilities.js'

const DEFAULT_REALM = 'mcp-gateway'

export const keycloakTokens = {
  title: 'Keycloak',
  fields: z.object({
    keycloak_url: issuerUrl.optional().describe('base URL of the server'),
    gateway_url: z
      .string()
      .max(2048)
      .optional()
      .describe('a URL of the realm; what stands before /realms/ is used where keycloak_url is missing'),
    keycloak_realm: z.string().min(1).max(255).optional().describe(`realm (default: ${DEFAULT_REALM})`),
    realm: z.string().min(1).max(255).optional().describe('another spelling of keycloak_realm'),
  }),
  secrets: ['client_secret'],
  isLoose: true,
  scope: 'optional',
  tokenFile: keycloakCapabilities.files.token,
  tokenFileFields: ({ identity_name, fields }) => ({
    agent_name: identity_name.startsWith('agent-') ? identity_name : `agent-${identity_name}`,
    keycloak_url: baseUrl(fields),
    keycloak_realm: realmOf(fields),
  }),
  tokenFileMetadata: { generated_by: 'mcp-idp', script_version: '1.0', token_format: 'JWT', auth_method: 'client_credentials' },
  problems: ({ fields }) => (baseUrl(fields) === '' ? [{ path: 'keycloak_url', expected: 'the base URL of the server' }] : []),
  request({ scope, fields }) {
    const issuer = `${baseUrl(fields)}/realms/${encodeURIComponent(realmOf(fields))}`
    return {
      issuer,
      token_endpoint: `${issuer}/protocol/openid-connect/token`,
      token_endpoint_auth_method: 'client_secret_basic',
      ...(scope === undefined ? {} : { scope }),
    }
  },
} as const satisfies TokenSource

function baseUrl({ keycloak_url, gateway_url }: Readonly<Record<string, string>>): string {
  return keycloak_url ?? (gateway_url ?? '').split('/realms/')[0] ?? ''
}

function realmOf({ keycloak_realm, realm }: Readonly<Record<string, string>>): string {
  return keycloak_realm ?? realm ?? DEFAULT_REALM
}
