/** Every request that identities at Entra make. */
import type { VendorOperation } from '../evidence.js'

const token = { method: 'POST', path: '/{tenant_id}/oauth2/v2.0/token', scheme: 'none' } as const

export const entraTokenOperations: readonly VendorOperation[] = [
  { ...token, needs: ['the client’s secret'], purpose: 'a machine’s token, by its secret in the form', evidence: 'shaped provider' },
  { ...token, needs: ['the client’s certificate'], purpose: 'a machine’s token, by an assertion that MSAL signs', evidence: 'own fake' },
]
