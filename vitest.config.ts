/**
 * Two projects: `node` needs nothing but Node and runs on every change; `live` talks to real servers on this machine.
 * Live files share one Keycloak a run and keep apart by making a realm each.
 */
import { defineConfig } from 'vitest/config'
import { countsReporter } from './test/reporter.js'

export default defineConfig({
  test: {
    reporters: ['default', countsReporter()],
    teardownTimeout: 30_000,
    projects: [
      {
        test: {
          name: 'node',
          include: ['test/**/*.test.ts'],
          exclude: ['test/live/**'],
          // Many shows wait for processes of theirs: one worker would wait with them.
          maxWorkers: 2,
          // Generous: a busy machine of two cores must not turn a promise red.
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'live',
          include: ['test/live/**/*.test.ts'],
          globalSetup: ['test/live/rig/global-setup.ts'],
          maxWorkers: 2,
          // Vitest wants a group of its own for a project with its own number of workers.
          sequence: { groupOrder: 1 },
          // A realm alone may take many seconds on a busy machine.
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
})
