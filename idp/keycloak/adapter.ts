/** Keycloak behind the port. */
import { invalidInput } from '../../core/errors.js'
import { clientCredentials } from '../oauth.js'
import type { Adapter } from '../port.js'
import { connectRealm } from './connect.js'
import { createDirectory } from './directory.js'
import { evaluation } from './evaluate.js'
import { createMemberships } from './memberships.js'
import { peopleMark } from './people-mark.js'
import { machineClients, publicClients, webClients } from './reconcilers/clients.js'
import { groups } from './reconcilers/groups.js'
import { tenants } from './reconcilers/tenant.js'
import { users } from './reconcilers/users.js'
import { rights } from './rights.js'

export const keycloak: Adapter = {
  async connect(connecting) {
    const realm = await connectRealm(connecting)
    const directory = createDirectory(realm)
    const memberships = createMemberships(realm, directory)
    const mark = peopleMark(realm)
    return {
      idp: 'keycloak',
      name: realm.realm,
      issuer: realm.issuer,
      lock: `${realm.url}/realms/${realm.realm}`,
      reconcilers: {
        tenant: tenants(realm, mark),
        group: groups(realm, directory),
        'public-client': publicClients(realm, directory),
        'web-client': webClients(realm, directory),
        'machine-client': machineClients(realm, directory, memberships),
        user: users(realm, directory, memberships, mark),
      },
      identityFacts: (name) => ({ identity_name: name, auth_provider: 'keycloak', keycloak_url: realm.url, keycloak_realm: realm.realm }),
      registrySettings: { AUTH_PROVIDER: 'keycloak', KEYCLOAK_URL: realm.url, KEYCLOAK_REALM: realm.realm },
      rights: () => rights(realm),
      evaluate: evaluation(realm),
    }
  },
  async mint({ identity_name, fields, client_id, client_secret, scope }, doorTo) {
    const url = fields['keycloak_url']
    const realm = fields['keycloak_realm'] ?? fields['realm']
    if (url === undefined || realm === undefined || !URL.canParse(url)) {
      throw invalidInput('the identity', [{ path: identity_name, expected: 'keycloak_url and keycloak_realm' }])
    }
    const issuer = `${url.replace(/\/+$/, '')}/realms/${encodeURIComponent(realm)}`
    const authorizationServer = { issuer, token_endpoint: `${issuer}/protocol/openid-connect/token` }
    const request = { door: doorTo(new URL(url).origin), authorizationServer, ...(scope === undefined ? {} : { scope }) }
    return { issuer, token: await clientCredentials(request, { client_id, client_secret }) }
  },
}
