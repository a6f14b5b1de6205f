/** Every request that identities at Cognito make. */
import type { VendorOperation } from '../evidence.js'

export const cognitoTokenOperations: readonly VendorOperation[] = [
  {
    ...{ method: 'GET', path: '/{user_pool_id}/.well-known/openid-configuration', scheme: 'none', needs: [], evidence: 'emulator' },
    purpose: 'where the user pool’s domain issues tokens',
  },
  {
    ...{ method: 'POST', path: '/oauth2/token', scheme: 'none', needs: ['the client’s secret'], evidence: 'emulator' },
    purpose: 'a machine’s token',
  },
]
