/**
 * Sixteen secrets are planted and more are made, every operation is run by every surface, with success and failure, and all
 * that came out is searched: raw, base64, percent- and form-encoded, as JSON and in hex. They are found in their files and
 * nowhere else. The search is proved by a leak planted in each place.
 */
import { randomBytes } from 'node:crypto'
import { appendFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isToolkitError } from '../../core/errors.js'
import { CATALOG, openToolkit } from '../../toolkit/index.js'
import { type BuiltCli, buildCli } from '../cli/built.js'
import { startWorld, type TestWorld } from '../cli/world.js'
import { frames } from '../mcp-server/frames.js'
import { type EchoingKeycloak, echoingKeycloak, type Refusing } from './echoing-keycloak.js'
import { CLIENTS } from './echoing-realm.js'
import { type Held, holders, leaks, secretsOf } from './secrets.js'

/** One planted secret a name; the letters alone look like an error code, which errors may repeat. */
const letters = (length: number) => [...randomBytes(length)].map((byte) => String.fromCharCode(97 + (byte % 26))).join('')
const jwt = () =>
  [
    'eyJhbGciOiJSUzI1NiJ9',
    Buffer.from(JSON.stringify({ planted: letters(20) })).toString('base64url'),
    randomBytes(40).toString('base64url'),
  ].join('.')
const named = (name: string) => `planted-${name}-${randomBytes(18).toString('base64url')}`
/** Spelled otherwise in JSON, in a form and in a URL. */
const awkward = (name: string) => `planted ${name}/${randomBytes(18).toString('base64')}&=%"\\`
const PLANTED = {
  'client secret': named('machine'),
  'web client secret': named('web'),
  'public client secret': named('public'),
  'rotated secret': named('rotated'),
  'first password of a person': named('person'),
  'admin password': letters(28),
  'admin client secret': awkward('administrator'),
  'access token': jwt(),
  'minted token': jwt(),
  'registration access token': named('registration'),
  'initial access token': named('initial'),
  'provider admin token': named('provider'),
  'identity secret': awkward('identity'),
  'registry token': `planted.registry.${randomBytes(24).toString('base64url')}`,
  'vendor secret': awkward('vendor'),
  'mail password': named('mail'),
}

/** What came out, by the place it came out of. */
const SINKS = ['stdout', 'stderr', 'plan', 'plan files', 'frames', 'errors', 'arguments', 'logs'] as const
type Sink = (typeof SINKS)[number]
const caught = Object.fromEntries(SINKS.map((sink) => [sink, []])) as unknown as Record<Sink, string[]>
const found = (sink: Sink, secrets: readonly Held[]) => leaks(caught[sink].join('\n'), secrets)

const REFUSALS: readonly Refusing[] = [
  { at: 'login', status: 401, as: 'json' },
  { at: 'login', status: 400, as: 'json' },
  { at: 'login', status: 500, as: 'json' },
  { at: 'login', status: 403, as: 'html' },
  { at: 'read', status: 401, as: 'json' },
  { at: 'read', status: 403, as: 'json' },
  { at: 'read', status: 500, as: 'html' },
  { at: 'write', status: 400, as: 'json' },
  { at: 'write', status: 409, as: 'json' },
  { at: 'write', status: 500, as: 'json' },
  { at: 'write', status: 422, as: 'html' },
  { at: 'token', status: 401, as: 'json' },
  { at: 'token', status: 400, as: 'json' },
  { at: 'token', status: 502, as: 'html' },
]

let built: BuiltCli
let world: TestWorld
let keycloak: EchoingKeycloak
let sampling: { stop(): Promise<void> }
const counts = { commands: 0, refusals: 0, calls: 0, errors: 0 }

