/** Groups of a realm, nested ones by their paths. */
import { ToolkitError } from '../../../core/errors.js'
import type { Observed, Reconciler } from '../../../core/plan.js'
import { OWNER_MARK } from '../../../core/vocabulary.js'
import type { Realm } from '../connect.js'
import type { Directory } from '../directory.js'
import { isNamedByPath, splitPath } from '../group-tree.js'
import { ownerOf } from '../ownership.js'
import { requireRight } from '../rights.js'
import { asking } from '../vendor-error.js'

const NEEDS = ['manage-users']

export function groups(connected: Realm, directory: Directory): Reconciler<'group'> {
  const { api, realm, profile } = connected
  const ask = <T>(key: string, call: () => Promise<T>) => asking({ kind: 'group', key, needs: NEEDS }, call)
  return {
    async observe(keys) {
      const all = await directory.groups()
      const wanted = new Set(keys)
      return new Map(
        all
          .filter((group) => wanted.has(group.path) && isNamedByPath(group))
          .map(({ id, path, description, attributes }): [string, Observed<'group'>] => {
            const spec = { name: path, ...(description === undefined ? {} : { description }) }
            const holds = all.flatMap((other) => (other.path.startsWith(`${path}/`) ? [other.path] : []))
            return [path, { id, owner: ownerOf(attributes, profile), spec, ...(holds.length === 0 ? {} : { holds }) }]
          }),
      )
    },
    async create({ name: path, description }) {
      const { parent, name } = splitPath(path)
      const group = { name, ...(description === undefined ? {} : { description }), attributes: { [OWNER_MARK]: [profile] } }
      if (parent === undefined) {
        await ask(path, () => api.groups.create({ realm, ...group }))
        return {}
      }
      const id = await directory.groupId(parent)
      if (id === undefined) throw missing(parent)
      await ask(path, () => api.groups.createChildGroup({ realm, id }, group))
      return {}
    },
    async update({ id, owner, spec: { name: path } }, fields) {
      const seen = await ask(path, () => api.groups.findOne({ realm, id }))
      if (!seen) throw missing(path)
      // Measured: a PUT without a description drops it; attributes stay when they are left out, else all are replaced.
      const description = fields.description ?? seen.description
      const marked = { ...seen.attributes, [OWNER_MARK]: [profile] }
      const group = {
        name: splitPath(path).name,
        ...(description === undefined ? {} : { description }),
        ...(owner === 'nobody' ? { attributes: marked } : {}),
      }
      await ask(path, () => api.groups.update({ realm, id }, group))
    },
    async remove({ id, spec: { name } }) {
      await ask(name, () => api.groups.del({ realm, id }))
    },
    async owned() {
      const all = await directory.groups()
      return all.flatMap((group) => (isNamedByPath(group) && ownerOf(group.attributes, profile) === 'us' ? [group.path] : []))
    },
    checkWrite: () => requireRight(connected, 'groups:write'),
  }
}

function missing(path: string): ToolkitError<'not_found'> {
  return new ToolkitError('not_found', `group ${path} does not exist`, { kind: 'group', key: path }, 'create it first')
}
