/** What a person sees before anything runs: help at 80 columns, refusals of command lines, completions. */
import { execFile } from 'node:child_process'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CREDENTIALS_WORDS } from '../../cli/credentials-command.js'
import { CATALOG, type CatalogRow } from '../../toolkit/catalog.js'
import { type BuiltCli, buildCli } from './built.js'

const ROWS: readonly CatalogRow[] = CATALOG
const OPERATIONS = ROWS.map(({ command }) => [...command])
const GROUPS = [...new Set(OPERATIONS.filter(({ length }) => length > 1).map(([first = '']) => first))].map((group) => [group])
const OWN = [['start'], ['mcp'], ['generate-creds'], ['completion'], ...CREDENTIALS_WORDS.map((word) => ['credentials', word])]

let built: BuiltCli
let folder: string
beforeAll(async () => {
  built = buildCli()
  folder = await mkdtemp(join(tmpdir(), 'mcp-idp-help-'))
})
afterAll(async () => {
  await built.remove()
  await rm(folder, { recursive: true, force: true })
})

describe('help', () => {
  test.each([[], ...GROUPS, ...OPERATIONS, ...OWN].map((words) => [words.join(' '), words] as const))(
    'of "mcp-idp %s" fits 80 columns',
    async (_, words) => {
      const { exit, stdout, stderr } = await built.run([...words, '--help'])
      expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' })
      expect(stdout.startsWith(`Usage: mcp-idp${words.length > 0 ? ` ${words.join(' ')}` : ''} `)).toBe(true)
      expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([])
      expect(stdout).not.toMatch(/^\S+ …$/m)
    },
  )

  test.each([[], ...OPERATIONS, ...OWN].map((words) => [words.join(' '), words] as const))(
    'of "mcp-idp %s" ends with examples of itself',
    async (_, words) => {
      const { stdout } = await built.run([...words, '--help'])
      const [, examples = ''] = stdout.split(/\nExamples?:\n/)
      expect(examples).toContain(['mcp-idp', ...words].join(' '))
    },
  )

  test('examples are commands: a shell hands their words on, and the CLI understands them', { timeout: 60_000 }, async () => {
    const stub = join(folder, 'mcp-idp')
    await writeFile(stub, '#!/bin/sh\nfor word in "$@"; do printf \'%s\\0\' "$word"; done\nprintf \'\\n\'\n')
    await chmod(stub, 0o755)
    let seen = 0
    for (const words of OPERATIONS) {
      const { stdout } = await built.run([...words, '--help'])
      const [, examples = ''] = stdout.split(/\nExamples:\n/)
      const { stdout: said } = await promisify(execFile)('sh', ['-euc', examples], { env: { PATH: `${folder}:${process.env['PATH']}` } })
      for (const line of said.trimEnd().split('\n')) {
        const argv = line.split('\0').slice(0, -1)
        expect(argv.slice(0, words.length)).toEqual(words)
        const { stdout: answer } = await built.run([...argv, '--json', '--home', join(folder, 'empty')])
        const { error } = JSON.parse(answer) as { error: { code: string } }
        // Nothing is configured, and that is all there is to say about it.
        expect(['not_configured', 'not_found'], argv.join(' ')).toContain(error.code)
        seen += 1
      }
    }
    expect(seen).toBeGreaterThanOrEqual(OPERATIONS.length)
  })
})

