/** The same state as a configuration of terraform with the provider keycloak/keycloak, in its JSON form. */

import type { KeycloakServer } from '../test/live/rig/server.js'
import { recipes } from '../toolkit/index.js'
import { GROUPS } from './machines.js'

/** The password comes from the variable KEYCLOAK_PASSWORD. */
export function terraformFile({ url, adminUser }: KeycloakServer, realm_id: string, machines: number): object {
  const each = { realm_id, count: machines }
  const client_id = ['$', '{keycloak_openid_client.machine[count.index].id}'].join('')
  return {
    terraform: { required_providers: { keycloak: { source: 'keycloak/keycloak' } } },
    provider: { keycloak: { client_id: 'admin-cli', username: adminUser, url, realm: 'master' } },
    resource: {
      keycloak_group: { team: { realm_id, count: GROUPS.length, name: indexed('team-', 'count.index') } },
      keycloak_openid_client: {
        ide: {
          realm_id,
          client_id: recipes.IDE_CLIENT_ID,
          name: recipes.IDE_CLIENT_NAME,
          access_type: 'PUBLIC',
          standard_flow_enabled: true,
          pkce_code_challenge_method: 'S256',
          full_scope_allowed: false,
          valid_redirect_uris: ['http://localhost/callback', 'http://127.0.0.1/callback'],
        },
        machine: {
          ...each,
          client_id: indexed('machine-', 'count.index'),
          name: indexed('machine-', 'count.index'),
          access_type: 'CONFIDENTIAL',
          service_accounts_enabled: true,
          full_scope_allowed: false,
        },
      },
      keycloak_openid_group_membership_protocol_mapper: {
        groups: { ...each, client_id, name: 'groups', claim_name: 'groups', full_path: false },
      },
      keycloak_openid_audience_protocol_mapper: {
        audience: { ...each, client_id, name: 'gateway-audience', included_custom_audience: 'mcp-gateway', add_to_id_token: false },
      },
      keycloak_user_groups: {
        membership: {
          ...each,
          user_id: ['$', '{keycloak_openid_client.machine[count.index].service_account_user_id}'].join(''),
          group_ids: [0, 1].map((more) => ['$', `{keycloak_group.team[(count.index + ${more}) % ${GROUPS.length}].id}`].join('')),
        },
      },
    },
  }
}

/** `team-${count.index}`, which is terraform's template and none of ours. */
function indexed(prefix: string, index: string): string {
  return [prefix, '$', `{${index}}`].join('')
}
