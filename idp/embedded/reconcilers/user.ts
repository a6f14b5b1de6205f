/** People of the embedded provider, through its admin API. Their first password is temporary and never looked at again. */
import { z } from 'zod'
import { ToolkitError } from '../../../core/errors.js'
import type { Answer } from '../../../core/http.js'
import type { Observed, Reconciler } from '../../../core/plan.js'
import { groupPath, OWNER_MARK, userName } from '../../../core/vocabulary.js'
import { type AdminClient, ownerOf } from '../admin-client.js'

const text = z.string().max(255).optional()
const listed = z.object({
  username: userName,
  ...{ email: text, given_name: text, family_name: text },
  enabled: z.boolean(),
  groups: z.array(groupPath).max(10_000),
  [OWNER_MARK]: z.string().max(64).optional(),
})
const refusal = z.object({ error: z.string() })

/** A person that a profile created or took over is that profile's; seeded ones are nobody's. */
export function users(admin: AdminClient, profile: string): Reconciler<'user'> {
  return {
    secret: 'initial',
    async observe(keys) {
      const wanted = new Set(keys)
      const found = (await admin.list('users', listed)).filter(({ username }) => wanted.has(username))
      return new Map(
        found.map(({ [OWNER_MARK]: mark, ...person }): [string, Observed<'user'>] => [
          person.username,
          { id: person.username, owner: ownerOf(mark, profile), spec: withoutGaps(person) },
        ]),
      )
    },
    async create(spec, secret) {
      const { username } = spec
      if (secret === undefined) {
        const details = { system: 'the embedded identity provider', capability: 'a person without a password', why: 'nobody could log in' }
        throw new ToolkitError('unsupported', `user ${username} needs a file for the first password`, details)
      }
      const answer = await admin.send('POST', ['users'], { ...spec, password: secret, temporary: true, [OWNER_MARK]: profile })
      if (answer.status === 201) return {}
      if (answer.status === 409)
        throw new ToolkitError('conflict', `user ${username} exists already`, { kind: 'user', key: username }, 'run again')
      throw missing(answer, username) ?? admin.failure(answer)
    },
    async update({ owner, spec: { username } }, { username: _key, ...fields }) {
      const mark = owner === 'nobody' ? { [OWNER_MARK]: profile } : {}
      const answer = await admin.send('PATCH', ['users', username], { ...fields, ...mark })
      if (answer.status !== 200) throw missing(answer, username) ?? admin.failure(answer)
    },
    async remove({ spec: { username } }) {
      const answer = await admin.send('DELETE', ['users', username])
      if (answer.status !== 204 && answer.status !== 404) throw admin.failure(answer)
    },
    async owned() {
      const all = await admin.list('users', listed)
      return all.flatMap(({ username, [OWNER_MARK]: mark }) => (mark === profile ? [username] : []))
    },
  }
}

/** A field that the person does not have is absent. */
function withoutGaps({ email, given_name, family_name, ...rest }: Omit<z.output<typeof listed>, typeof OWNER_MARK>) {
  return {
    ...rest,
    ...(email === undefined ? {} : { email }),
    ...(given_name === undefined ? {} : { given_name }),
    ...(family_name === undefined ? {} : { family_name }),
  }
}

/** Undefined for an answer that is no 404. */
function missing({ status, json }: Answer, username: string): ToolkitError<'not_found'> | undefined {
  if (status !== 404) return undefined
  if (refusal.safeParse(json).data?.error !== 'group_not_found')
    return new ToolkitError('not_found', `user ${username} does not exist`, { kind: 'user', key: username }, 'run again')
  return new ToolkitError(
    'not_found',
    `a group of user ${username} does not exist`,
    { kind: 'group', key: 'of the user' },
    'create it first',
  )
}
