/**
 * Groups to scopes to rights, pure. A scope is the registry's permission set; groups are mapped to it by name, exact and
 * case-sensitive. Nothing here knows tokens or records.
 */

/** What one scope grants on one server. `tools` counts for `tools/call` only. */
export interface ServerAccess {
  readonly server: string
  readonly methods: readonly string[]
  readonly tools?: readonly string[]
}

/** One permission set: which groups have it, which servers it opens, which actions of the registry it allows. */
export interface Scope {
  readonly name: string
  readonly description: string
  readonly group_mappings: readonly string[]
  readonly server_access: readonly ServerAccess[]
  readonly ui_permissions: UiPermissions
}

/** Action to the services it may be done to; `all` means every one. */
export type UiPermissions = Readonly<Record<string, readonly string[]>>

/** The scopes that a set of groups has; a group that nothing maps contributes nothing. */
export function scopesOf(groups: readonly string[], scopes: readonly Scope[]): Scope[] {
  return scopes.filter(({ group_mappings }) => group_mappings.some((group) => groups.includes(group)))
}

/** The union of each action's services. */
export function uiPermissionsOf(scopes: readonly Scope[]): Record<string, string[]> {
  const union = new Map<string, Set<string>>()
  for (const { ui_permissions } of scopes) {
    for (const [action, services] of Object.entries(ui_permissions)) {
      union.set(action, new Set([...(union.get(action) ?? []), ...services]))
    }
  }
  return Object.fromEntries([...union].map(([action, services]) => [action, [...services]]))
}

/** Changing actions: holding one of them on `all` makes an administrator. The value `*` never does. */
const CHANGING = /^(?:register|modify|toggle|delete|publish|create)_/

export function isAdmin(permissions: UiPermissions): boolean {
  return Object.entries(permissions).some(([action, services]) => CHANGING.test(action) && services.includes('all'))
}

/** Those of the groups that make their holder an administrator. */
export function adminGroups(groups: readonly string[], scopes: readonly Scope[]): string[] {
  return groups.filter((group) => isAdmin(uiPermissionsOf(scopesOf([group], scopes))))
}

/** Whether an action may be done to a service of that name. */
export function mayDo(permissions: UiPermissions, action: string, service: string): boolean {
  const services = Object.hasOwn(permissions, action) ? (permissions[action] ?? []) : []
  return services.includes('all') || services.includes(service)
}

/** Whether one of the servers named is the one at this path; surrounding slashes do not count. */
export function reaches(accessible: readonly string[], path: string): boolean {
  return accessible.some((server) => server === '*' || bare(server) === bare(path))
}

/** Whether the scopes allow an MCP request: its server, its method and, for `tools/call`, its tool. */
export function allows(scopes: readonly Scope[], call: { path: string; method: string; tool?: string }): boolean {
  return scopes
    .flatMap(({ server_access }) => server_access)
    .filter(({ server, methods }) => reaches([server], call.path) && lists(methods, call.method))
    .some(({ tools }) => call.method !== 'tools/call' || (call.tool !== undefined && lists(tools ?? [], call.tool)))
}

function lists(names: readonly string[], name: string): boolean {
  return names.includes(name) || names.includes('all') || names.includes('*')
}

function bare(path: string): string {
  return path.replace(/^\/+|\/+$/g, '')
}
