/** Every request that this adapter makes of Keycloak, with the roles of `realm-management` that it needs on 26.7.4. */
import type { VendorOperation } from '../evidence.js'

/** A request to the admin API of a realm, made with the administrator's token. */
function admin(method: VendorOperation['method'], path: string, needs: readonly string[], purpose: string): VendorOperation {
  return { method, path: `/admin/realms/{realm}${path}`, scheme: 'Bearer', needs, purpose, evidence: 'real server' }
}

const metadata: VendorOperation = {
  method: 'GET',
  path: '/realms/{realm}/.well-known/openid-configuration',
  scheme: 'none',
  needs: [],
  purpose: 'whether the realm is there, and its issuer',
  evidence: 'real server',
}
const token = {
  method: 'POST',
  path: '/realms/{realm}/protocol/openid-connect/token',
  evidence: 'real server',
} as const satisfies Partial<VendorOperation>

export const keycloakOperations: readonly VendorOperation[] = [
  metadata,
  { ...token, scheme: 'none', needs: ['the administrator’s password'], purpose: 'the administrator’s token, through `admin-cli`' },
  { ...token, scheme: 'Basic', needs: ['the client’s secret'], purpose: 'a machine’s token, or that of an administrator who is one' },

  {
    ...{ method: 'POST', path: '/admin/realms', scheme: 'Bearer', evidence: 'real server' },
    needs: ['create-realm'],
    purpose: 'makes the realm',
  },
  admin('GET', '', ['view-realm'], 'the realm as it is; whether we may see all of it'),
  admin('PUT', '', ['manage-realm'], 'changes or adopts the realm; switches it on once it is whole'),
  // Who may see the realm may read it too.
  admin('GET', '/users/profile', ['view-users'], 'whether people have a place for our mark'),
  admin('PUT', '/users/profile', ['manage-realm'], 'makes that place'),
  admin('GET', '/default-groups', ['view-realm'], 'which groups a new service account is in already'),

  // A list is answered to the query-* roles too, with nothing in it.
  admin('GET', '/groups', ['view-users'], 'the groups of the top level; whether we may manage them'),
  admin('GET', '/groups/{id}/children', ['view-users'], 'the groups inside one'),
  admin('GET', '/groups/{id}', ['view-users'], 'a group as it is, before it is changed'),
  admin('GET', '/groups/{id}/members', ['view-users'], 'who is in a group'),
  admin('POST', '/groups', ['manage-users'], 'makes a group at the top'),
  admin('POST', '/groups/{id}/children', ['manage-users'], 'makes a group inside another'),
  admin('PUT', '/groups/{id}', ['manage-users'], 'changes or adopts a group'),
  admin('DELETE', '/groups/{id}', ['manage-users'], 'removes a group with those inside it'),

  admin('GET', '/clients', ['view-clients'], 'all clients, or the one of an id; whether we may manage them'),
  admin('GET', '/clients/{id}', ['view-clients'], 'a client with its mappers, before they are put right'),
  admin('POST', '/clients', ['manage-clients'], 'makes a client of any kind with its secret and its mappers'),
  admin('PUT', '/clients/{id}', ['manage-clients'], 'changes or adopts a client; gives it a new secret'),
  admin('DELETE', '/clients/{id}', ['manage-clients'], 'removes a client'),
  admin('POST', '/clients/{id}/protocol-mappers/models', ['manage-clients'], 'adds a mapper that is missing'),
  admin('PUT', '/clients/{id}/protocol-mappers/models/{mapperId}', ['manage-clients'], 'puts a mapper right'),
  admin(
    'DELETE',
    '/clients/{id}/protocol-mappers/models/{mapperId}',
    ['manage-clients'],
    'removes a mapper of another type under our name',
  ),
  admin('GET', '/clients/{id}/service-account-user', ['view-clients'], 'the user that a machine is'),
  admin(
    'GET',
    '/clients/{id}/evaluate-scopes/generate-example-access-token',
    ['view-clients', 'view-users'],
    'the token that a person would get through a client',
  ),

  admin('GET', '/users', ['view-users'], 'people by name, by our mark, or all of them; whether we may manage them'),
  admin('GET', '/users/count', ['view-users'], 'whether asking for all people takes fewer requests'),
  admin('GET', '/users/{id}', ['view-users'], 'a person as they are, before they are adopted'),
  admin('POST', '/users', ['manage-users'], 'makes a person with their first password'),
  admin('PUT', '/users/{id}', ['manage-users'], 'changes or adopts a person'),
  admin('DELETE', '/users/{id}', ['manage-users'], 'removes a person'),
  admin('GET', '/users/{id}/groups', ['view-users'], 'the groups of a person or a service account'),
  admin('PUT', '/users/{id}/groups/{groupId}', ['manage-users'], 'puts a person or a service account into a group'),
  admin('DELETE', '/users/{id}/groups/{groupId}', ['manage-users'], 'takes one out of it'),
  admin('GET', '/users/{id}/role-mappings/realm/composite', ['view-users'], 'the administrator’s own roles, where the token tells none'),
  admin('GET', '/attack-detection/brute-force/users/{id}', ['view-users'], 'whether an empty list of people or groups is true'),
]
