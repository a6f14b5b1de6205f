/** Tokens of an Auth0 tenant for identities. */
import { z } from 'zod'
import { serverUrl, type TokenSource } from '../token-source.js'

export const auth0Tokens = {
  title: 'Auth0',
  fields: z.object({
    auth0_domain: serverUrl.describe('host of the tenant, such as example.eu.auth0.com, or its custom domain'),
    // Without it the token is opaque: https://auth0.com/docs/secure/tokens/access-tokens
    audience: z.string().min(1).max(2048).describe('identifier of the API that the token is for'),
  }),
  secrets: ['client_secret'],
  scope: 'optional',
  tokenFile: (identity_name) => `${identity_name}.json`,
  tokenFileFields: ({ fields }) => ({ audience: fields['audience'] }),
  request({ scope, fields }) {
    const { auth0_domain = '', audience = '' } = fields
    return {
      // Auth0's issuers end in a slash.
      issuer: `${auth0_domain}/`,
      token_endpoint: `${auth0_domain}/oauth/token`,
      token_endpoint_auth_method: 'client_secret_post',
      parameters: { audience },
      ...(scope === undefined ? {} : { scope }),
    }
  },
} as const satisfies TokenSource
