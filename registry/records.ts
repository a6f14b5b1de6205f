/**
 * The registry's records as its API writes them, shared by client and server.
 * Keys that a newer registry adds pass through; keys that an older one lacks are optional. Wire spellings are kept.
 */
import { z } from 'zod'

/** Without a zone the registry means UTC; fractions have 0 to 6 digits. Reads as RFC 3339 with milliseconds and `Z`. */
const timestamp = z.string().transform((text, context) => {
  const zoned = /(?:Z|[+-]\d{2}:?\d{2})$/i.test(text) ? text : `${text}Z`
  const date = new Date(zoned.replace(/(\.\d{3})\d+/, '$1'))
  if (!Number.isNaN(date.getTime())) return date.toISOString()
  context.addIssue({ code: 'custom', message: 'an ISO 8601 time' })
  return z.NEVER
})

/** A machine client's record (`/api/iam/m2m-clients`); `issuer` is ours, and answered when asked for. */
export const m2mClientRecord = z.looseObject({
  client_id: z.string(),
  name: z.string(),
  description: z.string().nullable(),
  groups: z.array(z.string()),
  enabled: z.boolean(),
  provider: z.string(),
  created_at: timestamp,
  updated_at: timestamp,
  idp_app_id: z.string().nullable().optional(),
  created_by: z.string().nullable().optional(),
  issuer: z.string().nullable().optional(),
})
export type M2mClientRecord = z.output<typeof m2mClientRecord>

/** One page of machine clients; `total` counts all that the filter lets through. */
export const m2mClientPage = z.looseObject({
  total: z.number().int(),
  limit: z.number().int(),
  skip: z.number().int(),
  items: z.array(m2mClientRecord),
})

/** A row of `GET /api/servers`; the login client is not part of it. */
export const serverListItem = z.looseObject({
  path: z.string(),
  display_name: z.string(),
  description: z.string().nullable().optional(),
  proxy_pass_url: z.string().nullable().optional(),
  mcp_endpoint: z.string().nullable().optional(),
  is_enabled: z.boolean().nullable().optional(),
})
export type ServerListItem = z.output<typeof serverListItem>

export const serverPage = z.looseObject({
  servers: z.array(serverListItem),
  total_count: z.number().int(),
  limit: z.number().int(),
  offset: z.number().int(),
  has_next: z.boolean(),
})

/** One server (`GET /api/servers/{path}`); the upstream URL is shown to administrators only. */
export const serverRecord = z.looseObject({
  path: z.string(),
  server_name: z.string(),
  description: z.string().nullable().optional(),
  proxy_pass_url: z.string().nullable().optional(),
  mcp_endpoint: z.string().nullable().optional(),
  oauth_client_id: z.string().nullable().optional(),
  append_mcp_path: z.boolean().nullable().optional(),
  registered_by: z.string().nullable().optional(),
  sync_metadata: z.record(z.string(), z.unknown()).nullable().optional(),
})
export type ServerRecord = z.output<typeof serverRecord>

export const serverRegistered = z.looseObject({ path: z.string(), name: z.string(), message: z.string().optional() })

/** What a connect dialog needs. The registry sends header values in clear; only their names get past this schema. */
export const connectConfig = z.looseObject({
  path: z.string(),
  server_name: z.string(),
  auth_scheme: z.string(),
  auth_header_name: z.string().nullable().optional(),
  custom_headers: z.array(z.object({ name: z.string() })),
  oauth_client_id: z.string().nullable(),
  oauth_callback_port: z.number().int().min(0).max(65535).nullable(),
  append_mcp_path: z.boolean().nullable(),
  decrypt_failures: z.number().int().optional(),
  connect_scope: z.string().nullable().optional(),
  egress_auth_mode: z.string().nullable().optional(),
})
export type ConnectConfig = z.output<typeof connectConfig>

/** Who the registry takes the caller for (`/api/auth/me`); the last five keys are ours. */
export const me = z.looseObject({
  username: z.string().nullable(),
  auth_method: z.string(),
  provider: z.string().nullable(),
  scopes: z.array(z.string()),
  groups: z.array(z.string()),
  can_modify_servers: z.boolean(),
  is_admin: z.boolean(),
  ui_permissions: z.record(z.string(), z.array(z.string())),
  accessible_servers: z.array(z.string()),
  accessible_services: z.array(z.string()),
  accessible_agents: z.array(z.string()),
  groups_source: z.enum(['token', 'record', 'none']).optional(),
  client_id: z.string().nullable().optional(),
  issuer: z.string().optional(),
  kind: z.enum(['person', 'machine']).optional(),
  enabled: z.boolean().optional(),
})
export type Me = z.output<typeof me>

export const health = z.looseObject({ status: z.string(), service: z.string().optional() })
export type Health = z.output<typeof health>
