/**
 * A hundred processes that ask for one expired token make one request, also when the first of them is killed with its request
 * open. They are real: each is the built CLI, stopped just before its command line is read, and all are let go together.
 */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { type BuiltCli, buildCli, type Ran } from '../cli/built.js'
import { temporaryFolder } from '../fakes/folder.js'
import { answerJson, type FakeServer, serve } from '../fakes/server.js'
import { scaled } from '../scale.js'

const PROCESSES = 100
const MINUTE = 60_000
/** From the death of the lock's holder to the next request. */
const TAKEOVER_MS = 5_000
const lines: string[] = []

let built: BuiltCli
let gate: string
beforeAll(() => {
  built = buildCli()
  gate = writeGate(built.folder)
})
afterAll(async () => {
  await built?.remove()
  for (const line of lines) console.log(`one-flight: ${line}`)
})

/** Loads what the command will need, says so, and waits for a byte: starting a hundred processes takes longer than a request. */
function writeGate(folder: string): string {
  const modules = [
    'cli/operation-command.js',
    'cli/run.js',
    'credentials-provider/operations.js',
    'toolkit/catalog.js',
    'toolkit/context.js',
  ]
  const path = join(folder, 'gate.mjs')
  writeFileSync(
    path,
    `import { readSync, writeSync } from 'node:fs'
     for (const module of ${JSON.stringify(modules.map((module) => pathToFileURL(join(folder, 'dist', module)).href))}) await import(module)
     await import('libsql')
     writeSync(2, 'ready\\n')
     readSync(0, Buffer.alloc(1))`,
  )
  return path
}

interface Asker {
  /** Lets it go. */
  release(): void
  kill(): void
  /** Resolves once it has printed the word on stderr; fails when it ends before. */
  told(word: string): Promise<void>
  /** How it ended, and when, in milliseconds of `performance.now()`. */
  readonly ended: Promise<Ran & { readonly at: number }>
}

/** One more process on the identity of a home. */
function ask({ home, identities, output }: Scene): Asker {
  const { child, ended } = built.start(
    ['credentials', 'generate', '--identities-file', identities, '--output-dir', output, '--json'],
    { MCP_IDP_HOME: home },
    ['--import', pathToFileURL(gate).href],
  )
  let stderr = ''
  child.stderr?.on('data', (text: string) => {
    stderr += text
  })
  return {
    release: () => void child.stdin?.end('.'),
    kill: () => void child.kill('SIGKILL'),
    told: (word) =>
      new Promise((settle, fail) => {
        const look = () => stderr.includes(word) && settle()
        child.stderr?.on('data', look)
        void ended.then((ran) => fail(new Error(`ended with ${ran.exit} before it said ${word}: ${ran.stderr} ${ran.stdout}`)))
        look()
      }),
    ended: ended.then((ran) => ({ ...ran, at: performance.now() })),
  }
}

/** So many processes that are ready to go. */
async function ready(scene: Scene, count: number): Promise<Asker[]> {
  const askers = Array.from({ length: count }, () => ask(scene))
  await Promise.all(askers.map(({ told }) => told('ready')))
  return askers
}

interface Scene {
  readonly home: string
  readonly identities: string
  readonly output: string
  readonly path: string
  readonly issuer: FakeServer
  /** Requests that wait for their answer, with the time each came. */
  readonly open: { readonly at: number; readonly response: ServerResponse }[]
  /** Resolves when so many requests have come. */
  arrived(count: number): Promise<void>
}

/** An expired token in its file, and a token endpoint that answers when it is told to, or by `answer`. */
async function scene(answer?: (response: ServerResponse) => void): Promise<Scene> {
  const home = temporaryFolder()
  const open: { at: number; response: ServerResponse }[] = []
  const waiting = new Set<() => void>()
  const issuer = await serve((_request, response) => {
    open.push({ at: performance.now(), response })
    answer?.(response)
    for (const look of waiting) look()
  })
  onTestFinished(() => issuer.close())
  const output = join(home, 'tokens')
  const path = join(output, 'agent.json')
  const identities = join(home, 'identities.json')
  const identity = { identity_name: 'agent', auth_provider: 'oidc', client_id: 'agent', client_secret: 'planted-secret' }
  writeFileSync(identities, JSON.stringify({ ...identity, issuer: issuer.origin, token_endpoint: `${issuer.origin}/token` }), {
    mode: 0o600,
  })
  mkdirSync(output, { mode: 0o700 })
  const past = { access_token: 'expired', expires_in: 300, generated_at: '2020-01-01T00:00:00Z', expires_at: '2020-01-01T00:05:00Z' }
  writeFileSync(path, JSON.stringify({ ...past, client_id: 'agent' }), { mode: 0o600 })
  const arrived = (count: number) =>
    new Promise<void>((settle) => {
      const look = () => open.length >= count && settle()
      waiting.add(look)
      look()
    })
  return { home, identities, output, path, issuer, open, arrived }
}

