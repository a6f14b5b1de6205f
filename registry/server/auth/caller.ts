/**
 * Who is calling and with which rights, derived anew for every request from the verified token, the client's record and
 * the scopes. Pure: the same three give the same caller.
 */
import { isAdmin, type Scope, scopesOf, uiPermissionsOf } from './permissions.js'
import type { VerifiedToken } from './verify.js'

/** What the token says, with the groups that count; `username` is for people to read and decides nothing. */
export interface Caller extends Omit<VerifiedToken, 'claims'> {
  readonly groups_source: 'token' | 'record' | 'none'
  readonly scopes: readonly Scope[]
  readonly ui_permissions: Readonly<Record<string, readonly string[]>>
  readonly is_admin: boolean
  readonly accessible_servers: readonly string[]
  /** False when the record of the token's client is switched off. */
  readonly enabled: boolean
}

/** What of a machine client's record counts here. */
export interface ClientRecord {
  readonly client_id: string
  readonly issuer: string
  readonly enabled: boolean
  readonly groups: readonly string[]
}

/**
 * A record belongs to the token when client id and issuer agree. Switched off, it takes the groups from every token of the
 * client, also those that the token carries; switched on, it gives its groups to a machine's token that carries none.
 */
export function callerOf(token: VerifiedToken, record: ClientRecord | undefined, allScopes: readonly Scope[]): Caller {
  const own = record && record.client_id === token.client_id && record.issuer === token.issuer ? record : undefined
  const { groups, groups_source } = effectiveGroups(token, own)
  const scopes = scopesOf(groups, allScopes)
  const ui_permissions = uiPermissionsOf(scopes)
  const { provider, issuer, subject, client_id, kind, username } = token
  return {
    ...{ provider, issuer, subject, client_id, kind, groups, groups_source, scopes, ui_permissions },
    ...(username === undefined ? {} : { username }),
    is_admin: isAdmin(ui_permissions),
    accessible_servers: [...new Set(scopes.flatMap(({ server_access }) => server_access.map(({ server }) => server)))],
    enabled: own?.enabled ?? true,
  }
}

function effectiveGroups(token: VerifiedToken, record: ClientRecord | undefined): Pick<Caller, 'groups' | 'groups_source'> {
  if (record && !record.enabled) return { groups: [], groups_source: 'none' }
  if (token.groups.length > 0) return { groups: token.groups, groups_source: 'token' }
  if (record && token.kind === 'machine' && record.groups.length > 0) return { groups: record.groups, groups_source: 'record' }
  return { groups: [], groups_source: 'none' }
}

/** The name that records and audit rows show. */
export function nameOf({ username, client_id, subject }: Caller): string {
  return username ?? client_id ?? subject
}
