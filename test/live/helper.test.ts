/**
 * Real MCP clients get their headers from `mcp-idp credentials get`, as their configuration names it: they connect to a
 * server that checks the token, and run it again once the token is over. Model and issuer are stand-ins on this machine.
 */
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createAdaptorServer, type ServerType } from '@hono/node-server'
import { Hono } from 'hono'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ToolkitError } from '../../core/errors.js'
import { quotePosix } from '../../ide/quote.js'
import { demoServer } from '../../mcp-server/demo.js'
import { startIssuer, type TokenIssuer } from '../cli/token-issuer.js'
import { CLAUDE_CODE, type Claude, claudeCode, installClaudeCode } from './clients/claude-code.js'
import { CODEX, type Codex, codexOf, installCodex, type ResponsesModel, startResponsesModel } from './clients/codex.js'
import { type StandInModel, startModel } from './clients/model.js'
import { makeFolder } from './product.js'

const CLI = resolve(import.meta.dirname, '../../dist/cli/main.js')
const TOOL = 'mcp__demo__whoami'
const ASK = `claude -p 'Who am I?' --allowedTools ${TOOL}`
/** Long enough for a slow start of a client, short enough to wait for. */
const SHORT_SECONDS = 8

/** An MCP server that takes the tokens of the issuer while they last, and remembers which it took. */
interface Guarded {
  readonly url: string
  readonly accepted: { readonly token: string; readonly method: string }[]
  readonly refused: string[]
  readonly calls: unknown[]
  /** Whether the next call of a tool is looked at only when the token that it came with is over. */
  isHeld: boolean
  close(): Promise<void>
}

let folder: Awaited<ReturnType<typeof makeFolder>>
let issuer: TokenIssuer
let server: Guarded
/** The command that both clients are given. */
let helper: string
let runsLog: string

beforeAll(async () => {
  folder = await makeFolder()
  issuer = await startIssuer()
  issuer.identity()
  server = await startGuarded(issuer)
  runsLog = join(folder.path, 'runs.log')
  const program = join(folder.path, 'mcp-idp')
  const main = quotePosix([process.execPath, CLI])
  await writeFile(program, `#!/bin/sh\necho run >>'${runsLog}'\nexec ${main} "$@"\n`)
  await chmod(program, 0o755)
  helper = quotePosix([program, 'credentials', 'get', 'reporter', '--format', 'headers', '--home', issuer.home])
})
afterAll(async () => {
  await server?.close()
  await issuer?.close()
  await folder?.remove()
})

const runs = async () => (await readFile(runsLog, 'utf8').catch(() => '')).split('\n').length - 1
const takenBy = (count: number) => server.accepted.slice(count).map(({ method }) => method)
const tokensTaken = () => new Set(server.accepted.map(({ token }) => token)).size

describe('Claude Code', () => {
  let model: StandInModel
  let claude: Claude
  beforeAll(async () => {
    const program = await installClaudeCode()
    model = await startModel(TOOL)
    const own = join(folder.path, 'claude')
    await mkdir(own)
    const nobody = { person: 'nobody', peopleFile: '/nonexistent', callbackPort: 1 }
    claude = await claudeCode(program, { folder: own, modelUrl: model.url, proxyUrl: model.url, ...nobody })
  }, 900_000)
  afterAll(async () => {
    await model?.close()
    console.log(
      `helper: Claude Code ${CLAUDE_CODE}: ${await runs()} runs of the helper, ${issuer.tokens.length} tokens given, ${tokensTaken()} taken ` +
        `in ${server.accepted.length} requests, ${server.refused.length} requests refused, ${server.calls.length} tool calls`,
    )
  })

  test('connects with headersHelper, lists the tools and calls one', async () => {
    const config = JSON.stringify({ type: 'http', url: server.url, headersHelper: helper })
    expect(await claude.sh(quotePosix(['claude', 'mcp', 'add-json', 'demo', config]))).toMatchObject({ exit: 0 })
    // Until its person trusts the folder, no helper is run there.
    expect((await claude.sh('claude mcp list')).stdout).not.toContain('Connected')
    expect(await runs()).toBe(0)
    await trustFolder(claude)
    expect((await claude.sh('claude mcp list')).stdout).toMatch(/^demo: .*✔ Connected$/m)
    const asked = await claude.sh(ASK)
    expect(asked).toMatchObject({ exit: 0, stdout: expect.stringMatching(/^The tool said /) })
    expect(asked.stdout).toContain('reporter-client')
    expect(takenBy(0)).toEqual(expect.arrayContaining(['initialize', 'tools/list', 'tools/call']))
    expect([issuer.tokens.length, tokensTaken(), server.refused.length]).toEqual([1, 1, 0])
    expect(await runs()).toBeGreaterThan(0)
    expect(server.calls).toHaveLength(1)
  })

  test('runs it again when the token is over, in the middle of a session: the new one is taken', async () => {
    // Tokens of another scope are other tokens; these are short.
    issuer.lifetime = SHORT_SECONDS
    issuer.identity({ scope: 'short' })
    server.isHeld = true
    const [before, ran] = [server.accepted.length, await runs()]
    const asked = await claude.sh(ASK)
    expect(asked).toMatchObject({ exit: 0, stdout: expect.stringMatching(/^The tool said .*reporter-client/) })
    const taken = server.accepted.slice(before)
    const [listed, called] = ['tools/list', 'tools/call'].map((one) => taken.findLast(({ method }) => method === one)?.token)
    expect([issuer.tokens[1], server.refused[0]]).toEqual([listed, listed])
    expect(issuer.tokens.slice(2)).toContain(called)
    expect(await runs()).toBeGreaterThanOrEqual(ran + 2)
  })

  test('connects again after the token is over', async () => {
    await sleep(SHORT_SECONDS * 1000)
    const before = server.accepted.length
    expect((await claude.sh('claude mcp list')).stdout).toMatch(/^demo: .*✔ Connected$/m)
    expect(new Set(server.accepted.slice(before).map(({ token }) => token))).toEqual(new Set([issuer.tokens.at(-1)]))
    expect(model.strayed).toEqual([])
  })
})

