/** The registry's environment file: a shell reads back what was meant, lines of others stay, no secret is in a plan. */
import { execFileSync } from 'node:child_process'
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { converge, renderPlan } from '../../core/converge.js'
import { WriteLatch } from '../../core/http.js'
import type { Wanted } from '../../core/plan.js'
import { Secret } from '../../core/secret.js'
import { secretFile } from '../../core/secret-file.js'
import { registryEnvironment } from '../../setup/environment-file.js'
import { failureOf } from '../fakes/door.js'
import { temporaryFolder } from '../fakes/folder.js'

const SECRET = `it's "a" $secret \`id\` \\ #1`

/** A folder with a client's secret in its file, and the environment that wants it. */
async function place({
  settings = { KEYCLOAK_REALM: 'mcp-gateway' },
  saved = SECRET,
}: {
  settings?: Record<string, string>
  saved?: string
} = {}) {
  const folder = temporaryFolder()
  const sink = secretFile(join(folder, 'web.json'), { identity_name: 'web', auth_provider: 'keycloak' })
  if (saved !== '') await sink.save(new Secret(saved), 'web')
  const path = join(folder, 'registry.env')
  const spec = { path, settings, secrets: { KEYCLOAK_CLIENT_SECRET: sink.place } }
  const wanted: Wanted = { kind: 'registry-environment', key: path, ensure: 'present', spec }
  const plans: string[] = []
  const run = (planOnly = false) =>
    converge(
      { wanted: [wanted], reconcilers: { 'registry-environment': registryEnvironment(spec, [sink]) }, tenants: [] },
      {
        latch: new WriteLatch(),
        planOnly,
        onPlan: (plan) => plans.push(...renderPlan(plan)),
        approve: async (plan) => plans.push(...renderPlan(plan)) > 0,
        lock: (_, work) => work(),
      },
    )
  return { path, sink, plans, run, text: () => readFileSync(path, 'utf8') }
}
/** What a shell has after sourcing the file. */
function sourced(path: string, name: string): string {
  return execFileSync('sh', ['-euc', `. "$1"; printf %s "$${name}"`, 'sh', path], { encoding: 'utf8' })
}

test('is made 0600 with the settings and the secrets of the files, and then it is as it should be', async () => {
  const { path, run } = await place()
  expect(await run()).toMatchObject({ applied: true, changes: [{ action: 'create' }] })
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect([sourced(path, 'KEYCLOAK_REALM'), sourced(path, 'KEYCLOAK_CLIENT_SECRET')]).toEqual(['mcp-gateway', SECRET])
  const { ino } = statSync(path)
  expect(await run()).toMatchObject({ applied: false, changes: [] })
  expect(statSync(path).ino).toBe(ino)
})

test.each(['plain', 'two words', "it's", '$HOME `id` $(id)', 'a=b', '=a', '\\', '"', '#no comment', 'ü', '!'])(
  'gives a shell the value %j as it is, and knows it again',
  async (value) => {
    const { path, run } = await place({ settings: { VALUE: value } })
    await run()
    expect(sourced(path, 'VALUE')).toBe(value)
    expect(await run()).toMatchObject({ changes: [] })
  },
)

describe('a file that is there', () => {
  test('keeps the lines of others, in their order', async () => {
    const { path, run, text } = await place()
    writeFileSync(path, '# mine\nOTHER=1\nKEYCLOAK_REALM=old\nexport LATER="a b"\n', { mode: 0o600 })
    const { changes } = await run()
    expect(changes.map(({ action, fields }) => [action, fields.map(({ field }) => field)])).toEqual([['update', ['settings', 'secrets']]])
    expect(text().split('\n').slice(0, 3)).toEqual(['# mine', 'OTHER=1', 'export LATER="a b"'])
    expect([sourced(path, 'OTHER'), sourced(path, 'LATER'), sourced(path, 'KEYCLOAK_REALM')]).toEqual(['1', 'a b', 'mcp-gateway'])
    expect(await run()).toMatchObject({ changes: [] })
  })
  test('that lacks a value, or holds another, is told so, and neither secret is shown', async () => {
    const { path, plans, run } = await place()
    writeFileSync(path, 'KEYCLOAK_CLIENT_SECRET=the-secret-of-another-day\n', { mode: 0o600 })
    await run(true)
    expect(plans.join('\n')).toMatch(/settings: KEYCLOAK_REALM=\(missing\) -> KEYCLOAK_REALM=mcp-gateway/)
    expect(plans.join('\n')).toMatch(/secrets: KEYCLOAK_CLIENT_SECRET=\(another value\) -> KEYCLOAK_CLIENT_SECRET=\/.*web\.json/)
    for (const secret of [SECRET, 'the-secret-of-another-day']) expect(plans.join('\n')).not.toContain(secret)
  })
  test('that lacks a secret alone is told so', async () => {
    const { path, plans, run } = await place()
    writeFileSync(path, 'KEYCLOAK_REALM=mcp-gateway\n', { mode: 0o600 })
    await run(true)
    expect(plans).toEqual([`~ registry-environment ${path}`, expect.stringMatching(/^ {4}secrets: KEYCLOAK_CLIENT_SECRET=\(missing\) -> /)])
  })
  test('is mended when the secret of its file is another by now', async () => {
    const { path, sink, run } = await place()
    await run()
    await sink.save(new Secret('a rotated secret'), 'web')
    expect(await run()).toMatchObject({ changes: [{ action: 'update', fields: [{ field: 'secrets' }] }] })
    expect(sourced(path, 'KEYCLOAK_CLIENT_SECRET')).toBe('a rotated secret')
  })
  test('becomes 0600 when it is written', async () => {
    const { path, run } = await place()
    writeFileSync(path, 'OTHER=1\n')
    chmodSync(path, 0o644)
    await run()
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })
})

test('is not written while the secret it needs is saved nowhere', async () => {
  const { path, run } = await place({ saved: '' })
  expect(await failureOf(run())).toMatchObject({ code: 'not_found', message: expect.stringContaining('web.json') })
  expect(() => statSync(path)).toThrow('ENOENT')
})
