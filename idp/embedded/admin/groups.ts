/** Groups on the admin API. The key in a URL is the whole path, encoded, so that its slashes are no slashes of the URL. */
import { z } from 'zod'
import { groupPath, OWNER_MARK } from '../../../core/vocabulary.js'
import type { Group, Groups } from '../groups.js'
import { mark, paged, type Route, refused, withBody } from './route.js'

const fields = { description: z.string().max(1024).optional(), [OWNER_MARK]: mark.optional() }
const change = z.strictObject(fields)
// A URL drops these two, encoded or not (WHATWG URL, double-dot path segment): such a group could never be removed.
const newPath = groupPath.refine((path) => path !== '.' && path !== '..')
const created = z.strictObject({ name: newPath, ...fields })

/** `/admin/groups` */
export function groupCollection(groups: Groups): Route {
  return {
    GET: async ({ page }) => paged('groups', await groups.list(page), page, ({ name }) => name, onWire),
    POST: ({ body }) =>
      withBody(created, body, async ({ name, description = null, [OWNER_MARK]: owner = null }) => {
        const group = { name, description, owner }
        const outcome = await groups.create(group)
        if (outcome === 'taken') return refused(409, 'conflict')
        if (outcome === 'no_parent') return refused(404, 'parent_not_found')
        return { status: 201, body: onWire(group) }
      }),
  }
}

/** `/admin/groups/<path>` */
export function oneGroup(groups: Groups): Route {
  return {
    PATCH: ({ key, body }) =>
      withBody(change, body, async ({ description, [OWNER_MARK]: owner }) => {
        const given = { ...(description === undefined ? {} : { description }), ...(owner === undefined ? {} : { owner }) }
        const group = await groups.change(key, given)
        return group ? { status: 200, body: onWire(group) } : refused(404, 'not_found')
      }),
    DELETE: async ({ key }) => ((await groups.remove(key)) ? { status: 204 } : refused(404, 'not_found')),
  }
}

function onWire({ name, description, owner }: Group): Record<string, string> {
  return { name, ...(description === null ? {} : { description }), ...(owner === null ? {} : { [OWNER_MARK]: owner }) }
}
