/** What Keycloak can do and how it differs; measured on 26.7.4. */
import type { Capabilities } from '../capabilities.js'

export const keycloakCapabilities = {
  title: 'Keycloak',
  tenant: 'realm',
  client_id: 'chosen',
  client_secret: 'chosen',
  // The port is dropped for localhost, 127.0.0.1 and [::1] when the registered URI has none; hosts are not interchangeable.
  loopback_port: 'ignored',
  machine_groups: 'token',
  server_wide: [],
  gateway_clients: 'ours',
  registry_variables: {
    web: { id: 'KEYCLOAK_CLIENT_ID', secret: 'KEYCLOAK_CLIENT_SECRET' },
    machine: { id: 'KEYCLOAK_M2M_CLIENT_ID', secret: 'KEYCLOAK_M2M_CLIENT_SECRET' },
  },
  web_callback: '/oauth2/callback/keycloak',
  // Roles of `realm-management`; `create-realm` is a role of the realm master. The query-* roles see nothing: 200 and [].
  rights: {
    'clients:read': ['view-clients'],
    'clients:write': ['manage-clients'],
    'groups:read': ['view-users'],
    'groups:write': ['manage-users'],
    'users:read': ['view-users'],
    'users:write': ['manage-users'],
    'tenant:read': ['view-realm'],
    'tenant:write': ['manage-realm'],
    'tenant:create': ['create-realm'],
    'tokens:evaluate': ['view-clients', 'view-users'],
  },
  files: {
    identity: (name) => `agent-${name}.json`,
    token: (identity_name) => `${identity_name.startsWith('agent-') ? identity_name : `agent-${identity_name}`}-token.json`,
  },
  token: {
    algorithms: ['RS256'],
    isAccessToken: (_header, claims) => claims['typ'] === 'Bearer',
    // The service account's user name is lower-cased by the server, the client id is not.
    isMachine: ({ client_id, preferred_username }) =>
      typeof client_id === 'string' && preferred_username === `service-account-${client_id.toLowerCase()}`,
    clientId: ({ azp }) => (typeof azp === 'string' ? azp : undefined),
    username: ({ preferred_username }) => (typeof preferred_username === 'string' ? preferred_username : undefined),
    groups_claim: 'groups',
  },
} as const satisfies Capabilities
