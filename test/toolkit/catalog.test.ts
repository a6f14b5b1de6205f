/** Rules for every operation, as loops over the catalogue: names, kinds, examples, flags, and what its tools promise. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { SAFETY } from '../../core/operation.js'
import { listTools } from '../../mcp-server/tools.js'
import { NEEDS } from '../../setup/needs.js'
import { CATALOG, type CatalogRow, catalogRow, TOOLSETS } from '../../toolkit/catalog.js'
import { flagsOf } from '../../toolkit/command-line.js'
import { at, runChild } from '../fakes/child.js'

const rows: readonly CatalogRow[] = CATALOG
const loaded = await Promise.all(rows.map(async (row) => ({ name: row.name, row, operation: await row.load() })))
const tools = await listTools({ allow: ['issue', 'write', 'destructive'], toolsets: TOOLSETS })

/** First words of commands that are ours (decision 53); the documented ones keep their documented meaning. */
const OUR_WORDS = ['setup', 'm2m', 'check', 'credentials', 'connect-config', 'doctor', 'mcp', 'start', 'approve', 'audit', 'servers']
/** Fields that need no description: the summaries of their operations are about them. */
const SPEAKING = ['groups', 'description', 'client_name']
/** Flags of every command (cli/main.ts, cli/operation-command.ts). */
const TAKEN_FLAGS = ['home', 'json', 'debug', 'env-file', 'plan', 'plan-out', 'plan-in', 'yes', 'show-secret', 'help', 'version']

describe('the catalogue', () => {
  test('every name is there once, and so is every command', () => {
    expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length)
    expect(new Set(rows.map(({ command }) => command.join(' '))).size).toBe(rows.length)
  })
  test('no command is the beginning of another', () => {
    for (const { command } of rows) {
      const below = rows.filter(
        (other) => other.command.length > command.length && command.every((word, index) => other.command[index] === word),
      )
      expect(below.map(({ name }) => name)).toEqual([])
    }
  })
  test('a row is found by its name, and by nothing else', () => {
    for (const row of rows) expect(catalogRow(row.name)).toBe(row)
    expect(catalogRow('constructor')).toBeUndefined()
    expect(catalogRow('')).toBeUndefined()
  })
  test('rights are said of commands that exist', () => {
    const commands = rows.map(({ command }) => command.join(' '))
    expect(Object.keys(NEEDS).length).toBeGreaterThan(7)
    expect(Object.keys(NEEDS).filter((command) => !commands.includes(command))).toEqual([])
  })
  test('no two rows load the same operation', () => {
    expect(new Set(loaded.map(({ operation }) => operation)).size).toBe(rows.length)
  })
  test('reading it loads no schema library, no SDK and no operation', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mcp-idp-coverage-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const code = `const { CATALOG } = await import(${at('toolkit/catalog.ts')}); console.log(CATALOG.length)`
    const { stdout } = await runChild(code, `NODE_V8_COVERAGE=${folder}`).ended
    expect(stdout).toBe(`${rows.length}\n`)
    const files = readdirSync(folder).flatMap((name) => {
      const { result } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as { result: { url: string }[] }
      return result.map(({ url }) => url)
    })
    expect(files.filter((url) => url.endsWith('/toolkit/catalog.ts'))).toHaveLength(1)
    expect(
      files.filter((url) =>
        /node_modules\/(?!tsx|esbuild|get-tsconfig|resolve-pkg-maps)|\/(?:core|setup|registry|idp|credentials-provider)\//.test(url),
      ),
    ).toEqual([])
  })
})

