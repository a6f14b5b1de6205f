/** Group definition files: what the two dialects become, and where every mistake is told. */
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { isToolkitError, type Problem } from '../../core/errors.js'
import { groupDefinitions, readGroupFiles } from '../../setup/group-files.js'
import { failureOf } from '../fakes/door.js'
import { temporaryFolder } from '../fakes/folder.js'
import { describeWithHandbook, handbook } from '../handbook.js'

const read = (text: string, path = 'groups.yaml') => groupDefinitions([{ path, text }])

function problemsIn(...texts: string[]): readonly Problem[] {
  try {
    groupDefinitions(texts.map((text, index) => ({ path: index === 0 ? 'a.yaml' : 'b.json', text })))
  } catch (error) {
    if (isToolkitError(error, 'invalid_input')) return error.details.problems
    throw error
  }
  throw new Error('nothing was refused')
}
const linesOf = (problems: readonly Problem[]) =>
  problems.map(({ path, expected, found }) => `${path} ${expected}${found === undefined ? '' : ` (${found})`}`)

describeWithHandbook('the examples of the documents', () => {
  const document = (number: string) => {
    const name = readdirSync(handbook('seeds')).find((one) => one.startsWith(`${number}_`))
    return readFileSync(handbook(join('seeds', name ?? 'missing')), 'utf8')
  }
  const cut = (text: string, pattern: RegExp) => {
    const [, example] = pattern.exec(text) ?? []
    if (example === undefined) throw new Error('the document has no such example')
    return example
  }

  test('servers with access levels (001) become methods', () => {
    const [group, ...more] = read(cut(document('001'), /^(\{\n"scope_name"[\s\S]*?\n\})\nKey fields:/m), 'my-group.json')
    expect(more).toEqual([])
    const methods = ['initialize', 'tools/list', 'tools/call']
    expect(group).toEqual({
      path: 'public-mcp-users',
      description: 'Users with access to public MCP servers',
      create_in_idp: true,
      server_access: [
        { server: 'currenttime', methods, tools: ['get_current_time'] },
        { server: 'mcpgw', methods, tools: ['*'] },
      ],
      agent_actions: [],
      agent_access: [],
      group_mappings: ['public-mcp-users'],
      ui_permissions: {},
      source: { file: 'my-group.json', line: 1, column: 1 },
    })
  })
  test('server_access with agents (004) is kept whole', () => {
    const [group] = read(cut(document('004'), /```json\n(\{\s+"scope_name"[\s\S]*?)```/))
    expect(group).toEqual({
      path: 'public-mcp-users',
      description: 'Users with access to public MCP servers',
      create_in_idp: true,
      server_access: [
        { server: 'context7', methods: ['initialize', 'tools/list', 'tools/call'], tools: ['*'] },
        { server: 'api', methods: ['initialize', 'GET', 'POST', 'servers', 'agents'], tools: [] },
      ],
      agent_actions: [
        { action: 'list_agents', resources: ['/flight-booking'] },
        { action: 'get_agent', resources: ['/flight-booking'] },
      ],
      agent_access: [],
      group_mappings: ['public-mcp-users'],
      ui_permissions: { list_service: ['all'], list_agents: ['/flight-booking'], get_agent: ['/flight-booking'] },
      source: { file: 'groups.yaml', line: 1, column: 1 },
    })
  })
  test('a document of the database (001, registry-admins) is no definition, and its _id is explained', () => {
    const seed = cut(document('001'), /^(\{\n"_id"[\s\S]*?\n\})\nThis is loaded/m)
    expect(linesOf(problemsIn(seed))).toEqual(['a.yaml:2:1 _id: no such key; did you mean scope_name?'])
  })
})

