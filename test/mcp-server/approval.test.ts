/** Who may say yes: one person, through elicitation, to a change that is neither destructive nor grants administration. */
import { execFile } from 'node:child_process'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { catalogRow } from '../../toolkit/catalog.js'
import { commandLine } from '../../toolkit/command-line.js'
import { type Answer, type Connecting, connected, servedRegistry, textOf } from './connected.js'

const yes: Answer = () => ({ action: 'accept', content: { apply: true } })
const EVERYTHING = 'issue,write,destructive'

let registry: Awaited<ReturnType<typeof servedRegistry>>
beforeAll(async () => {
  registry = await servedRegistry()
  const session = await open({ answer: yes })
  await session.call('register_m2m_client', { client_id: 'there', client_name: 'There', groups: ['demo-readers'] })
  await session.close()
})
beforeEach(() => {
  registry.requests.splice(0)
})
afterAll(() => registry.close())

const open = (options: Connecting) => connected({ home: registry.home, settings: registry.settings, allow: EVERYTHING, ...options })

/** Changes of class `write` that are due. */
const CHANGES = {
  register_m2m_client: { client_id: 'new', client_name: 'New', groups: ['demo-readers'] },
  assign_groups: { client_id: 'there', groups: [] },
  update_m2m_client: { client_id: 'there', enabled: false },
}
const hangs: Answer = ({ signal }) => sleep(60_000, { action: 'accept' as const, content: { apply: true } }, { signal })

/** Clients that do not say yes, each with what the assistant is told. */
const REFUSALS: readonly [string, Connecting, string][] = [
  ['that cannot ask', {}, 'this client cannot ask a person'],
  ['that can open a URL only', { capabilities: { elicitation: { url: {} } } }, 'this client cannot ask a person'],
  ['whose person declines', { answer: () => ({ action: 'decline' }) }, 'the person did not say yes'],
  ['whose person closes the question', { answer: () => ({ action: 'cancel' }) }, 'the person did not say yes'],
  ['whose person leaves the box empty', { answer: () => ({ action: 'accept', content: { apply: false } }) }, 'the person did not say yes'],
  ['that accepts without an answer', { answer: () => ({ action: 'accept' }) }, 'the person did not say yes'],
  [
    'that accepts with a word for a yes',
    { answer: () => ({ action: 'accept', content: { apply: 'true' } }) },
    'the person did not say yes',
  ],
  ['that accepts something else', { answer: () => ({ action: 'accept', content: { confirm: true } }) }, 'the person did not say yes'],
  ['that declines and ticks the box', { answer: () => ({ action: 'decline', content: { apply: true } }) }, 'the person did not say yes'],
  [
    'that fails',
    {
      answer: () => {
        throw new Error('no window')
      },
    },
    'the person did not say yes',
  ],
  ['that never answers', { answer: hangs, elicitationTimeoutMs: 60 }, 'the person did not say yes'],
  [
    'that answers too late',
    { answer: () => sleep(200, { action: 'accept', content: { apply: true } }), elicitationTimeoutMs: 60 },
    'the person did not say yes',
  ],
]

describe.each(Object.entries(CHANGES))('%s', (name, input) => {
  test.each(REFUSALS)('writes nothing for a client %s, and names the command', async (_, client, why) => {
    const session = await open(client)
    const result = await session.call(name, input)
    if (client.elicitationTimeoutMs !== undefined) await sleep(250)
    await session.close()
    expect(result.isError).toBe(true)
    expect(textOf(result)).toMatch(new RegExp(`^declined: ${why}; nothing was changed`))
    expect(textOf(result)).toContain('\nnext: a person can run this in a terminal: mcp-idp m2m ')
    expect(registry.requests.length).toBeGreaterThan(0)
    expect(registry.writes()).toEqual([])
  })

  test('writes nothing when the call is cancelled while the person is asked, even if a yes follows', async () => {
    let answered = (): void => undefined
    const cancel = new AbortController()
    const session = await open({
      answer: async () => {
        cancel.abort('never mind')
        await sleep(50)
        answered()
        return { action: 'accept', content: { apply: true } }
      },
    })
    const late = new Promise<void>((resolve) => {
      answered = resolve
    })
    await expect(session.call(name, input, { signal: cancel.signal })).rejects.toThrow()
    await late
    await sleep(150)
    await session.close()
    expect(session.asked).toHaveLength(1)
    expect(registry.writes()).toEqual([])
  })

  test('writes nothing when the client goes away while its person is asked', async () => {
    const session = await open({ answer: hangs })
    const call = session.call(name, input).catch(() => 'gone')
    while (session.asked.length === 0) await sleep(10)
    await session.close()
    expect(await call).toBe('gone')
    await sleep(150)
    expect(registry.writes()).toEqual([])
  })
})

