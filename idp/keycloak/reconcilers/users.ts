/** People of a realm. Service accounts are users of the server, but no people, and never appear. */
import { ToolkitError } from '../../../core/errors.js'
import type { Observed, Reconciler } from '../../../core/plan.js'
import { OWNER_MARK } from '../../../core/vocabulary.js'
import type { Realm } from '../connect.js'
import type { Directory } from '../directory.js'
import type { Memberships } from '../memberships.js'
import { ownerOf } from '../ownership.js'
import type { PeopleMark } from '../people-mark.js'
import { observedPerson, refusedPerson, refuseSpelling, representationOf } from '../person-fields.js'
import { requireRight } from '../rights.js'
import { asking } from '../vendor-error.js'

const NEEDS = ['manage-users']

/** Where the realm's user profile has no place for our mark, a person that is named counts as ours, and nobody is listed as such. */
export function users(connected: Realm, directory: Directory, memberships: Memberships, { hasPlace }: PeopleMark): Reconciler<'user'> {
  const { api, realm, profile, exists } = connected
  const ask = <T>(key: string, call: () => Promise<T>) =>
    asking({ kind: 'user', key, needs: NEEDS }, () =>
      call().catch((error: unknown) => {
        throw refusedPerson(error, key) ?? error
      }),
    )
  return {
    secret: 'initial',
    async observe(keys) {
      for (const username of keys) refuseSpelling({ username })
      const people = await directory.people(keys)
      if (people.length === 0) return new Map()
      const [marked, groups] = await Promise.all([hasPlace(), memberships.ofUsers(people)])
      return new Map(
        people.map((person): [string, Observed<'user'>] => {
          const spec = observedPerson(person)
          const owner = marked ? ownerOf(person.attributes, profile) : 'us'
          return [spec.username, { id: person.id ?? '', owner, spec: { ...spec, groups: groups.get(spec.username) ?? [] } }]
        }),
      )
    },
    async create({ groups = [], ...fields }, secret) {
      refuseSpelling(fields)
      const { username } = fields
      const person = {
        // Without it Keycloak makes a person who cannot log in.
        ...representationOf({ enabled: true, ...fields }),
        ...((await hasPlace()) ? { attributes: { [OWNER_MARK]: [profile] } } : {}),
        // A temporary password brings the required action UPDATE_PASSWORD with it.
        ...(secret ? { credentials: [{ type: 'password', value: secret.reveal(), temporary: true }] } : {}),
      }
      const { id } = await ask(username, () => api.users.create({ realm, ...person }))
      // Added, not made exact: the realm's default groups are for everybody, and the plan decides whether they stay.
      await memberships.add(id, groups, username)
      return {}
    },
    async update({ id, owner, spec: { username } }, { groups, ...fields }) {
      refuseSpelling(fields)
      // An address that nobody has shown to be theirs yet; Keycloak keeps the old one's flag (measured).
      const changed = { ...representationOf(fields), ...(fields.email === undefined ? {} : { emailVerified: false }) }
      if (owner === 'nobody') {
        const seen = await ask(username, () => api.users.findOne({ realm, id }))
        if (!seen) throw new ToolkitError('not_found', `Keycloak has no user ${username}`, { kind: 'user', key: username })
        // Measured: a PUT with attributes drops every field and attribute that it does not name, one without leaves them.
        const attributes = { ...seen.attributes, [OWNER_MARK]: [profile] }
        await ask(username, () => api.users.update({ realm, id }, { ...seen, ...changed, attributes }))
      } else if (Object.keys(changed).length > 0) {
        await ask(username, () => api.users.update({ realm, id }, changed))
      }
      if (groups) await memberships.set(id, groups, username)
    },
    async remove({ id, spec: { username } }) {
      await ask(username, () => api.users.del({ realm, id }))
    },
    async owned() {
      if (!(await exists()) || !(await hasPlace())) return []
      const found = await directory.peopleWith(OWNER_MARK, profile)
      return found.flatMap(({ username, attributes }) =>
        username !== undefined && ownerOf(attributes, profile) === 'us' ? [username] : [],
      )
    },
    checkWrite: () => requireRight(connected, 'users:write'),
  }
}