describe('a definition', () => {
  test('needs a name and nothing else; it is not created at the provider, and the group is mapped to itself', () => {
    expect(read('scope_name: readers')).toEqual([
      {
        path: 'readers',
        create_in_idp: false,
        server_access: [],
        agent_actions: [],
        agent_access: [],
        group_mappings: ['readers'],
        ui_permissions: {},
        source: { file: 'groups.yaml', line: 1, column: 1 },
      },
    ])
  })
  test('read allows to list, execute to call too', () => {
    const [group] = read(
      'scope_name: a\nservers:\n  - {server_name: s, tools: [t], access_level: read}\n  - {server_name: s, tools: [t], access_level: execute}\n',
    )
    expect(group?.server_access).toEqual([
      { server: 's', methods: ['initialize', 'tools/list'], tools: ['t'] },
      { server: 's', methods: ['initialize', 'tools/list', 'tools/call'], tools: ['t'] },
    ])
  })
  test('keeps what the registry knows besides: mappings, also none, agent access, a scope type of group', () => {
    const [group] = read('{scope_name: a, group_mappings: [], agent_access: ["/x"], scope_type: group, server_access: []}')
    expect(group).toMatchObject({ group_mappings: [], agent_access: ['/x'] })
  })
  test('may be JSON with tabs, a byte order mark, CRLF or escapes', () => {
    const text = `\ufeff${JSON.stringify([{ scope_name: 'é', description: 'tab\tand\nline 👍' }], null, '\t').replaceAll('\n', '\r\n')}`
    expect(read(text)).toMatchObject([{ path: 'é', description: 'tab\tand\nline 👍', source: { line: 2, column: 2 } }])
    expect(read('{"scope_name": "\\u00e9 \\ud83d\\udc4d", "agent_access": ["\\/x"]}')).toMatchObject([
      { path: 'é 👍', agent_access: ['/x'] },
    ])
  })
})

describe('nested groups', () => {
  test('come after their parents, with the path that the provider knows, across files and in any order', () => {
    const groups = groupDefinitions([
      { path: 'a.yaml', text: '- {scope_name: team, parent: platform}\n- {scope_name: platform, parent: engineering}\n' },
      { path: 'b.json', text: '[{"scope_name": "zebra"}, {"scope_name": "engineering"}]' },
    ])
    expect(groups.map(({ path, source }) => [path, `${source.file}:${source.line}:${source.column}`])).toEqual([
      ['engineering', 'b.json:1:27'],
      ['zebra', 'b.json:1:2'],
      ['engineering/platform', 'a.yaml:2:3'],
      ['engineering/platform/team', 'a.yaml:1:3'],
    ])
    expect(groups[3]?.group_mappings).toEqual(['team'])
  })
  test('may be inside one that only the provider has, by its path', () => {
    expect(read('- {scope_name: a, parent: there/below}\n- {scope_name: b, parent: a}\n').map(({ path }) => path)).toEqual([
      'there/below/a',
      'there/below/a/b',
    ])
  })
  test('in a circle are told once for each circle, at its first group, however many lie below', () => {
    const problems = problemsIn(
      '- {scope_name: below, parent: b}\n- {scope_name: a, parent: b}\n- {scope_name: b, parent: c}\n- {scope_name: c, parent: a}\n- {scope_name: deeper, parent: below}\n- {scope_name: self, parent: self}\n',
    )
    expect(linesOf(problems)).toEqual([
      'a.yaml:2:27 [1].parent: a group that is not inside of this one (a in b in c in a)',
      'a.yaml:6:30 [5].parent: a group that is not inside of this one (self in self)',
    ])
  })
  test('have paths of at most 1024 characters; what is below one that is longer is not told again', () => {
    const name = (index: number) => `${index}`.padStart(99, 'x')
    const chain = (length: number) =>
      Array.from({ length }, (_, i) => (i === 0 ? { scope_name: name(0) } : { scope_name: name(i), parent: name(i - 1) }))
    expect(read(JSON.stringify(chain(10)))).toHaveLength(10)
    const problems = problemsIn(JSON.stringify(chain(14), null, 1))
    expect(linesOf(problems)).toEqual(['a.yaml:43:13 [10].parent: a parent whose path leaves this one at most 1024 characters long (1099)'])
  })
})

