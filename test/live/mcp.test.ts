/**
 * The MCP server as clients start it, on a world that runs: the official Inspector lists its tools and calls one, and no
 * client but one whose person says yes makes it write. Writes are counted by the servers that would have seen them.
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BuiltCli, buildCli } from '../cli/built.js'
import { startWorld, type TestWorld } from '../cli/world.js'
import { type Frame, frames } from '../mcp-server/frames.js'
import { INSPECTOR, inspect, inspector } from './rig/inspector.js'

interface Snapshot {
  readonly lists: Readonly<Record<string, readonly string[]>>
  readonly tools: Readonly<Record<string, unknown>>
}
const SNAPSHOT = JSON.parse(readFileSync(resolve(import.meta.dirname, '../snapshots/tools.json'), 'utf8')) as Snapshot
const EVERYTHING = ['--toolsets', 'all', '--allow', 'issue,write,destructive']

let built: BuiltCli
let world: TestWorld
const counts = { listed: 0, sessions: 0, refused: 0, agreed: 0, reads: 0 }

beforeAll(async () => {
  await inspector()
  built = buildCli()
  world = await startWorld(built)
}, 400_000)
afterAll(async () => {
  await world?.stop()
  await built?.remove()
  const { listed, sessions, refused, agreed, reads } = counts
  console.log(
    `mcp: ${INSPECTOR} listed ${listed} tools over ${Object.keys(SNAPSHOT.lists).length} sets of flags; ${sessions} sessions: ${refused} calls refused with 0 writes, ${agreed} agreed to with exactly their plan; ${reads} calls of reading tools with 0 writes`,
  )
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0)
})

/** Writes that provider and registry served; a token request changes nothing. */
async function writes(): Promise<string[]> {
  const served = await world.served()
  return served
    .filter(
      ({ server, method, path }) =>
        server !== 'demo' && !['GET', 'HEAD', 'OPTIONS'].includes(method ?? '') && path !== '/token' && path !== '/demo/mcp',
    )
    .map(({ server, method, path, status }) => `${server} ${method} ${path} ${status}`)
}
/** What was written by `work`; the log is written a moment after the answer. */
async function writtenBy(work: () => Promise<unknown>): Promise<string[]> {
  const before = await writes()
  await work()
  await sleep(150)
  return (await writes()).slice(before.length)
}

describe('the Inspector', () => {
  test.each(Object.entries(SNAPSHOT.lists))('lists with %s exactly the snapshot', async (flags, names) => {
    const { tools } = await inspect(['node', built.main, 'mcp', ...flags.split(' ')], ['tools/list'], { MCP_IDP_HOME: '/nonexistent' })
    expect(tools).toEqual(names.map((name) => SNAPSHOT.tools[name]))
    counts.listed += names.length
  })

  test('calls a reading tool and gets the structured result', async () => {
    const server = ['node', built.main, 'mcp', '--toolsets', 'core,ide']
    const call = async (...words: string[]) => {
      counts.reads += 1
      return inspect(server, ['tools/call', '--tool-name', ...words], { MCP_IDP_HOME: world.home })
    }
    const written = await writtenBy(async () => {
      expect(await call('list_servers', '--tool-arg', 'query=demo')).toMatchObject({
        structuredContent: { total: 1, servers: [{ path: '/demo' }] },
      })
      expect(await call('list_m2m_clients')).toMatchObject({ structuredContent: { total: 2 } })
      const shown = await call('get_connect_config', '--tool-arg', 'server_path=/demo', '--tool-arg', 'client=claude-code')
      expect(shown).toMatchObject({ structuredContent: { text: expect.stringContaining('claude mcp add') } })
    })
    expect(written).toEqual([])
  })

  test('is told that a tool is not allowed, and that it cannot ask a person', async () => {
    const words = [
      'tools/call',
      '--tool-name',
      'register_m2m_client',
      '--tool-arg',
      'client_id=inspected',
      '--tool-arg',
      'client_name=Inspected',
    ]
    const written = await writtenBy(async () => {
      const variables = { MCP_IDP_HOME: world.home }
      const unlisted = await inspect(['node', built.main, 'mcp', '--toolsets', 'all'], words, variables)
      expect(unlisted).toMatchObject({ isError: true, content: [{ text: expect.stringContaining('--allow write') }] })
      const listed = await inspect(['node', built.main, 'mcp', '--toolsets', 'all', '--allow', 'write'], words, variables)
      expect(listed).toMatchObject({
        isError: true,
        content: [{ text: expect.stringMatching(/^declined: this client cannot ask a person/) }],
      })
      counts.refused += 2
    })
    expect(written).toEqual([])
  })
})

/** Calls of class `write` at registry and provider, each due whenever it is refused. */
const CHANGES = [
  ['register_m2m_client', { client_id: 'hostile', client_name: 'Hostile', groups: ['demo-readers'] }],
  ['setup_m2m_app', { idp: 'embedded', name: 'hostile-agent', groups: ['demo-readers'] }],
  ['setup_ide_client', { idp: 'embedded', name: 'Hostile IDE' }],
] as const

type Person = (server: ReturnType<typeof frames>, asked: Frame) => void
const answer =
  (result: object): Person =>
  (server, asked) =>
    server.send({ id: asked.id, result })
const YES = answer({ action: 'accept', content: { apply: true } })

