/** The embedded provider behind the port: clients by dynamic registration, groups by its admin API. */
import { join } from 'node:path'
import { invalidInput } from '../../core/errors.js'
import { createDoor } from '../../core/http.js'
import { SettingsReader } from '../../core/settings.js'
import { dcrReconcilers } from '../dcr/reconcilers.js'
import { clientCredentials, discover } from '../oauth.js'
import type { Adapter } from '../port.js'
import { groups } from './reconcilers/group.js'

const LOOPBACK = ['127.0.0.1', 'localhost', '[::1]']
const USABLE = 'an issuer such as http://127.0.0.1:8888; https off this machine'

export const embedded: Adapter = {
  async connect({ settings, profile, home, latch, signal, onRequest }) {
    const reader = new SettingsReader(settings)
    const issuer = reader.url('EMBEDDED_ISSUER')
    const initialAccessToken = reader.secret('EMBEDDED_INITIAL_ACCESS_TOKEN')
    const adminToken = reader.secret('EMBEDDED_ADMIN_TOKEN')
    reader.check('the embedded identity provider')
    if (!isUsable(issuer)) throw invalidInput('the configuration', [{ path: 'EMBEDDED_ISSUER', expected: USABLE }])
    const door = createDoor({
      origins: [new URL(issuer).origin],
      latch,
      ...(signal ? { signal } : {}),
      ...(onRequest ? { onRequest } : {}),
    })
    const registrationsFolder = join(home, 'registrations')
    return {
      idp: 'embedded',
      issuer,
      lock: issuer,
      reconcilers: {
        group: groups({ issuer, door, adminToken, profile }),
        ...dcrReconcilers({ issuer, door, initialAccessToken, registrationsFolder, application_type: 'native', profile }),
      },
      journal: door.journal,
      identityFacts: (name) => ({ identity_name: name, auth_provider: 'embedded', issuer }),
      close: () => door.close(),
    }
  },
  async mint({ identity_name, fields, client_id, client_secret, scope }, doorTo) {
    const { issuer } = fields
    if (issuer === undefined || !isUsable(issuer))
      throw invalidInput('the identity', [{ path: `${identity_name}.issuer`, expected: USABLE }])
    const door = doorTo(new URL(issuer).origin)
    const authorizationServer = await discover(issuer, door)
    return {
      issuer,
      token: await clientCredentials(
        { door, authorizationServer, ...(scope === undefined ? {} : { scope }) },
        { client_id, client_secret },
      ),
    }
  },
}

/** Tokens and secrets travel in the open over plain http, which is bearable on loopback only. */
function isUsable(issuer: string): boolean {
  if (!URL.canParse(issuer)) return false
  const { protocol, hostname } = new URL(issuer)
  return protocol === 'https:' || (protocol === 'http:' && LOOPBACK.includes(hostname))
}