describe('what is refused, and where', () => {
  const NAME_TAKEN = 'a name that no other group has, whatever its case;'
  const KEYS =
    'scope_name, description, parent, servers, server_access, agent_access, group_mappings, ui_permissions, scope_type, create_in_idp'
  const table: [string, string, string[]][] = [
    ['an empty file', '', ['1:1 a group, or a list of groups (nothing)']],
    ['a file of comments', '# later\n', ['1:1 a group, or a list of groups (nothing)']],
    ['an empty list', '[]', ['1:1 a group, or a list of groups (nothing)']],
    ['a null', 'null', ['1:1 a group, or a list of groups (nothing)']],
    ['a number', '5', ['1:1 a mapping (a number)']],
    ['settings instead of groups, without quoting them', 'client_secret=hush\nother=hush\n', ['1:1 a mapping (text)']],
    ['no name', '{"description": "x"}', ['1:1 scope_name: missing']],
    ['an unknown key', 'scope_name: a\ncustom_scopes: []\n', [`2:1 custom_scopes: no such key; there are ${KEYS}`]],
    [
      'a misspelt key, which is not missed as well',
      '{"scope_name": "a", "servers": [\n  {"server_name": "s", "tool": ["*"], "access-level": "read"}]}',
      [
        '2:24 servers[0].tool: no such key; did you mean tools?',
        '2:39 servers[0]["access-level"]: no such key; did you mean access_level?',
      ],
    ],
    [
      'words of other places',
      '{"name": "a",\n "create_in_keycloak": true}',
      ['1:2 name: no such key; did you mean scope_name?', '2:2 create_in_keycloak: no such key; did you mean create_in_idp?'],
    ],
    [
      'wrong types',
      'scope_name: 007\ndescription:\nparent: [a]\nservers: {}\ngroup_mappings: all\nui_permissions: []\ncreate_in_idp: yes\nagent_access: [1, true]\n',
      [
        '1:13 scope_name: text (a number)',
        '2:13 description: text (nothing)',
        '3:9 parent: text (a list)',
        '4:10 servers: a list (a mapping)',
        '5:17 group_mappings: a list (text)',
        '6:17 ui_permissions: a mapping (an empty list)',
        '7:16 create_in_idp: true or false (text)',
        '8:16 agent_access[0]: text (a number)',
        '8:19 agent_access[1]: text (true)',
      ],
    ],
    [
      'wrong names',
      '- {scope_name: "", parent: /a}\n- scope_name: a/b\n- scope_name: "a\\u200b"\n- scope_name: " a"\n',
      [
        '1:16 [0].scope_name: text that is not empty ("")',
        '1:28 [0].parent: names of groups, joined by / where one is inside another ("/a")',
        '2:15 [1].scope_name: no slash, no control characters, no space at the ends ("a/b")',
        '3:15 [2].scope_name: no slash, no control characters, no space at the ends ("a\\u{200b}")',
        '4:15 [3].scope_name: no slash, no control characters, no space at the ends (" a")',
      ],
    ],
    [
      'texts that are too long or steer a terminal',
      `scope_name: ${'x'.repeat(256)}\ndescription: "\\e[31m"\n`,
      ['1:13 scope_name: at most 255 characters (256)', '2:14 description: text without control characters ("\\u001b[31m")'],
    ],
    [
      'access that grants nothing or is unheard of',
      'scope_name: a\nserver_access:\n  - {server: s, methods: [], tools: []}\n  - {server: s, methods: [x]}\n  - {scope_name: b, access_rules: []}\n  - agents: {action: []}\n  - s\n',
      [
        '3:26 server_access[0].methods: at least one method (an empty list)',
        '4:5 server_access[1].tools: missing',
        '5:5 server_access[2].server: missing',
        '5:5 server_access[2].methods: missing',
        '5:5 server_access[2].tools: missing',
        '5:6 server_access[2].scope_name: no such key; there are server, methods, tools, agents',
        '5:21 server_access[2].access_rules: no such key; there are server, methods, tools, agents',
        '6:14 server_access[3].agents.action: no such key; did you mean actions?',
        '7:5 server_access[4]: a mapping (text)',
      ],
    ],
    [
      'a level, a type or an action that is unheard of',
      'scope_name: a\nscope_type: server\nservers: [{server_name: s, tools: [], access_level: write}]\nui_permissions:\n  "": [all]\n',
      [
        '2:13 scope_type: group ("server")',
        '3:53 servers[0].access_level: read or execute ("write")',
        '5:3 ui_permissions.: text that is not empty ("")',
      ],
    ],
    [
      'both dialects in one definition',
      'scope_name: a\nserver_access: []\nservers: []\n',
      ['3:1 servers: either servers or server_access, which say the same'],
    ],
    ['a name twice', '- scope_name: a\n- scope_name: b\n- scope_name: a\n', [`3:15 [2].scope_name: ${NAME_TAKEN} a.yaml:1:3 has it (a)`]],
    [
      'a name that differs in case or composition only',
      '- scope_name: Caf\u00e9\n- scope_name: cafe\u0301\n- scope_name: Straße\n- scope_name: STRASSE\n',
      [
        `2:15 [1].scope_name: ${NAME_TAKEN} a.yaml:1:3 has it, written Caf\u00e9 (cafe\u0301)`,
        `4:15 [3].scope_name: ${NAME_TAKEN} a.yaml:3:3 has it, written Straße (STRASSE)`,
      ],
    ],
    [
      'a parent that differs in case only',
      '- scope_name: readers\n- scope_name: a\n  parent: Readers\n',
      ['3:11 [1].parent: readers, as it is written at a.yaml:1:3 (Readers)'],
    ],
    ['a key twice', '{"scope_name": "a",\n "scope_name": "b"}', ['2:2 each key once (scope_name again)']],
    ['a key twice, deep inside', 'scope_name: a\nui_permissions:\n  x: []\n  x: []\n', ['4:3 each key once (x again)']],
    ['keys that are not names', '{1: a}', ['1:2 a name for a key']],
    ['a list for a key', '? [a]\n: b\n', ['1:3 a name for a key']],
    ['a key that would reach a prototype', '{"scope_name": "a", "ui_permissions": {"__proto__": ["all"]}}', ['1:40 a name for a key']],
    ['tabs for indentation', 'scope_name: a\nservers:\n\t- server_name: s\n', ['3:1 spaces for indentation, not tabs']],
    [
      'a missing comma',
      '[\n  {"scope_name": "a"}\n  {"scope_name": "b"}\n]',
      ['3:3 JSON or YAML (Missing , or : between flow sequence items)'],
    ],
    ['an open bracket', '{"scope_name": "a"', ['1:19 JSON or YAML (Flow map must end with a })']],
    ['a bracket too many, without quoting it', 'scope_name: a\n]\n', ['2:1 JSON or YAML (Unexpected flow-seq-end token in YAML stream)']],
    ['two documents', 'scope_name: a\n---\nscope_name: b\n', ['2:1 one document a file; several groups are a list']],
    ['an anchor used again', 'scope_name: &a x\ndescription: *a\n', ['2:14 the value itself, written out (an alias)']],
    ['a tag', 'scope_name: !!binary aGk=\n', ['1:13 a plain value, without a tag']],
    [
      'yes, below a directive that would make it true',
      '%YAML 1.1\n---\nscope_name: a\ncreate_in_idp: yes\n',
      ['4:16 create_in_idp: true or false (text)'],
    ],
    ['characters that are not UTF-8', 'scope_name: a\ndescription: x\ufffdy\n', ['2:15 UTF-8 text']],
  ]
  test.for(table)('%s', ([, text, expected]) => {
    expect(linesOf(problemsIn(text))).toEqual(expected.map((line) => `a.yaml:${line}`))
  })

  test('everything of every file at once, in the order of the files', () => {
    const problems = problemsIn(
      '- scope_name: a\n  tool: []\n- scope_name: Readers\n',
      '[{"scope_name": "readers", "create_in_idp": 1},\n {"scope_name": "a", "parent": "READERS"}]',
    )
    expect(linesOf(problems)).toEqual([
      `a.yaml:2:3 [0].tool: no such key; there are ${KEYS}`,
      `b.json:1:17 [0].scope_name: ${NAME_TAKEN} a.yaml:3:3 has it, written Readers (readers)`,
      'b.json:1:45 [0].create_in_idp: true or false (a number)',
      `b.json:2:17 [1].scope_name: ${NAME_TAKEN} a.yaml:1:3 has it (a)`,
      'b.json:2:32 [1].parent: Readers, as it is written at a.yaml:3:3 (READERS)',
    ])
  })
  test('50 problems are listed, the others are counted', () => {
    const of = (count: number) => problemsIn(Array.from({ length: count }, (_, i) => `- scope_name: g${i}\n  nonsense: 1\n`).join(''))
    expect(of(50)).toHaveLength(50)
    const many = of(63)
    expect(many).toHaveLength(51)
    expect(many.at(-2)?.path).toBe('a.yaml:100:3')
    expect(many.at(-1)).toEqual({ path: 'and 13 more', expected: 'mend these first' })
  })
})

