/** The embedded provider: clients by RFC 7591, groups and people by its own admin API; tokens as RFC 9068 says. */
import type { Capabilities } from '../capabilities.js'

export const embeddedCapabilities = {
  title: 'the embedded identity provider',
  tenant: 'issuer',
  client_id: 'issued',
  client_secret: 'issued',
  // Native clients (RFC 8252): any port on localhost and 127.0.0.1, the path must match.
  loopback_port: 'ignored',
  machine_groups: 'record',
  server_wide: ['pkce', 'full_scope', 'web_origins', 'groups_claim', 'audience'],
  gateway_clients: 'built_in',
  rights: {
    'clients:read': ['initial access token'],
    'clients:write': ['initial access token'],
    'groups:read': ['admin token'],
    'groups:write': ['admin token'],
    'users:read': ['admin token'],
    'users:write': ['admin token'],
    'tenant:read': [],
    'tenant:write': [],
    'tenant:create': [],
    'tokens:evaluate': [],
  },
  files: { identity: (name) => `${name}.json`, token: (identity_name) => `${identity_name}.json` },
  token: {
    algorithms: ['RS256'],
    isAccessToken: ({ typ }) => typ === 'at+jwt',
    // RFC 9068 section 2.2: for client credentials `sub` is the client itself.
    isMachine: ({ sub, client_id }) => typeof client_id === 'string' && sub === client_id,
    clientId: ({ client_id }) => (typeof client_id === 'string' ? client_id : undefined),
    username: ({ sub }) => (typeof sub === 'string' ? sub : undefined),
    groups_claim: 'groups',
  },
} as const satisfies Capabilities
