/** Every request that identities at Okta make. */
import type { VendorOperation } from '../evidence.js'

const token = { method: 'POST', path: '/oauth2/{authorization_server_id}/v1/token' } as const
const purpose = 'a machine’s token, from a custom authorization server'

export const oktaTokenOperations: readonly VendorOperation[] = [
  {
    ...{ method: 'POST', path: '/oauth2/v1/token', scheme: 'none', needs: ['the client’s key'], evidence: 'recording' },
    purpose: 'a machine’s token for Okta’s own API, from the org authorization server',
  },
  { ...token, scheme: 'none', needs: ['the client’s key'], purpose, evidence: 'own fake' },
  { ...token, scheme: 'Basic', needs: ['the client’s secret'], purpose, evidence: 'own fake' },
]
