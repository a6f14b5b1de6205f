/** Every request that identities at Auth0 make. */
import type { VendorOperation } from '../evidence.js'

export const auth0TokenOperations: readonly VendorOperation[] = [
  {
    ...{ method: 'POST', path: '/oauth/token', scheme: 'none', needs: ['the client’s secret'], evidence: 'shaped provider' },
    purpose: 'a machine’s token for an audience',
  },
]
