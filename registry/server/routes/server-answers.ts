/** A stored server in the three shapes of the documented API: list item, detail, connect config. Absent things are null. */
import type { Caller } from '../auth/caller.js'
import type { Server } from '../store/servers.js'

/** A row of the list; the login client is not part of it. */
export function listItemOf(server: Server, caller: Caller): object {
  return {
    id: server.id,
    display_name: server.server_name,
    path: server.path,
    description: server.description,
    proxy_pass_url: caller.is_admin ? server.proxy_pass_url : null,
    is_enabled: true,
    tags: server.tags,
    num_tools: 0,
    license: 'N/A',
    health_status: 'unknown',
    last_checked_iso: null,
    mcp_endpoint: server.mcp_endpoint,
    metadata: {},
    version: 'v1.0.0',
    versions: null,
    default_version: 'v1.0.0',
    mcp_server_version: null,
    mcp_server_version_previous: null,
    mcp_server_version_updated_at: null,
    sync_metadata: null,
    auth_scheme: 'none',
    auth_header_name: null,
    tool_list: [],
    visibility: 'public',
    status: 'active',
    provider_organization: null,
    provider_url: null,
    source_created_at: null,
    source_updated_at: null,
    registered_at: server.registered_at,
    updated_at: server.updated_at,
    ans_metadata: null,
    num_stars: 0,
    rating_details: [],
    security_scan: null,
    deployment: 'remote',
    local_runtime: null,
    registered_by: server.registered_by,
  }
}

/** One server; the upstream URL is for administrators, since the gateway stands in front of it. */
export function detailOf(server: Server, caller: Caller): object {
  return {
    id: server.id,
    server_name: server.server_name,
    description: server.description,
    tags: server.tags,
    num_tools: 0,
    license: 'N/A',
    tool_list: [],
    deployment: 'remote',
    registered_by: server.registered_by,
    metadata: {},
    ...(caller.is_admin ? { proxy_pass_url: server.proxy_pass_url } : {}),
    mcp_endpoint: server.mcp_endpoint,
    supported_transports: ['streamable-http'],
    auth_scheme: 'none',
    visibility: 'public',
    oauth_client_id: server.oauth_client_id,
    append_mcp_path: server.append_mcp_path,
    version: 'v1.0.0',
    is_active: true,
    registered_at: server.registered_at,
    updated_at: server.updated_at,
    is_enabled: true,
    path: server.path,
  }
}

/** What a connect dialog needs; an empty client id falls through to the one of all servers, port 0 to none. */
export function connectConfigOf(server: Server, ide: { readonly client_id?: string; readonly callback_port?: number }): object {
  return {
    path: server.path,
    server_name: server.server_name,
    auth_scheme: 'none',
    auth_header_name: null,
    custom_headers: [],
    oauth_client_id: server.oauth_client_id || ide.client_id || null,
    oauth_callback_port: ide.callback_port || null,
    append_mcp_path: server.append_mcp_path,
    decrypt_failures: 0,
    connect_scope: null,
    egress_auth_mode: null,
  }
}
