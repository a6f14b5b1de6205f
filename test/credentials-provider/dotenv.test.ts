/** Variables for shells and dotenv readers, and the documented `.env` beside a token file. */
import { execFileSync } from 'node:child_process'
import { chmodSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { describe, expect, test } from 'vitest'
import { Secret } from '../../core/secret.js'
import { renderDotenv } from '../../credentials-provider/dotenv.js'
import { envFileName, refuseEnvClashes, saveEnvFile } from '../../credentials-provider/env-file.js'
import type { IdentityEntry } from '../../credentials-provider/identities.js'
import type { Identity } from '../../idp/tokens.js'
import { temporaryFolder } from '../fakes/folder.js'

const agent: Identity = {
  identity_name: 'reporter',
  auth_provider: 'keycloak',
  client_id: 'reporter-client',
  fields: { keycloak_url: 'https://kc.example.com', keycloak_realm: 'staff' },
}
const entry = (identity: Identity, place: string) => ({ identity, place }) as IdentityEntry

describe('a variable', () => {
  test.each([
    ['plain', "'plain'"],
    ["it's", "'it'\\''s'"],
    ['$(id) `id` \\', "'$(id) `id` \\'"],
    ['', "''"],
    ['two\nlines', "'two\nlines'"],
  ])('%j stands in single quotes', (value, quoted) => {
    expect(renderDotenv({ VALUE: value })).toBe(`VALUE=${quoted}\n`)
    expect(renderDotenv({ VALUE: value }, { isExported: true })).toBe(`export VALUE=${quoted}\n`)
  })

  test('with a NUL, which no shell can hold, is refused by name without its value', () => {
    const render = () => renderDotenv({ ACCESS_TOKEN: 'hidden\0value' })
    expect(render).toThrow(/ACCESS_TOKEN: a value without NUL/)
    expect(render).not.toThrow(/hidden/)
  })

  test('without a quote in it is read alike by dotenv readers', () => {
    const variables = { A: 'eyJ0.eyJ1.c2ln', B: '$HOME #no comment', C: 'two\nlines', D: '' }
    expect(parseEnv(renderDotenv(variables))).toEqual(variables)
    expect(parseEnv(renderDotenv(variables, { isExported: true }))).toEqual(variables)
  })
})

describe('the .env file of a token', () => {
  test('has the documented variables as export lines, and no secret of the client', async () => {
    const folder = temporaryFolder()
    await saveEnvFile(join(folder, 'agent-reporter-token.json'), agent, new Secret('the.access.token'))
    const path = join(folder, 'agent-reporter.env')
    expect(readdirSync(folder)).toEqual(['agent-reporter.env'])
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readFileSync(path, 'utf8').split('\n')).toEqual([
      "export ACCESS_TOKEN='the.access.token'",
      "export CLIENT_ID='reporter-client'",
      "export KEYCLOAK_URL='https://kc.example.com'",
      "export KEYCLOAK_REALM='staff'",
      "export AUTH_PROVIDER='keycloak'",
      '',
    ])
    const told = execFileSync('sh', ['-euc', '. "$1"; env', 'sh', path], { env: {}, encoding: 'utf8' })
    expect(told).toContain('ACCESS_TOKEN=the.access.token\n')
  })

  test('has a name of its own for each provider', () => {
    expect(envFileName(agent)).toBe('agent-reporter.env')
    expect(envFileName({ ...agent, identity_name: 'agent-reporter' })).toBe('agent-reporter.env')
    expect(envFileName({ ...agent, auth_provider: 'oidc', fields: { issuer: 'https://idp.example.com' } })).toBe('reporter.env')
  })

  test('that says the same is not written again; one that others may read is', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'agent-reporter.env')
    const save = () => saveEnvFile(join(folder, 'agent-reporter-token.json'), agent, new Secret('the.access.token'))
    await save()
    const first = statSync(path).ino
    await save()
    expect(statSync(path).ino).toBe(first)
    chmodSync(path, 0o644)
    await save()
    expect(statSync(path).ino).not.toBe(first)
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  test('is refused where a link stands, and what it leads to stays as it is', async () => {
    const folder = temporaryFolder()
    const victim = join(temporaryFolder(), 'victim')
    writeFileSync(victim, 'untouched')
    symlinkSync(victim, join(folder, 'agent-reporter.env'))
    const save = saveEnvFile(join(folder, 'agent-reporter-token.json'), agent, new Secret('the.access.token'))
    await expect(save).rejects.toMatchObject({ code: 'invalid_input', message: expect.stringContaining('a symbolic link') })
    expect(readFileSync(victim, 'utf8')).toBe('untouched')
  })

  test('is nobody else’s: two identities that would share one are refused, whatever their case', () => {
    const other = { ...agent, identity_name: 'Agent-Reporter', auth_provider: 'oidc' } as const
    expect(() => refuseEnvClashes([entry(agent, 'a.json:1:1'), entry(other, 'b.json:1:1')])).toThrow(/b\.json:1:1[\s\S]*a\.json:1:1/)
    expect(() => refuseEnvClashes([entry(agent, 'a.json:1:1'), entry({ ...agent, identity_name: 'x' }, 'b.json:1:1')])).not.toThrow()
  })
})