describe('a command line that cannot be understood', () => {
  const WRONG: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['no command', [], /Usage: mcp-idp/],
    ['an unknown command', ['m2n'], /unknown command 'm2n'[\s\S]*Did you mean m2m/],
    ['an unknown second word', ['m2m', 'lst'], /unknown command 'lst'[\s\S]*Did you mean list/],
    ['an unknown flag', ['m2m', 'list', '--bogus'], /unknown option '--bogus'/],
    ['a flag without its value', ['m2m', 'list', '--provider'], /argument missing/],
    ['a missing word', ['m2m', 'get'], /missing required argument 'client-id'/],
    ['a word too many', ['m2m', 'list', 'more'], /too many arguments/],
    ['a missing field', ['m2m', 'register'], /client_id[\s\S]*client_name/],
    ['a value outside its choices', ['setup', 'ide-client', '--idp', 'nothing'], /idp: .*keycloak/],
    ['a port that is none', ['start', '--port', 'x', '--once'], /--port: a port, 0 to 65535 \(found x\)/],
    ['an unknown safety class', ['mcp', '--allow', 'all'], /--allow: of issue, write, destructive \(found all\)/],
    ['an unknown shell', ['completion', 'tcsh'], /Allowed choices are bash, zsh, fish/],
  ]
  test.each(WRONG)('%s: exit 2, told on stderr, nothing on stdout', async (_, words, said) => {
    const { exit, stdout, stderr } = await built.run(words, { MCP_IDP_HOME: join(folder, 'home') })
    expect({ exit, stdout }).toEqual({ exit: 2, stdout: '' })
    expect(stderr).toMatch(said)
    expect(stderr).not.toMatch(/\n\s+at /)
  })

  test.each(WRONG)('%s with --json: exit 2, one document on stdout', async (_, words) => {
    const { exit, stdout } = await built.run(['--json', ...words], { MCP_IDP_HOME: join(folder, 'home') })
    expect(exit).toBe(2)
    expect(JSON.parse(stdout)).toMatchObject({
      error: { code: 'invalid_input', message: expect.any(String), details: { problems: expect.any(Array) } },
    })
  })
})

describe('a mistyped flag with a value, which may be a secret', () => {
  const words = ["--client-secrt=it's-planted-4711", "--passwrd=x='planted-4711' y"]
  test.each(words.flatMap((word) => [[word], ['--json', word]]))('is told by its name alone: %s %s', async (...typed) => {
    const { exit, stdout, stderr } = await built.run(['m2m', 'list', ...typed.filter((word) => word !== undefined)])
    expect(exit).toBe(2)
    expect(stdout + stderr).toMatch(/unknown option '--(?:client-secrt|passwrd)'/)
    expect(stdout + stderr).not.toContain('planted')
  })
})

test.each([['m2m', 'list'], ['start', '--once'], ['mcp']])(
  'an environment file that is not there stops %s before it begins',
  async (...words) => {
    const { exit, stdout, stderr } = await built.run([...words, '--env-file', join(folder, 'missing.env')], {
      MCP_IDP_HOME: join(folder, 'home'),
    })
    // Node 20 takes this flag for its own, wherever it stands, and ends with 9 before we are asked.
    expect([2, 9]).toContain(exit)
    expect(stdout).toBe('')
    expect(stderr).toContain('missing.env')
  },
)

describe('completions', () => {
  async function completed(line: string): Promise<string[]> {
    const script = `
source <("$0" "$1" completion bash)
COMP_WORDS=(${line.endsWith(' ') ? `${line}''` : line}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
_mcp_idp
printf '%s\\n' "\${COMPREPLY[@]}"`
    const { stdout } = await promisify(execFile)('bash', ['--norc', '-euc', script, process.execPath, built.main])
    return stdout.split('\n').filter((word) => word !== '')
  }

  test('in bash offer first words, second words, and what begins as typed', async () => {
    const firsts = [...new Set([...OWN, ...OPERATIONS].map(([first]) => first))]
    expect((await completed('mcp-idp ')).toSorted()).toEqual(firsts.toSorted())
    expect(await completed('mcp-idp se')).toEqual(['setup', 'servers'])
    expect(await completed('mcp-idp m2m ')).toEqual(OPERATIONS.filter(([first]) => first === 'm2m').map(([, second]) => second))
    expect(await completed('mcp-idp m2m de')).toEqual(['delete'])
    expect(await completed('mcp-idp connect-config ')).toEqual([])
  })

  test('are registered for mcp-idp by sourcing what is printed', async () => {
    const script = 'source <("$0" "$1" completion bash); complete -p mcp-idp'
    const { stdout } = await promisify(execFile)('bash', ['--norc', '-euc', script, process.execPath, built.main])
    expect(stdout).toMatch(/-F _mcp_idp mcp-idp/)
  })

  test.each(['bash', 'zsh', 'fish'])('for %s name every operation', async (shell) => {
    const { exit, stdout } = await built.run(['completion', shell])
    expect(exit).toBe(0)
    for (const words of OPERATIONS) for (const word of words) expect(stdout).toMatch(new RegExp(`[ '"]${word}[ '"\\n]`))
  })
})

test('--version is the version of the package', async () => {
  const { stdout } = await built.run(['--version'])
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
})
