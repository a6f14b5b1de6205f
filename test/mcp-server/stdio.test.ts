/** Over stdio nothing but protocol is on stdout, whatever else wants to be printed (MC8). */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BuiltCli, buildCli } from '../cli/built.js'
import { frames } from './frames.js'

let built: BuiltCli
let home: string
beforeAll(() => {
  built = buildCli()
  home = mkdtempSync(join(tmpdir(), 'mcp-idp-stdio-'))
})
afterAll(async () => {
  await built.remove()
  rmSync(home, { recursive: true, force: true })
})

/** Code loaded before ours that prints in every way from the moment the server listens. */
const NOISE = `
let rounds = 0
const timer = setInterval(() => {
  if (process.stdin.listenerCount('data') === 0) return
  console.log('noise of a library')
  console.info('noise'); console.debug('noise'); console.table([{ noise: 1 }]); console.dir({ noise: 1 })
  process.emitWarning('noise', 'DeprecationWarning', 'DEP_NOISE_' + rounds++)
}, 5)
timer.unref()
`

function start(words: readonly string[], variables: Record<string, string> = {}) {
  const noise = join(home, 'noise.mjs')
  writeFileSync(noise, NOISE)
  return built.start(['mcp', ...words], { MCP_IDP_HOME: home, ...variables }, ['--import', pathToFileURL(noise).href])
}

function expectProtocolOnly(lines: readonly string[], rest: string): void {
  expect(lines.length).toBeGreaterThan(0)
  for (const line of lines) expect(JSON.parse(line)).toMatchObject({ jsonrpc: '2.0' })
  expect(rest).toBe('')
}

describe('stdout', () => {
  test('carries JSON-RPC lines only: through warnings, prints of libraries, broken frames, refused calls and unreachable servers', async () => {
    const running = start(['--toolsets', 'all', '--allow', 'issue,write,destructive'], {
      REGISTRY_URL: 'http://127.0.0.1:1',
      REGISTRY_TOKEN_FILE: join(home, 'none.json'),
      KEYCLOAK_URL: 'http://127.0.0.1:1',
      KEYCLOAK_ADMIN_PASSWORD: 'a-password-of-the-test',
      NODE_OPTIONS: '--trace-warnings --trace-deprecation',
    })
    const server = frames(running)
    const { result } = await server.initialize({ elicitation: {} })
    expect(result).toMatchObject({ serverInfo: { name: 'mcp-gateway-idp' }, capabilities: { tools: {} } })
    server.raw('this is not JSON\n{"jsonrpc":"2.0"}\n[]\n\n{"jsonrpc":"1.0","id":9,"method":"tools/list"}\n')
    expect(await server.request('no/such/method')).toMatchObject({ error: { code: -32601 } })
    expect(await server.request('tools/call', { arguments: {} })).toHaveProperty('error')
    expect(await server.call('no_such_tool')).toMatchObject({ error: { code: -32602 } })
    const tools = (await server.request('tools/list')).result?.['tools'] as { name: string }[]
    expect(tools.length).toBeGreaterThan(10)
    for (const { name } of tools) expect(await server.call(name, { surprise: true }), name).toMatchObject({ result: { isError: true } })
    expect(await server.call('list_m2m_clients')).toMatchObject({ result: { isError: true } })
    expect(await server.call('setup_ide_client', { idp: 'keycloak' })).toMatchObject({ result: { isError: true } })
    expect(await server.call('generate_credentials')).toMatchObject({ result: { isError: true } })
    const { exit, stderr } = await server.end()
    expect(exit).toBe(0)
    expectProtocolOnly(server.lines, server.rest())
    // The noise was made; it went where noise may go.
    expect(stderr).toContain('noise of a library')
    expect(stderr).toContain('DEP_NOISE_0')
  })

  test('is empty when the server does not even start, and stderr says why', async () => {
    const { exit, stdout, stderr } = await built.run(['mcp', '--allow', 'everything', '--toolsets', 'x'], { MCP_IDP_HOME: home })
    expect({ exit, stdout }).toEqual({ exit: 2, stdout: '' })
    expect(stderr).toMatch(/--allow: of issue, write, destructive \(found everything\)[\s\S]*--toolsets/)
  })
})

test('the list over stdio is the snapshot, without a home, a profile or a setting', async () => {
  const running = built.start(['mcp', '--toolsets', 'all', '--allow', 'issue,write,destructive', '--home', join(home, 'missing')])
  const server = frames(running)
  await server.initialize()
  const { result } = await server.request('tools/list')
  await server.end()
  const snapshot = JSON.parse(readFileSync(resolve(import.meta.dirname, '../snapshots/tools.json'), 'utf8')) as { tools: object }
  expect(result?.['tools']).toEqual(Object.values(snapshot.tools))
})

test('read-only is the default', async () => {
  const server = frames(built.start(['mcp'], { MCP_IDP_HOME: home }))
  await server.initialize()
  const { result } = await server.request('tools/list')
  await server.end()
  const tools = result?.['tools'] as { name: string; annotations: { readOnlyHint: boolean } }[]
  expect(tools.map(({ name }) => name)).toEqual(['check_setup', 'check_rights', 'list_m2m_clients', 'get_m2m_client', 'list_servers'])
  expect(tools.every(({ annotations }) => annotations.readOnlyHint)).toBe(true)
})

test('ends with its client: when stdin ends', async () => {
  const server = frames(built.start(['mcp'], { MCP_IDP_HOME: home }))
  await server.initialize()
  const began = performance.now()
  expect((await server.end()).exit).toBe(0)
  expect(performance.now() - began).toBeLessThan(3_000)
})
