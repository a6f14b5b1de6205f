/**
 * A command line says what its input says: printed, quoted and typed again, it gives the same input. A refused tool call
 * prints such a line for a person, so a line that means something else would be a hole in the approval.
 */
import { Command } from 'commander'
import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import type { Operation } from '../../core/operation.js'
import { CATALOG, type CatalogRow } from '../../toolkit/catalog.js'
import { commandLine, type Flag, flagsOf, flagValue } from '../../toolkit/command-line.js'
import type { ToolkitContext } from '../../toolkit/context.js'

const parsed: { input: Record<string, unknown>; globals: Record<string, unknown> }[] = []
vi.mock('../../cli/run.js', () => ({
  runOperation: async (_row: unknown, _operation: unknown, input: Record<string, unknown>, globals: Record<string, unknown>) => {
    parsed.push({ input, globals })
    return 0
  },
}))
const { attachOperation } = await import('../../cli/operation-command.js')

const operations = await Promise.all(
  (CATALOG as readonly CatalogRow[]).map(async (row) => ({ name: row.name, row, operation: await row.load() })),
)

/** Types the words after `mcp-idp` into the CLI's own command for this row, below the global flags of `cli/main.ts`. */
async function typed(row: CatalogRow, operation: Operation<ToolkitContext>, words: readonly string[]) {
  parsed.length = 0
  const program = new Command('mcp-idp').exitOverride().configureOutput({ writeErr: () => undefined })
  program.version('0').option('--home <folder>').option('--json').option('--debug').option('--env-file <path>')
  const command = row.command.reduce((parent, word) => parent.command(word).exitOverride(), program)
  await attachOperation(command, { ...row, load: async () => operation }, () => undefined)
  await program.parseAsync([...words], { from: 'user' })
  return parsed[0]
}

async function roundTrip(row: CatalogRow, operation: Operation<ToolkitContext>, input: Record<string, unknown>): Promise<void> {
  const [program, ...words] = commandLine(row.command, operation, input)
  const back = await typed(row, operation, words)
  if (!back) throw new Error('the words were not understood')
  expect(program).toBe('mcp-idp')
  expect(operation.input.parse(back.input)).toEqual(operation.input.parse(input))
  expect(Object.keys(back.globals).filter((name) => ['home', 'json', 'debug', 'envFile', 'yes', 'plan'].includes(name))).toEqual([])
}

const TEXTS = [
  'agent',
  'reporting-agent',
  '/demo',
  'https://gateway.example.com/my-server/mcp',
  'https://gateway.example.com/a,b?c=d&e=$(id)',
  'My IDE client',
  "it's",
  '"quoted"',
  '$HOME',
  '$(id)',
  '`id`',
  'a=b',
  'ü',
  'jsmith@example.com',
  '*',
  '\\',
  'data readers',
  '0',
  'true',
  'data,registry-admins',
  'back\\,slash',
  ',',
  '--yes',
  '--json',
  '--',
  '-x',
]

/** A value that the field's own schema accepts. */
function fitting(flag: Flag, schema: z.ZodType, texts: readonly string[]): fc.Arbitrary<unknown> {
  const text = flag.choices ? fc.constantFrom(...flag.choices) : fc.constantFrom(...texts)
  const values: Record<Flag['form'], fc.Arbitrary<unknown>> = {
    text,
    number: fc.integer({ min: 1, max: 65_535 }),
    switch: fc.boolean(),
    truth: fc.boolean(),
    list: fc.array(text, { maxLength: 4 }),
    repeated: fc.array(text, { maxLength: 4 }),
  }
  return values[flag.form].filter((value) => schema.safeParse(value).success)
}

function inputOf({ input, positionals, repeated }: Operation<ToolkitContext>): fc.Arbitrary<Record<string, unknown>> {
  const flags = flagsOf({ input, ...(positionals ? { positionals } : {}), ...(repeated ? { repeated } : {}) })
  const values = Object.fromEntries(flags.map((flag) => [flag.field, fitting(flag, input.shape[flag.field] as z.ZodType, TEXTS)]))
  return fc.record(values, { requiredKeys: flags.filter(({ required }) => required).map(({ field }) => field) }) as fc.Arbitrary<
    Record<string, unknown>
  >
}

