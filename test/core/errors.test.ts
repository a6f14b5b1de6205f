/** The table of errors and the one class: codes, exit statuses, problems with their places, ours found inside others. */
import { describe, expect, test } from 'vitest'
import { ERRORS, EXIT_INTERRUPTED, invalidInput, isToolkitError, Problems, ToolkitError, toolkitErrorIn } from '../../core/errors.js'

/** House, section 6, and decision 51; written out so that a changed status is seen in review. */
const EXITS = {
  invalid_input: 2,
  not_configured: 2,
  not_found: 3,
  conflict: 3,
  ambiguous: 3,
  owned_elsewhere: 3,
  unauthenticated: 4,
  forbidden: 4,
  token_refused: 4,
  rate_limited: 5,
  unavailable: 5,
  unexpected_response: 5,
  unsupported: 6,
  not_converged: 7,
  declined: 8,
  partial: 9,
  internal: 70,
}
const rows = Object.entries(ERRORS)

describe('the table', () => {
  test('every code leaves with the status that the handbook gives it, and there is no other code', () => {
    expect(Object.fromEntries(rows.map(([code, { exit }]) => [code, exit]))).toEqual(EXITS)
  })
  test.for(rows)('%s has a status that no shell uses for itself, and a meaning', ([, { exit, meaning }]) => {
    expect(exit).toBeGreaterThan(1)
    expect(exit).toBeLessThan(126)
    expect(meaning).toMatch(/^[a-z].{10,}[^.]$/)
  })
  test('Ctrl-C leaves with 128 + SIGINT', () => {
    expect(EXIT_INTERRUPTED).toBe(130)
  })
})

describe('the class', () => {
  const error = new ToolkitError('not_found', 'group data does not exist', { kind: 'group', key: 'data' }, 'create it')
  test('an error carries code, details and the next thing to do', () => {
    expect(error).toMatchObject({ name: 'ToolkitError', code: 'not_found', details: { kind: 'group', key: 'data' }, hint: 'create it' })
    expect(error).toBeInstanceOf(Error)
  })
  test('it is told from other errors, and from other codes', () => {
    expect(isToolkitError(error)).toBe(true)
    expect(isToolkitError(error, 'not_found')).toBe(true)
    expect(isToolkitError(error, 'conflict')).toBe(false)
    expect(isToolkitError(new Error('not_found'))).toBe(false)
    expect(isToolkitError({ ...error })).toBe(false)
    expect(isToolkitError(undefined)).toBe(false)
  })
})

describe('problems', () => {
  test('every problem is told at once, each with its place and what was found', () => {
    const problems = new Problems()
    problems.add('groups[2]', 'no slash', 'a/b')
    problems.add('--callback-port', 'a port')
    const error = caught(() => problems.throwIfAny('the input'))
    expect(error.message).toBe('the input is not valid:\n  groups[2]: no slash (found a/b)\n  --callback-port: a port')
    expect(error.details).toEqual({
      problems: [
        { path: 'groups[2]', expected: 'no slash', found: 'a/b' },
        { path: '--callback-port', expected: 'a port' },
      ],
    })
  })
  test('nothing is thrown when nothing is wrong', () => {
    expect(() => new Problems().throwIfAny('the input')).not.toThrow()
  })
  test('an invalid input leaves with 2', () => {
    expect(ERRORS[invalidInput('x', [{ path: 'a', expected: 'b' }]).code].exit).toBe(2)
  })
})

describe('ours inside another error', () => {
  const ours = new ToolkitError('unavailable', 'gone', { system: 's', reason: 'deadline' })
  const wrappers: [string, unknown][] = [
    ['itself', ours],
    ['the cause of an error', new Error('fetch failed', { cause: ours })],
    ['the cause of a cause', new TypeError('outer', { cause: new Error('inner', { cause: ours }) })],
    ['the customError of oauth4webapi', Object.assign(new Error('outer'), { customError: ours })],
  ]
  test.for(wrappers)('is found as %s', ([, wrapped]) => {
    expect(toolkitErrorIn(wrapped)).toBe(ours)
  })
  test.for([undefined, null, 'text', new Error('plain'), { cause: 'text' }])('is not found in %s', (error) => {
    expect(toolkitErrorIn(error)).toBeUndefined()
  })
  test('an error that is its own cause ends the search', () => {
    const circle = new Error('circle')
    circle.cause = circle
    expect(toolkitErrorIn(circle)).toBeUndefined()
  })
})

function caught(work: () => void): ToolkitError {
  try {
    work()
  } catch (error) {
    if (isToolkitError(error)) return error
    throw error
  }
  throw new Error('it did not throw')
}
