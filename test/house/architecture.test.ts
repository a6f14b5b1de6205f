/**
 * Rules of the house that no linter knows: who may open a secret, read the environment or print, how large a module may
 * be, how it begins. The lists are exact: a place that is added, or one that is no longer needed, turns a test red.
 */
import { describe, expect, test } from 'vitest'
import { codeOf, everyFile, modules, project, type Source } from './sources.js'

const code = new Map(modules.map((source) => [source.path, codeOf(source)]))
const containing = (pattern: RegExp) =>
  [...code]
    .filter(([, text]) => pattern.test(text))
    .map(([path]) => path)
    .sort()

/** The only modules that open a Secret, each with the reason. */
const REVEALS: Readonly<Record<string, string>> = {
  'cli/show-secret.ts': 'prints a secret on a terminal, when a person asks for that',
  'core/http-body.ts': 'the door: forms and JSON of a request',
  'core/http.ts': 'the door: headers of a request',
  'core/secret-file.ts': "a sink: a client's secret as an identity, a person's first password",
  'credentials-provider/env-file.ts': 'a sink: an access token as a variable for a shell',
  'credentials-provider/formats.ts': 'an access token for whoever asked for it: on stdout, at the socket, in the environment of a program',
  'credentials-provider/token-file.ts': 'a sink: an access token',
  'idp/claims.ts': 'decodes a token to look at its claims',
  'idp/client-assertion.ts': "a client's own key, which signs its assertions",
  'idp/dcr/registrations.ts': 'a sink: the registration access token, without which a client cannot be changed (RFC 7592)',
  'idp/entra/certificate.ts': 'MSAL asks for the key of a certificate as text',
  'idp/oauth.ts': "token requests on behalf of each adapter's token code (docs/decisions/0003)",
  'idp/keycloak/connect.ts': "the SDK asks for the administrator's token as text",
  'idp/keycloak/reconcilers/clients.ts': 'create of a client whose secret is chosen by us, through the SDK',
  'idp/keycloak/reconcilers/users.ts': 'create of a person whose first password is chosen by us, through the SDK',
  'setup/environment-file.ts': "a sink: the registry's environment",
}

/** The only modules that start another program, each with the reason. */
const STARTS_PROGRAMS: Readonly<Record<string, string>> = {
  'cli/credentials-exec.ts': 'the program that is to have a token in its environment',
  'credentials-provider/secret-command.ts': 'the program that prints the secret of an identity',
}

/** The only places that read the environment of the process: entries, and what an entry calls at once. */
const READS_ENVIRONMENT =
  /^(?:cli\/|setup\/idp\/|examples\/|toolkit\/context\.ts$|(?:mcp-server|registry\/server)\/main\.ts$|credentials-provider\/generate-creds\.ts$)/

