/** What every run of the main job promises, as assertions, and how often each was held. */
import { expect } from 'vitest'
import type { Ran } from '../live/product.js'
import { numbered } from './main-job.js'
import { holders, leaks, secretsOf } from './secrets.js'

const MINUTE = 60_000
const UNWANTED = /NOTICE|WARNING|ExperimentalWarning/

/** Of this file's run: whole runs, outputs searched, and the most secrets and files that one home had. */
export const counts = { runs: 0, outputs: 0, secrets: 0, files: 0 }

/** Nine steps, each once, in order, and nothing on standard error. */
export function expectNineSteps({ exit, stdout, stderr }: Pick<Ran, 'exit' | 'stdout' | 'stderr'>): void {
  expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' })
  expect(numbered(stdout).map((line) => Number.parseInt(line, 10))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
}

/** A run that did all of it, and told nobody a secret. */
export async function expectWhole(home: string, ran: Ran): Promise<void> {
  expectNineSteps(ran)
  expect(ran.ms).toBeLessThan(MINUTE)
  counts.runs++
  await expectDiscreet(home, ran)
}

/** Neither a secret of the home nor a warning of a library in what a run printed. */
export async function expectDiscreet(home: string, { stdout, stderr }: Pick<Ran, 'stdout' | 'stderr'>): Promise<void> {
  const secrets = await secretsOf(home)
  expect(leaks(stdout + stderr, secrets)).toEqual([])
  expect(stdout + stderr).not.toMatch(UNWANTED)
  counts.outputs++
}

/** Every file in which a secret of the home stands is 0600; returns the files. */
export async function expectPrivate(home: string): Promise<string[]> {
  const secrets = await secretsOf(home)
  const found = await holders(home, secrets)
  expect(found.filter(({ mode }) => mode !== '600')).toEqual([])
  // Each secret was found where it was read from, so the search sees.
  expect(new Set(found.flatMap((holder) => holder.secrets)).size).toBe(secrets.length)
  counts.secrets = Math.max(counts.secrets, secrets.length)
  counts.files = Math.max(counts.files, found.length)
  return found.map(({ file }) => file).sort()
}