beforeAll(async () => {
  built = buildCli()
  world = await startWorld(built)
  keycloak = await echoingKeycloak({
    adminToken: PLANTED['access token'],
    mintedToken: PLANTED['minted token'],
    clientSecret: PLANTED['client secret'],
    webSecret: PLANTED['web client secret'],
    publicSecret: PLANTED['public client secret'],
    registrationToken: PLANTED['registration access token'],
    vendorSecret: PLANTED['vendor secret'],
    mailPassword: PLANTED['mail password'],
  })
  await mkdir(join(world.home, 'planted'), { mode: 0o700 })
  const identity = { identity_name: 'planted', auth_provider: 'keycloak', client_id: 'planted', client_secret: PLANTED['identity secret'] }
  await writeFile(place('identity.json'), JSON.stringify({ ...identity, keycloak_url: keycloak.origin, keycloak_realm: 'x' }), {
    mode: 0o600,
  })
  const expires_at = new Date(Date.now() + 3_600_000).toISOString()
  await writeFile(place('registry.json'), JSON.stringify({ access_token: PLANTED['registry token'], expires_at }), { mode: 0o600 })
  sampling = sampleArguments(caught.arguments)
})
afterAll(async () => {
  await sampling?.stop()
  await keycloak?.close()
  await world?.stop()
  await built?.remove()
})

const place = (file: string) => join(world.home, 'planted', file)
const keycloakSettings = (): Record<string, string> => ({
  ...{ KEYCLOAK_URL: keycloak.origin, KEYCLOAK_REALM: 'x', KEYCLOAK_ADMIN_PASSWORD: PLANTED['admin password'] },
  // It never gets better.
  MCP_IDP_PATIENCE: '0',
})
const serviceAccountSettings = () => ({
  ...{ ...keycloakSettings(), KEYCLOAK_ADMIN_CLIENT_ID: 'planted', KEYCLOAK_ADMIN_CLIENT_SECRET: PLANTED['admin client secret'] },
})

/** Left by runs that were cut off: the next ones take these for the new secret and the first password. */
async function plantPending(): Promise<void> {
  const save = async (folder: string, file: string, content: object) => {
    await mkdir(join(world.home, folder), { mode: 0o700, recursive: true })
    await writeFile(join(world.home, folder, file), JSON.stringify(content), { mode: 0o600 })
  }
  const machine = {
    identity_name: CLIENTS['machine-client'],
    auth_provider: 'keycloak',
    client_id: '',
    client_secret: PLANTED['rotated secret'],
  }
  await save('identities', `agent-${CLIENTS['machine-client']}.json.pending`, machine)
  const issuer = `${keycloak.origin}/realms/x`
  const person = { username: 'newcomer', issuer, password: PLANTED['first password of a person'], temporary: true }
  await save('people', 'newcomer.json.pending', person)
}

/** Command lines of every process on this machine, again and again. */
function sampleArguments(into: string[]): { stop(): Promise<void> } {
  const seen = new Set<string>()
  let going = true
  const loop = (async () => {
    while (going) {
      for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
        const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
        if (line === '' || seen.has(line)) continue
        seen.add(line)
        into.push(line)
      }
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  })()
  return {
    async stop() {
      going = false
      await loop
    },
  }
}

async function run(words: readonly string[], variables: Record<string, string> = {}, exits: readonly number[] = [0]): Promise<void> {
  const ran = await world.cli(words, variables)
  expect(exits, `${words.join(' ')}: ${ran.stdout}${ran.stderr}`).toContain(ran.exit)
  caught.stdout.push(ran.stdout)
  caught.stderr.push(ran.stderr)
  if (words.includes('--plan')) caught.plan.push(ran.stdout, ran.stderr)
  const planOut = words[words.indexOf('--plan-out') + 1]
  if (words.includes('--plan-out') && planOut !== undefined && ran.exit === 0) caught['plan files'].push(await readFile(planOut, 'utf8'))
  counts.commands += 1
}

const VARIANTS = [[], ['--json'], ['--debug'], ['--json', '--debug']] as const
const isChange = (words: readonly string[]) =>
  CATALOG.some(({ command, safety }) => ['write', 'destructive'].includes(safety) && command.every((word, at) => words[at] === word))

