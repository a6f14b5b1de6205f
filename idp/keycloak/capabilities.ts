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
  rights: ['manage-clients', 'manage-users', 'view-realm'],
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
