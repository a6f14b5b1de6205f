/** Keycloak behind the port. */
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
}
