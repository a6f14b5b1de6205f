/**
 * A real Codex logs in to the running main job as a person and calls the demo tool: one with the TOML of step 9 in an empty
 * home, one with the command that connect-config prints. Model and browser are stand-ins on this machine; the rest is real.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { codexCallbackId } from '../../ide/codex-callback.js'
import { type Logged, type MainJob, originsIn, requestLog, startMainJob } from '../shows/main-job.js'
import { CODEX, type Codex, codexOf, installCodex, type ResponsesModel, startResponsesModel } from './clients/codex.js'
import { cliJson, makeFolder, type Ran } from './product.js'

/** As the global setup built it; processes are started at the root. */
const CLI = 'dist/cli/main.js'
const TOOL = { namespace: 'mcp__demo', name: 'whoami' }
const QUESTION = 'Who am I?'
const WAITS = 'Ctrl-C stops it.\n'

let folder: Awaited<ReturnType<typeof makeFolder>>
let home: string
let model: ResponsesModel
let job: MainJob
let serverUrl: string
let printed: Printed
let byFile: Codex
let byCommand: Codex
/** Requests elsewhere before one is made on purpose. */
let strayed: number | undefined

interface Printed {
  /** Step 9's, its indentation included. */
  readonly toml: string
  readonly path: string
  /** As connect-config gives them. */
  readonly command: string
  readonly login: string
  readonly client_id: string
}

beforeAll(async () => {
  const program = await installCodex()
  folder = await makeFolder()
  home = join(folder.path, 'gateway')
  model = await startResponsesModel(TOOL)
  job = startMainJob(CLI, home, '--port', '0', '--issuer-port', '0')
  await job.until(() => job.stdout().endsWith(WAITS))
  serverUrl = `${originsIn(job.stdout()).registry}/demo/mcp`
  printed = await whatIsPrinted()
  const codexFor = (person: string) =>
    codexOf(program, {
      folder: join(folder.path, person),
      proxyUrl: model.url,
      person,
      peopleFile: join(home, 'provider/demo-people.json'),
    })
  byFile = await codexFor('ada')
  byCommand = await codexFor('grace')
}, 900_000)

afterAll(async () => {
  await job?.stop()
  await model?.close()
  if (model) {
    const { logins, exchanges, refreshes, calls } = counted(await requestLog(home))
    console.log(
      `real-codex: Codex ${CODEX}: ${logins.length} logins, ${exchanges.length} code exchanges, ${refreshes.length} refreshes, ` +
        `${calls.length} tool calls, ${model.questions.length} questions to the model, ${strayed ?? 'uncounted'} requests elsewhere`,
    )
  }
  await folder?.remove()
})

test('is the version that was asked for', async () => {
  expect((await byFile.sh('codex --version')).stdout).toBe(`codex-cli ${CODEX}\n`)
})

describe('by the printed TOML', () => {
  test('an empty home and the file as it is printed are enough to know the server, and to want a login', async () => {
    expect(await readdir(join(byFile.home, '.codex'))).toEqual([])
    await writeFile(printed.path.replace('~', byFile.home), printed.toml)
    expect(await listed(byFile)).toEqual([{ name: 'demo', url: serverUrl, auth_status: 'not_logged_in' }])
    expect((await byFile.ask(QUESTION, model.url)).stdout).toBe(`There is no ${TOOL.name}\n`)
    expect(model.outputs).toEqual([])
  })

  test('the printed login is one page, one authorization and one code exchange, at the callback of this server alone', async () => {
    const { stdout } = await loggedIn(byFile, printed.login)
    expect(stdout).toContain("Successfully logged in to MCP server 'demo'.")
    expect(redirectPath(stdout)).toBe(`/callback/${codexCallbackId(serverUrl)}`)
    const { logins, exchanges, calls } = counted(await requestLog(home))
    expect(logins).toMatchObject([{ account: 'ada', client_id: printed.client_id }])
    expect(exchanges).toMatchObject([{ account: 'ada', client_id: printed.client_id }])
    expect(calls).toEqual([])
    expect(await listed(byFile)).toMatchObject([{ name: 'demo', auth_status: 'o_auth' }])
  })

  test('the tool is called, and knows the person and the group', async () => {
    await expectToolKnows(byFile, 'ada', 'demo-readers')
    expect(counted(await requestLog(home)).calls).toMatchObject([{ subject: 'ada' }])
  })

  test('a token that has run out is refreshed without a second login', async () => {
    await letTokensRunOut(byFile)
    await expectToolKnows(byFile, 'ada', 'demo-readers')
    const { logins, exchanges, refreshes, calls } = counted(await requestLog(home))
    expect(refreshes).toMatchObject([{ account: 'ada' }])
    expect([logins.length, exchanges.length, calls.length]).toEqual([1, 1, 2])
  })
})

