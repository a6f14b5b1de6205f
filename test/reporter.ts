/**
 * The closing line of every test run: `N passed, N failed, N skipped`, alone on its line and last.
 * Skipped tests are named. With CI=true a skipped live test is a failure, since there the server it needs is ours to start.
 */
import { writeSync } from 'node:fs'
import type { Reporter, SerializedError, TestCase, TestModule } from 'vitest/node'

/** How a run ended, in tests; a module that does not load and an error outside any test count as one failure each. */
export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

/** One test as the count sees it. */
export interface Outcome {
  readonly name: string
  readonly project: string
  readonly state: 'passed' | 'failed' | 'skipped' | 'pending'
}

/** Adds outcomes up; a pending test never got to run, so it counts as failed. */
export function countOutcomes(outcomes: readonly Outcome[], otherFailures: number, strict: boolean): Counts {
  const counts = { passed: 0, failed: otherFailures, skipped: 0 }
  for (const { state, project } of outcomes) {
    if (state === 'pending' || (state === 'skipped' && strict && project === 'live')) counts.failed++
    else counts[state]++
  }
  return counts
}

/** The closing line. */
export function closingLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`
}

/** The vitest reporter; it prints when the process ends, after every other reporter and teardown. */
export function countsReporter(): Reporter {
  const strict = process.env['CI'] === 'true'
  let counts: Counts = { passed: 0, failed: 0, skipped: 0 }
  return {
    onInit() {
      process.once('exit', (status) => {
        // A run that fails before its tests (a global setup that throws) has no outcomes, and is a failure all the same.
        const told = status !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts
        writeSync(1, `${closingLine(told)}\n`)
      })
    },
    onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[]) {
      const outcomes = modules.flatMap((module) => [...module.children.allTests()].map(outcome))
      const brokenModules = modules.filter((module) => module.errors().length > 0)
      const brokenSuites = modules.flatMap((module) => [...module.children.allSuites()].filter((suite) => suite.errors().length > 0))
      counts = countOutcomes(outcomes, brokenModules.length + brokenSuites.length + errors.length, strict)
      for (const { name, project } of outcomes.filter(({ state }) => state === 'skipped')) {
        console.log(`skipped${strict && project === 'live' ? ' (a failure in CI)' : ''}: ${name}`)
      }
      if (counts.failed > 0) process.exitCode = 1
    },
  }
}

function outcome(test: TestCase): Outcome {
  const result = test.result()
  const note = result.state === 'skipped' && result.note ? ` (${result.note})` : ''
  return { name: test.fullName + note, project: test.project.name, state: result.state }
}
