/**
 * Group definition files, JSON or YAML, each with one definition or a list of them: read, checked together, told whole.
 * What comes out is plain data; whether a definition confers administration is decided elsewhere.
 */
import { z } from 'zod'
import { invalidInput, isToolkitError, type Problem } from '../core/errors.js'
import { cleanText } from '../core/foreign-text.js'
import { depthOf } from '../core/plan.js'
import { readSmallFile } from '../core/private-file.js'
import { groupName, groupPath } from '../core/vocabulary.js'
import { type Named, nameClashes, nestedPaths } from './group-file-names.js'
import { type Definition, isRecord, readDefinition, type ShapeProblem } from './group-file-shapes.js'
import { type Finding, type LocatedText, locatedText, type Path } from './group-file-text.js'

/** One group as its file defines it, whichever dialect that is in. */
export interface GroupDefinition {
  /** Where it is among the groups of the provider, without a leading slash: `engineering/platform`. The last name is its `scope_name`. */
  readonly path: string
  readonly description?: string
  /** Whether the identity provider gets the group too; false when the file does not say. */
  readonly create_in_idp: boolean
  readonly server_access: readonly ServerAccess[]
  /** What may be done to agents by `server_access` entries of the other kind; the embedded registry stores it and does not enforce it. */
  readonly agent_actions: readonly AgentAction[]
  readonly agent_access: readonly string[]
  /** Groups of the provider, by name or id, that have this scope; the group's own name when the file does not say. */
  readonly group_mappings: readonly string[]
  readonly ui_permissions: Readonly<Record<string, readonly string[]>>
  readonly source: Source
}
export interface ServerAccess {
  readonly server: string
  readonly methods: readonly string[]
  readonly tools: readonly string[]
}
export interface AgentAction {
  readonly action: string
  readonly resources: readonly string[]
}
/** Where a definition begins; lines and columns count from 1. */
export interface Source {
  readonly file: string
  readonly line: number
  readonly column: number
}

const MOST_GROUPS = 10_000
const MOST_PROBLEMS = 50

/**
 * Every definition of the files, parents before what is inside them.
 * @throws ToolkitError invalid_input with the problems of all files, each at `file:line:column`
 */
export async function readGroupFiles(paths: readonly string[]): Promise<GroupDefinition[]> {
  const files: GroupFile[] = []
  const unread: Problem[] = []
  for (const path of paths) {
    const text = await readSmallFile(path).catch((error: unknown) => {
      if (isToolkitError(error, 'invalid_input')) unread.push(...error.details.problems)
      else if (isToolkitError(error, 'unavailable')) unread.push({ path, expected: 'a file that can be read', found: error.details.reason })
      else throw error
      return null
    })
    if (text === undefined) unread.push({ path, expected: 'a file', found: 'nothing' })
    else if (text !== null) files.push({ path, text })
  }
  return definitionsOf(files, unread)
}

/**
 * The same for texts that are already read.
 * @throws ToolkitError invalid_input
 */
export function groupDefinitions(files: readonly GroupFile[]): GroupDefinition[] {
  return definitionsOf(files, [])
}

interface GroupFile {
  readonly path: string
  readonly text: string
}

interface Checked {
  readonly file: string
  readonly text: LocatedText
  readonly findings: Finding[]
}

/** What stands where a definition should be. */
interface Entry {
  readonly in: Checked
  /** Within the text: nothing, or an index. */
  readonly at: Path
  readonly value: unknown
  readonly source: Source
}

