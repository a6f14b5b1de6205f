import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { CallToolResult, Tool } from '@modelcontextprotocol/sdk/types.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { toolFlags } from '../../mcp-server/tools.js'
import { CATALOG, type CatalogRow } from '../../toolkit/catalog.js'
import { connected, servedRegistry, textOf } from './connected.js'

/** Tools as they are sent, and which of them each set of flags lists. `UPDATE_TOOLS=1` writes it anew. */
const SNAPSHOT = resolve(import.meta.dirname, '../snapshots/tools.json')
const FLAGS = [
  { toolsets: 'core', allow: '' },
  { toolsets: 'm2m', allow: '' },
  { toolsets: 'm2m', allow: 'write' },
  { toolsets: 'm2m', allow: 'destructive' },
  { toolsets: 'ide', allow: 'write' },
  { toolsets: 'tokens', allow: 'issue' },
  { toolsets: 'all', allow: '' },
  { toolsets: 'all', allow: 'issue' },
  { toolsets: 'all', allow: 'issue,write' },
  { toolsets: 'all', allow: 'issue,write,destructive' },
]
const ROWS: readonly CatalogRow[] = CATALOG

interface Snapshot {
  readonly lists: Readonly<Record<string, readonly string[]>>
  readonly tools: Readonly<Record<string, unknown>>
}
const flagsText = ({ toolsets, allow }: { toolsets: string; allow: string }) =>
  `--toolsets ${toolsets}${allow === '' ? '' : ` --allow ${allow}`}`

async function list(flags: { toolsets: string; allow: string }): Promise<Tool[]> {
  const session = await connected(flags)
  const { tools } = await session.client.listTools()
  await session.close()
  return tools
}

let everyTool: Tool[]
let registry: Awaited<ReturnType<typeof servedRegistry>>
beforeAll(async () => {
  everyTool = await list({ toolsets: 'all', allow: 'issue,write,destructive' })
  if (process.env['UPDATE_TOOLS'] === '1') {
    const lists = await Promise.all(FLAGS.map(async (flags) => [flagsText(flags), (await list(flags)).map(({ name }) => name)]))
    const tools = Object.fromEntries(everyTool.map((tool) => [tool.name, tool]))
    writeFileSync(SNAPSHOT, `${JSON.stringify({ lists: Object.fromEntries(lists), tools }, null, 2)}\n`)
  }
  registry = await servedRegistry()
})
afterAll(() => registry.close())

describe('what is listed', () => {
  test.each(FLAGS)('with --toolsets $toolsets --allow $allow is the snapshot, byte for byte and in its order', async (flags) => {
    expect(existsSync(SNAPSHOT)).toBe(true)
    const { lists, tools } = JSON.parse(readFileSync(SNAPSHOT, 'utf8')) as Snapshot
    const names = lists[flagsText(flags)]
    expect(names).toBeDefined()
    expect(JSON.stringify(await list(flags))).toBe(JSON.stringify(names?.map((name) => tools[name])))
  })

  test('is the same twice, without a home, a profile or a setting', async () => {
    const flags = { toolsets: 'all', allow: 'issue,write' }
    expect(await list(flags)).toEqual(await list(flags))
  })

  test('holds no writing, issuing or deleting tool unless its class is allowed', async () => {
    for (const flags of FLAGS) {
      const allowed = flags.allow.split(',')
      for (const { name } of await list(flags)) {
        const safety = ROWS.find((row) => row.name === name)?.safety
        expect(safety === 'read' || allowed.includes(safety ?? ''), `${flagsText(flags)}: ${name}`).toBe(true)
      }
    }
  })

  test('holds every operation of the catalogue when everything is allowed', () => {
    expect(everyTool.map(({ name }) => name)).toEqual(ROWS.map(({ name }) => name))
  })

  test('a word that is no class or toolset is refused with its place', () => {
    expect(() => toolFlags('write,delete', 'core,nothing')).toThrow(/--allow: .*delete[\s\S]*--toolsets: .*nothing/)
  })
})