describe('secrets', () => {
  test('are opened exactly where the list says', () => {
    expect(containing(/\breveal\b/).filter((path) => path !== 'core/secret.ts')).toEqual(Object.keys(REVEALS).sort())
  })
  test.for(['core/secret.ts'])('are defined in %s alone, with a private value', (path) => {
    expect(containing(/class Secret\b/)).toEqual([path])
    expect(code.get(path)).toMatch(/readonly #value: string/)
  })
})

describe('the environment', () => {
  test('is read by entries only', () => {
    const readers = containing(
      /\bprocess\s*(?:\.\s*env\b|\[\s*['"]env['"]\s*\])|\{[^}]*\benv\b[^}]*\}\s*=\s*process\b|import \{[^}]*\benv\b[^}]*\} from ['"](?:node:)?process['"]/,
    )
    expect(readers.length).toBeGreaterThan(2)
    expect(readers.filter((path) => !READS_ENVIRONMENT.test(path))).toEqual([])
  })
  test('is never changed', () => {
    expect(containing(/process\.env(?:\.\w+|\[[^\]]+\])\s*=[^=]|delete process\.env/)).toEqual([])
  })
})

describe('printing', () => {
  test('is no business of a module: stdout belongs to the surface', () => {
    const printers = containing(/\bconsole\s*\.\s*(?:log|info|warn|error|debug|table|dir)\s*\(/)
    expect(printers.filter((path) => !/^examples\//.test(path))).toEqual([])
  })
  test('to stdout and stderr directly is for surfaces and scripts', () => {
    const writers = containing(/process\s*\.\s*(?:stdout|stderr)\s*\.\s*write/)
    expect(writers.filter((path) => !/^(?:cli|mcp-server|setup\/idp)\//.test(path))).toEqual([])
  })
})

describe('processes', () => {
  test('are started exactly where the list says', () => {
    expect(containing(/node:child_process|['"]child_process['"]|\$`/)).toEqual(Object.keys(STARTS_PROGRAMS).sort())
  })
  test('are never started by a shell', () => {
    expect(containing(/\bshell\s*:\s*(?:true|['"`])|\{[^}]*\bexec(?:Sync)?\b[^}]*\} from ['"]node:child_process|\$`/)).toEqual([])
  })
  test('never run text as code', () => {
    expect(containing(/\beval\s*\(|new Function\s*\(|node:vm\b/)).toEqual([])
  })
})

describe('requests', () => {
  test('leave through the door: nobody else calls the global fetch or opens a client connection', () => {
    const callers = containing(/(?<![\w.#])fetch\s*\(|globalThis\.fetch|\bhttps?\.(?:request|get)\s*\(|setGlobalDispatcher/)
    expect(callers).toEqual([])
  })
})

describe('every module', () => {
  test('there are modules to look at', () => {
    expect(modules.length).toBeGreaterThan(80)
  })
  test.for(modules)('$path is at most 250 lines', ({ text }) => {
    expect(text.split('\n').length - 1).toBeLessThanOrEqual(250)
  })
  test.for(modules)('$path opens with a comment of one to five lines that says what it holds', ({ text }) => {
    expect(openingLines(text)).toBeGreaterThanOrEqual(1)
    expect(openingLines(text)).toBeLessThanOrEqual(5)
  })
  test.for(modules)('$path has a noun for a name', ({ path }) => {
    expect(path).not.toMatch(/(?:^|[/-])(?:utils?|helpers?|common|misc|manager|shared)(?:\.ts$|[/-])/)
    expect(path.split('/').at(-1)).toMatch(/^[a-z0-9]+(?:-[a-z0-9]+)*\.ts$/)
  })
  test('exports by name', () => {
    expect(containing(/\bexport default\b|\bexport\s*\{[^}]*\bas default\b/)).toEqual([])
  })
  test('keeps the compiler on: no suppressed errors', () => {
    const suppressed = modules.filter(({ text }) => /@ts-(?:ignore|nocheck|expect-error)/.test(text))
    expect(suppressed.map(({ path }) => path)).toEqual([])
  })
})

describe('every file', () => {
  // Put together here, so that this file does not name them either.
  const hosts = [
    ['registry', 'npmjs', 'org'],
    ['npmjs', 'org'],
    ['registry', 'yarnpkg', 'com'],
    ['npm', 'pkg', 'github', 'com'],
    ['npm', 'jsr', 'io'],
  ].map((parts) => parts.join('.'))
  const places = [`/${'work'}/`, `/${'root'}/`, `/${'home'}/`]

  test('names no package registry', () => {
    expect(everyFile.filter(({ text }) => hosts.some((host) => text.includes(host))).map(({ path }) => path)).toEqual([])
  })
  test('names no folder of the machine it was written on', () => {
    const absolute = (text: string) => places.some((place) => new RegExp(`(?:^|[\\s"'\`(=:])${place}[A-Za-z0-9._-]`, 'm').test(text))
    expect(absolute(`see "${places[0]}main"`)).toBe(true)
    expect(absolute('https://example.com/work/done')).toBe(false)
    expect(everyFile.filter(({ text }) => absolute(text) || text.includes(project)).map(({ path }) => path)).toEqual([])
  })
  test('holds no private key and no token', () => {
    const planted = (source: Source) => /-----BEGIN [A-Z ]*PRIVATE KEY-----|\beyJ[\w-]{20,}\.eyJ[\w-]{20,}\.[\w-]{20,}/.test(source.text)
    expect(everyFile.filter(planted).map(({ path }) => path)).toEqual([])
  })
})

/** Lines of the comment that a module begins with, after a shebang; 0 when there is none. */
function openingLines(text: string): number {
  const start = text.replace(/^#!.*\n/, '')
  const [comment] = /^\/\*\*[\s\S]*?\*\//.exec(start) ?? ['']
  return comment.split('\n').filter((line) => /[a-z]/i.test(line)).length
}