describe('a command line typed again gives the same input', () => {
  const examples = operations.flatMap(({ name, row, operation }) =>
    operation.examples.map((input, index) => ({ name, row, operation, input, index })),
  )
  test.for(examples)('example $index of $name', async ({ row, operation, input }) => {
    await roundTrip(row, operation, input)
  })
  test.for(operations)('any input of $name', async ({ row, operation }) => {
    await fc.assert(
      fc.asyncProperty(inputOf(operation), (input) => roundTrip(row, operation, input)),
      { numRuns: 60 },
    )
  })
})

describe('a value cannot turn into something else on the way', () => {
  const named = (name: string) => {
    const found = operations.find((one) => one.name === name)
    if (!found) throw new Error(`no operation ${name}`)
    return found
  }
  const hostile: [string, string, Record<string, unknown>][] = [
    ['a group with a comma and a backslash stays as it is', 'assign_groups', { client_id: 'agent', groups: ['a\\,b', '\\', ','] }],
    ['a group with a comma does not become two groups', 'assign_groups', { client_id: 'agent', groups: ['data,registry-admins'] }],
    ['a name that looks like a global flag stays a name', 'register_m2m_client', { client_id: 'agent', client_name: '--json' }],
    ['a client id that looks like a flag stays a client id', 'delete_m2m_client', { client_id: '--yes' }],
  ]
  test.for(hostile)('%s', async ([, name, input]) => {
    const { row, operation } = named(name)
    expect(operation.input.safeParse(input).success).toBe(true)
    await roundTrip(row, operation, input)
  })
  test('a group that begins or ends with a space is refused, since lists are trimmed when they are read', () => {
    const { operation } = named('assign_groups')
    const accepted = [' registry-admins', 'data '].filter(
      (group) => operation.input.safeParse({ client_id: 'agent', groups: [group] }).success,
    )
    expect(accepted).toEqual([])
  })
})

describe('flags', () => {
  const shaped = {
    input: z.strictObject({
      server_path: z.string().describe('path'),
      mcp_clients: z.array(z.enum(['a', 'b'])).default(['a']),
      server_urls: z.array(z.string()).optional(),
      prune: z.boolean().default(false),
      enabled: z.boolean().optional(),
      callback_port: z.coerce.number().int().optional(),
    }),
    positionals: ['server_path'],
    repeated: { server_urls: 'server-url' },
  }
  test('take their spelling, form and need from the schema', () => {
    expect(flagsOf(shaped).map(({ name, form, required, positional, choices }) => [name, form, required, positional, choices])).toEqual([
      ['server-path', 'text', true, true, undefined],
      ['mcp-clients', 'list', false, false, ['a', 'b']],
      ['server-url', 'repeated', false, false, undefined],
      ['prune', 'switch', false, false, undefined],
      ['enabled', 'truth', false, false, undefined],
      ['callback-port', 'number', false, false, undefined],
    ])
  })
  test('are written in the order of the schema, after what is positional', () => {
    const input = { prune: true, enabled: false, callback_port: 1, server_urls: ['x', 'y'], mcp_clients: ['a', 'b'], server_path: '/demo' }
    expect(commandLine(['do', 'it'], shaped, input).join(' ')).toBe(
      'mcp-idp do it /demo --mcp-clients a,b --server-url x --server-url y --prune --enabled false --callback-port 1',
    )
  })
  test('leave text that does not fit for the schema to refuse', () => {
    const flag = (form: Flag['form']) => ({ field: 'x', name: 'x', form, required: false, positional: false, help: '' })
    expect(flagValue(flag('number'), ['12abc'])).toBe('12abc')
    expect(flagValue(flag('truth'), ['yes'])).toBe('yes')
    expect(flagValue(flag('list'), ['a, b', 'c'])).toEqual(['a', 'b', 'c'])
    expect(flagValue(flag('text'), ['first', 'last'])).toBe('last')
  })
})
