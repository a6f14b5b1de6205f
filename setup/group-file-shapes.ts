/**
 * What a group definition may say, in the two dialects that are about: `servers` with access levels, and `server_access`
 * as the gateway registry stores it. A key that is not known is refused, for it would grant nothing and nobody would notice.
 */
import { z } from 'zod'
import { isNear } from '../core/near-word.js'
import { groupName, groupPath } from '../core/vocabulary.js'
import type { Path } from './group-file-text.js'

const word = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[^\p{C}\p{Z}]+(?: [^\p{C}\p{Z}]+)*$/u, 'visible characters with single spaces between words')
const words = z.array(word)

const server = z.strictObject({ server_name: word, tools: words, access_level: z.enum(['read', 'execute'], 'read or execute') })
const serverRule = z.strictObject({ server: word, methods: words.min(1, 'at least one method'), tools: words })
const agentAction = z.strictObject({ action: word, resources: words })
const agents = z.strictObject({ actions: z.array(agentAction) })
const agentRule = z.strictObject({ agents })

/** One of two shapes, told by its key, so that its problems are those of the shape that was meant. */
const accessRule = z.unknown().transform((value, context): z.output<typeof serverRule> | z.output<typeof agentRule> => {
  const result = (isRecord(value) && 'agents' in value ? agentRule : serverRule).safeParse(value)
  if (result.success) return result.data
  context.issues.push(...result.error.issues.map((issue) => ({ ...issue, input: value }) as (typeof context.issues)[number]))
  return z.NEVER
})

/** A definition as it stands in a file. */
const definition = z.strictObject({
  scope_name: groupName,
  description: z
    .string()
    .max(1024)
    .regex(/^(?:[\n\t]|[^\p{Cc}\p{Cs}])*$/u, 'text without control characters')
    .optional(),
  /** The group that this one is inside of: `scope_name` of one in the given files, or the path of one that exists. */
  parent: groupPath.optional(),
  servers: z.array(server).optional(),
  server_access: z.array(accessRule).optional(),
  agent_access: words.optional(),
  group_mappings: words.optional(),
  ui_permissions: z.record(word, words).optional(),
  /** The registry knows others, which are not groups. */
  scope_type: z.literal('group', 'group').optional(),
  create_in_idp: z.boolean().default(false),
})
export type Definition = z.output<typeof definition>

/** Known keys by the list or field that a mapping stands in. */
const KEYS: Readonly<Record<string, readonly string[]>> = {
  servers: Object.keys(server.shape),
  server_access: [...Object.keys(serverRule.shape), ...Object.keys(agentRule.shape)],
  agents: Object.keys(agents.shape),
  actions: Object.keys(agentAction.shape),
}

/** Words of other places for ours: the registry's older name, and its stored documents. */
const RENAMED: Readonly<Record<string, string>> = { create_in_keycloak: 'create_in_idp', _id: 'scope_name', name: 'scope_name' }

/** One thing wrong with a definition: which value, or which key, and what should be there. */
export interface ShapeProblem {
  readonly path: Path
  readonly of: 'key' | 'value'
  readonly expected: string
  readonly found?: string
}

/** A definition, or every problem of what should be one. */
export function readDefinition(raw: unknown): { data?: Definition; problems: readonly ShapeProblem[] } {
  const { data, error } = definition.safeParse(raw)
  const problems = error ? shapeProblems(error, raw) : []
  if (isRecord(raw) && 'servers' in raw && 'server_access' in raw) {
    problems.push({ path: ['servers'], of: 'key', expected: 'either servers or server_access, which say the same' })
  }
  return data && problems.length === 0 ? { data, problems } : { problems }
}

/** One for each value. A missing key is not told when a misspelt one is. */
function shapeProblems(error: z.ZodError, raw: unknown): ShapeProblem[] {
  const unknown = error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys' ? issue.keys.map((key) => ({ path: issue.path, key })) : [],
  )
  const meant = new Set<string>()
  const problems = new Map<string, ShapeProblem>()
  const add = (problem: ShapeProblem) => {
    const place = JSON.stringify(problem.path)
    if (!problems.has(place)) problems.set(place, problem)
  }
  for (const { path, key } of unknown) {
    const known = KEYS[String(path.findLast((step) => typeof step === 'string'))] ?? Object.keys(definition.shape)
    const suggestion = RENAMED[key] ?? known.find((one) => isNear(one, key))
    if (suggestion !== undefined) meant.add(JSON.stringify([...path, suggestion]))
    const expected = suggestion === undefined ? `no such key; there are ${known.join(', ')}` : `no such key; did you mean ${suggestion}?`
    add({ path: [...path, key], of: 'key', expected })
  }
  for (const issue of error.issues) {
    if (issue.code === 'unrecognized_keys') continue
    const value = valueAt(raw, issue.path)
    if (value !== undefined) add({ path: issue.path, of: issue.code === 'invalid_key' ? 'key' : 'value', ...described(issue, value) })
    else if (!meant.has(JSON.stringify(issue.path))) add({ path: issue.path, of: 'value', expected: 'missing' })
  }
  return [...problems.values()]
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'text',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
  boolean: 'true or false',
}

function described(issue: z.core.$ZodIssue, value: unknown): { expected: string; found: string } {
  const found = typeof value === 'string' ? quoted(value) : typeName(value)
  switch (issue.code) {
    case 'invalid_type':
      // Never quoted: another file, given by mistake, may be one text full of secrets.
      return { expected: TYPES[issue.expected] ?? issue.expected, found: typeName(value) }
    case 'invalid_key': {
      const key = String(issue.path.at(-1))
      return { expected: issue.issues[0] ? described(issue.issues[0], key).expected : issue.message, found: quoted(key) }
    }
    case 'too_small':
      return { expected: issue.origin === 'string' ? 'text that is not empty' : issue.message, found }
    case 'too_big':
      return { expected: `at most ${issue.maximum} characters`, found: `${String(value).length}` }
    default:
      return { expected: issue.message, found }
  }
}

/** With what cannot be seen in the form `\u{200b}`. */
function quoted(text: string): string {
  const start = text.length > 64 ? `${text.slice(0, 64)}…` : text
  return JSON.stringify(start).replace(/\p{C}|(?! )\p{Z}/gu, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`)
}

function typeName(value: unknown): string {
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list'
  return { string: 'text', number: 'a number', boolean: String(value), object: 'a mapping' }[typeof value as string] ?? 'nothing'
}

function valueAt(raw: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, step) => (isRecord(value) && Object.hasOwn(value, step) ? value[step] : undefined), raw)
}

export function isRecord(value: unknown): value is Record<PropertyKey, unknown> {
  return typeof value === 'object' && value !== null
}