describe('by the printed command', () => {
  test('an empty home and one command are enough: it adds the server and logs in, at the callback of every server', async () => {
    expect(await readdir(join(byCommand.home, '.codex'))).toEqual([])
    const before = counted(await requestLog(home))
    const { stdout } = await loggedIn(byCommand, printed.command)
    expect(stdout).toContain("Added global MCP server 'demo'.")
    expect(stdout).toContain('Successfully logged in.')
    expect(redirectPath(stdout)).toBe('/callback')
    const { logins, exchanges } = counted(await requestLog(home))
    expect(logins.slice(before.logins.length)).toMatchObject([{ account: 'grace', client_id: printed.client_id }])
    expect(exchanges.slice(before.exchanges.length)).toMatchObject([{ account: 'grace', client_id: printed.client_id }])
    expect(await listed(byCommand)).toEqual([{ name: 'demo', url: serverUrl, auth_status: 'o_auth' }])
  })

  test('the tool is called, and knows the person and the group', async () => {
    const before = counted(await requestLog(home))
    await expectToolKnows(byCommand, 'grace', 'registry-admins')
    const { logins, exchanges, refreshes, calls } = counted(await requestLog(home))
    expect(calls.slice(before.calls.length)).toMatchObject([{ subject: 'grace' }])
    const counts = [logins, exchanges, refreshes].map(({ length }) => length)
    expect(counts).toEqual([before.logins, before.exchanges, before.refreshes].map(({ length }) => length))
  })
})

test('asked nobody else for anything, and would have been seen', async () => {
  expect(model.questions.length).toBeGreaterThan(0)
  strayed = model.strayed.length
  expect(model.strayed).toEqual([])
  expect((await byFile.ask(QUESTION, 'https://elsewhere.example')).exit).toBe(1)
  expect(model.strayed).toEqual(['CONNECT elsewhere.example:443'])
})

async function whatIsPrinted(): Promise<Printed> {
  const [, path = '', toml = ''] = /^ {3}Codex, in (\S+):\n((?:(?: {5}.*)?\n)+)/m.exec(job.stdout()) ?? []
  const shown = await cliJson<{ client_id: string; alternatives: { language: string; text: string }[]; notes: string[] }>(
    ['connect-config', '/demo', '--client', 'codex'],
    { MCP_IDP_HOME: home },
  )
  const command = shown.alternatives.find(({ language }) => language === 'sh')?.text ?? ''
  const login = /: (codex mcp login .+)$/m.exec(shown.notes.join('\n'))?.[1] ?? ''
  return { toml, path, command, login, client_id: shown.client_id }
}

/** What the log says a client did. */
function counted(log: readonly Logged[]) {
  const of = (server: Logged['server'], event?: string) => log.filter((entry) => entry.server === server && entry.event === event)
  const calls = log.filter((entry) => entry.server === 'demo' && entry.tool === TOOL.name)
  return {
    logins: of('provider', 'authorization'),
    exchanges: of('provider', 'code_exchange'),
    refreshes: of('provider', 'refresh'),
    calls,
  }
}

/** The servers that it knows of, and whether it has a login for each. */
async function listed({ sh }: Codex): Promise<object[]> {
  const { stdout } = await sh('codex mcp list --json')
  const servers = JSON.parse(stdout) as { name: string; transport: { url: string }; auth_status: string }[]
  return servers.map(({ name, transport, auth_status }) => ({ name, url: transport.url, auth_status }))
}

/** A line that logs in, and the browser found its way. */
async function loggedIn(codex: Codex, line: string): Promise<Ran> {
  const login = await codex.sh(line)
  const browsed = await readFile(join(codex.home, 'browser.log'), 'utf8').catch(() => 'no browser was opened')
  expect({ exit: login.exit, browsed }, login.stdout + login.stderr).toEqual({ exit: 0, browsed: '' })
  return login
}

/** Of the authorization request that it prints for a person without a browser. */
function redirectPath(stdout: string): string {
  const url = new URL(/^http\S+\/auth\?\S+$/m.exec(stdout)?.[0] ?? '')
  const { hostname, pathname } = new URL(url.searchParams.get('redirect_uri') ?? '')
  expect(hostname).toBe('127.0.0.1')
  return pathname
}

async function expectToolKnows(codex: Codex, ...words: string[]): Promise<void> {
  const before = model.outputs.length
  const asked = await codex.ask(QUESTION, model.url)
  expect(asked).toMatchObject({ exit: 0, stdout: expect.stringMatching(/^The tool said /) })
  expect(model.questions.at(-1)).toContain(`${TOOL.namespace}/${TOOL.name}`)
  expect(model.outputs).toHaveLength(before + 1)
  for (const word of words) expect(asked.stdout).toContain(word)
}

/** Where Codex keeps its logins without a keyring; the tokens stay, only their time is over. */
async function letTokensRunOut({ home: ownHome }: Codex): Promise<void> {
  const file = join(ownHome, '.codex/.credentials.json')
  const kept = JSON.parse(await readFile(file, 'utf8')) as Record<string, { expires_at: number }>
  const logins = Object.values(kept)
  expect(logins.length).toBeGreaterThan(0)
  for (const login of logins) login.expires_at = 1
  await writeFile(file, JSON.stringify(kept), { mode: 0o600 })
}
