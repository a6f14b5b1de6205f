/** Tokens of the embedded provider for identities. */
import { z } from 'zod'
import { issuerUrl, type TokenSource } from '../token-source.js'

export const embeddedTokens = {
  title: 'Embedded provider',
  fields: z.object({ issuer: issuerUrl.describe('issuer, such as http://127.0.0.1:8888') }),
  secrets: ['client_secret'],
  scope: 'optional',
  tokenFile: (identity_name) => `${identity_name}.json`,
  request: ({ scope, fields }) => ({
    issuer: fields['issuer'] ?? '',
    token_endpoint_auth_method: 'client_secret_basic',
    ...(scope === undefined ? {} : { scope }),
  }),
} as const satisfies TokenSource
