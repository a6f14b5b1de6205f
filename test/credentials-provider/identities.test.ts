/** Identities files: what each provider's entries look like, where files are looked for, and everything that is wrong with one, at once. */
import { execFileSync } from 'node:child_process'
import { chmodSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Problem } from '../../core/errors.js'
import { AUTH_PROVIDERS } from '../../core/vocabulary.js'
import { type IdentityEntry, type ReadingIdentities, readIdentities } from '../../credentials-provider/identities.js'
import { defaultFiles, readIdentityFiles } from '../../credentials-provider/identity-files.js'
import { identitiesOf } from '../../credentials-provider/operations.js'
import { failureOf } from '../fakes/door.js'
import { temporaryFolder } from '../fakes/folder.js'
import { DOCUMENTED, EXAMPLES, PLANTED } from './identity-examples.js'
import { isPlaceIn } from './places.js'

const reading: ReadingIdentities = { env: () => undefined, mayRefer: true }

function save(path: string, content: unknown, mode = 0o600): string {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content, null, 2))
  chmodSync(path, mode)
  return path
}

const file = (content: unknown, name = 'identities.json') => save(join(temporaryFolder(), name), content)
const names = (entries: readonly IdentityEntry[]) => entries.map(({ identity }) => `${identity.auth_provider} ${identity.identity_name}`)

/** What is told of a file, without its name; checks that each place is one of the file and that nothing of the secret is told. */
async function problemsOf(text: string, name = 'identities.json', by: ReadingIdentities = reading): Promise<string[]> {
  const path = file(text, name)
  const error = await failureOf(readIdentityFiles([path], by, join(dirname(path), 'tokens')))
  expect(error.code).toBe('invalid_input')
  expect(`${error.message} ${JSON.stringify(error.details)} ${error.hint} ${error.stack}`).not.toContain(PLANTED.slice(0, 8))
  const { problems } = error.details as { problems: readonly Problem[] }
  for (const { path: place } of problems) expect([place, isPlaceIn(place, text)]).toEqual([place, true])
  return problems.map(({ path: place, expected, found }) => `${place.replace(`${name}:`, '')}: ${expected}${found ? ` (${found})` : ''}`)
}

const oidc = (rest: object = {}) => ({ ...EXAMPLES.oidc[0], ...rest })
const without = (row: Readonly<Record<string, unknown>>, field: string) =>
  Object.fromEntries(Object.entries(row).filter(([name]) => name !== field))

describe('an identities file', () => {
  test.for(AUTH_PROVIDERS)('holds identities of %s', async (provider) => {
    const entries = await readIdentities(file(EXAMPLES[provider]), reading)
    expect(names(entries)).toEqual(EXAMPLES[provider].map(({ identity_name }) => `${provider} ${identity_name}`))
  })
  test('may mix all providers, and say one identity without a list', async () => {
    const all = Object.values(EXAMPLES).flat()
    expect(await readIdentities(file(all), reading)).toHaveLength(all.length)
    expect(names(await readIdentities(file(oidc()), reading))).toEqual(['oidc oidc-one'])
  })
  test.for(Object.entries(DOCUMENTED))('is valid as the documents have it: %s', async ([name, content]) => {
    const entries = await readIdentities(file(content, name), reading)
    expect(names(entries)).toEqual(name.startsWith('agent-') ? ['keycloak my-ai-agent'] : ['entra cursor-assistant', 'entra ci-pipeline'])
    const [entry] = entries
    expect((await entry?.credential())?.client_secret?.reveal()).toBe(PLANTED)
  })
  test('of Keycloak may hold further fields, which are carried nowhere', async () => {
    const [entry] = await readIdentities(file({ ...EXAMPLES.keycloak[0], old_secret: PLANTED, agent_name: 7 }), reading)
    expect(Object.keys(entry?.identity.fields ?? {})).toEqual(['keycloak_url', 'keycloak_realm'])
  })
  test('takes values from flags before its own, where the provider knows the field', async () => {
    const entries = await readIdentities(file([EXAMPLES.keycloak[0], oidc()]), {
      ...reading,
      overrides: { keycloak_url: 'https://other.example.com' },
    })
    expect(entries.map(({ identity }) => identity.fields['keycloak_url'])).toEqual(['https://other.example.com', undefined])
  })
  test('may begin with a byte order mark', async () => {
    expect(await readIdentities(file(`\ufeff${JSON.stringify(oidc())}`), reading)).toHaveLength(1)
  })
  test('that is not there is told with what to do', async () => {
    const path = join(temporaryFolder(), 'none.json')
    expect(await failureOf(readIdentities(path, reading))).toMatchObject({ code: 'not_found', details: { kind: 'file', key: path } })
  })
  test('that is empty, or is a saved token, holds no identity', async () => {
    for (const content of [[], { access_token: 'x', client_id: 'y' }]) {
      const path = file(content)
      const around = { home: temporaryFolder(), env: () => undefined, settings: () => undefined }
      expect(await failureOf(identitiesOf({ identities_file: path }, around))).toMatchObject({ code: 'not_found', details: { key: path } })
    }
  })
  test('of 500 identities is read in a moment', async () => {
    const path = file(Array.from({ length: 500 }, (_, index) => oidc({ identity_name: `agent-${index}` })))
    await readIdentities(path, reading)
    const start = performance.now()
    expect(await readIdentityFiles([path], reading, '/nowhere')).toHaveLength(500)
    // Generous, for a busy machine: about 15 ms on an idle one.
    expect(performance.now() - start).toBeLessThan(1000)
  })
})

