/** The embedded provider behind the port: clients by dynamic registration, groups, people and rotation by its admin API. */
import { join } from 'node:path'
import { SettingsReader } from '../../core/settings.js'
import { dcrReconcilers } from '../dcr/reconcilers.js'
import type { Adapter } from '../port.js'
import { adminClient } from './admin-client.js'
import { groups } from './reconcilers/group.js'
import { withSetSecret } from './reconcilers/machine-client.js'
import { users } from './reconcilers/user.js'

export const embedded: Adapter = {
  async connect({ settings, profile, home, open }) {
    const reader = new SettingsReader(settings)
    const issuer = reader.url('EMBEDDED_ISSUER')
    const initialAccessToken = reader.secret('EMBEDDED_INITIAL_ACCESS_TOKEN')
    const adminToken = reader.secret('EMBEDDED_ADMIN_TOKEN')
    reader.check('the embedded identity provider')
    const door = open({ origins: [new URL(issuer).origin] })
    const registrationsFolder = join(home, 'registrations')
    const admin = adminClient({ issuer, door, adminToken })
    const clients = dcrReconcilers({ issuer, door, initialAccessToken, registrationsFolder, application_type: 'native', profile })
    return {
      idp: 'embedded',
      // One issuer is one tenant here.
      name: issuer,
      issuer,
      lock: issuer,
      reconcilers: {
        group: groups(admin, profile),
        user: users(admin, profile),
        'public-client': clients['public-client'],
        'machine-client': withSetSecret(clients['machine-client'], admin),
      },
      identityFacts: (name) => ({ identity_name: name, auth_provider: 'embedded', issuer }),
      registrySettings: { AUTH_PROVIDER: 'embedded', EMBEDDED_ISSUER: issuer },
      rights: admin.rights,
    }
  },
}
