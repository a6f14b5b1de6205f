/** An operation parses strictly before it does anything, and its result is what it declared. */
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { Outcome } from '../../core/converge.js'
import type { ToolkitError } from '../../core/errors.js'
import { type Context, changeOperation, outcomeFields, outcomeShape, parseInput, queryOperation, SAFETY } from '../../core/operation.js'
import { failureOf } from '../fakes/door.js'

const input = z.strictObject({
  name: z.string().max(8),
  groups: z.array(z.string().regex(/^[a-z]+$/, 'lower-case letters')).default([]),
  nested: z.strictObject({ port: z.number().int().min(1) }).optional(),
})
const nothing: Outcome = { changes: [], manual: [], tenants: [], applied: false, receipts: [], objects: new Map() }
const context: Context = {
  profile: 'default',
  home: '/nonexistent',
  settings: () => undefined,
  progress: () => undefined,
  converge: async () => nothing,
}
function problemsIn(raw: unknown): readonly { path: string; expected: string }[] {
  try {
    parseInput(input, raw)
  } catch (error) {
    return (error as ToolkitError<'invalid_input'>).details.problems
  }
  throw new Error('it was accepted')
}

describe('input', () => {
  test('every problem is told at once, each with its place', () => {
    const problems = problemsIn({ name: 'far too long', groups: ['ok', 'NO', 'no2'], nested: { port: 0 } })
    expect(problems.map(({ path }) => path)).toEqual(['name', 'groups[1]', 'groups[2]', 'nested.port'])
    expect(problems[1]?.expected).toBe('lower-case letters')
  })
  test('an unknown key is refused, at the top and deeper', () => {
    expect(problemsIn({ name: 'a', force: true })).toHaveLength(1)
    expect(problemsIn({ name: 'a', nested: { port: 1, host: 'x' } }).map(({ path }) => path)).toEqual(['nested'])
  })
  test.for([undefined, null, 'text', 7, [], [{ name: 'a' }]])('%o is refused as a whole', (raw) => {
    expect(problemsIn(raw)).toMatchObject([{ path: '(whole)' }])
  })
  test.for(['__proto__', 'constructor', 'prototype'])('a key called %s gains nothing', (key) => {
    const hostile = JSON.parse(`{"name":"a","${key}":{"isAdmin":true},"nested":{"port":1,"${key}":{"isAdmin":true}}}`) as unknown
    let parsed: unknown
    try {
      parsed = parseInput(input, hostile)
    } catch (error) {
      expect(error).toMatchObject({ code: 'invalid_input' })
    }
    expect({}).not.toHaveProperty('isAdmin')
    for (const one of [parsed, (parsed as { nested?: unknown } | undefined)?.nested]) {
      expect((one as { isAdmin?: unknown } | undefined)?.isAdmin).toBeUndefined()
      expect(Object.keys(one ?? {})).not.toContain(key)
    }
  })
  test('defaults are filled in', () => {
    expect(parseInput(input, { name: 'a' })).toEqual({ name: 'a', groups: [] })
  })
})

describe('a query', () => {
  const query = queryOperation({
    summary: 'Says hello.',
    input,
    output: z.strictObject({ hello: z.string() }),
    examples: [{ name: 'a' }],
    handler: async ({ name }) => (name === 'odd' ? ({ hello: 'odd', token: 'planted' } as { hello: string }) : { hello: name }),
  })
  test('plans nothing', () => {
    expect(query.changes).toBe(false)
  })
  test('does not run on an input that is not valid', async () => {
    expect((await failureOf(query.run({ name: 1 }, context))).code).toBe('invalid_input')
  })
  test('answers with the declared fields, and fails rather than add one', async () => {
    expect(await query.run({ name: 'Ada' }, context)).toEqual({ hello: 'Ada' })
    await expect(query.run({ name: 'odd' }, context)).rejects.toThrow()
  })
})

describe('a change', () => {
  const asked: unknown[] = []
  const change = changeOperation({
    summary: 'Changes something.',
    input,
    output: z.strictObject({ ...outcomeShape }),
    examples: [{ name: 'a' }],
    needsPerson: ({ groups }) => groups.includes('admins'),
    target: async ({ name }) => {
      asked.push(name)
      return { wanted: [], reconcilers: {}, tenants: [] }
    },
    report: (outcome) => outcomeFields(outcome),
  })
  test('has no way to act but the target that it states', async () => {
    expect(change.changes).toBe(true)
    expect(change).not.toHaveProperty('handler')
    expect(await change.run({ name: 'a' }, context)).toEqual({ applied: false, changes: [], receipts: [], manual_steps: [] })
  })
  test('states no target for an input that is not valid', async () => {
    asked.length = 0
    await failureOf(change.run({ name: 'a', extra: 1 }, context))
    expect(asked).toEqual([])
  })
  test('decides who must be asked from the parsed input, and refuses to decide from another', () => {
    expect(change.needsPerson?.({ name: 'a', groups: ['admins'] })).toBe(true)
    expect(change.needsPerson?.({ name: 'a' })).toBe(false)
    expect(() => change.needsPerson?.({ name: 'a', groups: 'admins' })).toThrow(expect.objectContaining({ code: 'invalid_input' }))
  })
  test('reports names of fields, never their values', () => {
    const fields = outcomeFields({
      ...nothing,
      changes: [{ action: 'update', kind: 'group', key: 'a', fields: [{ field: 'description', from: 'planted', to: 'planted' }] }],
    })
    expect(JSON.stringify(fields)).not.toContain('planted')
    expect(fields.changes).toEqual([{ action: 'update', kind: 'group', key: 'a', fields: ['description'] }])
  })
})

test('of the safety classes only read promises to change nothing, and only destructive warns', () => {
  const classes = Object.entries(SAFETY)
  expect(classes.filter(([, { readOnlyHint }]) => readOnlyHint).map(([name]) => name)).toEqual(['read'])
  expect(classes.filter(([, { destructiveHint }]) => destructiveHint).map(([name]) => name)).toEqual(['destructive'])
})
