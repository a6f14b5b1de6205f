/** What a schema finds wrong with an entry, in words for people: by the names of fields, and never by what stands in them. */
import type { z } from 'zod'
import type { Problem } from '../core/errors.js'
import { isNear } from '../core/near-word.js'

/** One field's problem; `field` is empty for the entry itself. */
export interface FieldProblem extends Omit<Problem, 'path'> {
  readonly field: string
}

/** A missing field is not told where a misspelt one is. */
export function fieldProblems(error: z.ZodError, row: Readonly<Record<string, unknown>>, schema: z.ZodObject): FieldProblem[] {
  const known = Object.keys(schema.shape)
  const misspelt = error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys' ? issue.keys.map((key) => ({ key, meant: known.find((one) => isNear(one, key)) })) : [],
  )
  const unknown = misspelt.map(({ key, meant }) => ({
    field: key,
    expected: meant === undefined ? `no such field; there are ${known.join(', ')}` : `no such field; did you mean ${meant}?`,
  }))
  const wrong = error.issues.flatMap((issue) => {
    const field = String(issue.path[0] ?? '')
    if (issue.code === 'unrecognized_keys' || misspelt.some(({ meant }) => meant === field)) return []
    const value = row[field]
    if (value === undefined) return [{ field, expected: meaningOf(schema, field), found: 'nothing' }]
    return [{ field, expected: expectedBy(issue, schema, field), found: typeName(value) }]
  })
  // The first of each field: what a name must be like says more than how it must not end.
  return [...new Map([...unknown, ...wrong].reverse().map((problem) => [problem.field, problem])).values()].reverse()
}

function expectedBy(issue: z.core.$ZodIssue, schema: z.ZodObject, field: string): string {
  switch (issue.code) {
    case 'invalid_type':
      return meaningOf(schema, field)
    case 'too_big':
      return `at most ${issue.maximum} characters`
    case 'too_small':
      return 'text that is not empty'
    default:
      return issue.message
  }
}

function meaningOf(schema: z.ZodObject, field: string): string {
  return (schema.shape[field] as z.ZodType | undefined)?.description ?? 'text'
}

function typeName(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  return { string: 'other text', number: 'a number', boolean: 'a boolean' }[typeof value as string] ?? 'an object'
}
