/** Group files at random: valid ones survive both languages and any division into files; planted mistakes are found where they are. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { isToolkitError, type Problem } from '../../core/errors.js'
import { groupName } from '../../core/vocabulary.js'
import { type GroupDefinition, groupDefinitions } from '../../setup/group-files.js'

const seed = Date.now()
console.log(`seed of group files: ${seed}`)

/** Names that YAML takes for something else, unless they are quoted. */
const AWKWARD = [
  'yes',
  'null',
  '~',
  '007',
  '1e3',
  '- a',
  'a: b',
  '#a',
  '*a',
  '&a',
  '!a',
  '%a',
  '@a',
  '`a`',
  "it's",
  '"',
  '{',
  '[]',
  '<<',
  '|',
  '>-',
  'ünïcödé',
  '群組',
  '👍',
  'a\\b',
  '---',
  '0x1F',
  '.inf',
  'True',
  'constructor',
  '2026-01-01',
]
const name = fc
  .oneof(fc.constantFrom(...AWKWARD), fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' }))
  .filter((one) => groupName.safeParse(one).success && !one.includes('\ufffd'))
const word = fc.oneof(
  fc.constantFrom('*', 'all', '/demo', 'tools/call', 'yes', '1', ...AWKWARD.slice(2, 6)),
  fc.stringMatching(/^[a-z/_-]{1,12}$/),
)
const words = fc.array(word, { maxLength: 3 })
const text = fc.string({ maxLength: 40, unit: 'grapheme' }).filter((one) => !/[\p{Cc}\p{Cs}\ufffd]/u.test(one))

const legacy = fc.record({
  servers: fc.array(fc.record({ server_name: word, tools: words, access_level: fc.constantFrom('read', 'execute') }), { maxLength: 3 }),
})
const rule = fc.record({ server: word, methods: fc.array(word, { minLength: 1, maxLength: 3 }), tools: words })
const agents = fc.record({ agents: fc.record({ actions: fc.array(fc.record({ action: word, resources: words }), { maxLength: 2 }) }) })
const current = fc.record({ server_access: fc.array(fc.oneof(rule, agents), { maxLength: 3 }) })
const rest = fc.record(
  {
    description: text,
    create_in_idp: fc.boolean(),
    group_mappings: words,
    agent_access: words,
    ui_permissions: fc.dictionary(
      fc.stringMatching(/^[a-z_]{1,12}$/).filter((one) => one !== '__proto__'),
      words,
      { maxKeys: 3 },
    ),
    scope_type: fc.constant('group'),
  },
  { requiredKeys: [] },
)

type Raw = Record<string, unknown> & { scope_name: string; parent?: string }

const lookalike = (one: string) => one.normalize('NFC').toUpperCase().toLowerCase().normalize('NFC')
/** Definitions whose names differ, each inside an earlier one, inside one that only the provider has, or at the top; then shuffled. */
const definitions: fc.Arbitrary<Raw[]> = fc
  .uniqueArray(name, { minLength: 1, maxLength: 12, selector: lookalike })
  .chain((names) =>
    fc.tuple(
      ...names.map((scope_name, index) =>
        fc
          .tuple(fc.oneof(legacy, current, fc.constant({})), rest, fc.nat(index), fc.constantFrom('top', 'inside', 'elsewhere'))
          .map(([access, other, above, where]): Raw => {
            const parent = where === 'elsewhere' ? 'there already/below' : where === 'inside' && above < index ? names[above] : undefined
            return { scope_name, ...access, ...other, ...(parent === undefined ? {} : { parent }) }
          }),
      ),
    ),
  )
  .chain((all) => fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length }))

