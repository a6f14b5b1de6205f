/** A person of the realm and our spec of one, both ways, and what the server says when it refuses one. */
import type UserRepresentation from '@keycloak/keycloak-admin-client/lib/defs/userRepresentation.js'
import { z } from 'zod'
import { invalidInput, ToolkitError } from '../../core/errors.js'
import type { Resources } from '../../core/resources.js'
import { masked } from '../../core/secret.js'

type Fields = Partial<Omit<Resources['user'], 'groups'>>

/** Keycloak's names of our fields. */
const NAMES = {
  username: 'username',
  email: 'email',
  given_name: 'firstName',
  family_name: 'lastName',
  enabled: 'enabled',
} as const satisfies Record<keyof Fields, keyof UserRepresentation>
const ROWS = Object.entries(NAMES) as [keyof Fields, (typeof NAMES)[keyof Fields]][]

/** Fields that the person does not have are absent. */
export function observedPerson(person: UserRepresentation): Omit<Resources['user'], 'groups'> {
  const { username = '', enabled = false } = person
  const seen = ROWS.flatMap(([field, name]) => (person[name] === undefined ? [] : [[field, person[name]]]))
  return { ...Object.fromEntries(seen), username, enabled }
}

/** The given fields only. */
export function representationOf(fields: Fields): UserRepresentation {
  return Object.fromEntries(ROWS.flatMap(([field, name]) => (fields[field] === undefined ? [] : [[name, fields[field]]])))
}

/**
 * Keycloak keeps user names and addresses in lower case, and user names with its prefix for machines: a person of that
 * name would pass for one. @throws ToolkitError invalid_input
 */
export function refuseSpelling({ username, email }: Fields): void {
  const problems = [
    ...[
      { path: 'username', value: username },
      { path: 'email', value: email },
    ].flatMap(({ path, value }) =>
      value === undefined || value === value.toLowerCase() ? [] : [{ path, expected: 'lower case, as Keycloak keeps it', found: value }],
    ),
    ...(username?.startsWith('service-account-')
      ? [
          {
            path: 'username',
            expected: 'a name that does not begin with service-account-, which Keycloak keeps for machines',
            found: username,
          },
        ]
      : []),
  ]
  if (problems.length > 0) throw invalidInput('the person', problems)
}

/** Measured shapes of a 400 and a 409; texts are read, never repeated, since they may hold what was sent. */
const fault = z.object({ field: z.string().optional(), errorMessage: z.string().optional(), error: z.string().optional() })
const refusal = z.object({
  response: z.instanceof(Response),
  responseData: fault.extend({ errors: z.array(fault).max(20).optional() }),
})

/** The server's refusal by its field; undefined for any other failure. */
export function refusedPerson(error: unknown, key: string): ToolkitError | undefined {
  const { data } = refusal.safeParse(error)
  if (data === undefined) return undefined
  const { response, responseData } = data
  if (response.status === 409 && responseData.errorMessage === 'User exists with same email') {
    return new ToolkitError(
      'conflict',
      `the email of user ${key} is somebody else's in this realm`,
      { kind: 'user', key },
      'give another email, or leave it out',
    )
  }
  if (response.status !== 400) return undefined
  const problems = (responseData.errors ?? [responseData]).flatMap(problemOf)
  return problems.length === 0 ? undefined : invalidInput(`user ${key}`, problems)
}

function problemOf({ field, errorMessage = '', error = '' }: z.infer<typeof fault>) {
  // A word that is the very secret that was sent is no rule.
  const rule = (name: string) => (/^[A-Za-z-]{1,60}$/.test(name) && masked(name) === name ? ` (${name})` : '')
  if (error.startsWith('invalidPassword')) return [{ path: 'password', expected: `what the realm's password policy asks${rule(error)}` }]
  const known = ROWS.find(([, name]) => name === field)
  return known ? [{ path: known[0], expected: `what the realm's user profile accepts${rule(errorMessage)}` }] : []
}