describe('what is wrong with a file', () => {
  test('is told all at once: each entry, each field, each place', async () => {
    const rows = [
      oidc({ identity_name: '../x', client_id: 7, client_secret: [PLANTED] }),
      without(oidc({ identity_name: 'b', isuer: 'https://x.example.com' }), 'issuer'),
      { ...oidc({ identity_name: 'c' }), auth_provider: 'kc' },
      oidc({ identity_name: 'd', issuer: `https://${PLANTED}@x.example.com`, scope: 'a  b', audience: '' }),
      PLANTED,
      oidc({ identity_name: 'e', private_key: PLANTED }),
      without(oidc({ identity_name: 'f' }), 'client_secret'),
      without(oidc({ identity_name: 'g' }), 'client_id'),
    ]
    expect((await problemsOf(JSON.stringify(rows, null, 1))).sort(byLine)).toEqual(
      [
        '3:20 identity_name: a letter or digit, then up to 63 of A-Z a-z 0-9 . _ - (other text)',
        '5:16 client_id: client id (a number)',
        '6:20 client_secret: a secret, env:NAME, file:PATH, or {"exec": ["program", "argument"]} for a program that prints it (a list)',
        '18:12 isuer: no such field; did you mean issuer?',
        '22:20 auth_provider: one of keycloak, embedded, okta, entra, auth0, cognito, oidc',
        '33:13 issuer: an absolute http or https URL without user name, query and fragment (other text)',
        '34:15 audience: text that is not empty (other text)',
        '35:12 scope: scopes, separated by single spaces (other text)',
        '37:2: an identity: an object with identity_name, auth_provider, client_id and a secret',
        '45:18 private_key: one secret only; there is a client_secret already',
        '47:2: a secret: client_secret or private_key',
        '54:2 client_id: client id (nothing)',
      ].sort(byLine),
    )
  })
  test('names a key only if it looks like one', async () => {
    const [problem] = await problemsOf(JSON.stringify(oidc({ [PLANTED]: 'x' })))
    expect(problem).toMatch(/^1:\d+ \(a key that is no name of a field\): no such field; there are identity_name, /)
  })
  test('is also that two fields do not go together', async () => {
    const [url] = await problemsOf(JSON.stringify(without(EXAMPLES.keycloak[0] ?? {}, 'keycloak_url')))
    expect(url).toBe('1:1 keycloak_url: the base URL of the server')
  })
  test('is also a server that secrets would travel to in the open, unless that is allowed', async () => {
    const text = JSON.stringify(oidc({ issuer: 'http://idp.example.com' }))
    const [problem] = await problemsOf(text, 'identities.json', { ...reading, settings: () => undefined })
    expect(problem).toMatch(/^1:\d+ issuer: https, since the secret is sent there/)
    expect(await readIdentities(file(text), { ...reading, settings: () => 'true' })).toHaveLength(1)
    expect(await readIdentities(file(oidc({ issuer: 'http://127.0.0.1:1' })), { ...reading, settings: () => undefined })).toHaveLength(1)
  })
  test.for(['__proto__', 'constructor', 'prototype'])('a key %s reaches no prototype and gives nothing', async (key) => {
    const before = Object.getOwnPropertyNames(Object.prototype).sort()
    const inner = JSON.stringify(without(oidc({ polluted: 'yes' }), 'identity_name'))
    const text = `[{"identity_name": "x", "${key}": ${inner}}, {"${key}": {"polluted": "yes"}}]`
    const told = await problemsOf(text)
    expect(told.map((problem) => problem.replace(/^\S+ /, ''))).toEqual(Array(2).fill(expect.stringMatching(/^auth_provider: one of/)))
    const strict = await problemsOf(`${JSON.stringify(oidc()).slice(0, -1)}, "${key}": {"polluted": "yes"}}`)
    expect(strict).toEqual([expect.stringContaining(`${key}: no such field`)])
    const loose = file(`${JSON.stringify(EXAMPLES.keycloak[0]).slice(0, -1)}, "${key}": {"polluted": "yes", "scope": "x"}}`)
    const [entry] = await readIdentities(loose, reading)
    expect(entry?.identity.scope).toBeUndefined()
    expect(Object.getOwnPropertyNames(Object.prototype).sort()).toEqual(before)
    expect(({} as { polluted?: string }).polluted).toBeUndefined()
  })
  test('is told of the first 500 only, in a file of nothing else', async () => {
    expect(await failureOf(readIdentities(file(JSON.stringify(Array(100_000).fill(1))), reading)).then(({ details }) => details)).toSatisfy(
      ({ problems }: { problems: Problem[] }) => problems.length === 501,
    )
  })
  test('does not hide what is wrong with another file', async () => {
    const folder = temporaryFolder()
    const paths = [
      save(join(folder, 'a.json'), '[1 2]'),
      save(join(folder, 'b.json'), [oidc()], 0o640),
      save(join(folder, 'c.json'), [oidc({ client_id: '' })]),
      save(join(folder, 'd.json'), [oidc()]),
      save(join(folder, 'e.json'), [oidc()]),
    ]
    const error = await failureOf(readIdentityFiles(paths, reading, folder))
    const { problems } = error.details as { problems: readonly Problem[] }
    expect(problems.map(({ path }) => path.replace(`${folder}/`, '').replace(/:.*/, ''))).toEqual(['a.json', 'b.json', 'c.json', 'e.json'])
    expect(error.hint).toBe(`chmod 600 ${join(folder, 'b.json')}`)
  })
})

