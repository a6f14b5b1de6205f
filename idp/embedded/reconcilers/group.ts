/** Groups of the embedded provider, through its admin API. */
import { z } from 'zod'
import { ToolkitError } from '../../../core/errors.js'
import type { Answer, Door } from '../../../core/http.js'
import type { Observed, Reconciler } from '../../../core/plan.js'
import type { Secret } from '../../../core/secret.js'
import { groupName } from '../../../core/vocabulary.js'

export interface GroupOptions {
  readonly issuer: string
  readonly door: Door
  readonly adminToken: Secret
  /** Our name in the ownership mark. */
  readonly profile: string
}

const listing = z.object({ groups: z.array(z.object({ name: groupName, mcp_gateway_idp: z.string().max(64).optional() })).max(10_000) })

/** A group that a profile created is that profile's; seeded ones are nobody's. */
export function groups({ issuer, door, adminToken, profile }: GroupOptions): Reconciler<'group'> {
  const url = `${issuer}/admin/groups`
  return {
    async observe(keys) {
      const answer = await door.send({ method: 'GET', url, bearer: adminToken })
      const list = answer.status === 200 ? listing.safeParse(answer.json) : undefined
      if (!list?.success) throw failure(answer, issuer)
      const wanted = new Set(keys)
      const found = list.data.groups.filter(({ name }) => wanted.has(name))
      return new Map(
        found.map(({ name, mcp_gateway_idp }) => [name, { id: name, owner: ownerFor(mcp_gateway_idp, profile), spec: { name } }]),
      )
    },
    async create({ name }) {
      const answer = await door.send({ method: 'POST', url, bearer: adminToken, json: { name, mcp_gateway_idp: profile } })
      if (answer.status === 201) return {}
      if (answer.status === 409)
        throw new ToolkitError('conflict', `group ${name} exists already`, { kind: 'group', key: name }, 'run again')
      throw failure(answer, issuer)
    },
    update({ spec }) {
      const details = { system: issuer, capability: 'group update', why: 'a name is its key' }
      throw new ToolkitError('unsupported', `group ${spec.name} has nothing to update`, details)
    },
    async remove({ spec: { name } }) {
      const answer = await door.send({ method: 'DELETE', url: `${url}/${encodeURIComponent(name)}`, bearer: adminToken })
      if (answer.status !== 204 && answer.status !== 404) throw failure(answer, issuer)
    },
  }
}

function ownerFor(mark: string | undefined, profile: string): Observed['owner'] {
  if (mark === undefined) return 'nobody'
  return mark === profile ? 'us' : { other: `profile ${mark}` }
}

function failure({ status }: Answer, issuer: string): ToolkitError {
  const message = `the admin API of ${issuer} answered ${status}`
  if (status === 401) return new ToolkitError('unauthenticated', message, { system: issuer, status }, 'check EMBEDDED_ADMIN_TOKEN')
  if (status >= 500) return new ToolkitError('unavailable', message, { system: issuer, reason: 'server_error', status }, 'run again')
  return new ToolkitError('unexpected_response', message, { system: issuer, reason: 'admin_api', status }, 'check EMBEDDED_ISSUER')
}
