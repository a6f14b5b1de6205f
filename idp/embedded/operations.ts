/** Every request that this adapter makes of the embedded provider: dynamic registration, its admin API, tokens. */
import type { VendorOperation } from '../evidence.js'

function operation(
  method: VendorOperation['method'],
  path: string,
  scheme: VendorOperation['scheme'],
  needs: readonly string[],
  purpose: string,
): VendorOperation {
  return { method, path, scheme, needs, purpose, evidence: 'real server' }
}

/** A request to the admin API. */
function admin(method: VendorOperation['method'], path: string, purpose: string): VendorOperation {
  return operation(method, `/admin${path}`, 'Bearer', ['admin token'], purpose)
}

const INITIAL = ['initial access token']
const OWN = ['registration access token']

export const embeddedOperations: readonly VendorOperation[] = [
  operation('GET', '/.well-known/oauth-authorization-server', 'none', [], 'where clients are registered (RFC 8414)'),
  operation('GET', '/.well-known/openid-configuration', 'none', [], 'the same, and where tokens are issued'),
  operation('POST', '/token', 'Basic', ['the client’s secret'], 'a machine’s token'),

  operation('POST', '/reg', 'Bearer', INITIAL, 'registers a client (RFC 7591)'),
  operation('GET', '/reg/{client_id}', 'Bearer', OWN, 'a client as it is (RFC 7592)'),
  operation('PUT', '/reg/{client_id}', 'Bearer', OWN, 'changes a client (RFC 7592)'),
  operation('DELETE', '/reg/{client_id}', 'Bearer', OWN, 'removes a client (RFC 7592)'),
  admin('PUT', '/clients/{client_id}/secret', 'gives a machine a new secret'),

  admin('GET', '/groups', 'all groups; whether the admin token is accepted'),
  admin('POST', '/groups', 'makes a group'),
  admin('PATCH', '/groups/{name}', 'changes or adopts a group'),
  admin('DELETE', '/groups/{name}', 'removes a group'),

  admin('GET', '/users', 'all people'),
  admin('POST', '/users', 'makes a person with their first password'),
  admin('PATCH', '/users/{username}', 'changes or adopts a person'),
  admin('DELETE', '/users/{username}', 'removes a person'),
]
