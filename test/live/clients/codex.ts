/**
 * A real Codex of one version, in a cache outside the project: fetched once by npm, without running its scripts, and run as
 * a person would who has nothing but it: a home and a folder of its own, a browser, and no way off this machine. And the
 * model on loopback that it talks to, which is its proxy too.
 */
import { execFile } from 'node:child_process'
import { access, chmod, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { z } from 'zod'
import { quotePosix } from '../../../ide/quote.js'
import { type Ran, start } from '../product.js'

export const CODEX = '0.169.0'
const PACKAGE = `@openai/codex@${CODEX}`
/** 120 MB compressed. */
const INSTALL_MS = 600_000
const MAX_BODY = 10_000_000

export interface Codex {
  /** Its home, for what it keeps there. */
  readonly home: string
  /** Runs a line of shell, one command, with `codex` on the path. */
  sh(line: string): Promise<Ran>
  /** Puts one question to the model at this URL, without a terminal; the answer is what it prints. */
  ask(question: string, modelUrl: string): Promise<Ran>
}

export interface CodexOptions {
  /** A folder that does not exist yet; holds its home, its working folder and its browser. */
  readonly folder: string
  /** A proxy for whatever else it wants. */
  readonly proxyUrl: string
  /** Who sits at the browser: user name, and the file of passwords by user name. */
  readonly person: string
  readonly peopleFile: string
}

/** The folder with the program; installs it when it is not there. @throws Error with npm's words when that fails */
export async function installCodex(): Promise<string> {
  const base = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache')
  const folder = join(base, 'mcp-idp-rig', `codex-${CODEX}`)
  if (!(await exists(folder))) await install(folder)
  return join(folder, 'node_modules/.bin')
}

/** Whole or absent, also when two runs install at once. */
async function install(folder: string): Promise<void> {
  await mkdir(dirname(folder), { recursive: true })
  const unfinished = await mkdtemp(`${folder}.`)
  try {
    const words = ['install', '--prefix', unfinished, '--ignore-scripts', '--no-audit', '--no-fund', '--no-save', PACKAGE]
    await promisify(execFile)('npm', words, { cwd: unfinished, timeout: INSTALL_MS })
    await rename(unfinished, folder).catch(async (error: unknown) => {
      if (!(await exists(folder))) throw error
    })
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
}

/** Codex for one person. */
export async function codexOf(program: string, { folder, proxyUrl, person, peopleFile }: CodexOptions): Promise<Codex> {
  const [home, work] = ['home', 'work'].map((name) => join(folder, name)) as [string, string]
  // Nothing is in its own folder, but it wants that folder to be there before it opens a file in it.
  await Promise.all([join(home, '.codex'), work].map((one) => mkdir(one, { recursive: true })))
  const browser = join(folder, 'browser')
  const script = resolve(import.meta.dirname, 'browser.ts')
  await writeFile(
    browser,
    `#!/bin/sh\nexec '${process.execPath}' --import '${import.meta.resolve('tsx')}' '${script}' "$1" 2>>'${home}/browser.log'\n`,
  )
  await chmod(browser, 0o755)
  const variables = {
    HOME: home,
    PATH: `${program}:${process.env['PATH'] ?? ''}`,
    TERM: 'xterm',
    LANG: 'C.UTF-8',
    BROWSER: browser,
    STAND_IN_PERSON: person,
    STAND_IN_PEOPLE_FILE: peopleFile,
    // Else its logins go to the keyring of whoever runs the tests; without one it keeps them in a file.
    DBUS_SESSION_BUS_ADDRESS: `unix:path=${folder}/no-bus`,
    HTTP_PROXY: proxyUrl,
    HTTPS_PROXY: proxyUrl,
    NO_PROXY: '127.0.0.1,localhost',
  }
  const sh = (line: string) => start('sh', ['-c', `cd "$1" && eval "exec $2"`, 'sh', work, line], variables).ended
  return { home, sh, ask: (question, modelUrl) => sh(questionLine(question, modelUrl)) }
}

/** Settings on the line, so that its file holds what was pasted and nothing else. */
function questionLine(question: string, modelUrl: string): string {
  const retries = 'request_max_retries=0,stream_max_retries=0'
  const provider = `model_providers.standin={name="standin",base_url="${modelUrl}/v1",wire_api="responses",${retries}}`
  // Analytics and the catalogue of plugins are what it would fetch besides; and it would ask a model that is away for ever.
  const quiet = ['-c', 'analytics.enabled=false', '--disable', 'plugins', '--disable', 'unbounded_connection_retries']
  return quotePosix([
    ...['codex', 'exec', '--skip-git-repo-check', '-m', 'standin', '-c', 'model_provider=standin', '-c', provider],
    ...quiet,
    question,
  ])
}

const tool = z.looseObject({ type: z.string(), name: z.string().optional() })
const output = z.looseObject({ type: z.literal('function_call_output'), output: z.unknown() })
const request = z.object({
  tools: z.array(tool.extend({ tools: z.array(tool).default([]) })).default([]),
  input: z.array(z.looseObject({ type: z.string() })),
})

export interface ResponsesModel {
  readonly url: string
  /** Which tools each question offered, those of an MCP server as `namespace/name`. */
  readonly questions: readonly (readonly string[])[]
  /** Outputs of tools that it was told. */
  readonly outputs: readonly unknown[]
  /** Whatever else was asked of it or through it: method and target. */
  readonly strayed: readonly string[]
  close(): Promise<void>
}

/**
 * A model on loopback that speaks as much of the OpenAI Responses API as Codex asks for: it calls the tool once when it is
 * offered, then says what came back. It is also the proxy to everywhere else, and lets nothing through.
 */
export async function startResponsesModel({ namespace, name }: { namespace: string; name: string }): Promise<ResponsesModel> {
  const questions: string[][] = []
  const outputs: unknown[] = []
  const strayed: string[] = []
  const server = createServer(async (incoming, response) => {
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > MAX_BODY) return void incoming.destroy()
      chunks.push(chunk)
    }
    const { method = '', url = '' } = incoming
    if (method !== 'POST' || url !== '/v1/responses') {
      strayed.push(`${method} ${url}`)
      return void response.writeHead(404, { 'content-type': 'application/json' }).end('{}')
    }
    const { tools, input } = request.parse(JSON.parse(Buffer.concat(chunks).toString()))
    const offered = tools.flatMap((one) => [one.name ?? one.type, ...one.tools.map((inner) => `${one.name}/${inner.name}`)])
    questions.push(offered)
    const told = input.findLast(({ type }) => type === 'function_call_output')
    if (told) outputs.push(output.parse(told).output)
    const call = { type: 'function_call', id: 'fc_1', call_id: 'call_1', namespace, name, arguments: '{}', status: 'completed' }
    const item = told
      ? message(`The tool said ${JSON.stringify(outputs.at(-1))}`)
      : offered.includes(`${namespace}/${name}`)
        ? call
        : message(`There is no ${name}`)
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end(streamed(item))
  })
  server.on('connect', ({ url = '' }, socket) => {
    strayed.push(`CONNECT ${url}`)
    socket.on('error', () => undefined).end('HTTP/1.1 403 Forbidden\r\n\r\n')
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    questions,
    outputs,
    strayed,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed())
        server.closeAllConnections()
      }),
  }
}

function message(text: string): object {
  return { type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text, annotations: [] }] }
}

/** One item as server-sent events. */
function streamed(item: object): string {
  const usage = { input_tokens: 1, output_tokens: 1, total_tokens: 2 }
  const response = { id: 'resp_1', object: 'response', status: 'completed', output: [item], usage }
  const events = [
    { type: 'response.created', response: { ...response, status: 'in_progress', output: [] } },
    { type: 'response.output_item.added', output_index: 0, item },
    { type: 'response.output_item.done', output_index: 0, item },
    { type: 'response.completed', response },
  ]
  return events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join('')
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