describe('every tool', () => {
  test('has a short snake_case name, a title and a description of at most 600 characters', () => {
    for (const { name, title, description } of everyTool) {
      expect(name).toMatch(/^[a-z]+(?:_[a-z0-9]+)+$/)
      expect(name.length).toBeLessThanOrEqual(40)
      expect(title).toBeTruthy()
      expect(description?.length).toBeGreaterThan(20)
      expect(description?.length).toBeLessThanOrEqual(600)
    }
  })

  test('says the four hints that its class implies', () => {
    const implied = {
      read: [true, false, true],
      issue: [false, false, false],
      write: [false, false, true],
      destructive: [false, true, true],
    }
    for (const { name, annotations } of everyTool) {
      const safety = ROWS.find((row) => row.name === name)?.safety ?? 'read'
      const { readOnlyHint, destructiveHint, idempotentHint, openWorldHint } = annotations ?? {}
      expect([readOnlyHint, destructiveHint, idempotentHint, openWorldHint], name).toEqual([...implied[safety], true])
    }
  })

  test('has object schemas that refuse unknown keys, at every depth, with no choice at the top', () => {
    for (const { name, inputSchema, outputSchema } of everyTool) {
      for (const schema of [inputSchema, outputSchema]) {
        expect(schema, name).toMatchObject({ type: 'object', additionalProperties: false })
        for (const choice of ['oneOf', 'anyOf', 'allOf']) expect(schema, name).not.toHaveProperty(choice)
        expect(looseObjects(schema), name).toEqual([])
      }
    }
  })

  test.each(ROWS)('$name refuses an argument that it does not know, by its name, and asks nobody', async ({ name }) => {
    const session = await connected({
      ...registry,
      allow: 'issue,write,destructive',
      answer: () => ({ action: 'accept', content: { apply: true } }),
    })
    const examples = await exampleOf(name)
    registry.requests.splice(0)
    const result = await session.call(name, { ...examples, surprise: 1 })
    await session.close()
    expect(result.isError).toBe(true)
    expect(textOf(result)).toMatch(/^invalid_input: [\s\S]*surprise/)
    expect([registry.requests, session.asked]).toEqual([[], []])
  })

  test.each(ROWS.filter(({ safety }) => safety !== 'read'))('$name cannot be called when its class is not allowed', async (row) => {
    const session = await connected({ ...registry })
    registry.requests.splice(0)
    const result = await session.call(row.name, await exampleOf(row.name))
    await session.close()
    expect(result.isError).toBe(true)
    expect(textOf(result)).toBe(
      `declined: ${row.name} is not allowed here\nnext: a person can start the server with --toolsets ${row.toolset} --allow ${row.safety}`,
    )
    expect(registry.requests).toEqual([])
  })

  test('that does not exist is a protocol error', async () => {
    const session = await connected()
    await expect(session.call('drop_everything')).rejects.toMatchObject({ code: -32602 })
    await session.close()
  })
})

describe('results', () => {
  /** The SDK's client checks structuredContent against the listed schema and throws when it does not fit. */
  test('of reading tools satisfy the output schema, repeat it as text, name the profile, and come of GET alone', async () => {
    const session = await connected({ ...registry, allow: 'write', answer: () => ({ action: 'accept', content: { apply: true } }) })
    await session.client.listTools()
    await session.call('register_m2m_client', { client_id: 'reporting-agent', client_name: 'Reporting' })
    registry.requests.splice(0)
    const results: CallToolResult[] = []
    for (const [name, input] of [
      ['list_m2m_clients', {}],
      ['get_m2m_client', { client_id: 'reporting-agent' }],
      ['list_servers', {}],
    ] as const) {
      const result = await session.call(name, input)
      expect(result.isError, textOf(result)).not.toBe(true)
      expect(JSON.parse(textOf(result))).toEqual(result.structuredContent)
      expect(result._meta).toMatchObject({ 'mcp-gateway-idp/profile': 'default' })
      results.push(result)
    }
    await session.close()
    expect(results).toHaveLength(3)
    expect(registry.requests.length).toBeGreaterThanOrEqual(3)
    expect(registry.writes()).toEqual([])
  })

  test('that fail tell code, message and what to do next, and hold no structured content', async () => {
    const session = await connected()
    const result = await session.call('list_m2m_clients')
    await session.close()
    expect(result.isError).toBe(true)
    expect(result.structuredContent).toBeUndefined()
    expect(textOf(result)).toMatch(/^not_configured: [\s\S]*REGISTRY_URL[\s\S]*\nnext: /)
  })
})

/** The first example of an operation, which its own help shows. */
async function exampleOf(name: string): Promise<Record<string, unknown>> {
  const row = ROWS.find((one) => one.name === name)
  return { ...(await row?.load())?.examples[0] }
}

/** Places of object schemas that admit any key. A record (values of one schema under keys of the caller's) is not loose. */
function looseObjects(schema: unknown, path = ''): string[] {
  if (typeof schema !== 'object' || schema === null) return []
  if (Array.isArray(schema)) return schema.flatMap((one, index) => looseObjects(one, `${path}[${index}]`))
  const { type, additionalProperties } = schema as { type?: unknown; additionalProperties?: unknown }
  const isLoose = type === 'object' && additionalProperties !== false && typeof additionalProperties !== 'object'
  return [...(isLoose ? [path] : []), ...Object.entries(schema).flatMap(([key, inner]) => looseObjects(inner, `${path}.${key}`))]
}