describe('a yes', () => {
  test('writes exactly the plan that the person saw, once', async () => {
    const session = await open({ answer: yes })
    const input = { client_id: 'agreed', client_name: 'Agreed', groups: ['demo-readers'] }
    const result = await session.call('register_m2m_client', input)
    expect(session.asked).toEqual([expect.stringContaining('+ m2m-record agreed')])
    expect(result.structuredContent).toMatchObject({ applied: true, changes: [{ action: 'create', kind: 'm2m-record', key: 'agreed' }] })
    expect(registry.writes()).toEqual([expect.objectContaining({ method: 'POST', path: '/api/iam/m2m-clients', status: 201 })])
    expect(await registry.store.m2mClients.get('agreed')).toMatchObject({ name: 'Agreed', groups: ['demo-readers'], enabled: true })
    const again = await session.call('register_m2m_client', input)
    await session.close()
    expect(again.structuredContent).toMatchObject({ applied: false, changes: [] })
    expect(session.asked).toHaveLength(1)
    expect(registry.writes()).toEqual([])
  })

  test('to a plan that the world has left behind writes nothing more', async () => {
    const other = await open({ answer: yes })
    const session = await open({
      answer: async () => {
        await other.call('update_m2m_client', { client_id: 'there', client_name: 'Renamed meanwhile' })
        registry.requests.splice(0)
        return { action: 'accept', content: { apply: true } }
      },
    })
    const result = await session.call('update_m2m_client', { client_id: 'there', client_name: 'Mine' })
    await Promise.all([session.close(), other.close()])
    expect(textOf(result)).toMatch(/^conflict: something changed after the plan was shown; nothing was written/)
    expect(registry.writes()).toEqual([])
  })
})

describe('what only a person at a terminal may decide', () => {
  const ONLY_THERE: readonly [string, string, Record<string, unknown>, string][] = [
    ['deleting', 'delete_m2m_client', { client_id: 'there' }, 'this deletes something'],
    [
      'recording an administrator',
      'register_m2m_client',
      { client_id: 'boss', client_name: 'Boss', groups: ['registry-admins'], allow_privileged: true },
      'this grants administration',
    ],
    [
      'making an administrator',
      'assign_groups',
      { client_id: 'there', groups: ['registry-admins'], allow_privileged: true },
      'this grants',
    ],
    [
      'making one by another way',
      'update_m2m_client',
      { client_id: 'there', groups: ['registry-admins'], allow_privileged: true },
      'this grants administration',
    ],
    [
      'allowing privilege without a use',
      'update_m2m_client',
      { client_id: 'there', client_name: 'X', allow_privileged: true },
      'this grants',
    ],
  ]
  test.each(ONLY_THERE)('%s (%s) is declined for a client that accepts everything, without asking', async (_, name, input, why) => {
    const session = await open({ answer: yes })
    const result = await session.call(name, input)
    await session.close()
    expect(textOf(result)).toMatch(new RegExp(`^declined: ${why}`))
    expect(session.asked).toEqual([])
    expect(registry.writes()).toEqual([])
  })

  test('reviving a client that somebody switched off is declined too: it may be an administrator', async () => {
    const actor = { name: 'operator', issuer: 'https://idp.example.com', subject: 'operator' }
    await registry.store.m2mClients.update(actor, 'there', { enabled: false }, { allow_privileged: false })
    const session = await open({ answer: yes })
    const revived = await session.call('update_m2m_client', { client_id: 'there', enabled: true })
    await session.close()
    await registry.store.m2mClients.update(actor, 'there', { enabled: true }, { allow_privileged: false })
    expect(textOf(revived)).toMatch(/^declined: this grants administration/)
    expect(session.asked).toEqual([])
  })

  test('a group that confers administration is refused without --allow-privileged, before anything is asked', async () => {
    const session = await open({ answer: yes })
    const result = await session.call('assign_groups', { client_id: 'there', groups: ['demo-readers', 'registry-admins'] })
    await session.close()
    expect(textOf(result)).toMatch(/^invalid_input: [\s\S]*groups\[1\]/)
    expect([session.asked, registry.requests]).toEqual([[], []])
  })
})

