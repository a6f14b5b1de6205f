/** How finished steps are told: one line that is overwritten at a terminal, lines into a pipe, NDJSON for programs. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { stepTeller } from '../../cli/progress.js'
import type { StepDone } from '../../core/apply.js'
import { Secret } from '../../core/secret.js'
import { type BuiltCli, buildCli } from './built.js'
import { startWorld, type TestWorld } from './world.js'

/** A terminal or a pipe that remembers what it was given. */
function stream(isTTY: boolean, columns?: number) {
  const written: string[] = []
  const out = { isTTY, columns, write: (text: string) => written.push(text) > 0 } as unknown as NodeJS.WriteStream
  return { out, text: () => written.join('') }
}
const step = (count: number, total: number): StepDone => ({ done: 'created', kind: 'group', key: `group-${count}`, count, total })
const BACK = '\r\u001b[K'

describe('at a terminal', () => {
  test('many steps are one line that is overwritten, and it ends at the beginning of a line', () => {
    const { out, text } = stream(true, 80)
    const teller = stepTeller(false, out)
    for (const count of [1, 2, 30]) teller.step(step(count, 30))
    expect(text()).toBe([1, 2, 30].map((count) => `${BACK}created group group-${count} (${count} of 30)`).join(''))
    teller.end()
    teller.end()
    expect(text().endsWith('(30 of 30)\n')).toBe(true)
    expect(text().split('\n')).toHaveLength(2)
  })
  test('a remark stands on a line of its own, and the next step below it', () => {
    const { out, text } = stream(true, 80)
    const teller = stepTeller(false, out)
    teller.step(step(1, 30))
    teller.note('waiting')
    teller.step(step(2, 30))
    expect(text()).toBe(`${BACK}created group group-1 (1 of 30)${BACK}waiting\n${BACK}created group group-2 (2 of 30)`)
  })
  test('a line never runs over the edge, where it could not be overwritten', () => {
    const { out, text } = stream(true, 24)
    stepTeller(false, out).step(step(7, 30))
    expect(text()).toBe(`${BACK}${'created group group-7 (7 of 30)'.slice(0, 23)}`)
  })
  test('a few steps are a list', () => {
    const { out, text } = stream(true, 80)
    for (const count of [1, 2]) stepTeller(false, out).step(step(count, 2))
    expect(text()).toBe('created group group-1 (1 of 2)\ncreated group group-2 (2 of 2)\n')
  })
})

test('into a pipe every step is a line, without control characters', () => {
  const { out, text } = stream(false)
  const teller = stepTeller(false, out)
  for (const count of [1, 2, 30]) teller.step(step(count, 30))
  teller.note('waiting')
  teller.end()
  expect(text()).toBe(
    [1, 2, 30]
      .map((count) => `created group group-${count} (${count} of 30)\n`)
      .join('')
      .concat('waiting\n'),
  )
})

test.each([true, false])('with --json every step and remark is one JSON document on a line (terminal: %s)', (isTTY) => {
  const { out, text } = stream(isTTY, 20)
  const teller = stepTeller(true, out)
  teller.step(step(1, 30))
  teller.note('two\nlines')
  teller.end()
  const lines = text().split('\n')
  expect(lines.pop()).toBe('')
  expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
    { event: 'step', ...step(1, 30) },
    { event: 'note', text: 'two\nlines' },
  ])
})

test('a secret that slipped into a step is masked', () => {
  const secret = new Secret('a secret nobody should see')
  for (const json of [true, false]) {
    const { out, text } = stream(false)
    const teller = stepTeller(json, out)
    teller.note(`it is ${secret.reveal()}`)
    teller.end()
    expect(text()).toContain('it is [secret]')
  }
})

describe('a command with --json', () => {
  let built: BuiltCli
  let world: TestWorld
  beforeAll(async () => {
    built = buildCli()
    world = await startWorld(built)
  })
  afterAll(async () => {
    await world?.stop()
    await built?.remove()
  })
  test('tells its steps on stderr, and stdout is one document', async () => {
    const words = ['setup', 'groups', '--idp', 'embedded', '--groups', 'one,two,three', '--yes', '--json']
    const { exit, stdout, stderr } = await world.cli(words)
    expect(exit).toBe(0)
    const document = JSON.parse(stdout) as object
    expect(stdout).toBe(`${JSON.stringify(document, null, 2)}\n`)
    const told = stderr
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { event: string; key: string; count: number; total: number })
    expect(told.map(({ event, count, total }) => `${event} ${count} of ${total}`)).toEqual(['step 1 of 3', 'step 2 of 3', 'step 3 of 3'])
    expect(told.map(({ key }) => key).toSorted()).toEqual(['one', 'three', 'two'])
  })
})
