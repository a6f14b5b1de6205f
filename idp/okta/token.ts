/** Tokens of an Okta organization for identities: of a custom authorization server, or of the organization's own. */
import { z } from 'zod'
import { serverUrl, type TokenSource } from '../token-source.js'

/** Scopes of Okta's own API, the only ones that the org authorization server grants to a machine. */
const API_SCOPES = /^okta\.\S+(?: okta\.\S+)*$/

export const oktaTokens = {
  title: 'Okta',
  fields: z.object({
    okta_domain: serverUrl.optional().describe('host of the organization, such as dev-123456.okta.com'),
    okta_org_url: serverUrl.optional().describe('another spelling of okta_domain, as a URL'),
    authorization_server_id: z
      .string()
      .regex(/^[A-Za-z0-9]{1,64}$/, 'an id such as default or aus1a2b3c')
      .optional()
      .describe('custom authorization server; without it the org authorization server, for Okta’s own API, is asked'),
    kid: z.string().min(1).max(256).optional().describe('id of the private key'),
  }),
  secrets: ['client_secret', 'private_key'],
  scope: 'required',
  tokenFile: (identity_name) => `${identity_name}.json`,
  problems({ scope = '', fields }, secret) {
    const problems = []
    if (orgOf(fields) === '') problems.push({ path: 'okta_domain', expected: 'the host of the organization' })
    // https://developer.okta.com/docs/guides/implement-oauth-for-okta-serviceapp/
    if (fields['authorization_server_id'] === undefined && secret !== 'private_key')
      problems.push({
        path: secret,
        expected: 'a private_key: the org authorization server takes no secret (or an authorization_server_id)',
      })
    if (fields['authorization_server_id'] === undefined && !API_SCOPES.test(scope))
      problems.push({ path: 'scope', expected: 'okta.* scopes at the org authorization server (or an authorization_server_id)' })
    return problems
  },
  request({ scope, fields }, secret) {
    const { authorization_server_id: id, kid } = fields
    const org = orgOf(fields)
    const token_endpoint = `${org}/oauth2/${id === undefined ? '' : `${id}/`}v1/token`
    return {
      issuer: id === undefined ? org : `${org}/oauth2/${id}`,
      token_endpoint,
      ...(scope === undefined ? {} : { scope }),
      ...(secret === 'private_key'
        ? // https://developer.okta.com/docs/api/openapi/okta-oauth/guides/client-auth/: the audience is the endpoint's full URL.
          {
            token_endpoint_auth_method: 'private_key_jwt',
            assertion: { audience: token_endpoint, ...(kid === undefined ? {} : { kid }) },
          }
        : { token_endpoint_auth_method: 'client_secret_basic' }),
    }
  },
} as const satisfies TokenSource

function orgOf({ okta_domain, okta_org_url }: Readonly<Record<string, string>>): string {
  return okta_domain ?? okta_org_url ?? ''
}
