/**
 * A secret in every place where identities and token answers can hold one: written out, by variable, by file, by program,
 * as a key; tokens of access, identity and refresh; repeated by a vendor in errors, headers and pages. Every way to ask runs,
 * as text, JSON and with stacks. Each secret is found where it belongs and nowhere else, and in no argument list.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BuiltCli, buildCli, type Ran, startProcess } from '../cli/built.js'
import { answerJson, type FakeServer, type SeenRequest, serve } from '../fakes/server.js'
import { frames } from '../mcp-server/frames.js'
import { type Held, holders, leaks } from './secrets.js'
import { canTrace, HOW_TO_TRACE } from './strace.js'

const random = (name: string) => `planted-${name}-${randomBytes(18).toString('base64url')}`
const awkward = (name: string) => `planted ${name}/${randomBytes(18).toString('base64')}&=%"\\`
const jwt = (name: string, claims: object = {}) =>
  ['eyJhbGciOiJSUzI1NiJ9', Buffer.from(JSON.stringify({ ...claims, planted: random(name) })).toString('base64url'), random(name)].join('.')
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

/** What identities bring, each in a place of its own. */
const GIVEN = {
  'written out': awkward('literal'),
  'by variable': random('variable'),
  'by file': awkward('file'),
  'by program': random('program'),
  'a private key': pem.split('\n')[3] ?? '',
  'of a documented file': random('documented'),
  'of Entra': random('entra'),
  'of Okta': random('okta'),
  'of Auth0': random('auth0'),
  'of Cognito': random('cognito'),
  'of a proxy': random('proxy'),
}
/** What answers hold besides the access token; none of it is anybody's business. */
const ANSWERED = {
  'refresh token': jwt('refresh'),
  'id token': jwt('identity'),
  'unknown field': random('unknown'),
  'nested field': random('nested'),
  'answer header': random('header'),
  'page of an error': random('page'),
}
const tokens = new Map<string, string>()

const SINKS = ['stdout', 'stderr', 'frames', 'status', 'arguments'] as const
const caught = Object.fromEntries(SINKS.map((sink) => [sink, []])) as unknown as Record<(typeof SINKS)[number], string[]>
const counts = { commands: 0, calls: 0, refusals: 0, traced: 0 }

/** What the endpoint does to a client whose id begins with the word. */
const REFUSALS: Readonly<Record<string, (request: SeenRequest, response: Parameters<Parameters<typeof serve>[0]>[1]) => void>> = {
  echo: (request, response) =>
    answerJson(response, 401, { error: 'invalid_client', error_description: `you sent ${request.body} ${request.headers.authorization}` }),
  word: (request, response) => answerJson(response, 400, { error: secretIn(request), error_description: 'x' }),
  page: (request, response) =>
    void response.writeHead(500, { 'content-type': 'text/html' }).end(`<p>${ANSWERED['page of an error']} ${request.body}</p>`),
  moved: (request, response) =>
    void response.writeHead(307, { location: `http://127.0.0.1:9/?${request.body}&${request.headers.authorization}` }).end(),
  typed: (_, response) => answerJson(response, 200, { access_token: newToken('typed'), token_type: 'mac', expires_in: 60 }),
  broken: (_, response) =>
    void response.writeHead(200, { 'content-type': 'application/json' }).end(`{"access_token":"${newToken('broken')}"`),
}

function newToken(client: string): string {
  const token = jwt(`token of ${client}`, { iss: 'x', groups: ['readers'], exp: Math.floor(Date.now() / 1000) + 3600 })
  tokens.set(`token ${tokens.size} of ${client}`, token)
  return token
}

function secretIn({ body, headers }: SeenRequest): string {
  const [, basic = ''] = /^Basic (.*)$/.exec(headers.authorization ?? '') ?? []
  const [, secret = ''] = Buffer.from(basic, 'base64').toString().split(':')
  return new URLSearchParams(body).get('client_secret') ?? decodeURIComponent(secret)
}