describe('the command line of a declined call', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mcp-idp-stub-'))
    const stub = join(folder, 'mcp-idp')
    await writeFile(stub, '#!/bin/sh\nfor word in "$@"; do printf \'%s\\0\' "$word"; done\n')
    await chmod(stub, 0o755)
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  /** What `mcp-idp` is given when the hint is pasted into a shell. */
  async function argvOf(text: string): Promise<string[]> {
    const line = text.slice(text.indexOf('in a terminal: ') + 'in a terminal: '.length)
    const { stdout } = await promisify(execFile)('sh', ['-c', line], { env: { PATH: `${folder}:${process.env['PATH']}` } })
    return stdout.split('\0').slice(0, -1)
  }

  async function declinedArgv(name: string, input: Record<string, unknown>): Promise<string[]> {
    const session = await open({})
    const result = await session.call(name, input)
    await session.close()
    expect(textOf(result)).toMatch(/^declined: /)
    return argvOf(textOf(result))
  }

  test('gives a shell the words that mean this call in this home', async () => {
    const argv = await declinedArgv('register_m2m_client', { client_id: 'new', client_name: "It's New", groups: ['demo-readers'] })
    const flags = ['--client-id', 'new', '--client-name', "It's New", '--groups', 'demo-readers', '--home', registry.home]
    expect(argv).toEqual(['m2m', 'register', ...flags])
  })

  const nasty = fc.stringMatching(/^[ -~\n]{0,60}$/)
  const text = fc.oneof(
    nasty,
    fc.constantFrom(
      '$(touch pwned)',
      '`id`',
      "'; rm -rf ~; '",
      '"$HOME"',
      '\\',
      '!!',
      '-x',
      '--yes',
      '--',
      'a\nb',
      '~',
      '*',
      '# no',
      '&& id',
    ),
    fc.string({ unit: 'grapheme', maxLength: 40 }).map((one) => one.replace(/[\p{C}\p{Z}\u{e0000}-\u{e007f}]/gu, '')),
  )
  test('survives whatever a description holds: no word is split, run or lost', { timeout: 60_000 }, async () => {
    const row = catalogRow('register_m2m_client')
    const operation = await row?.load()
    if (!row || !operation) throw new Error('no such operation')
    await fc.assert(
      fc.asyncProperty(text, async (description) => {
        const input = { client_id: 'new', client_name: 'New', description }
        const expected = commandLine(row.command, operation, input, ['--home', registry.home]).slice(1)
        const argv = await declinedArgv('register_m2m_client', input)
        expect(argv).toEqual(expected)
        expect(argv.some((word) => word === description || word === `--description=${description}`)).toBe(true)
      }),
      { numRuns: 120 },
    )
    expect(registry.writes()).toEqual([])
  })

  test('is whole when the plan beside it is longer than what is shown', async () => {
    const groups = Array.from({ length: 60 }, (_, index) => `group-${index}-${'x'.repeat(200)}`)
    const argv = await declinedArgv('assign_groups', { client_id: 'there', groups })
    expect(argv).toEqual(['m2m', 'assign-groups', 'there', groups.join(','), '--home', registry.home])
  })

  test.each(['a\u200bb', 'a\u202eb', 'a\u0007b', 'a\u0000b', '\u{e0041}', '\u001b[2J'])(
    'is never made from an argument with characters that a person cannot see: %j is refused',
    async (description) => {
      const session = await open({ answer: yes })
      const result = await session.call('register_m2m_client', { client_id: 'new', client_name: 'New', description })
      await session.close()
      expect(textOf(result)).toMatch(/^invalid_input: [\s\S]*description: no control or invisible characters/)
      expect([session.asked, registry.requests]).toEqual([[], []])
    },
  )
})