/** One process, one client; whatever it is asked, `person` deals with. */
async function session(
  person: Person | undefined,
  flags: readonly string[],
  work: (server: ReturnType<typeof frames>) => Promise<void>,
): Promise<number> {
  const running = built.start(['mcp', ...EVERYTHING, ...flags, '--home', world.home])
  const server = frames(running)
  const seen = new Set<string>()
  running.child.stdout?.on('data', () => {
    for (const line of server.lines) {
      const frame = JSON.parse(line) as Frame
      if (frame.method !== 'elicitation/create' || seen.has(line)) continue
      seen.add(line)
      person?.(server, frame)
    }
  })
  await server.initialize(person ? { elicitation: {} } : {})
  await work(server)
  expect((await server.end()).exit).toBe(0)
  counts.sessions += 1
  return seen.size
}

const NO: readonly (readonly [string, Person | undefined, readonly string[]])[] = [
  ['cannot ask', undefined, []],
  ['declines', answer({ action: 'decline' }), []],
  ['cancels the question', answer({ action: 'cancel' }), []],
  ['accepts without an answer', answer({ action: 'accept' }), []],
  ['accepts with the box left empty', answer({ action: 'accept', content: { apply: false } }), []],
  ['accepts with a word', answer({ action: 'accept', content: { apply: 'yes' } }), []],
  ['answers with something that is no answer', answer({ apply: true }), []],
  ['answers with an error', (server, { id }) => server.send({ id, error: { code: -32603, message: 'no window' } }), []],
  ['never answers', () => undefined, ['--elicitation-timeout', '1']],
  [
    'answers too late',
    (server, { id }) => void sleep(1_500).then(() => server.send({ id, result: { action: 'accept', content: { apply: true } } })),
    ['--elicitation-timeout', '1'],
  ],
  [
    'answers another question',
    (server) => server.send({ id: 4711, result: { action: 'accept', content: { apply: true } } }),
    ['--elicitation-timeout', '1'],
  ],
]

describe('nothing is written for a client', () => {
  test.each(NO)('that %s', async (_, person, flags) => {
    const written = await writtenBy(() =>
      session(person, flags, async (server) => {
        for (const [name, input] of CHANGES) {
          const { result } = await server.call(name, input)
          expect(result).toMatchObject({
            isError: true,
            content: [{ text: expect.stringMatching(/^declined: [\s\S]*\nnext: a person can run this in a terminal: mcp-idp /) }],
          })
          counts.refused += 1
        }
        if (flags.length > 0) await sleep(700)
      }),
    )
    expect(written).toEqual([])
  })

  test('that cancels its call while the person is asked, even if a yes follows', async () => {
    for (const [name, input] of CHANGES) {
      const written = await writtenBy(async () => {
        let cancelled = -1
        const person: Person = (server, asked) => {
          server.send({ method: 'notifications/cancelled', params: { requestId: cancelled, reason: 'never mind' } })
          YES(server, asked)
        }
        const asked = await session(person, [], async (server) => {
          cancelled = 77
          server.send({ id: cancelled, method: 'tools/call', params: { name, arguments: input } })
          await server.received(({ method }) => method === 'elicitation/create')
          // Answered in order, so the cancelled call has had its time.
          await server.call('list_servers')
          await sleep(300)
        })
        expect(asked).toBe(1)
      })
      expect(written).toEqual([])
      counts.refused += 1
    }
  })

  test('that goes away while its person is asked', async () => {
    const written = await writtenBy(() =>
      session(
        () => undefined,
        [],
        async (server) => {
          const [[name, input]] = CHANGES
          server.send({ id: 78, method: 'tools/call', params: { name, arguments: input } })
          await server.received(({ method }) => method === 'elicitation/create')
          counts.refused += 1
        },
      ),
    )
    expect(written).toEqual([])
  })

  test('that accepts everything, when it deletes or grants administration: the person is not even asked', async () => {
    const privileged = { groups: ['registry-admins'], allow_privileged: true }
    const calls = [
      ['setup_m2m_app', { idp: 'embedded', name: 'boss', ...privileged }],
      ['register_m2m_client', { client_id: 'boss', client_name: 'Boss', ...privileged }],
      ['delete_m2m_client', { client_id: 'there' }],
      ['assign_groups', { client_id: 'there', ...privileged }],
      ['update_m2m_client', { client_id: 'there', ...privileged }],
    ] as const
    await world.cli(['m2m', 'register', '--client-id', 'there', '--client-name', 'There', '--yes'])
    const written = await writtenBy(async () => {
      const asked = await session(YES, [], async (server) => {
        for (const [name, input] of calls) {
          const { result } = await server.call(name, input)
          expect(result).toMatchObject({ isError: true, content: [{ text: expect.stringMatching(/^declined: this (?:deletes|grants)/) }] })
          counts.refused += 1
        }
      })
      expect(asked).toBe(0)
    })
    expect(written).toEqual([])
  })
})

test('a yes writes exactly the plan, at provider and registry, and a second one finds nothing to do', async () => {
  const plans = {
    register_m2m_client: ['registry POST /api/iam/m2m-clients 201'],
    setup_m2m_app: ['provider POST /reg 201', 'registry POST /api/iam/m2m-clients 201'],
    setup_ide_client: ['provider POST /reg 201'],
  }
  for (const [name, input] of CHANGES) {
    for (const expected of [plans[name], []]) {
      const written = await writtenBy(async () => {
        const asked = await session(YES, [], async (server) => {
          const { result } = await server.call(name, input)
          expect(result).toMatchObject({ structuredContent: { applied: expected.length > 0 } })
        })
        expect(asked).toBe(expected.length > 0 ? 1 : 0)
      })
      expect(written).toEqual(expected)
      counts.agreed += 1
    }
  }
})