function clientOf({ body, headers }: SeenRequest): string {
  const form = new URLSearchParams(body)
  const [, basic = ''] = /^Basic (.*)$/.exec(headers.authorization ?? '') ?? []
  const asserted = (form.get('client_assertion') ?? '').split('.')[1] ?? ''
  const subject = asserted === '' ? '' : String((JSON.parse(Buffer.from(asserted, 'base64url').toString()) as { sub?: unknown }).sub)
  return form.get('client_id') ?? (subject || Buffer.from(basic, 'base64').toString().split(':')[0] || '')
}

let built: BuiltCli
let server: FakeServer
let home: string
const at = (...names: string[]) => join(home, ...names)

beforeAll(async () => {
  built = buildCli()
  home = await mkdtemp(join(tmpdir(), 'mcp-idp-secrets-'))
  await chmod(home, 0o700)
  server = await serve((request, response) => {
    if (request.path.includes('/.well-known/')) {
      const issuer = 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Planted1'
      return answerJson(response, 200, { issuer, token_endpoint: `${server.origin}/token` })
    }
    const client = clientOf(request)
    const refuse = Object.entries(REFUSALS).find(([word]) => client.startsWith(word))?.[1]
    if (refuse) {
      counts.refusals += 1
      return refuse(request, response)
    }
    response.setHeader('x-planted', ANSWERED['answer header'])
    answerJson(response, 200, {
      ...{ access_token: newToken(client), token_type: 'Bearer', expires_in: 3600, refresh_token: ANSWERED['refresh token'] },
      ...{ id_token: ANSWERED['id token'], planted: ANSWERED['unknown field'], deep: { er: ANSWERED['nested field'] } },
    })
  })
  await plant()
})
afterAll(async () => {
  await server?.close()
  await built?.remove()
  if (home) await rm(home, { recursive: true, force: true })
})

async function plant(): Promise<void> {
  for (const folder of ['planted', 'cwd', 'cwd/.oauth-tokens']) await mkdir(at(folder), { mode: 0o700 })
  const save = (file: string, content: unknown) =>
    writeFile(at(file), typeof content === 'string' ? content : JSON.stringify(content, null, 2), { mode: 0o600 })
  await save('planted/secret.txt', `${GIVEN['by file']}\n`)
  await save('planted/key.pem', pem)
  await save('planted/printed.txt', GIVEN['by program'])
  const oidc = (name: string, secret: object) => ({
    ...{ identity_name: name, auth_provider: 'oidc', client_id: name, issuer: server.origin, token_endpoint: `${server.origin}/token` },
    ...secret,
  })
  await save('good.json', [
    oidc('literal', { client_secret: GIVEN['written out'] }),
    oidc('variable', { client_secret: 'env:PLANTED_SECRET' }),
    oidc('file', { client_secret: `file:${at('planted/secret.txt')}` }),
    oidc('program', { client_secret: { exec: ['cat', at('planted/printed.txt')] } }),
    oidc('key', { private_key: `file:${at('planted/key.pem')}`, kid: 'k' }),
    {
      identity_name: 'entra',
      auth_provider: 'entra',
      tenant_id: 't',
      client_id: 'entra',
      client_secret: GIVEN['of Entra'],
      scope: 'api://x/.default',
      login_url: server.origin,
    },
    {
      identity_name: 'okta',
      auth_provider: 'okta',
      okta_domain: server.origin,
      authorization_server_id: 'default',
      client_id: 'okta',
      client_secret: GIVEN['of Okta'],
      scope: 'x',
    },
    {
      identity_name: 'auth0',
      auth_provider: 'auth0',
      auth0_domain: server.origin,
      audience: 'x',
      client_id: 'auth0',
      client_secret: GIVEN['of Auth0'],
    },
    {
      identity_name: 'cognito',
      auth_provider: 'cognito',
      region: 'eu-west-1',
      user_pool_id: 'eu-west-1_Planted1',
      domain: server.origin,
      endpoint: server.origin,
      client_id: 'cognito',
      client_secret: GIVEN['of Cognito'],
    },
  ])
  const broken = Object.keys(REFUSALS).flatMap((word) => [
    oidc(`${word}-literal`, { client_secret: GIVEN['written out'] }),
    oidc(`${word}-key`, { private_key: `file:${at('planted/key.pem')}` }),
    oidc(`${word}-post`, { client_secret: GIVEN['written out'], token_endpoint_auth_method: 'client_secret_post' }),
  ])
  await save('refused.json', broken)
  await save('wrong.json', [{ ...oidc('wrong', { client_secret: GIVEN['written out'] }), client_secrt: GIVEN['by file'], scope: 7 }])
  await save('torn.json', `[{"identity_name":"x","client_secret":"${GIVEN['by program']}"`)
  await save('cwd/.oauth-tokens/agent-documented.json', {
    ...{ client_id: 'documented', client_secret: GIVEN['of a documented file'], keycloak_url: server.origin, keycloak_realm: 'r' },
    auth_provider: 'keycloak',
  })
}