/** Every operation as it works, on the embedded world; `$` is another name each time, `~` the home. */
const WORKING: readonly (readonly string[])[] = [
  ['setup', 'init', '--idp', 'embedded', '--admin-username', 'operator-$'],
  ['setup', 'ide-client', '--idp', 'embedded', '--name', 'IDE $'],
  ['setup', 'm2m-app', '--idp', 'embedded', '--name', 'agent-$', '--groups', 'demo-readers'],
  ['setup', 'groups', '--idp', 'embedded', '--groups', 'group-$'],
  ['setup', 'users', '--idp', 'embedded', '--username', 'person-$', '--groups', 'demo-readers'],
  ['setup', 'rotate-secret', 'agent-$', '--idp', 'embedded'],
  ['m2m', 'list'],
  ['m2m', 'get', 'there-$'],
  ['m2m', 'register', '--client-id', 'there-$', '--client-name', 'There'],
  ['m2m', 'assign-groups', 'there-$', 'demo-readers'],
  ['m2m', 'update', 'there-$', '--enabled', 'false'],
  ['m2m', 'delete', 'there-$'],
  ['servers', 'list'],
  ['connect-config', '/demo', '--client', 'codex'],
  // Of one's own: the secrets of the others are being replaced meanwhile.
  ['credentials', 'generate', '--force', '--identities-file', '~/identities/agent-$.json'],
  ['credentials', 'list', '--identities-file', '~/identities/agent-$.json'],
  ['credentials', 'status', '--identities-file', '~/identities/agent-$.json'],
  ['credentials', 'inspect', 'agent-$', '--identities-file', '~/identities/agent-$.json'],
  ['check', '--idp', 'embedded'],
  ['doctor', '--idp', 'embedded'],
  ['setup', 'remove', '--idp', 'embedded', '--groups', 'group-$', '--users', 'person-$'],
]

/** Every operation that asks a provider, at the Keycloak that repeats secrets; `$` is another name each time. */
const AT_KEYCLOAK: readonly (readonly string[])[] = [
  ['setup', 'init', '--idp', 'keycloak', '--admin-username', 'newcomer'],
  ['setup', 'ide-client', '--idp', 'keycloak', '--client-id', 'ide-$'],
  ['setup', 'm2m-app', '--idp', 'keycloak', '--name', 'agent-$', '--groups', 'demo-readers'],
  ['setup', 'groups', '--idp', 'keycloak', '--groups', 'group-$'],
  ['setup', 'users', '--idp', 'keycloak', '--username', 'newcomer'],
  ['setup', 'rotate-secret', CLIENTS['machine-client'], '--idp', 'keycloak'],
  ['setup', 'rotate-secret', CLIENTS['web-client'], '--idp', 'keycloak'],
  ['setup', 'remove', '--idp', 'keycloak', '--all-owned'],
  ['check', '--idp', 'keycloak'],
  ['doctor', '--idp', 'keycloak'],
]

/** Words of those that mint, make a person, and rotate. */
const FOREMOST: readonly string[] = ['init', 'm2m-app', CLIENTS['machine-client'], 'check']

test('every operation of the catalogue is run', () => {
  const run = new Set(WORKING.map((words) => CATALOG.find(({ command }) => command.every((word, at) => words[at] === word))?.name))
  expect([...run].toSorted()).toEqual(CATALOG.map(({ name }) => name).toSorted())
})

