/** Tokens of any OpenID provider or OAuth authorization server for identities. */
import { z } from 'zod'
import { AUTH_METHODS, type AuthMethod, issuerUrl, type TokenSource } from '../token-source.js'

export const oidcTokens = {
  title: 'any OpenID provider',
  fields: z.object({
    issuer: issuerUrl.describe('issuer; its discovery document names the token endpoint'),
    token_endpoint: issuerUrl.optional().describe('token endpoint, where there is no discovery or it lies on another host'),
    token_endpoint_auth_method: z.enum(AUTH_METHODS).optional().describe('how the client proves itself (default: by what secret it has)'),
    audience: z.string().min(1).max(2048).optional().describe('audience parameter, where the server wants one'),
    kid: z.string().min(1).max(256).optional().describe('id of the private key'),
  }),
  secrets: ['client_secret', 'private_key'],
  scope: 'optional',
  tokenFile: (identity_name) => `${identity_name}.json`,
  request({ scope, fields }, secret) {
    const { issuer = '', token_endpoint, token_endpoint_auth_method, audience, kid } = fields
    const byDefault = secret === 'private_key' ? 'private_key_jwt' : 'client_secret_basic'
    return {
      issuer,
      ...(token_endpoint === undefined ? {} : { token_endpoint }),
      token_endpoint_auth_method: (token_endpoint_auth_method as AuthMethod | undefined) ?? byDefault,
      ...(scope === undefined ? {} : { scope }),
      ...(audience === undefined ? {} : { parameters: { audience } }),
      ...(kid === undefined ? {} : { assertion: { kid } }),
    }
  },
} as const satisfies TokenSource