function definitionsOf(files: readonly GroupFile[], unread: readonly Problem[]): GroupDefinition[] {
  const checked = files.map(({ path, text }): Checked => {
    const located = locatedText(text)
    return { file: path, text: located, findings: [...located.findings] }
  })
  const all = checked.flatMap(entriesOf)
  const entries = all.slice(0, MOST_GROUPS)
  const surplus = all[MOST_GROUPS]
  if (surplus) tell(surplus, { path: [], of: 'value', expected: `at most ${MOST_GROUPS} groups in all`, found: `${all.length}` })

  const parsed = entries.flatMap((entry) => {
    const { data, problems } = readDefinition(entry.value)
    for (const problem of problems) tell(entry, problem)
    return data ? [{ entry, data }] : []
  })
  const named = entries.flatMap(namedOf)
  const { paths, problems } = nestedPaths(named)
  for (const { group, field, expected, found } of [...nameClashes(named), ...problems]) {
    tell(group.entry, { path: [field], of: 'value', expected, found })
  }

  refuse([...unread, ...checked.flatMap(problemsOf)])
  return parsed
    .map(({ entry, data }) => groupOf(data, paths.get(data.scope_name) ?? data.scope_name, entry.source))
    .sort((a, b) => depthOf(a.path) - depthOf(b.path) || (a.path < b.path ? -1 : 1))
}

function entriesOf(file: Checked): Entry[] {
  const { value } = file.text
  const entry = (at: Path, one: unknown): Entry => {
    const source = { file: file.file, ...file.text.position(file.text.valueAt(at)) }
    return { in: file, at, value: one, source }
  }
  const isEmpty = value === undefined || (Array.isArray(value) && value.length === 0)
  if (isEmpty && file.findings.length === 0) file.findings.push({ offset: 0, expected: 'a group, or a list of groups', found: 'nothing' })
  if (value === undefined) return []
  return Array.isArray(value) ? value.map((one, index) => entry([index], one)) : [entry([], value)]
}

/** Names are compared whatever else is wrong with a definition. */
function namedOf(entry: Entry): (Named & { readonly entry: Entry })[] {
  const { scope_name, parent } = isRecord(entry.value) ? entry.value : {}
  if (!groupName.safeParse(scope_name).success) return []
  const { file, line, column } = entry.source
  const inside = groupPath.safeParse(parent)
  return [{ entry, place: `${file}:${line}:${column}`, scope_name: String(scope_name), ...(inside.success ? { parent: inside.data } : {}) }]
}

function tell({ in: { text, findings }, at }: Entry, { path, of, expected, found }: ShapeProblem): void {
  const whole = [...at, ...path]
  const offset = of === 'key' ? text.keyAt(whole) : text.valueAt(whole)
  const inside = path.length === 0 ? '' : `${cleanText(z.core.toDotPath(whole), 200)}: `
  findings.push({ offset, expected: inside + expected, ...(found === undefined ? {} : { found }) })
}

function problemsOf({ file, text, findings }: Checked): Problem[] {
  const sorted = findings.toSorted((a, b) => a.offset - b.offset)
  return sorted.map(({ offset, ...problem }) => {
    const { line, column } = text.position(offset)
    return { path: `${file}:${line}:${column}`, ...problem }
  })
}

function refuse(problems: readonly Problem[]): void {
  if (problems.length === 0) return
  const more = problems.length - MOST_PROBLEMS
  const rest = more > 0 ? [{ path: `and ${more} more`, expected: 'mend these first' }] : []
  throw invalidInput('the definition of groups', [...problems.slice(0, MOST_PROBLEMS), ...rest])
}

const METHODS = {
  read: ['initialize', 'tools/list'],
  execute: ['initialize', 'tools/list', 'tools/call'],
} as const

function groupOf(data: Definition, path: string, source: Source): GroupDefinition {
  const rules = data.server_access ?? []
  return {
    path,
    ...(data.description === undefined ? {} : { description: data.description }),
    create_in_idp: data.create_in_idp,
    server_access: [
      ...(data.servers ?? []).map(({ server_name, tools, access_level }) => ({
        server: server_name,
        methods: METHODS[access_level],
        tools,
      })),
      ...rules.flatMap((rule) => ('server' in rule ? [rule] : [])),
    ],
    agent_actions: rules.flatMap((rule) => ('agents' in rule ? rule.agents.actions : [])),
    agent_access: data.agent_access ?? [],
    group_mappings: data.group_mappings ?? [data.scope_name],
    ui_permissions: data.ui_permissions ?? {},
    source,
  }
}
