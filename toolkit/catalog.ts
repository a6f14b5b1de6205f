/** Every operation on one screen. A row is cheap to read; its module, with schemas and all, loads when it is used. */
import type { Operation, Safety } from '../core/operation.js'
import type { ToolkitContext } from './context.js'

export const TOOLSETS = ['core', 'm2m', 'groups', 'accounts', 'ide', 'tokens'] as const
export type Toolset = (typeof TOOLSETS)[number]

export interface CatalogRow {
  /** The MCP tool and the library function. */
  readonly name: string
  /** The CLI words. */
  readonly command: readonly [string, ...string[]]
  readonly title: string
  readonly safety: Safety
  readonly toolset: Toolset
  load(): Promise<Operation<ToolkitContext>>
}

const m2m = () => import('../registry/operations/m2m-clients.js')
const servers = () => import('../registry/operations/servers.js')

export const CATALOG = [
  {
    name: 'init_tenant',
    command: ['setup', 'init'],
    title: 'Prepare a tenant for the gateway',
    safety: 'write',
    toolset: 'accounts',
    load: async () => (await import('../setup/operations/init.js')).initTenant,
  },
  {
    name: 'setup_ide_client',
    command: ['setup', 'ide-client'],
    title: 'Set up the IDE client',
    safety: 'write',
    toolset: 'ide',
    load: async () => (await import('../setup/operations/ide-client.js')).setupIdeClient,
  },
  {
    name: 'setup_m2m_app',
    command: ['setup', 'm2m-app'],
    title: 'Set up a machine client',
    safety: 'write',
    toolset: 'm2m',
    load: async () => (await import('../setup/operations/m2m-app.js')).setupM2mApp,
  },
  {
    name: 'setup_groups',
    command: ['setup', 'groups'],
    title: 'Set up groups',
    safety: 'write',
    toolset: 'groups',
    load: async () => (await import('../setup/operations/groups.js')).setupGroups,
  },
  {
    name: 'setup_users',
    command: ['setup', 'users'],
    title: 'Set up people',
    safety: 'write',
    toolset: 'accounts',
    load: async () => (await import('../setup/operations/users.js')).setupUsers,
  },
  {
    name: 'rotate_secret',
    command: ['setup', 'rotate-secret'],
    title: 'Give a client a new secret',
    safety: 'destructive',
    toolset: 'm2m',
    load: async () => (await import('../setup/operations/rotate-secret.js')).rotateSecret,
  },
  {
    name: 'remove_setup',
    command: ['setup', 'remove'],
    title: 'Remove what is ours',
    safety: 'destructive',
    toolset: 'accounts',
    load: async () => (await import('../setup/operations/remove.js')).removeSetup,
  },
  {
    name: 'check_setup',
    command: ['check'],
    title: 'Check for drift',
    safety: 'read',
    toolset: 'core',
    load: async () => (await import('../setup/operations/check.js')).checkSetup,
  },
  {
    name: 'check_rights',
    command: ['doctor'],
    title: 'Tell what the credential can do',
    safety: 'read',
    toolset: 'core',
    load: async () => (await import('../setup/operations/doctor.js')).doctor,
  },
  {
    name: 'list_m2m_clients',
    command: ['m2m', 'list'],
    title: 'List machine clients',
    safety: 'read',
    toolset: 'core',
    load: async () => (await m2m()).listM2mClients,
  },
  {
    name: 'get_m2m_client',
    command: ['m2m', 'get'],
    title: 'Show a machine client',
    safety: 'read',
    toolset: 'core',
    load: async () => (await m2m()).getM2mClient,
  },
  {
    name: 'register_m2m_client',
    command: ['m2m', 'register'],
    title: 'Record a machine client',
    safety: 'write',
    toolset: 'm2m',
    load: async () => (await m2m()).registerM2mClient,
  },
  {
    name: 'assign_groups',
    command: ['m2m', 'assign-groups'],
    title: 'Assign groups to a machine client',
    safety: 'write',
    toolset: 'm2m',
    load: async () => (await m2m()).assignGroups,
  },
  {
    name: 'update_m2m_client',
    command: ['m2m', 'update'],
    title: 'Change a machine client',
    safety: 'write',
    toolset: 'm2m',
    load: async () => (await m2m()).updateM2mClient,
  },
  {
    name: 'delete_m2m_client',
    command: ['m2m', 'delete'],
    title: 'Delete a machine client’s record',
    safety: 'destructive',
    toolset: 'm2m',
    load: async () => (await m2m()).deleteM2mClient,
  },
  {
    name: 'list_servers',
    command: ['servers', 'list'],
    title: 'List MCP servers',
    safety: 'read',
    toolset: 'core',
    load: async () => (await servers()).listServers,
  },
  {
    name: 'get_connect_config',
    command: ['connect-config'],
    title: 'Show how an MCP client connects',
    safety: 'read',
    toolset: 'ide',
    load: async () => (await import('./operations/connect-config.js')).getConnectConfig,
  },
  {
    name: 'generate_credentials',
    command: ['credentials', 'generate'],
    title: 'Mint tokens into files',
    safety: 'issue',
    toolset: 'tokens',
    load: async () => (await import('../credentials-provider/operations.js')).generateCredentials,
  },
  {
    name: 'list_identities',
    command: ['credentials', 'list'],
    title: 'List identities',
    safety: 'read',
    toolset: 'tokens',
    load: async () => (await import('../credentials-provider/status.js')).listIdentities,
  },
  {
    name: 'token_status',
    command: ['credentials', 'status'],
    title: 'Show how tokens stand',
    safety: 'read',
    toolset: 'tokens',
    load: async () => (await import('../credentials-provider/status.js')).tokenStatus,
  },
  {
    name: 'inspect_token',
    command: ['credentials', 'inspect'],
    title: 'Show what a token says',
    safety: 'read',
    toolset: 'tokens',
    load: async () => (await import('../credentials-provider/inspect.js')).inspectToken,
  },
] as const satisfies readonly CatalogRow[]

export type OperationName = (typeof CATALOG)[number]['name']

/** The row of a name; undefined for a name that is not an operation. */
export function catalogRow(name: string): CatalogRow | undefined {
  return CATALOG.find((row) => row.name === name)
}