/** What should come of a definition, said once more and plainly. */
function expected(raw: Raw, all: readonly Raw[]): Omit<GroupDefinition, 'source'> {
  const pathOf = ({ scope_name, parent }: Raw): string => {
    if (parent === undefined) return scope_name
    const above = all.find((one) => one.scope_name === parent)
    return `${above ? pathOf(above) : parent}/${scope_name}`
  }
  const { description, servers, server_access } = raw as {
    description?: string
    servers?: { server_name: string; tools: string[]; access_level: string }[]
    server_access?: (
      | { server: string; methods: string[]; tools: string[] }
      | { agents: { actions: { action: string; resources: string[] }[] } }
    )[]
  }
  return {
    path: pathOf(raw),
    ...(description === undefined ? {} : { description }),
    create_in_idp: raw['create_in_idp'] === true,
    server_access: servers
      ? servers.map((one) => ({
          server: one.server_name,
          methods: one.access_level === 'read' ? ['initialize', 'tools/list'] : ['initialize', 'tools/list', 'tools/call'],
          tools: one.tools,
        }))
      : (server_access ?? []).flatMap((one) => ('server' in one ? [one] : [])),
    agent_actions: (server_access ?? []).flatMap((one) => ('agents' in one ? one.agents.actions : [])),
    agent_access: (raw['agent_access'] as string[] | undefined) ?? [],
    group_mappings: (raw['group_mappings'] as string[] | undefined) ?? [raw.scope_name],
    ui_permissions: (raw['ui_permissions'] as Record<string, string[]> | undefined) ?? {},
  }
}

const byPath = <T extends { path: string }>(groups: readonly T[]) => [...groups].sort((a, b) => (a.path < b.path ? -1 : 1))
const asJson = (value: unknown) => JSON.stringify(value, null, 2)
const asYaml = (value: unknown) => stringify(value, { aliasDuplicateObjects: false })
const LANGUAGES = { 'compact JSON': (value: unknown) => JSON.stringify(value), 'indented JSON': asJson, YAML: asYaml } as const

describe('any valid definitions', () => {
  test.for(Object.entries(LANGUAGES))('come out of %s as they went in, parents first', ([, write]) => {
    let groups = 0
    fc.assert(
      fc.property(definitions, fc.nat(), (all, cut) => {
        const middle = cut % (all.length + 1)
        const parts = [all.slice(0, middle), all.slice(middle)].filter((part) => part.length > 0)
        const files = parts.map((part, index) => ({ path: `${index}`, text: write(part.length === 1 ? part[0] : part) }))
        const result = groupDefinitions(files)
        expect(byPath(result.map(({ source: _, ...group }) => group))).toEqual(byPath(all.map((raw) => expected(raw, all))))
        const paths = result.map(({ path }) => path)
        for (const [index, path] of paths.entries()) {
          expect(paths.slice(index).some((later) => path.startsWith(`${later}/`))).toBe(false)
        }
        groups += result.length
      }),
      { seed, numRuns: 150 },
    )
    expect(groups).toBeGreaterThan(150)
  })
})

/** Slips, each one line of text; `at` is what stands at the place that should be named. */
const SLIPS: Readonly<Record<string, (raw: Raw, mark: string) => { raw: Record<string, unknown>; at: string }>> = {
  'an unknown key': (raw, mark) => ({ raw: { ...raw, [mark]: [] }, at: mark }),
  'a number for a text': (raw, mark) => ({ raw: { ...raw, description: Number(mark.slice(1)) }, at: mark.slice(1) }),
  'a text for a list': (raw, mark) => ({ raw: { ...raw, agent_access: mark }, at: mark }),
  'a text for a truth': (raw, mark) => ({ raw: { ...raw, create_in_idp: mark }, at: mark }),
  'a level that is none': (raw, mark) => {
    const { server_access: _, ...others } = raw
    return { raw: { ...others, servers: [{ server_name: 's', tools: [], access_level: mark }] }, at: mark }
  },
  'an unknown key in a rule': (raw, mark) => {
    const { servers: _, ...others } = raw
    return { raw: { ...others, server_access: [{ server: 's', methods: ['m'], tools: [], [mark]: 1 }] }, at: mark }
  },
  'a parent that is no path': (raw, mark) => ({ raw: { ...raw, parent: `${mark}//x` }, at: `${mark}//x` }),
}

function problemsIn(text: string): readonly Problem[] {
  try {
    groupDefinitions([{ path: 'f', text }])
  } catch (error) {
    if (isToolkitError(error, 'invalid_input')) return error.details.problems
    throw error
  }
  return []
}