const byLine = (a: string, b: string) => Number.parseInt(a, 10) - Number.parseInt(b, 10)

describe('a file with secrets', () => {
  test('is read at 0600 and refused at each of eight looser modes, with the chmod to type', async () => {
    const path = file(oidc())
    expect(await readIdentities(path, reading)).toHaveLength(1)
    const loose = [0o604, 0o606, 0o640, 0o644, 0o660, 0o664, 0o666, 0o777]
    for (const mode of loose) {
      chmodSync(path, mode)
      const error = await failureOf(readIdentities(path, reading))
      expect([mode.toString(8), error.code, error.hint]).toEqual([mode.toString(8), 'invalid_input', `chmod 600 ${path}`])
    }
    expect(loose).toHaveLength(8)
  })
  test('that only names them may be read by others, but not written', async () => {
    const path = file(oidc({ client_secret: 'env:A' }))
    for (const mode of [0o600, 0o640, 0o644]) {
      chmodSync(path, mode)
      expect(await readIdentities(path, reading)).toHaveLength(1)
    }
    for (const mode of [0o620, 0o602, 0o666]) {
      chmodSync(path, mode)
      expect((await failureOf(readIdentities(path, reading))).hint).toBe(`chmod 600 ${path}`)
    }
  })
  test('that is a link, has a second name, or is no file is refused within two seconds', async () => {
    const folder = temporaryFolder()
    const at = (name: string) => join(folder, name)
    save(at('own.json'), oidc())
    symlinkSync(at('own.json'), at('link.json'))
    save(at('first.json'), oidc())
    linkSync(at('first.json'), at('second.json'))
    mkdirSync(at('folder.json'))
    execFileSync('mkfifo', ['-m', '600', at('pipe.json')])
    save(at('large.json'), ' '.repeat(1_000_001))
    const start = performance.now()
    for (const name of ['link', 'first', 'second', 'folder', 'pipe', 'large']) {
      const error = await failureOf(readIdentities(at(`${name}.json`), reading))
      expect([name, error.code]).toEqual([name, 'invalid_input'])
      expect(error.message).toContain(at(`${name}.json`))
    }
    expect(performance.now() - start).toBeLessThan(2000)
  })
  test('that anybody may have made holds secrets written out only', async () => {
    const rows = [oidc({ client_secret: 'env:PATH' }), EXAMPLES.okta[1], oidc({ identity_name: 'plain' })]
    const told = await problemsOf(JSON.stringify(rows), 'identities.json', { ...reading, mayRefer: false })
    expect(told.map((problem) => problem.replace(/^\S+ (\S+) .*/, '$1'))).toEqual(['client_secret:', 'private_key:'])
  })
})

