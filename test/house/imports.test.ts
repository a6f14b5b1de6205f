/**
 * The import rules can fail: a small tree with one violation of every rule is cruised, and each is found. The real tree
 * is checked by `npm run imports`, and here, so that `npm test` alone tells.
 */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { temporaryFolder } from '../fakes/folder.js'

const project = resolve(import.meta.dirname, '..', '..')
const config = join(project, '.dependency-cruiser.cjs')
const { forbidden } = createRequire(import.meta.url)(config) as { forbidden: { name: string }[] }

interface Violation {
  readonly rule: { readonly name: string }
  readonly from: string
  readonly to: string
}

async function cruise(folder: string): Promise<{ violations: Violation[]; modules: number }> {
  const cli = join(project, 'node_modules', 'dependency-cruiser', 'bin', 'dependency-cruise.mjs')
  const rooms = ROOMS.filter((room) => existsSync(join(folder, room)))
  const report = await new Promise<string>((settle) => {
    const options = { cwd: folder, maxBuffer: 50_000_000 }
    // A violation is an exit status above 0; the report is on stdout all the same, and the reason why there is none on stderr.
    execFile(process.execPath, [cli, '--config', config, '--output-type', 'json', ...rooms], options, (_error, out, why) =>
      settle(out || why),
    )
  })
  const { summary } = JSON.parse(report) as { summary: { violations: Violation[]; totalCruised: number } }
  return { violations: summary.violations, modules: summary.totalCruised }
}

function plant(files: Readonly<Record<string, string>>): string {
  const folder = temporaryFolder()
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  writeFileSync(join(folder, 'tsconfig.json'), '{"compilerOptions":{"module":"NodeNext","moduleResolution":"NodeNext"}}')
  return folder
}

/** A package that exists in the planted tree, so that its import resolves. */
const packages = (...names: string[]) =>
  Object.fromEntries(
    names.flatMap((name) => [
      [`node_modules/${name}/package.json`, JSON.stringify({ name, version: '1.0.0', main: 'index.js' })],
      [`node_modules/${name}/index.js`, ''],
    ]),
  )

const uses = (...paths: string[]) =>
  `${paths.map((path, index) => `import * as a${index} from '${path}'\nvoid a${index}`).join('\n')}\nexport type T = string\n`
const ROOMS = ['core', 'idp', 'ide', 'registry', 'setup', 'credentials-provider', 'mcp-server', 'cli', 'toolkit', 'examples']
const OWNED = [
  '@keycloak/x',
  '@okta/x',
  '@azure/x',
  '@microsoft/x',
  '@aws-sdk/x',
  'auth0',
  'oidc-provider',
  '@modelcontextprotocol/x',
  'undici',
  'commander',
  '@clack/x',
  'zx',
]

/** What each rule must find: the file at fault and what it imports. */
const VIOLATIONS: readonly [string, string, string][] = [
  ['core-is-pure', 'core/bad-idp.ts', '../idp/index.js'],
  ['core-is-pure', 'core/bad-package.ts', 'kysely'],
  ['adapters-know-core-only', 'idp/keycloak/bad.ts', '../../registry/client.js'],
  ['vendors-do-not-meet', 'idp/keycloak/bad-vendor.ts', '../embedded/store.js'],
  ['adapters-by-the-front-door', 'setup/bad-door.ts', '../idp/keycloak/adapter.js'],
  ['features-do-not-meet', 'ide/bad.ts', '../registry/client.js'],
  ['features-do-not-meet', 'registry/bad.ts', '../ide/redirects.js'],
  ['setup-meets-ide-only', 'setup/bad.ts', '../registry/client.js'],
  ['features-look-down', 'registry/bad-up.ts', '../toolkit/context.js'],
  ['features-look-down', 'setup/bad-entry.ts', './idp/script.js'],
  ['toolkit-looks-down', 'toolkit/bad.ts', '../cli/run.js'],
  ['mcp-server-looks-down', 'mcp-server/bad.ts', '../cli/run.js'],
  ['cli-starts-mcp-late', 'cli/bad.ts', '../mcp-server/server.js'],
  ['servers-are-started-in-one-place', 'toolkit/bad-server.ts', '../registry/server/start.js'],
  ['examples-use-the-public-door', 'examples/bad.ts', '../core/secret.js'],
  ...OWNED.map((name): [string, string, string] => {
    const [scope = ''] = name.split('/')
    return [`one-place-knows-${scope.replace('@', '')}`, `toolkit/bad-${scope.replace('@', '')}.ts`, name]
  }),
  ['no-circles', 'toolkit/circle-a.ts', './circle-b.js'],
  ['nothing-unresolved', 'toolkit/nowhere.ts', './not-there.js'],
  ['ships-what-it-imports', 'toolkit/bad-dev.ts', 'fast-check'],
]