const variables = () => ({ MCP_IDP_HOME: home, PLANTED_SECRET: GIVEN['by variable'], MCP_IDP_PATIENCE: '0', NO_COLOR: '1' })

async function run(words: readonly string[], exits: readonly number[], more: Record<string, string> = {}): Promise<Ran> {
  const ran = await startProcess(process.execPath, [built.main, ...words], { ...variables(), ...more }, at('cwd')).ended
  expect(exits, `${words.join(' ')}: ${ran.stdout}${ran.stderr}`).toContain(ran.exit)
  counts.commands += 1
  return ran
}

/** Nothing of it is meant to hold anything. */
async function runQuietly(words: readonly string[], exits: readonly number[] = [0], more: Record<string, string> = {}): Promise<void> {
  const { stdout, stderr } = await run(words, exits, more)
  caught.stdout.push(stdout)
  caught.stderr.push(stderr)
}

const VARIANTS = [[], ['--json'], ['--debug'], ['--json', '--debug']] as const

describe('every way to ask', () => {
  test.each(VARIANTS.map((variant) => [variant.join(' '), variant] as const))(
    'generate, list, status and inspect with "%s"',
    async (_, variant) => {
      const named = ['--identities-file', at('good.json')]
      await runQuietly(['credentials', 'generate', ...named, '--force', ...variant])
      await runQuietly(['credentials', 'generate', ...named, ...variant])
      await runQuietly(['credentials', 'list', ...named, ...variant])
      await runQuietly(['credentials', 'status', ...named, ...variant])
      await runQuietly(['credentials', 'inspect', 'literal', ...named, ...variant])
      await runQuietly(['generate-creds', '-a', 'keycloak', '--force', '--env-files', ...variant.filter((word) => word !== '--json')])
    },
  )
  test.each(VARIANTS.map((variant) => [variant.join(' '), variant] as const))('what is refused with "%s"', async (_, variant) => {
    const before = counts.refusals
    await runQuietly(['credentials', 'generate', '--identities-file', at('refused.json'), '--force', ...variant], [9])
    for (const file of ['wrong.json', 'torn.json'])
      await runQuietly(['credentials', 'generate', '--identities-file', at(file), ...variant], [2])
    await runQuietly(['credentials', 'get', 'echo-literal', '--identities-file', at('refused.json'), ...variant], [4])
    await runQuietly(['credentials', 'exec', 'word-literal', '--identities-file', at('refused.json'), ...variant, '--', 'true'], [4])
    const proxy = { HTTPS_PROXY: `http://agent:${GIVEN['of a proxy']}@127.0.0.1:9` }
    const away = { ...JSON.parse(await readFile(at('good.json'), 'utf8'))[0], token_endpoint: 'https://idp.example.test/token' }
    await writeFile(at('away.json'), JSON.stringify(away), { mode: 0o600 })
    await runQuietly(['credentials', 'generate', '--identities-file', at('away.json'), '--force', ...variant], [5], proxy)
    expect(counts.refusals).toBeGreaterThanOrEqual(before + 18)
  })

  test('get prints the token that was asked for, on stdout and alone', async () => {
    for (const format of ['raw', 'json', 'headers', 'dotenv']) {
      const { stdout, stderr } = await run(['credentials', 'get', 'literal', '--format', format, '--identities-file', at('good.json')], [0])
      const all = [...tokens].map(([name, value]) => ({ name, value }))
      expect(leaks(stdout, all).map((name) => name.replace(/^token \d+ of /, ''))).toEqual(['literal'])
      caught.stderr.push(stderr)
      expect(leaks(stdout, given())).toEqual([])
    }
  })
  test('exec gives the token to the program alone', async () => {
    const words = ['credentials', 'exec', 'file', '--identities-file', at('good.json'), '--', 'sh', '-c', 'test -n "$ACCESS_TOKEN" && env']
    const { stdout, stderr } = await run(words, [0])
    // The program printed its own environment.
    expect(
      leaks(
        stdout,
        [...tokens].map(([name, value]) => ({ name, value })),
      ).map((name) => name.replace(/^token \d+ of /, '')),
    ).toEqual(['file'])
    caught.stderr.push(stderr)
  })
  test('the agent hands out on its socket, and tells of it without a token', async () => {
    const socket = at('agent.sock')
    const running = startProcess(
      process.execPath,
      [built.main, 'credentials', 'serve', '--socket', socket, '--identities-file', at('good.json')],
      variables(),
      at('cwd'),
    )
    try {
      await expect.poll(async () => (await readdir(home)).includes('agent.sock'), { timeout: 20_000 }).toBe(true)
      const { stdout } = await run(['credentials', 'get', 'key'], [0], { MCP_IDP_AGENT: socket })
      expect(
        leaks(
          stdout,
          [...tokens].map(([name, value]) => ({ name, value })),
        ),
      ).toHaveLength(1)
    } finally {
      running.child.kill('SIGTERM')
    }
    const { stdout, stderr } = await running.ended
    caught.status.push(stdout, stderr)
    expect(stdout + stderr).not.toBe('')
  })
  test('a watch tells how tokens stand', async () => {
    const running = startProcess(
      process.execPath,
      [built.main, 'credentials', 'generate', '--watch', '--force', '--identities-file', at('good.json')],
      variables(),
      at('cwd'),
    )
    const before = tokens.size
    await expect.poll(() => tokens.size, { timeout: 20_000 }).toBeGreaterThanOrEqual(before + 9)
    await new Promise((resolve) => setTimeout(resolve, 500))
    running.child.kill('SIGINT')
    const { stdout, stderr } = await running.ended
    caught.status.push(stdout, stderr)
    expect(stdout + stderr).toContain('literal')
  })
  test('MCP: the tools of tokens, working and refused', async () => {
    const mcp = frames(built.start(['mcp', '--toolsets', 'all', '--allow', 'issue', '--home', home], variables()))
    await mcp.initialize()
    for (const identities_file of [at('good.json'), at('refused.json'), at('wrong.json')]) {
      for (const [name, input] of [
        ['generate_credentials', { identities_file, force: true }],
        ['list_identities', { identities_file }],
        ['token_status', { identities_file }],
        ['inspect_token', { identity: 'literal', identities_file }],
        ['inspect_token', { token_file: at('.oauth-tokens/literal.json') }],
      ] as const) {
        expect(await mcp.call(name, input)).toHaveProperty('result')
        counts.calls += 1
      }
    }
    const { stderr } = await mcp.end()
    caught.frames.push(...mcp.lines)
    caught.stderr.push(stderr)
  })
  test.skipIf(!canTrace())('no argument list of the run or of what it starts holds a secret, by the kernel’s own log', async () => {
    const log = at('cwd/execve.log')
    for (const words of [
      ['credentials', 'generate', '--force', '--identities-file', at('good.json')],
      ['credentials', 'exec', 'variable', '--identities-file', at('good.json'), '--', 'true'],
      ['generate-creds', '-a', 'keycloak'],
    ]) {
      const tracing = ['-f', '-qq', '-s', '65536', '-e', 'trace=execve,execveat', '-o', log, process.execPath, built.main]
      // The environment of a program is no argument list: strace leaves it out unless asked.
      const { exit, stderr } = await startProcess('strace', [...tracing, ...words], variables(), at('cwd')).ended
      expect(exit, stderr).toBe(0)
      const lines = (await readFile(log, 'utf8')).split('\n').filter((line) => line.includes('execve'))
      counts.traced += lines.length
      caught.arguments.push(...lines)
    }
    await rm(log)
    expect(counts.traced).toBeGreaterThan(4)
  })
})