describe('the CLI', () => {
  describe.concurrent('every operation', () => {
    test.each(VARIANTS.map((variant, index) => [variant.join(' '), variant, index] as const))(
      'with "%s": working',
      { timeout: 120_000 },
      async (_, variant, index) => {
        const named = WORKING.map((words) => words.map((word) => word.replace('$', String(index)).replace('~', world.home)))
        // What is shown must be there before it is asked for.
        const inOrder = [...named].sort((a, b) => Number(b.includes('register')) - Number(a.includes('register')))
        for (const words of inOrder) {
          if (isChange(words) && index < 2) await run([...words, '--plan', ...variant])
          if (isChange(words) && index === 0) await run([...words, '--plan-out', place(`${words[1]}.plan.json`)])
          // The other variants rotate and remove meanwhile, which a check may find.
          await run([...words, ...(isChange(words) ? ['--yes'] : []), ...variant], {}, words[0] === 'check' ? [0, 7] : [0])
        }
      },
    )

    test.each([VARIANTS[0], VARIANTS[3]].map((variant) => [variant.join(' '), variant] as const))(
      'with "%s": refused',
      { timeout: 120_000 },
      async (_, variant) => {
        const badRegistry = { REGISTRY_TOKEN_FILE: place('registry.json') }
        const badProvider = {
          EMBEDDED_ADMIN_TOKEN: PLANTED['provider admin token'],
          EMBEDDED_INITIAL_ACCESS_TOKEN: PLANTED['initial access token'],
        }
        for (const words of WORKING.map((line) => line.map((word) => word.replace('$', 'refused').replace('~', world.home)))) {
          const agreed = isChange(words) ? ['--yes'] : []
          const asksProvider = words.includes('--idp')
          // A token is no identity.
          if (words[0] === 'credentials') await run([...words, '--identities-file', place('registry.json'), ...variant], {}, [3])
          // A doctor tells what it may not do; who may look at nothing finds nothing to rotate, or nothing wrong.
          else if (asksProvider) await run([...words, ...agreed, ...variant], badProvider, words[0] === 'setup' ? [3, 4] : [0, 4, 7])
          else await run([...words, ...agreed, ...variant], badRegistry, [4])
          if (isChange(words)) await run([...words, ...variant], badRegistry, asksProvider ? [0, 3, 4, 8] : [4])
        }
      },
    )
  })

  test.each(REFUSALS)('against a Keycloak that repeats secrets at $at with $status as $as', { timeout: 240_000 }, async (how) => {
    keycloak.refuse(how)
    const before = keycloak.refusals()
    const minting = ['credentials', 'generate', '--force', '--identities-file', place('identity.json')]
    // Before it writes every command asks alike.
    const asked = how.at === 'write' ? AT_KEYCLOAK : AT_KEYCLOAK.filter((words) => words.some((word) => FOREMOST.includes(word)))
    const commands = asked.map((words) => words.map((word) => word.replace('$', `${how.at}-${how.status}`)))
    for (const [index, words] of [...commands, ...(how.at === 'token' ? [minting] : [])].entries()) {
      await plantPending()
      const agreed = isChange(words) ? ['--yes'] : []
      const settings = how.at === 'login' && index % 2 === 1 ? serviceAccountSettings() : keycloakSettings()
      await run([...words, ...agreed, index % 2 === 0 ? '--json' : '--debug'], settings, [0, 2, 3, 4, 5, 7])
      counts.refusals += 1
    }
    expect(keycloak.refusals()).toBeGreaterThan(before)
    if (how !== REFUSALS.find(({ at }) => at === 'write')) return
    for (const words of commands.filter(isChange)) {
      await plantPending()
      await run([...words, '--plan'], keycloakSettings())
      await run([...words, '--plan-out', place(`${how.status}-${words[1]}.plan.json`)], keycloakSettings())
    }
  })

  test('against a Keycloak that takes everything and shows its secrets in lists', { timeout: 240_000 }, async () => {
    keycloak.refuse({ at: 'nothing', status: 200, as: 'json' })
    for (const words of AT_KEYCLOAK.map((line) => line.map((word) => word.replace('$', 'taken')))) {
      await plantPending()
      // It forgets what is written, so an apply does not converge; and the registry trusts another issuer.
      for (const variant of [[], ['--json', '--debug']])
        await run([...words, ...(isChange(words) ? ['--yes'] : []), ...variant], keycloakSettings(), [0, 2, 3, 7])
    }
  })

  test('as start, once, in a home of its own', { timeout: 60_000 }, async () => {
    const home = join(world.home, 'planted', 'another')
    const { exit, stdout, stderr } = await built.run(['start', '--once', '--home', home, '--port', '0', '--issuer-port', '0'])
    expect(exit).toBe(0)
    caught.stdout.push(stdout)
    caught.stderr.push(stderr)
    caught.plan.push(stdout)
    caught.logs.push(await readFile(join(home, 'requests.jsonl'), 'utf8'))
    expect((await secretsOf(home)).length).toBeGreaterThan(10)
  })
})

