/** Groups at the identity provider, by name or from definition files. */
import { z } from 'zod'
import type { Target } from '../../core/converge.js'
import { invalidInput } from '../../core/errors.js'
import { changeOperation, outcomeFields, outcomeShape } from '../../core/operation.js'
import type { Wanted } from '../../core/plan.js'
import { groupPath } from '../../core/vocabulary.js'
import { fields, type SetupContext } from '../context.js'
import { readGroupFiles } from '../group-files.js'
import { NEEDS } from '../needs.js'

const input = z.strictObject({
  idp: fields.idp,
  groups: z.array(groupPath).default([]).describe('groups by name; parent/child for a nested one'),
  files: z
    .array(z.string().min(1).max(4096))
    .max(100)
    .default([])
    .describe('group definition file, JSON or YAML; only those with create_in_idp become groups here'),
  adopt: fields.adopt,
})

export const setupGroups = changeOperation({
  summary:
    'Create groups at the identity provider, by name or from group definition files in either of the two documented shapes, nested ones included. Every problem of every file is told with its line and column before anything is sent. Groups that are there stay as they are, unless they are ours or --adopt is given.',
  needs: NEEDS['setup groups'],
  input,
  output: z.strictObject({
    idp: fields.idp,
    groups: z.array(z.string()),
    skipped: z.array(z.string()).describe('defined without create_in_idp, so for the registry alone'),
    ...outcomeShape,
  }),
  repeated: { files: 'file' },
  examples: [
    { idp: 'keycloak', groups: ['data-readers', 'engineering/platform'] },
    { idp: 'embedded', groups: ['data-readers'] },
  ],
  async target(given, context: SetupContext): Promise<Target> {
    const { groups } = await definitionsOf(given)
    const tenant = await context.tenant(given.idp)
    return { wanted: wantedGroups(groups, given.adopt), reconcilers: tenant.reconcilers, tenants: [tenant.lock] }
  },
  async report(outcome, given) {
    const { groups, skipped } = await definitionsOf(given)
    return { idp: given.idp, groups: groups.map(({ name }) => name), skipped, ...outcomeFields(outcome) }
  },
})

interface Definition {
  readonly name: string
  readonly description?: string
}

async function definitionsOf({ groups, files }: z.output<typeof input>): Promise<{ groups: Definition[]; skipped: string[] }> {
  if (groups.length === 0 && files.length === 0)
    throw invalidInput('the input', [{ path: 'groups', expected: 'a group, or a file with --file' }])
  const defined = await readGroupFiles(files)
  const fromFiles = defined.filter(({ create_in_idp }) => create_in_idp)
  const named = groups.filter((name) => !fromFiles.some(({ path }) => path === name))
  return {
    groups: [
      ...named.map((name) => ({ name })),
      ...fromFiles.map(({ path, description }) => ({ name: path, ...(description === undefined ? {} : { description }) })),
    ],
    skipped: defined.filter(({ create_in_idp }) => !create_in_idp).map(({ path }) => path),
  }
}

/** The groups and, for nested ones, every parent that is not among them: it must be there already. */
function wantedGroups(groups: readonly Definition[], adopt: boolean): Wanted<'group'>[] {
  const names = new Set(groups.map(({ name }) => name))
  const parents = new Set(groups.flatMap(({ name }) => (name.includes('/') ? [name.slice(0, name.lastIndexOf('/'))] : [])))
  return [
    ...[...parents].filter((parent) => !names.has(parent)).map((key) => ({ kind: 'group', key, ensure: 'referenced' }) as const),
    ...groups.map((spec) => ({ kind: 'group', key: spec.name, ensure: 'present', spec, ...(adopt ? { adopt } : {}) }) as const),
  ]
}
