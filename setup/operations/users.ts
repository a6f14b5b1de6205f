/** People at the identity provider, one by flags or many from a file. */
import { z } from 'zod'
import type { Target } from '../../core/converge.js'
import { invalidInput } from '../../core/errors.js'
import { jsonOf } from '../../core/json-text.js'
import { type Context, changeOperation, outcomeFields, outcomeShape, problemsOf } from '../../core/operation.js'
import { passwordFile } from '../../core/password-file.js'
import { readSmallFile } from '../../core/private-file.js'
import { grantsPrivilege, refuseUnaskedPrivilege } from '../../core/privileged-groups.js'
import { groupPath, personName, userName } from '../../core/vocabulary.js'
import type { Tenant } from '../../idp/index.js'
import { fields, places, type SetupContext } from '../context.js'
import { NEEDS } from '../needs.js'
import { namedGroups, person } from '../recipes.js'

const one = {
  username: userName,
  email: z.email().max(255).toLowerCase().optional().describe('address'),
  given_name: personName.optional().describe('first name'),
  family_name: personName.optional().describe('last name'),
  groups: z.array(groupPath).optional(),
}
const someone = z.strictObject(one)
type Someone = z.output<typeof someone>

const input = z.strictObject({
  idp: fields.idp,
  username: userName.optional().describe('what the person types to log in'),
  email: one.email,
  given_name: one.given_name,
  family_name: one.family_name,
  groups: one.groups.describe('groups that the person must be in; others stay'),
  file: z.string().min(1).max(4096).optional().describe('JSON file with an array of people, instead of the flags'),
  create_groups: fields.create_groups,
  allow_privileged: fields.allow_privileged,
  adopt: fields.adopt,
})
type Input = z.output<typeof input>

export const setupUsers = changeOperation({
  summary:
    'Create people and put them into groups. A new person’s first password goes to a file that only you can read and must be changed at the first login; nobody’s password is ever reset here. Groups that somebody else gave stay. When a group does not exist nothing is created.',
  needs: NEEDS['setup users'],
  input,
  output: z.strictObject({
    idp: fields.idp,
    people: z.array(
      z.strictObject({ username: z.string(), password_file: z.string().describe('where the first password of a new person goes') }),
    ),
    ...outcomeShape,
  }),
  examples: [
    {
      idp: 'keycloak',
      username: 'jsmith',
      email: 'jsmith@example.com',
      given_name: 'John',
      family_name: 'Smith',
      groups: ['data-readers'],
    },
    { idp: 'embedded', username: 'analyst', groups: ['demo-readers'] },
  ],
  // A file may name any group.
  needsPerson: (given) => given.file !== undefined || grantsPrivilege(given),
  async target(given, context: SetupContext): Promise<Target> {
    const people = await peopleOf(given)
    const { allow_privileged, create_groups, adopt } = given
    refuseUnaskedPrivilege({ groups: people.flatMap(({ groups = [] }) => groups), allow_privileged })
    const tenant = await context.tenant(given.idp)
    const groups = [...new Set(people.flatMap(({ groups = [] }) => groups))]
    return {
      wanted: [
        ...namedGroups(groups, create_groups),
        ...people.map((who) => person({ ...who, sink: sinkOf(who, tenant, context), adopt })),
      ],
      reconcilers: tenant.reconcilers,
      tenants: [tenant.lock],
    }
  },
  async report(outcome, given, context) {
    const people = await peopleOf(given)
    return {
      idp: given.idp,
      people: people.map(({ username }) => ({ username, password_file: places.person(context, username) })),
      ...outcomeFields(outcome),
    }
  },
})

function sinkOf({ username }: Someone, { issuer }: Tenant, context: Context) {
  return passwordFile(places.person(context, username), { username, issuer })
}

async function peopleOf({ username, email, given_name, family_name, groups, file }: Input): Promise<Someone[]> {
  if ((username === undefined) === (file === undefined)) {
    throw invalidInput('the input', [{ path: 'username', expected: 'either --username or --file' }])
  }
  if (username !== undefined) return [{ username, email, given_name, family_name, groups }]
  return readPeople(file ?? '')
}

/** @throws ToolkitError invalid_input with every problem of the file */
async function readPeople(path: string): Promise<Someone[]> {
  const text = await readSmallFile(path)
  const parsed = z
    .array(someone)
    .min(1)
    .max(10_000)
    .safeParse(text === undefined ? undefined : jsonOf(text))
  if (!parsed.success) {
    const problems = problemsOf(parsed.error).map((problem) => ({ ...problem, path: `${path}:${problem.path}` }))
    throw invalidInput('the file of people', text === undefined ? [{ path, expected: 'a file that exists' }] : problems)
  }
  const twins = parsed.data.filter(({ username }, index, all) => all.findIndex((other) => other.username === username) !== index)
  if (twins.length > 0)
    throw invalidInput(
      'the file of people',
      twins.map(({ username }) => ({ path, expected: 'each person once', found: username })),
    )
  return parsed.data
}
