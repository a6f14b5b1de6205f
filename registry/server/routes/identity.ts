/** Who the caller is, and what anybody may know of the registry: protected resource metadata (RFC 9728), health, version. */
import type { Hono } from 'hono'
import { type Env, resource } from '../answers.js'
import { nameOf } from '../auth/caller.js'

export interface IdentityRoutes {
  readonly url: string
  readonly issuers: readonly string[]
  readonly version: string
}

/** Path of the metadata document (RFC 9728 section 3). */
export const RESOURCE_METADATA = '/.well-known/oauth-protected-resource'

/** Without `offline_access`: advertised, it would make clients ask for long-lived tokens nobody asked them to. */
const SCOPES = ['openid', 'profile', 'email', 'groups']

/** Adds the routes. */
export function identityRoutes(app: Hono<Env>, { url, issuers, version }: IdentityRoutes): void {
  resource(app, '/api/auth/me', {
    GET(c) {
      const caller = c.get('caller')
      const { provider, scopes, groups, is_admin, ui_permissions, accessible_servers, groups_source, client_id, issuer, kind, enabled } =
        caller
      return c.json({
        username: nameOf(caller),
        auth_method: provider,
        provider,
        scopes: scopes.map(({ name }) => name),
        groups,
        can_modify_servers: (ui_permissions['modify_service'] ?? []).length > 0,
        is_admin,
        ui_permissions,
        accessible_servers,
        accessible_services: ui_permissions['list_service'] ?? [],
        accessible_agents: [],
        groups_source,
        client_id,
        issuer,
        kind,
        enabled,
      })
    },
  })
  resource(app, RESOURCE_METADATA, {
    GET: (c) =>
      c.json({ resource: url, authorization_servers: issuers, scopes_supported: SCOPES, bearer_methods_supported: ['header'] }, 200, {
        'cache-control': 'max-age=300',
      }),
  })
  resource(app, '/health', { GET: (c) => c.json({ status: 'healthy', service: 'mcp-gateway-registry', registry_mode: 'full' }) })
  resource(app, '/api/version', { GET: (c) => c.json({ version, ui_title: 'mcp-gateway-idp, embedded registry' }) })
}
