/** Tokens of an Amazon Cognito user pool for identities; its token endpoint is at the pool's domain, which discovery tells. */
import { z } from 'zod'
import { issuerUrl, serverUrl, type TokenSource } from '../token-source.js'

export const cognitoTokens = {
  title: 'Amazon Cognito',
  fields: z.object({
    region: z
      .string()
      .regex(/^[a-z]{2}(?:-[a-z]+)+-\d$/, 'a region such as us-east-1')
      .describe('region of the user pool'),
    user_pool_id: z
      .string()
      .regex(/^[\w-]{1,55}_[0-9A-Za-z]{1,55}$/, 'an id such as us-east-1_Ab1Cd2Ef3')
      .describe('id of the user pool'),
    domain: serverUrl.optional().describe('custom domain of the user pool, where it has one'),
    endpoint: issuerUrl.optional().describe('base URL of an emulator, instead of the service itself'),
  }),
  secrets: ['client_secret'],
  // Without one the client gets every scope that it may have.
  scope: 'optional',
  tokenFile: (identity_name) => `${identity_name}.json`,
  problems({ fields: { region = '', user_pool_id = '' } }) {
    if (user_pool_id.startsWith(`${region}_`)) return []
    return [{ path: 'user_pool_id', expected: `an id of the region ${region}`, found: user_pool_id }]
  },
  tokenFileFields: ({ fields: { region, user_pool_id } }) => ({ region, user_pool_id }),
  request({ scope, fields }) {
    const { region = '', user_pool_id = '', domain, endpoint } = fields
    const issuer = `https://cognito-idp.${region}.amazonaws.com/${user_pool_id}`
    return {
      issuer,
      discovery: endpoint === undefined ? issuer : `${endpoint}/${user_pool_id}`,
      origins: [domain ?? `https://*.auth.${region}.amazoncognito.com`],
      // Chosen secrets may hold a plus, and nothing says that it is decoded in the Authorization header.
      token_endpoint_auth_method: 'client_secret_post',
      ...(scope === undefined ? {} : { scope }),
    }
  },
} as const satisfies TokenSource
