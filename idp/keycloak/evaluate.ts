/** Which access token a person would get through a client, by Keycloak's own evaluation: nothing is issued, nobody logs in. */
import { z } from 'zod'
import { ToolkitError } from '../../core/errors.js'
import type { Tenant } from '../port.js'
import type { Realm } from './connect.js'
import { requireRight } from './rights.js'
import { asking } from './vendor-error.js'

/** Where somebody who is in a group is looked for, when nobody is named: this many groups, and members of each. */
const GROUPS = 20
const MEMBERS = 5

const claims = z.record(z.string(), z.unknown())

/** @throws ToolkitError forbidden, not_found for a client or a named person who is not there */
export function evaluation(realm: Realm): NonNullable<Tenant['evaluate']> {
  const at = { realm: realm.realm }
  return async (client_id, username) => {
    await requireRight(realm, 'tokens:evaluate')
    const askClient = <T>(call: () => Promise<T>) => asking({ kind: 'public-client', key: client_id, needs: 'tokens:evaluate' }, call)
    const [client] = await askClient(() => realm.api.clients.find({ ...at, clientId: client_id }))
    const id = client?.id
    if (id === undefined) throw new ToolkitError('not_found', `client ${client_id} does not exist`, { kind: 'client', key: client_id })
    const person = username === undefined ? await anyMember(realm) : await named(realm, username)
    if (person === undefined) return undefined
    const token = await askClient(() =>
      realm.api.clients.evaluateGenerateAccessToken({ ...at, id, scope: 'openid', userId: person.id, audience: '' }),
    )
    return { username: person.username, claims: claims.parse(token) }
  }
}

interface Person {
  readonly id: string
  readonly username: string
}

async function named({ api, realm }: Realm, username: string): Promise<Person> {
  const [user] = await asking({ kind: 'user', key: username, needs: 'users:read' }, () => api.users.find({ realm, username, exact: true }))
  if (user?.id === undefined) throw new ToolkitError('not_found', `user ${username} does not exist`, { kind: 'user', key: username })
  return { id: user.id, username: user.username ?? username }
}

/** The first enabled person of a group; service accounts are no people. */
async function anyMember({ api, realm }: Realm): Promise<Person | undefined> {
  const ask = <T>(key: string, call: () => Promise<T>) => asking({ kind: 'group', key, needs: 'groups:read' }, call)
  for (const { id: group = '', name = '' } of await ask('list', () => api.groups.find({ realm, max: GROUPS }))) {
    for (const { id, username, enabled } of await ask(name, () => api.groups.listMembers({ realm, id: group, max: MEMBERS }))) {
      if (id !== undefined && username !== undefined && enabled === true && !username.startsWith('service-account-'))
        return { id, username }
    }
  }
  return undefined
}
