/** People on the admin API. A password comes in once, with a new person, and nothing of it ever goes out. */
import { z } from 'zod'
import { groupPath, OWNER_MARK, personName, userName } from '../../../core/vocabulary.js'
import { PASSWORD } from '../passwords.js'
import type { People, Person } from '../people.js'
import { mark, paged, type Reply, type Route, refused, withBody } from './route.js'

const fields = {
  email: z.email().max(255).optional(),
  given_name: personName.optional(),
  family_name: personName.optional(),
  enabled: z.boolean().optional(),
  /** Exact. */
  groups: z.array(groupPath).max(1000).optional(),
  [OWNER_MARK]: mark.optional(),
}
const change = z.strictObject(fields)
const created = z.strictObject({
  username: userName,
  ...fields,
  password: z.string().min(PASSWORD.shortest).max(PASSWORD.longest),
  temporary: z.literal(true),
})

/** `/admin/users` */
export function userCollection(people: People): Route {
  return {
    GET: async ({ page }) => paged('users', await people.list(page), page, ({ username }) => username, onWire),
    POST: ({ body }) =>
      withBody(created, body, async ({ username, password, temporary: _always, ...given }) => {
        const outcome = await people.create({ username, ...stored(given) }, password)
        if (outcome === 'taken') return refused(409, 'conflict')
        if (outcome === 'no_group') return refused(404, 'group_not_found')
        return found(await people.person(username), 201)
      }),
  }
}

/** `/admin/users/<username>` */
export function oneUser(people: People): Route {
  return {
    GET: async ({ key }) => found(await people.person(key), 200),
    PATCH: ({ key, body }) =>
      withBody(change, body, async (given) => {
        const outcome = await people.change(key, stored(given))
        if (outcome === 'no_group') return refused(404, 'group_not_found')
        return found(outcome === 'no_person' ? undefined : outcome, 200)
      }),
    DELETE: async ({ key }) => ((await people.remove(key)) ? { status: 204 } : refused(404, 'not_found')),
  }
}

function found(person: Person | undefined, status: number): Reply {
  return person ? { status, body: onWire(person) } : refused(404, 'not_found')
}

/** Only what was given. */
function stored({ [OWNER_MARK]: owner, ...given }: z.output<typeof change>): Parameters<People['change']>[1] {
  const set = Object.entries({ ...given, owner }).filter(([, value]) => value !== undefined)
  return Object.fromEntries(set)
}

function onWire({ name: _name, owner, ...person }: Person): Record<string, unknown> {
  return { ...person, ...(owner === null ? {} : { [OWNER_MARK]: owner }) }
}
