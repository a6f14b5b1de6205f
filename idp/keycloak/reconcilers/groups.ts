/** Top-level groups of a realm. */
import { ToolkitError } from '../../../core/errors.js'
import type { Observed, Reconciler } from '../../../core/plan.js'
import { OWNER_MARK } from '../../../core/vocabulary.js'
import type { Realm } from '../connect.js'
import type { Directory } from '../directory.js'
import { asking } from '../vendor-error.js'

const NEEDS = ['manage-users']

export function groups({ api, realm, profile }: Realm, directory: Directory): Reconciler<'group'> {
  const ask = <T>(key: string, call: () => Promise<T>) => asking({ kind: 'group', key, needs: NEEDS }, call)
  return {
    async observe(keys) {
      const all = await directory.groups()
      return new Map(
        keys.flatMap((key): [string, Observed<'group'>][] => {
          const found = all.find(({ name }) => name === key)
          if (found === undefined) return []
          const attributes: Record<string, unknown> = found.attributes ?? {}
          const mark = [attributes[OWNER_MARK]].flat()[0]
          const owner = mark === undefined ? 'nobody' : mark === profile ? 'us' : { other: `profile ${String(mark).slice(0, 64)}` }
          return [[key, { id: found.id ?? '', owner, spec: { name: key } }]]
        }),
      )
    },
    async create({ name }) {
      await ask(name, () => api.groups.create({ realm, name, attributes: { [OWNER_MARK]: [profile] } }))
      return {}
    },
    update({ spec }) {
      throw new ToolkitError('unsupported', `group ${spec.name} has nothing to update`, {
        system: 'Keycloak',
        capability: 'group update',
        why: 'a name is its key',
      })
    },
    async remove(current) {
      await ask(current.spec.name, () => api.groups.del({ realm, id: current.id }))
    },
    checkWrite: directory.checkGroupWrite,
  }
}
