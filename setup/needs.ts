/** The rights that each setup command needs at the identity provider, whole: its plan, its writes and its proof. */
import type { Right } from '../core/rights.js'

/** By the words of the command. */
export const NEEDS = {
  'setup init': [
    'tenant:read',
    'tenant:write',
    'clients:read',
    'clients:write',
    'groups:read',
    'groups:write',
    'users:read',
    'users:write',
  ],
  'setup ide-client': ['clients:read', 'clients:write'],
  'setup m2m-app': ['clients:read', 'clients:write', 'groups:read', 'users:write'],
  'setup groups': ['groups:read', 'groups:write'],
  'setup users': ['groups:read', 'users:read', 'users:write'],
  'setup rotate-secret': ['clients:read', 'clients:write', 'groups:read'],
  'setup remove': ['clients:read', 'clients:write', 'groups:read', 'groups:write', 'users:read', 'users:write'],
  check: ['tenant:read', 'clients:read', 'groups:read', 'users:read'],
} as const satisfies Readonly<Record<string, readonly Right[]>>