test('MCP frames: every tool, with its examples, before and after a yes', { timeout: 240_000 }, async () => {
  for (const how of [REFUSALS[0], REFUSALS[7], REFUSALS[11]]) {
    if (how) keycloak.refuse(how)
    const running = built.start(
      ['mcp', '--toolsets', 'all', '--allow', 'issue,write,destructive', '--home', world.home],
      keycloakSettings(),
    )
    const server = frames(running)
    // A client that says yes to everything.
    running.child.stdout?.on('data', () => {
      for (const line of server.lines) {
        const frame = JSON.parse(line) as { id?: number; method?: string }
        if (frame.method !== 'elicitation/create' || answered.has(line)) continue
        answered.add(line)
        server.send({ id: frame.id, result: { action: 'accept', content: { apply: true } } })
      }
    })
    const answered = new Set<string>()
    await server.initialize({ elicitation: {} })
    await plantPending()
    for (const row of CATALOG) {
      for (const example of (await row.load()).examples) {
        expect(await server.call(row.name, example)).toHaveProperty('result')
        counts.calls += 1
      }
    }
    const forced = await server.call('generate_credentials', {
      identities_file: place('identity.json'),
      force: true,
      output_dir: place('tokens'),
    })
    expect(forced).toHaveProperty('result')
    const made = await server.call('setup_m2m_app', { idp: 'embedded', name: `mcp-${how?.at}`, groups: ['demo-readers'] })
    expect(made).toMatchObject({ result: { structuredContent: { applied: true } } })
    const { stderr } = await server.end()
    caught.frames.push(...server.lines)
    caught.stderr.push(stderr)
  }
})

test("the library's errors, as text, JSON and inspected to the bottom", { timeout: 240_000 }, async () => {
  const KEYCLOAK_CALLS = [
    ['setup_ide_client', { idp: 'keycloak' }],
    ['setup_m2m_app', { idp: 'keycloak', name: 'library', groups: ['demo-readers'] }],
    ['init_tenant', { idp: 'keycloak', admin_username: 'newcomer' }],
    ['setup_users', { idp: 'keycloak', username: 'newcomer' }],
    ['rotate_secret', { idp: 'keycloak', name: CLIENTS['machine-client'] }],
    ['check_setup', { idp: 'keycloak' }],
    ['check_rights', { idp: 'keycloak' }],
    ['generate_credentials', { force: true }],
  ] as const
  for (const how of REFUSALS) {
    keycloak.refuse(how)
    for (const [name, input] of KEYCLOAK_CALLS) {
      await plantPending()
      const toolkit = await openToolkit({ home: world.home, env: keycloakSettings(), approve: async () => true })
      const given =
        name === 'generate_credentials' ? { ...input, identities_file: place('identity.json'), output_dir: place('tokens') } : input
      const error = await toolkit.run(name, given).then(
        () => undefined,
        (caughtError: unknown) => caughtError,
      )
      await toolkit.close()
      if (error === undefined) continue
      expect(isToolkitError(error), `${how.at} ${how.status}: ${inspect(error)}`).toBe(true)
      const deep = inspect(error, { depth: 20, showHidden: true, maxArrayLength: null, maxStringLength: null })
      caught.errors.push(String(error), JSON.stringify(error), deep, error instanceof Error ? (error.stack ?? '') : '')
      counts.errors += 1
    }
  }
  expect(counts.errors).toBeGreaterThanOrEqual(REFUSALS.length)
})