const MODULES = [
  'core/secret.ts',
  'idp/index.ts',
  'idp/oauth.ts',
  'idp/keycloak/adapter.ts',
  'idp/embedded/store.ts',
  'idp/dcr/metadata.ts',
  'ide/redirects.ts',
  'registry/client.ts',
  'registry/server/start.ts',
  'setup/idp/script.ts',
  'toolkit/context.ts',
  'toolkit/index.ts',
  'cli/run.ts',
  'mcp-server/server.ts',
  'credentials-provider/mint.ts',
]
const base = {
  ...Object.fromEntries(MODULES.map((path) => [path, 'export type T = string\n'])),
  ...packages(...OWNED, 'kysely', 'zod', 'fast-check'),
  'package.json': JSON.stringify({
    dependencies: Object.fromEntries([...OWNED, 'kysely', 'zod'].map((name) => [name, '1'])),
    devDependencies: { 'fast-check': '1' },
  }),
}

describe('every import rule', () => {
  test('has a planted violation', () => {
    expect(new Set(VIOLATIONS.map(([name]) => name))).toEqual(new Set(forbidden.map(({ name }) => name)))
  })

  test('finds its violation, and each file at fault is found for that reason', { timeout: 60_000 }, async () => {
    const planted = Object.fromEntries(VIOLATIONS.map(([, file, imported]) => [file, uses(imported)]))
    const folder = plant({ ...base, ...planted, 'toolkit/circle-b.ts': uses('./circle-a.js') })
    const { violations } = await cruise(folder)
    const found = violations.map(({ rule, from }) => `${rule.name}: ${from}`)
    for (const [name, file] of VIOLATIONS) expect(found).toContain(`${name}: ${file}`)
  })

  test('counts an import of a type alone', { timeout: 60_000 }, async () => {
    const folder = plant({ ...base, 'core/bad.ts': "import type { T } from '../toolkit/index.js'\nexport type U = T\n" })
    const { violations } = await cruise(folder)
    expect(violations.map(({ rule, from }) => [rule.name, from])).toEqual([['core-is-pure', 'core/bad.ts']])
  })

  test('lets through what the house allows', { timeout: 60_000 }, async () => {
    const folder = plant({
      ...base,
      'core/http.ts': uses('undici', 'zod', 'node:crypto', './secret.js'),
      'idp/keycloak/connect.ts': uses('@keycloak/x', '../oauth.js', '../../core/secret.js'),
      'idp/embedded/adapter.ts': uses('oidc-provider', '../dcr/metadata.js'),
      'registry/reconcilers.ts': uses('../core/secret.js', '../idp/index.js', '../idp/oauth.js'),
      'setup/recipes.ts': uses('../ide/redirects.js', '../idp/index.js'),
      'setup/idp/keycloak/setup-ide-public-client.ts': uses('../script.js', 'zx', '../../../toolkit/index.js'),
      'toolkit/operations.ts': uses('../registry/client.js', '../ide/redirects.js', '../credentials-provider/mint.js'),
      'mcp-server/tools.ts': uses('@modelcontextprotocol/x', '../toolkit/context.js'),
      'cli/mcp-command.ts': "export const serve = () => import('../mcp-server/server.js')\n",
      'cli/world.ts': uses('../registry/server/start.js', '../idp/embedded/store.js', '../mcp-server/server.js'),
      'examples/good.ts': uses('../toolkit/index.js', 'node:fs'),
    })
    const { violations, modules } = await cruise(folder)
    expect(violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`)).toEqual([])
    expect(modules).toBeGreaterThan(20)
  })
})

test('the tree keeps every rule', { timeout: 60_000 }, async () => {
  const { violations, modules } = await cruise(project)
  expect(violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`)).toEqual([])
  expect(modules).toBeGreaterThan(100)
})
