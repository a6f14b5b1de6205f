/**
 * Before the live tests: the built CLI, and one Keycloak on a port of its own; stopped by its pid afterwards.
 * RIG_KEYCLOAK_URL, RIG_KEYCLOAK_USER and RIG_KEYCLOAK_PASSWORD name a server that already runs, for quick work at the desk.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { TestProject } from 'vitest/node'
import { type KeycloakServer, startKeycloak } from './server.js'

declare module 'vitest' {
  interface ProvidedContext {
    keycloak: KeycloakServer
  }
}

const project = resolve(import.meta.dirname, '../../..')
const CLI = 'dist/cli/main.js'
/** What tsconfig.build.json compiles. */
const SOURCES = ['core', 'idp', 'ide', 'registry', 'setup', 'credentials-provider', 'mcp-server', 'cli', 'toolkit'] as const

export default async function setup(run: TestProject): Promise<() => Promise<void>> {
  buildCli()
  const named = namedServer()
  if (named) {
    console.log(`Keycloak at ${named.url}, started by someone else`)
    run.provide('keycloak', named)
    return async () => {}
  }
  const { server, stop } = await startKeycloak()
  console.log(`Keycloak ${server.version} at ${server.url}`)
  run.provide('keycloak', server)
  return stop
}

/** Live tests run dist/cli/main.js. At the desk a build that fails is told and the tests that need it fail by themselves. */
function buildCli(): void {
  if (newest([CLI]) >= newest(SOURCES)) return
  const { status } = spawnSync('npm', ['run', '--silent', 'build'], { cwd: project, stdio: ['ignore', 'inherit', 'inherit'] })
  if (status === 0) return
  if (process.env['CI'] === 'true') throw new Error(`npm run build ended with ${status}`)
  console.warn(`npm run build ended with ${status}; tests that run dist/cli/main.js will fail`)
}

/** The latest change below these paths, milliseconds since 1970; 0 when there is nothing. */
function newest(paths: readonly string[]): number {
  const times = paths.flatMap((path) => {
    const full = resolve(project, path)
    if (!existsSync(full)) return []
    const files = statSync(full).isDirectory()
      ? readdirSync(full, { recursive: true, encoding: 'utf8' }).map((file) => join(full, file))
      : [full]
    return files.map((file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0)
  })
  return Math.max(0, ...times)
}

function namedServer(): KeycloakServer | undefined {
  const { RIG_KEYCLOAK_URL: url, RIG_KEYCLOAK_USER: adminUser, RIG_KEYCLOAK_PASSWORD: adminPassword } = process.env
  if (!url) return undefined
  if (!adminUser || !adminPassword) throw new Error('RIG_KEYCLOAK_URL needs RIG_KEYCLOAK_USER and RIG_KEYCLOAK_PASSWORD too')
  return { url, adminUser, adminPassword, version: 'unknown' }
}