const given = (): Held[] => [...Object.entries(GIVEN), ...Object.entries(ANSWERED)].map(([name, value]) => ({ name, value }))
const everything = (): Held[] => [...given(), ...[...tokens].map(([name, value]) => ({ name, value }))]

describe('what came out', () => {
  test.each(SINKS)('%s: holds none of them', (sink) => {
    if (sink === 'arguments' && counts.traced === 0) return console.log(`arguments: NOT shown, it ${HOW_TO_TRACE}`)
    expect(caught[sink].join('').length).toBeGreaterThan(100)
    expect(leaks(caught[sink].join('\n'), everything())).toEqual([])
  })

  test('each secret lies where it was put, each token in its own file, and nothing else anywhere; all 0600', async () => {
    const held = await holders(home, everything())
    const inputs = /^(?:good|refused|wrong|torn|away)\.json$|^planted\/|^cwd\/\.oauth-tokens\/agent-documented\.json$/
    const outputs = /^(?:cwd\/)?\.oauth-tokens\/(?:agent-)?([a-z0-9-]+?)(?:-token)?\.(?:json|env)$/
    expect(held.map(({ mode }) => mode)).toEqual(held.map(() => '600'))
    const misplaced = held.flatMap(({ file, secrets }) => {
      if (inputs.test(file))
        return secrets.filter((name) => name.startsWith('token ') || name in ANSWERED).map((name) => `${name} in ${file}`)
      const [, identity = ''] = outputs.exec(file) ?? []
      return secrets.filter((name) => !name.endsWith(` of ${identity}`)).map((name) => `${name} in ${file}`)
    })
    expect(misplaced).toEqual([])
    expect(held.filter(({ file }) => outputs.test(file)).length).toBeGreaterThanOrEqual(11)
  })

  test('the search would have found each of them, and a client secret in a token file', async () => {
    for (const one of everything()) expect(leaks(`x ${encodeURIComponent(one.value)} y`, [one])).toEqual([one.name])
    await writeFile(
      at('.oauth-tokens/canary.json'),
      JSON.stringify({ client_secret: GIVEN['written out'].slice(0, 12), whole: GIVEN['of Okta'] }),
      { mode: 0o600 },
    )
    expect((await holders(home, everything())).find(({ file }) => file.endsWith('canary.json'))?.secrets).toEqual(['of Okta'])
    await rm(at('.oauth-tokens/canary.json'))
  })

  test('in numbers', () => {
    expect(counts.commands).toBeGreaterThan(40)
    expect(counts.refusals).toBeGreaterThan(72)
    console.log(
      `secrets of credentials: ${given().length} planted in inputs and answers, ${tokens.size} tokens; ${counts.commands} commands, ${counts.calls} tool calls, ${counts.refusals} answers that repeat secrets, ${counts.traced} argument lists of the kernel; 0 outside their places`,
    )
  })
})