describe('Codex', () => {
  let model: ResponsesModel
  let codex: Codex
  beforeAll(async () => {
    const program = await installCodex()
    model = await startResponsesModel({ namespace: 'mcp__demo', name: 'whoami' })
    const nobody = { person: 'nobody', peopleFile: '/nonexistent' }
    codex = await codexOf(program, { folder: join(folder.path, 'codex'), proxyUrl: model.url, ...nobody })
  }, 900_000)
  afterAll(() => model?.close())

  test('connects with http_headers_helper and calls the tool, and again when the token is over', async () => {
    const lines = ['[mcp_servers.demo]', `url = ${JSON.stringify(server.url)}`, `http_headers_helper = ${JSON.stringify(helper)}`]
    await writeFile(join(codex.home, '.codex/config.toml'), `${lines.join('\n')}\n`)
    const [before, ran] = [server.accepted.length, await runs()]
    const first = await codex.ask('Who am I?', model.url)
    expect(first, first.stderr).toMatchObject({ exit: 0, stdout: expect.stringMatching(/^The tool said .*reporter-client/) })
    await sleep(SHORT_SECONDS * 1000)
    const second = await codex.ask('Who am I?', model.url)
    expect(second).toMatchObject({ exit: 0, stdout: expect.stringMatching(/^The tool said .*reporter-client/) })
    const called = server.accepted.slice(before).filter(({ method }) => method === 'tools/call')
    expect(new Set(called.map(({ token }) => token)).size).toBe(2)
    expect(await runs()).toBeGreaterThanOrEqual(ran + 2)
    console.log(`helper: Codex ${CODEX}: ${(await runs()) - ran} runs of the helper, ${called.length} tool calls with 2 tokens`)
  })
})

/** As a person who answers the question of the first session with yes. */
async function trustFolder({ home }: Claude): Promise<void> {
  const file = join(home, '.claude.json')
  const kept = JSON.parse(await readFile(file, 'utf8')) as { projects: Record<string, { hasTrustDialogAccepted: boolean }> }
  const folders = Object.values(kept.projects)
  expect(folders).toMatchObject([{ hasTrustDialogAccepted: false }])
  for (const one of folders) one.hasTrustDialogAccepted = true
  await writeFile(file, JSON.stringify(kept), { mode: 0o600 })
}

async function startGuarded(of: TokenIssuer): Promise<Guarded> {
  const [accepted, refused, calls]: [Guarded['accepted'], string[], unknown[]] = [[], [], []]
  const state = { isHeld: false }
  const endOf = new Map<string, number>()
  const app = new Hono()
  const listener: ServerType = createAdaptorServer({ fetch: app.fetch })
  await new Promise<void>((listening) => listener.listen(0, '127.0.0.1', listening))
  const publicUrl = `http://127.0.0.1:${(listener.address() as AddressInfo).port}`
  app.use('/demo/mcp', async (c, next) => {
    const token = c.req.header('authorization')?.replace('Bearer ', '') ?? ''
    const { method = '' } = (await c.req.raw
      .clone()
      .json()
      .catch(() => ({}))) as { method?: string }
    if (method === 'tools/call' && state.isHeld) {
      state.isHeld = false
      await sleep(Math.max(0, (endOf.get(token) ?? 0) - Date.now()))
    }
    await next()
    if (c.res.status === 401) return void (token !== '' && refused.push(token))
    accepted.push({ token, method })
  })
  const verify = async (token: string) => {
    const index = of.tokens.indexOf(token)
    if (index >= 0 && !endOf.has(token)) endOf.set(token, Date.now() + of.lifetime * 1000)
    if (index < 0 || (endOf.get(token) ?? 0) <= Date.now()) throw new ToolkitError('unauthenticated', 'no such token', { system: 'demo' })
    return { issuer: of.server.origin, subject: 'reporter', client_id: 'reporter-client', kind: 'machine' as const, groups: [] }
  }
  const onCall = (entry: object) => void calls.push(entry)
  demoServer({ path: '/demo', publicUrl, issuer: of.server.origin, scopes: [], verify, onCall, timeoutMs: 60_000 })(app)
  return Object.assign(state, {
    ...{ url: `${publicUrl}/demo/mcp`, accepted, refused, calls },
    close: () =>
      new Promise<void>((closed) => {
        listener.close(() => closed())
        if ('closeAllConnections' in listener) listener.closeAllConnections()
      }),
  })
}