/** `file:line:column` of a mark that stands in the text once; of its quote when it has one. */
function placeOf(mark: string, text: string): string {
  const offset = text.indexOf(mark)
  if (offset < 0 || text.indexOf(mark, offset + 1) >= 0) throw new Error(`${mark} does not stand there once`)
  const start = text[offset - 1] === '"' ? offset - 1 : offset
  const before = text.slice(0, start).split('\n')
  return `f:${before.length}:${(before.at(-1) ?? '').length + 1}`
}

describe('planted mistakes', () => {
  test.for(Object.entries(LANGUAGES))('in %s are all found, each at its own line and column, and nothing else is', ([, write]) => {
    const kinds = new Map<string, number>()
    const plan = fc.tuple(definitions, fc.array(fc.option(fc.constantFrom(...Object.keys(SLIPS))), { minLength: 12, maxLength: 12 }))
    fc.assert(
      fc.property(plan, ([all, slips]) => {
        const marks: string[] = []
        const planted = all.map((raw, index) => {
          const slip = SLIPS[slips[index] ?? '']
          if (!slip) return raw
          kinds.set(slips[index] ?? '', (kinds.get(slips[index] ?? '') ?? 0) + 1)
          // A q and seven digits: a name that chance does not make.
          const { raw: slipped, at } = slip(raw, `q${7_654_300 + index}`)
          marks.push(at)
          return slipped
        })
        const written = write(planted)
        expect(problemsIn(written).map(({ path }) => path)).toEqual(marks.map((mark) => placeOf(mark, written)))
      }),
      { seed, numRuns: 100 },
    )
    console.log([...kinds].map(([kind, count]) => `${kind}: ${count}`).join(', '))
    expect([...kinds.keys()].sort()).toEqual(Object.keys(SLIPS).sort())
  })

  test('a name that is taken, or the same to the eye, is told at the later of the two', () => {
    fc.assert(
      fc.property(definitions, fc.nat(), fc.constantFrom('as it is', 'in capitals', 'decomposed'), (all, pick, how) => {
        const victim = all[pick % all.length]?.scope_name ?? ''
        const copies = { 'as it is': victim, 'in capitals': victim.toUpperCase(), decomposed: victim.normalize('NFD') }
        fc.pre(groupName.safeParse(copies[how]).success)
        const written = asJson([...all, { scope_name: copies[how] }])
        const lines = written.split('\n').length
        expect(problemsIn(written)).toEqual([
          { path: `f:${lines - 2}:19`, expected: expect.stringContaining('a name that no other group has'), found: copies[how] },
        ])
      }),
      { seed, numRuns: 150 },
    )
  })

  test('a circle of any size, anywhere, is one problem', () => {
    fc.assert(
      fc.property(definitions, fc.integer({ min: 1, max: 9 }), (all, size) => {
        const circle = Array.from({ length: size }, (_, index) => ({
          scope_name: `q765430${index}`,
          parent: `q765430${(index + 1) % size}`,
        }))
        const below = { scope_name: 'q7654399', parent: 'q7654300' }
        const written = asJson([below, ...all, ...circle])
        const [problem, ...more] = problemsIn(written)
        const line = written.split('\n').findLastIndex((one) => one.includes('"scope_name": "q7654300"')) + 2
        expect(problem?.path).toBe(`f:${line}:15`)
        expect(more).toEqual([])
      }),
      { seed, numRuns: 100 },
    )
  })

  test('any cut of a JSON file is refused with a place inside of it', () => {
    fc.assert(
      fc.property(definitions, fc.nat(), (all, at) => {
        const whole = asJson(all)
        const part = whole.slice(0, at % whole.length)
        const problems = problemsIn(part)
        expect(problems.length).toBeGreaterThan(0)
        const lines = part.split('\n').length
        for (const { path } of problems) {
          const [, line = 0, column = 0] = path.split(':').map(Number)
          expect(line).toBeGreaterThan(0)
          expect(line).toBeLessThanOrEqual(lines)
          expect(column).toBeGreaterThan(0)
        }
      }),
      { seed, numRuns: 200 },
    )
  })
})
