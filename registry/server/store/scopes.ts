/** The registry's scopes at rest, and what a fresh registry starts with. */
import type { Transaction } from 'kysely'
import type { Scope } from '../auth/permissions.js'
import type { Database, Tables } from './database.js'

const ADMIN_ACTIONS = [
  'list_service',
  'register_service',
  'health_check_service',
  'toggle_service',
  'modify_service',
  'delete_service',
  'change_lifecycle_status',
]

/** The group whose members administer the registry. */
export const ADMIN_GROUP = 'registry-admins'

export const SEED_SCOPES: readonly Scope[] = [
  {
    name: ADMIN_GROUP,
    description: 'Administrators of the registry, and every server',
    group_mappings: [ADMIN_GROUP],
    server_access: [{ server: '*', methods: ['all'], tools: ['all'] }],
    ui_permissions: Object.fromEntries(ADMIN_ACTIONS.map((action) => [action, ['all']])),
  },
  {
    name: 'demo-readers',
    description: 'The demo server and its tools',
    group_mappings: ['demo-readers'],
    server_access: [{ server: '/demo', methods: ['initialize', 'tools/list', 'tools/call'], tools: ['*'] }],
    ui_permissions: {},
  },
]

export async function listScopes(db: Database | Transaction<Tables>): Promise<Scope[]> {
  const rows = await db.selectFrom('scopes').select('document').orderBy('name').execute()
  return rows.map(({ document }) => JSON.parse(document) as Scope)
}

/** Adds the scopes that are missing; an existing one stays as an administrator left it. */
export async function seedScopes(trx: Transaction<Tables>): Promise<void> {
  const rows = SEED_SCOPES.map((scope) => ({ name: scope.name, document: JSON.stringify(scope) }))
  await trx
    .insertInto('scopes')
    .values(rows)
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}