describe('every operation', () => {
  test.for(loaded)('$name is snake_case, verb first, at most 40 characters', ({ name }) => {
    expect(name).toMatch(/^[a-z][a-z0-9]*(?:_[a-z0-9]+)+$/)
    expect(name.length).toBeLessThanOrEqual(40)
  })
  test.for(loaded)('$name has a command of ours, of at most two words', ({ row: { command } }) => {
    expect(OUR_WORDS).toContain(command[0])
    expect(command.length).toBeLessThanOrEqual(2)
    for (const word of command) expect(word).toMatch(/^[a-z0-9]+(?:-[a-z0-9]+)*$/)
  })
  test.for(loaded)('$name says what it does in one paragraph of at most 600 characters', ({ operation: { summary }, row: { title } }) => {
    expect(summary.length).toBeLessThanOrEqual(600)
    expect(summary).toMatch(/^[A-Z].*\.$/)
    expect(title).toMatch(/^[A-Z][^.]{4,60}$/)
  })
  test.for(loaded)('$name plans if and only if its class changes something', ({ operation, row: { safety } }) => {
    expect(operation.changes).toBe(safety === 'write' || safety === 'destructive')
  })
  test.for(loaded)('every example of $name is a valid input', ({ operation }) => {
    expect(operation.examples.length).toBeGreaterThan(0)
    for (const example of operation.examples) expect(operation.input.safeParse(example)).toMatchObject({ success: true })
  })
  test.for(loaded)('$name refuses an unknown field, before it needs any setting', async ({ operation }) => {
    const [example] = operation.examples
    const nothing = new Proxy(
      {},
      {
        get: (_, name) => {
          throw new Error(`it asked for ${String(name)}`)
        },
      },
    )
    await expect(operation.run({ ...example, unknown_field: 1 }, nothing as never)).rejects.toMatchObject({ code: 'invalid_input' })
  })
  test.for(loaded)('every field of $name is snake_case and described', ({ operation }) => {
    const flags = flagsOf(operation)
    for (const { field } of flags) expect(field).toMatch(/^[a-z][a-z0-9]*(?:_[a-z0-9]+)*$/)
    expect(flags.filter(({ help, field }) => help === '' && !SPEAKING.includes(field)).map(({ field }) => field)).toEqual([])
  })
  test.for(loaded)('no flag of $name hides another or one of every command', ({ operation }) => {
    const names = flagsOf(operation)
      .filter(({ positional }) => !positional)
      .map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    expect(names.filter((name) => TAKEN_FLAGS.includes(name))).toEqual([])
  })
  test.for(loaded)(
    'what $name takes by position or repeats is a field of its input',
    ({ operation: { input, positionals = [], repeated = {} } }) => {
      for (const field of [...positionals, ...Object.keys(repeated)]) expect(Object.keys(input.shape)).toContain(field)
    },
  )
  test.for(loaded)('$name needs at the identity provider what its command is said to need', ({ operation, row: { command, name } }) => {
    const asks = 'idp' in operation.input.shape && name !== 'check_rights'
    const needs: Readonly<Record<string, readonly string[]>> = NEEDS
    expect(operation.needs).toEqual(asks ? needs[command.join(' ')] : undefined)
    expect(asks && operation.needs === undefined).toBe(false)
  })
  test.for(loaded)('$name takes no field that could hold a secret', ({ operation }) => {
    expect(Object.keys(operation.input.shape).filter((field) => /password|secret$|token$/.test(field))).toEqual([])
  })
})

describe('every tool', () => {
  test('there is one for every operation, in the order of the catalogue', () => {
    expect(tools.map(({ tool }) => tool.name)).toEqual(rows.map(({ name }) => name))
  })
  test.for(tools)('$row.name has schemas that are plain objects at the top: some hosts drop a list with anyOf', ({ tool }) => {
    for (const schema of [tool.inputSchema, tool.outputSchema]) {
      expect(schema).toMatchObject({ type: 'object', additionalProperties: false })
      for (const word of ['anyOf', 'oneOf', 'allOf', '$ref']) expect(schema).not.toHaveProperty(word)
    }
  })
  test.for(tools)('$row.name declares no output field that could hold a secret', ({ tool }) => {
    const names = fieldNames(tool.outputSchema)
    expect(names.length).toBeGreaterThan(0)
    expect(names.filter((field) => /password(?!_file$)|client_secret$|access_token$|^secret$|^token$/.test(field))).toEqual([])
  })
  test.for(tools)('$row.name sets all four hints, as its class says', ({ tool, row }) => {
    expect(tool.annotations).toEqual({ title: row.title, ...SAFETY[row.safety] })
    expect(Object.values(SAFETY[row.safety]).every((hint) => typeof hint === 'boolean')).toBe(true)
  })
  test('without flags only what reads is listed', async () => {
    const listed = await listTools({ allow: [], toolsets: TOOLSETS })
    expect(listed.map(({ row }) => row.safety).filter((safety) => safety !== 'read')).toEqual([])
    expect(listed.length).toBeGreaterThan(0)
  })
  test('each class is listed only when it is allowed', async () => {
    for (const safety of ['issue', 'write', 'destructive'] as const) {
      const listed = await listTools({ allow: [safety], toolsets: TOOLSETS })
      expect(new Set(listed.map(({ row }) => row.safety))).toEqual(new Set(['read', safety]))
    }
  })
})

function fieldNames(schema: unknown): string[] {
  if (Array.isArray(schema)) return schema.flatMap(fieldNames)
  if (typeof schema !== 'object' || schema === null) return []
  return Object.entries(schema).flatMap(([key, inner]) => [
    ...(key === 'properties' && typeof inner === 'object' && inner !== null ? Object.keys(inner) : []),
    ...fieldNames(inner),
  ])
}