describe('files that would keep a reader busy', () => {
  const flat = (count: number) =>
    Array.from({ length: count }, (_, i) => ({
      scope_name: `group-${i}`,
      ...(i === 0 ? {} : { parent: `group-${(i - 1) >> 3}` }),
      description: 'x'.repeat(20),
    }))
  const timed = <T>(work: () => T): { result: T; cpu: number } => {
    const before = process.cpuUsage()
    const result = work()
    const { user, system } = process.cpuUsage(before)
    return { result, cpu: Math.round((user + system) / 1000) }
  }

  test('10,000 groups in one file are read in the time of a breath', () => {
    const text = JSON.stringify(flat(10_000))
    expect(text.length).toBeLessThan(1_000_000)
    const { result, cpu } = timed(() => read(text))
    console.log(`10000 groups, ${text.length} bytes: ${cpu} ms of CPU`)
    expect(result).toHaveLength(10_000)
    expect(result[9_999]?.path.split('/')).toHaveLength(6)
    expect(cpu).toBeLessThan(5_000)
  })
  test('10,001 are one problem, also over several files', () => {
    expect(linesOf(problemsIn(JSON.stringify(flat(10_001), null, 0)))).toEqual([
      expect.stringMatching(/^a\.yaml:1:\d+ at most 10000 groups in all \(10001\)$/),
    ])
    const more = JSON.stringify([{ scope_name: 'one more' }])
    expect(linesOf(problemsIn(JSON.stringify(flat(10_000)), more))).toEqual(['b.json:1:2 at most 10000 groups in all (10001)'])
  })
  test('a circle of 10,000 is one problem, told in few words', () => {
    const circle = Array.from({ length: 10_000 }, (_, i) => ({ scope_name: `g${i}`, parent: `g${(i + 1) % 10_000}` }))
    const { result, cpu } = timed(() => linesOf(problemsIn(JSON.stringify(circle))))
    expect(result).toEqual(['a.yaml:1:30 [0].parent: a group that is not inside of this one (g0 in g1 in g2 in g3 in g4 in g5 in … in g0)'])
    expect(cpu).toBeLessThan(5_000)
  })
  test('aliases that would expand to gigabytes are refused where they stand', () => {
    const bomb = [
      'scope_name: a',
      'a0: &a0 [x, x]',
      ...Array.from({ length: 40 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}]`),
    ].join('\n')
    const { result, cpu } = timed(() => problemsIn(bomb))
    expect(result[0]).toEqual({ path: 'a.yaml:3:10', expected: 'the value itself, written out', found: 'an alias' })
    expect(result.at(-1)?.path).toBe('and 30 more')
    expect(cpu).toBeLessThan(5_000)
  })
  test('60,000 keys in one mapping take time in proportion', () => {
    const { result, cpu } = timed(() => problemsIn(Array.from({ length: 60_000 }, (_, i) => `k${i}: 1\n`).join('')))
    expect(result.at(-1)?.path).toBe('and 59951 more')
    expect(cpu).toBeLessThan(15_000)
  })
  test.for(['[', '{a: ', '- ', '? '])('levels without end of %j are refused', (level) => {
    const [first, ...more] = problemsIn(level.repeat(100_000))
    expect(first?.path).toMatch(/^a\.yaml:1:\d+$/)
    expect(first?.expected).toBe('a group or a list of groups, not this many levels')
    expect(more.length).toBeLessThan(2)
  })
})

describe('reading', () => {
  test('takes files in both languages, one group or a list each', async () => {
    const folder = temporaryFolder()
    const files = { 'a.json': '{"scope_name": "a"}', 'b.yaml': '- scope_name: b\n  parent: a\n' }
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
    const groups = await readGroupFiles(Object.keys(files).map((name) => join(folder, name)))
    expect(groups.map(({ path, source }) => [path, source])).toEqual([
      ['a', { file: join(folder, 'a.json'), line: 1, column: 1 }],
      ['a/b', { file: join(folder, 'b.yaml'), line: 1, column: 3 }],
    ])
    expect(await readGroupFiles([])).toEqual([])
  })
  test('tells every file that cannot be read together with the mistakes in the others', async () => {
    const folder = temporaryFolder()
    const at = (name: string) => join(folder, name)
    symlinkSync(at('nowhere'), at('link.yaml'))
    mkdirSync(at('folder.yaml'))
    writeFileSync(at('big.json'), `{"scope_name": "a"}${' '.repeat(1_000_000)}`)
    writeFileSync(at('latin.yaml'), Buffer.from('scope_name: a\ndescription: caf\xe9\n', 'latin1'))
    writeFileSync(at('utf16.yaml'), Buffer.from('\ufeffscope_name: a\n', 'utf16le'))
    writeFileSync(at('typo.yaml'), 'scope_nam: a\n')
    const names = ['missing.yaml', 'link.yaml', 'folder.yaml', 'big.json', 'latin.yaml', 'utf16.yaml', 'typo.yaml']
    const error = await failureOf(readGroupFiles(names.map(at)))
    expect(error.code).toBe('invalid_input')
    const problems = linesOf((error.details as { problems: Problem[] }).problems)
    expect(problems.map((line) => line.replace(`${folder}/`, ''))).toEqual([
      'missing.yaml a file (nothing)',
      'link.yaml a plain file of yours (a symbolic link)',
      'folder.yaml a plain file of yours (something that is not a file)',
      'big.json a plain file of yours (1000019 bytes; at most 1000000)',
      'latin.yaml:2:17 UTF-8 text',
      'utf16.yaml:1:1 UTF-8 text',
      'typo.yaml:1:1 scope_nam: no such key; did you mean scope_name?',
    ])
  })
  test('tells a file that cannot be opened, by the reason of the system', async () => {
    // Longer than a name may be; a mode would not stop root.
    const path = join(temporaryFolder(), `${'a'.repeat(300)}.yaml`)
    const error = await failureOf(readGroupFiles([path]))
    expect(error.details).toEqual({ problems: [{ path, expected: 'a file that can be read', found: 'ENAMETOOLONG' }] })
  })
})