describe('what came out', () => {
  let secrets: Held[]
  beforeAll(async () => {
    const made = [...(await secretsOf(world.home)), ...(await secretsOf(place('another')))]
    const planted = Object.entries(PLANTED).map(([name, value]) => ({ name, value }))
    const submitted = [...keycloak.submitted].map((value) => ({ name: 'submitted to Keycloak', value }))
    const all = [...planted, ...made, ...submitted]
    // The signature of a token opens nothing alone, and gives the token away all the same.
    const signatures = all.flatMap(({ name, value }) =>
      /^[\w-]+\.[\w-]+\.[\w-]{40,}$/.test(value) ? [{ name: `${name} (signature)`, value: value.split('.')[2] ?? '' }] : [],
    )
    secrets = [...all, ...signatures]
    caught.logs.push(await readFile(join(world.home, 'requests.jsonl'), 'utf8'))
  })

  test('there were secrets of every kind to find, and the vendor repeated what it was sent', () => {
    for (const kind of ['client_secret', 'access_token', 'registration_access_token', 'password', 'jwks.json d', 'admin password']) {
      expect(
        secrets.some(({ name }) => name.includes(kind)),
        kind,
      ).toBe(true)
    }
    for (const name of [
      ...['admin password', 'admin client secret', 'access token', 'identity secret', 'rotated secret', 'first password of a person'],
    ] as const)
      expect(keycloak.submitted.has(PLANTED[name as keyof typeof PLANTED]), name).toBe(true)
    // A secret that we chose, made up by a run of setup m2m-app.
    expect(keycloak.submitted.size).toBeGreaterThan(3)
  })

  test.each(SINKS)('%s: holds none of them', (sink) => {
    expect(caught[sink].join('').length).toBeGreaterThan(1_000)
    expect(found(sink, secrets)).toEqual([])
  })

  test('they lie in their files, which only their owner may read', async () => {
    const held = await holders(world.home, secrets)
    const PLACES = /^(?:(?:identities|clients|people|gateway|\.oauth-tokens|registrations|provider|planted)\/|registry\.env$)/
    expect(held.length).toBeGreaterThan(5)
    expect(held.filter(({ file, mode }) => !PLACES.test(file) || mode !== '600')).toEqual([])
  })

  test('the search finds a leak in each of these places', { timeout: 60_000 }, async () => {
    const canary: Held = { name: 'canary', value: `canary-${randomBytes(18).toString('base64url')}` }
    for (const sink of SINKS) expect(found(sink, [canary]), sink).toEqual([])
    const leaking = join(built.folder, 'leaking.mjs')
    const encoded = Buffer.from(`token=${canary.value}`).toString('base64')
    await writeFile(
      leaking,
      `process.stdout.write(${JSON.stringify(`${encodeURIComponent(canary.value)}\n`)}); process.stderr.write(${JSON.stringify(`${encoded}\n`)})`,
    )
    const ran = await built.run(['--version'], {}, ['--import', pathToFileURL(leaking).href])
    caught.stdout.push(ran.stdout)
    caught.stderr.push(ran.stderr)
    const leaky = ['m2m', 'register', '--client-id', 'x', '--client-name', canary.value]
    await run([...leaky, '--plan'])
    await run([...leaky, '--plan-out', place('leaky.plan.json')])
    const server = frames(built.start(['mcp', '--toolsets', 'all', '--allow', 'write', '--home', world.home]))
    await server.initialize()
    await server.call('register_m2m_client', { client_id: 'x', client_name: Buffer.from(canary.value).toString('hex') })
    await server.end()
    caught.frames.push(...server.lines)
    caught.errors.push(inspect(Object.assign(new Error('x'), { deep: { down: [canary.value] } }), { depth: 20 }))
    await appendFile(join(world.home, 'requests.jsonl'), `${JSON.stringify({ url: encodeURIComponent(canary.value) })}\n`)
    caught.logs.push(await readFile(join(world.home, 'requests.jsonl'), 'utf8'))
    const samples = caught.arguments.length
    expect(samples).toBeGreaterThan(10)
    // The command above carried it as an argument.
    for (const sink of SINKS) expect(found(sink, [canary]), sink).toEqual(['canary'])
  })

  const SPELLINGS: readonly (readonly [string, (value: string) => string])[] = [
    ['raw', (value) => value],
    ['base64', (value) => Buffer.from(`x${value}x`).toString('base64')],
    ['base64url', (value) => Buffer.from(`xx${value}x`).toString('base64url')],
    ['percent-encoded', encodeURIComponent],
    ['form-encoded', (value) => new URLSearchParams({ value }).toString()],
    ['as JSON', (value) => JSON.stringify({ value })],
    ['as JSON in JSON', (value) => JSON.stringify(JSON.stringify({ value }))],
    ['in hex', (value) => Buffer.from(value).toString('hex')],
    ['in hex, in capitals', (value) => Buffer.from(value).toString('hex').toUpperCase()],
  ]
  test.each(SPELLINGS)('the search finds each planted secret spelled %s', (_, spell) => {
    const planted = Object.entries(PLANTED).map(([name, value]) => ({ name, value }))
    expect(planted.length).toBeGreaterThanOrEqual(15)
    for (const one of planted) expect(leaks(`before ${spell(one.value)} after`, planted)).toEqual([one.name])
  })

  test('in numbers', () => {
    const { commands, refusals, calls, errors } = counts
    expect(commands).toBeGreaterThan(100)
    const out = new Set(SINKS.flatMap((sink) => found(sink, secrets))).size
    console.log(
      `secrets: ${secrets.length} secrets of ${Object.keys(PLANTED).length} planted names and two homes; ${commands} commands (${refusals} at a vendor that repeats secrets), ${calls} tool calls, ${errors} library errors, ${caught.arguments.length} command lines seen; ${out} found outside their files`,
    )
  })
})