function grant(response: ServerResponse | undefined, token: string): void {
  if (response === undefined) throw new Error('no request is open')
  answerJson(response, 200, { access_token: token, token_type: 'Bearer', expires_in: 300 })
}

/** That every process was given the token in its file, by how many of them it was kept, and when the last one ended. */
async function answers({ path, output }: Scene, askers: readonly Asker[], token: string) {
  const ends = await Promise.all(askers.map(({ ended }) => ended))
  const results = ends.map(({ exit, stdout, stderr }) => {
    expect({ exit, stderr: exit === 0 ? '' : stderr }).toEqual({ exit: 0, stderr: '' })
    return JSON.parse(stdout) as { tokens: { reused: boolean; receipt: { saved_to: string } }[] }
  })
  for (const { tokens } of results) expect(tokens.map(({ receipt }) => receipt.saved_to)).toEqual([path])
  const saved = JSON.parse(readFileSync(path, 'utf8')) as { access_token: string }
  expect([saved.access_token, (statSync(path).mode & 0o777).toString(8), readdirSync(output)]).toEqual([token, '600', ['agent.json']])
  return { reused: results.filter(({ tokens }) => tokens[0]?.reused).length, last: Math.max(...ends.map(({ at }) => at)) }
}

test('a hundred processes that find one expired token make one request', { timeout: 5 * MINUTE }, async () => {
  const world = await scene()
  const askers = await ready(world, PROCESSES)
  for (const { release } of askers) release()
  // The answer waits until the last of them has found that it needs a token: nobody is spared the contention by coming late.
  await Promise.all(askers.map(({ told }) => told('minting')))
  await world.arrived(1)
  const answered = performance.now()
  grant(world.open[0]?.response, 'token-1')
  const { reused, last } = await answers(world, askers, 'token-1')
  expect({ requests: world.issuer.requests.length, reused }).toEqual({ requests: 1, reused: PROCESSES - 1 })
  lines.push(`${askers.length} processes, 1 expired token: ${world.issuer.requests.length} token request, ${askers.length} answers`)
  lines.push(`the last of them ended ${seconds(last - answered)} after the token came`)
})

test('a hundred wait for one that is killed with its request open: one more request', { timeout: 5 * MINUTE }, async () => {
  const world = await scene()
  const [holder, ...askers] = await ready(world, PROCESSES + 1)
  if (holder === undefined) throw new Error('nobody is there')
  holder.release()
  await world.arrived(1)
  for (const { release } of askers) release()
  await Promise.all(askers.map(({ told }) => told('minting')))
  const killed = performance.now()
  holder.kill()
  await world.arrived(2)
  const takeover = (world.open[1]?.at ?? Number.POSITIVE_INFINITY) - killed
  grant(world.open[1]?.response, 'token-2')
  const { reused, last } = await answers(world, askers, 'token-2')
  expect((await holder.ended).exit).toBeNull()
  expect({ requests: world.issuer.requests.length, reused }).toEqual({ requests: 2, reused: PROCESSES - 1 })
  expect(takeover).toBeLessThan(TAKEOVER_MS)
  lines.push(`kill -9 of the holder under ${askers.length} that wait: ${world.issuer.requests.length} token requests in all`)
  lines.push(`the next one asked ${seconds(takeover)} after the kill, the last answer came ${seconds(last - killed)} after it`)
})

test('a refusal is told to each of them, and none asks twice', { timeout: 5 * MINUTE }, async () => {
  const refuse = (response: ServerResponse) => setTimeout(() => answerJson(response, 401, { error: 'invalid_client' }), 20)
  const world = await scene(refuse)
  const before = readFileSync(world.path, 'utf8')
  const askers = await ready(world, scaled(PROCESSES))
  const released = performance.now()
  for (const { release } of askers) release()
  const ends = await Promise.all(askers.map(({ ended }) => ended))
  expect(ends.map(({ exit, stdout }) => [exit, /"code": "(\w+)"/.exec(stdout)?.[1]])).toEqual(askers.map(() => [4, 'token_refused']))
  expect(world.issuer.requests.length).toBe(askers.length)
  expect(readFileSync(world.path, 'utf8')).toBe(before)
  const last = Math.max(...ends.map(({ at }) => at)) - released
  lines.push(
    `${askers.length} processes that are refused: ${world.issuer.requests.length} requests, one each, told within ${seconds(last)}`,
  )
})

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
