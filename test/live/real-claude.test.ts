/**
 * A real Claude Code, given the line that step 9 prints and nothing else, logs in to the running main job as a person and
 * calls the demo tool. Model and browser are stand-ins on this machine; client, login, token and tool call are real.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Logged, type MainJob, originsIn, requestLog, startMainJob } from '../shows/main-job.js'
import { CLAUDE_CODE, type Claude, claudeCode, installClaudeCode } from './clients/claude-code.js'
import { type StandInModel, startModel } from './clients/model.js'
import { makeFolder } from './product.js'
import { freePort } from './rig/server.js'

/** As the global setup built it; processes are started at the root. */
const CLI = 'dist/cli/main.js'
const TOOL = 'mcp__demo__whoami'
const ASK = `claude -p 'Who am I?' --allowedTools ${TOOL}`
const WAITS = 'Ctrl-C stops it.\n'

let folder: Awaited<ReturnType<typeof makeFolder>>
let home: string
let model: StandInModel
let job: MainJob
let claude: Claude
/** As step 9 prints it, its indentation included. */
let line: string

beforeAll(async () => {
  const program = await installClaudeCode()
  folder = await makeFolder()
  home = join(folder.path, 'gateway')
  model = await startModel(TOOL)
  job = startMainJob(CLI, home, '--port', '0', '--issuer-port', '0')
  await job.until(() => job.stdout().endsWith(WAITS))
  line = /^ {3}Claude Code:\n(.+)$/m.exec(job.stdout())?.[1] ?? ''
  const network = { modelUrl: model.url, proxyUrl: model.url, callbackPort: await freePort() }
  const person = { person: 'ada', peopleFile: join(home, 'provider/demo-people.json') }
  claude = await claudeCode(program, { folder: folder.path, ...network, ...person })
}, 900_000)

afterAll(async () => {
  await job?.stop()
  await model?.close()
  if (model) {
    const { logins, exchanges, refreshes, calls } = counted(await requestLog(home))
    console.log(
      `real-claude: Claude Code ${CLAUDE_CODE}: ${logins.length} logins, ${exchanges.length} code exchanges, ${refreshes.length} refreshes, ` +
        `${calls.length} tool calls, ${model.questions.length} questions to the model, ${model.strayed.length} requests elsewhere`,
    )
  }
  await folder?.remove()
})

/** What the log says a client did. */
function counted(log: readonly Logged[]) {
  const of = (server: Logged['server'], event?: string) => log.filter((entry) => entry.server === server && entry.event === event)
  const calls = log.filter((entry) => entry.server === 'demo' && entry.tool === 'whoami')
  return {
    logins: of('provider', 'authorization'),
    exchanges: of('provider', 'code_exchange'),
    refreshes: of('provider', 'refresh'),
    calls,
  }
}

test('is the version that was asked for', async () => {
  expect((await claude.sh('claude --version')).stdout).toBe(`${CLAUDE_CODE} (Claude Code)\n`)
})

test('takes the printed line as it is, and then wants a login', async () => {
  const { registry } = originsIn(job.stdout())
  expect(line).toContain('claude mcp add ')
  expect(await claude.sh(line)).toMatchObject({
    exit: 0,
    stdout: expect.stringContaining(`Added HTTP MCP server demo with URL: ${registry}/demo/mcp`),
  })
  expect((await claude.sh('claude mcp list')).stdout).toMatch(/^demo: .*Needs authentication/m)
  expect((await claude.sh(ASK)).stdout).toBe(`There is no ${TOOL}\n`)
})

test('logs in as a person through one page, and is connected', async () => {
  const login = await claude.atTerminal('mcp login demo')
  const browsed = await readFile(join(claude.home, 'browser.log'), 'utf8').catch(() => 'no browser was opened')
  expect({ exit: login.exit, browsed }, login.stdout).toEqual({ exit: 0, browsed: '' })
  expect(login.stdout).toContain('Authenticated with "demo"')
  expect((await claude.sh('claude mcp list')).stdout).toMatch(/^demo: .*✔ Connected$/m)
  const { logins, exchanges, calls } = counted(await requestLog(home))
  const client_id = /--client-id (\S+)/.exec(line)?.[1]
  expect(logins).toMatchObject([{ account: 'ada', client_id }])
  expect(exchanges).toMatchObject([{ account: 'ada', client_id }])
  expect(calls).toEqual([])
})

test('calls the tool, which knows the person and the group', async () => {
  const asked = await claude.sh(ASK)
  expect(asked).toMatchObject({ exit: 0, stdout: expect.stringMatching(/^The tool said /) })
  expect(model.questions.at(-1)).toContain(TOOL)
  expect(model.results).toHaveLength(1)
  expect(model.results[0]?.is_error ?? false).toBe(false)
  for (const word of ['ada', 'demo-readers']) expect(asked.stdout).toContain(word)
  const { exchanges, refreshes, calls } = counted(await requestLog(home))
  expect(calls).toMatchObject([{ subject: 'ada' }])
  expect([exchanges.length, refreshes.length]).toEqual([1, 0])
})

test('stays logged in over a restart of the servers, and refreshes a token that has run out, without a second login', async () => {
  job.child.kill('SIGINT')
  expect((await job.ended).exit).toBe(130)
  job = startMainJob(CLI, home)
  await job.until(() => job.stdout().endsWith(WAITS))
  expect((await claude.sh('claude mcp list')).stdout).toMatch(/^demo: .*✔ Connected$/m)
  expect(counted(await requestLog(home)).refreshes).toEqual([])
  await letTokensRunOut(claude)
  expect((await claude.sh('claude mcp list')).stdout).toMatch(/^demo: .*✔ Connected$/m)
  const { logins, exchanges, refreshes } = counted(await requestLog(home))
  expect(refreshes).toMatchObject([{ account: 'ada' }])
  expect([logins.length, exchanges.length]).toEqual([1, 1])
})

test('asked nobody else for anything', () => {
  expect(model.questions.length).toBeGreaterThan(0)
  expect(model.strayed).toEqual([])
})

/** Where Claude Code keeps its logins; the tokens stay, only their time is over. */
async function letTokensRunOut({ home: ownHome }: Claude): Promise<void> {
  const file = join(ownHome, '.claude/.credentials.json')
  const kept = JSON.parse(await readFile(file, 'utf8')) as { mcpOAuth: Record<string, { expiresAt: number }> }
  const logins = Object.values(kept.mcpOAuth)
  expect(logins.length).toBeGreaterThan(0)
  for (const login of logins) login.expiresAt = 1
  await writeFile(file, JSON.stringify(kept), { mode: 0o600 })
}
