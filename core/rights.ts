/** The rights that operations need, in our words; each provider's capability table says them in the vendor's. */

/** What each right lets a credential do. */
export const RIGHTS = {
  'clients:read': 'see clients',
  'clients:write': 'make, change and remove clients',
  'groups:read': 'see groups and who is in them',
  'groups:write': 'make and remove groups',
  'users:read': 'see people',
  'users:write': 'make and change people, and put people and service accounts into groups',
  'tenant:read': 'see the settings of the tenant',
  'tenant:write': 'change the settings of the tenant',
  'tenant:create': 'make a tenant',
  'tokens:evaluate': 'let the server show which token somebody would get',
} as const
export type Right = keyof typeof RIGHTS

/** Whether a credential has a right; `unknown` where only trying would tell. */
export type Held = 'yes' | 'no' | 'unknown'
export type HeldRights = Readonly<Record<Right, Held>>
