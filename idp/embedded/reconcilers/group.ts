/** Groups of the embedded provider, nested ones by their paths, through its admin API. */
import { z } from 'zod'
import { ToolkitError } from '../../../core/errors.js'
import type { Observed, Reconciler } from '../../../core/plan.js'
import { groupPath, OWNER_MARK } from '../../../core/vocabulary.js'
import { type AdminClient, ownerOf } from '../admin-client.js'

const listed = z.object({ name: groupPath, description: z.string().max(1024).optional(), [OWNER_MARK]: z.string().max(64).optional() })

/** A group that a profile created or took over is that profile's; seeded ones are nobody's. */
export function groups(admin: AdminClient, profile: string): Reconciler<'group'> {
  return {
    async observe(keys) {
      const all = await admin.list('groups', listed)
      const wanted = new Set(keys)
      return new Map(
        all
          .filter(({ name }) => wanted.has(name))
          .map(({ name, description, [OWNER_MARK]: mark }): [string, Observed<'group'>] => {
            const spec = { name, ...(description === undefined ? {} : { description }) }
            const holds = all.flatMap((other) => (other.name.startsWith(`${name}/`) ? [other.name] : []))
            return [name, { id: name, owner: ownerOf(mark, profile), spec, ...(holds.length === 0 ? {} : { holds }) }]
          }),
      )
    },
    async create({ name, description }) {
      const answer = await admin.send('POST', ['groups'], { name, description, [OWNER_MARK]: profile })
      if (answer.status === 201) return {}
      if (answer.status === 404) throw missing(name.slice(0, name.lastIndexOf('/')))
      if (answer.status === 409)
        throw new ToolkitError('conflict', `group ${name} exists already`, { kind: 'group', key: name }, 'run again')
      throw admin.failure(answer)
    },
    async update({ owner, spec: { name } }, { description }) {
      const mark = owner === 'nobody' ? { [OWNER_MARK]: profile } : {}
      const answer = await admin.send('PATCH', ['groups', name], { description, ...mark })
      if (answer.status === 404) throw missing(name)
      if (answer.status !== 200) throw admin.failure(answer)
    },
    async remove({ spec: { name } }) {
      const answer = await admin.send('DELETE', ['groups', name])
      if (answer.status !== 204 && answer.status !== 404) throw admin.failure(answer)
    },
    async owned() {
      const all = await admin.list('groups', listed)
      return all.flatMap(({ name, [OWNER_MARK]: mark }) => (mark === profile ? [name] : []))
    },
  }
}

function missing(path: string): ToolkitError<'not_found'> {
  return new ToolkitError('not_found', `group ${path} does not exist`, { kind: 'group', key: path }, 'create it first')
}