describe('names', () => {
  test.for(['con', 'NUL', 'Aux.txt', 'com1', 'lpt9.a.b', 'prn.json'])('%s is a device somewhere', async (identity_name) => {
    expect(await problemsOf(JSON.stringify(oidc({ identity_name })))).toEqual([expect.stringContaining('for a device')])
  })
  test.for(['..', '.x', 'a/b', 'a\\b', '', 'x'.repeat(65), 'ä', 'a\u0000', 'a b', '-x', 'x\n'])('%j is refused', async (identity_name) => {
    expect(await problemsOf(JSON.stringify(oidc({ identity_name })))).toEqual([expect.stringContaining('a letter or digit, then up to 63')])
  })
  test.for(['x.', 'x..'])('%j would lose its dot somewhere', async (identity_name) => {
    expect(await problemsOf(JSON.stringify(oidc({ identity_name })))).toEqual([expect.stringContaining('no dot at the end')])
  })
  test.for(['console', 'com10', 'a.con', 'x'.repeat(64), '0', 'A.b_c-d'])('%j is one', async (identity_name) => {
    expect(await readIdentities(file(oidc({ identity_name })), reading)).toHaveLength(1)
  })
  test.for([
    ['equal but for the case', [oidc({ identity_name: 'Reporter' }), oidc({ identity_name: 'reporter' })]],
    ['equal at two providers', [oidc({ identity_name: 'x' }), { ...EXAMPLES.keycloak[0], identity_name: 'X' }]],
    ['with one token file', [{ ...EXAMPLES.keycloak[0], identity_name: 'x' }, oidc({ identity_name: 'agent-x-token' })]],
    [
      'with and without agent-',
      [
        { ...EXAMPLES.keycloak[0], identity_name: 'x' },
        { ...EXAMPLES.keycloak[0], identity_name: 'agent-x' },
      ],
    ],
    ['of the documented input', [oidc(), oidc({ identity_name: 'Entra-Identities' })]],
    ['of the input for all', [oidc(), oidc({ identity_name: 'identities' })]],
  ] as const)('%s clash', async ([, rows]) => {
    const told = await problemsOf(JSON.stringify(rows, null, 1))
    expect(told).toHaveLength(1)
    expect(told[0]).toMatch(/^\d+:2: a name (?:that, whatever its case, is nobody else's|whose token file is not)/)
  })
  test('clash with the file they stand in, by whatever way its folder is named', async () => {
    const folder = temporaryFolder()
    const path = save(join(folder, 'tokens', 'mine.json'), oidc({ identity_name: 'mine' }))
    symlinkSync(join(folder, 'tokens'), join(folder, 'link'))
    expect(await readIdentityFiles([path], reading, folder)).toHaveLength(1)
    for (const output of ['tokens', 'link'])
      expect((await failureOf(readIdentityFiles([path], reading, join(folder, output)))).message).toContain('a file of identities')
  })
  test('that clash are told together with everything else', async () => {
    const rows = [oidc({ identity_name: 'a' }), oidc({ identity_name: 'A' }), oidc({ identity_name: 'con' }), oidc({ scope: 7 })]
    expect(await problemsOf(JSON.stringify(rows, null, 1))).toHaveLength(3)
  })
})

describe('files that nobody names', () => {
  const keycloak = without(EXAMPLES.keycloak[0] ?? {}, 'identity_name')
  const around = (home: string) => ({ home, env: () => undefined, settings: () => undefined })

  test('are those of the home folder, under their documented names', async () => {
    const home = temporaryFolder()
    save(join(home, 'identities', 'agent-saved-token.json'), { ...EXAMPLES.keycloak[0], identity_name: 'saved-token' })
    save(join(home, 'identities', 'agent-pending.json.pending'), 'no')
    save(join(home, 'identities.json'), [oidc()])
    save(join(home, '.oauth-tokens', 'agent-x.json'), keycloak)
    save(join(home, '.oauth-tokens', 'agent-x-token.json'), 'a token, open to others', 0o644)
    save(join(home, '.oauth-tokens', 'agent-x.env'), 'no')
    save(join(home, '.oauth-tokens', 'other.json'), 'a token')
    save(join(home, '.oauth-tokens', 'agent-of-oidc.json'), { access_token: 'x', client_id: 'y' })
    save(join(home, '.oauth-tokens', 'entra-identities.json'), DOCUMENTED['entra-identities.json'])
    const { entries, folder } = await identitiesOf({}, around(home))
    expect(names(entries)).toEqual(['keycloak saved-token', 'oidc oidc-one', 'keycloak x', 'entra cursor-assistant', 'entra ci-pipeline'])
    expect(folder).toBe(join(home, '.oauth-tokens'))
    expect((await identitiesOf({ output_dir: join(home, 'out') }, around(home))).folder).toBe(join(home, 'out'))
  })
  test('are those of the current folder only where the home has none; they are opened and run nowhere', async () => {
    const [home, here] = [temporaryFolder(), temporaryFolder()]
    save(join(here, '.oauth-tokens', 'agent-x.json'), keycloak)
    expect(await defaultFiles(home, here)).toEqual({
      paths: [join(here, '.oauth-tokens', 'agent-x.json')],
      mayRefer: false,
      folder: join(here, '.oauth-tokens'),
    })
    save(join(home, 'identities', 'a.json'), oidc())
    expect(await defaultFiles(home, here)).toEqual({
      paths: [join(home, 'identities', 'a.json')],
      mayRefer: true,
      folder: join(home, '.oauth-tokens'),
    })
  })
  test('but an assistant names may refer to secrets in the home folder alone, and not by a detour', async () => {
    const [home, elsewhere] = [temporaryFolder(), temporaryFolder()]
    const row = oidc({ client_secret: 'env:SECRET' })
    const [own, foreign] = [save(join(home, 'identities', 'a.json'), row), save(join(elsewhere, 'a.json'), row)]
    symlinkSync(elsewhere, join(home, 'link'))
    const refusals = []
    for (const [identities_file, isAssistant] of [
      [own, true],
      [foreign, false],
      [foreign, true],
      [join(home, 'link', 'a.json'), true],
      [join(home, '..', basename(elsewhere), 'a.json'), true],
    ] as const) {
      const read = identitiesOf({ identities_file }, { ...around(home), isAssistant })
      refusals.push(await read.then(() => false).catch((error: unknown) => /references are honoured/.test(String(error))))
    }
    expect(refusals).toEqual([false, false, true, true, true])
  })
  test('that are nowhere are told with what to do', async () => {
    const home = temporaryFolder()
    expect(await defaultFiles(home, temporaryFolder())).toEqual({ paths: [], mayRefer: false, folder: join(home, '.oauth-tokens') })
  })
})
