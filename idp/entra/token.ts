/** Tokens of a Microsoft Entra tenant for identities, in the documented shape of `entra-identities.json`. */
import { z } from 'zod'
import { issuerUrl, type TokenSource } from '../token-source.js'

const LOGIN_URL = 'https://login.microsoftonline.com'
/** They stand for tenants of people; a machine belongs to one tenant. */
const NO_TENANT = /^(?:common|organizations|consumers)$/i

export const entraTokens = {
  title: 'Microsoft Entra ID',
  fields: z.object({
    tenant_id: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9.-]{0,254}$/, 'a tenant id, or a domain of the tenant')
      .refine((id) => !NO_TENANT.test(id), 'the tenant itself: common, organizations and consumers issue no tokens to machines')
      .describe('directory (tenant) id'),
    login_url: issuerUrl.optional().describe(`base URL of the login service (default: ${LOGIN_URL})`),
  }),
  secrets: ['client_secret', 'client_certificate'],
  // The app's own id would give the wrong audience, so that nothing is guessed.
  scope: 'required',
  defaults(setting) {
    const [appId, loginUrl] = [setting('ENTRA_CLIENT_ID'), setting('ENTRA_LOGIN_BASE_URL')]
    return { ...(appId ? { scope: `api://${appId}/.default` } : {}), ...(loginUrl ? { login_url: loginUrl } : {}) }
  },
  problems({ fields }, secret) {
    if (secret !== 'client_certificate' || loginOf(fields).startsWith('https:')) return []
    return [{ path: 'login_url', expected: 'an https URL: MSAL, which serves certificates, takes no other' }]
  },
  tokenFile: (identity_name) => `${identity_name}.json`,
  tokenFileFields: ({ fields }) => ({ tenant_id: fields['tenant_id'] }),
  request({ scope, fields }, secret) {
    const tenant = `${loginOf(fields)}/${fields['tenant_id'] ?? ''}`
    return {
      issuer: `${tenant}/v2.0`,
      token_endpoint: `${tenant}/oauth2/v2.0/token`,
      token_endpoint_auth_method: secret === 'client_certificate' ? 'private_key_jwt' : 'client_secret_post',
      ...(scope === undefined ? {} : { scope }),
    }
  },
  mintBy: { client_certificate: async () => (await import('./certificate.js')).mintByCertificate },
} as const satisfies TokenSource

function loginOf({ login_url = LOGIN_URL }: Readonly<Record<string, string>>): string {
  return login_url
}
