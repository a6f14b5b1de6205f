/**
 * The handbook's fixtures for tests. It lies outside the repository; MCP_IDP_HANDBOOK names it, `../shared` otherwise.
 * Without it the tests that need it are skipped by name, with the reason.
 */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, test } from 'vitest'

const project = resolve(import.meta.dirname, '..')
const root = resolve(project, process.env['MCP_IDP_HANDBOOK'] ?? '../shared')

/** Whether the handbook is there. */
export const hasHandbook = existsSync(join(root, 'design', 'house.md'))

/** The absolute path of a page or fixture, e.g. `handbook('fixtures/registry/groups.json')`. */
export function handbook(path: string): string {
  return join(root, path)
}

/**
 * A `describe` whose tests read the handbook. Without it the body is not run (it may read files while collecting);
 * one skipped test carries the title and the reason.
 */
export function describeWithHandbook(title: string, body: () => void): void {
  if (hasHandbook) describe(title, body)
  else test.skip(`${title} (no handbook at ${process.env['MCP_IDP_HANDBOOK'] ?? '../shared'}; set MCP_IDP_HANDBOOK)`)
}
