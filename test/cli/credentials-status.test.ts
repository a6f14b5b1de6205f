/** What people and programs see of tokens by the built CLI: progress, causes, standing, inspection, and a watch from start to stop. */
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answerJson, type FakeServer, serve } from '../fakes/server.js'
import { type BuiltCli, buildCli, type Running } from './built.js'

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
const SIGNATURE = 'c2lnbmF0dXJlLW9mLXRoZS10b2tlbg'

let built: BuiltCli
let folder: string
let server: FakeServer
/** Seconds that tokens live. */
let lifetime = 3600
let hangs = false
beforeAll(async () => {
  built = buildCli()
  folder = await mkdtemp(join(tmpdir(), 'mcp-idp-status-'))
  server = await serve(({ headers }, response) => {
    if (hangs) return
    const [client = ''] = Buffer.from((headers.authorization ?? '').slice('Basic '.length), 'base64')
      .toString()
      .split(':')
      .map(decodeURIComponent)
    if (client.includes('bad')) return answerJson(response, 400, { error: 'unauthorized_client' })
    const iat = Math.floor(Date.now() / 1000)
    const claims = { iss: server.origin, aud: 'mcp-gateway', client_id: client, sub: client, groups: ['data'], iat, exp: iat + lifetime }
    const access_token = `${part({ alg: 'RS256', typ: 'at+jwt' })}.${part(claims)}.${SIGNATURE}`
    answerJson(response, 200, { access_token, token_type: 'Bearer', expires_in: lifetime })
  })
})
afterAll(async () => {
  await built?.remove()
  await server?.close()
  if (folder) await rm(folder, { recursive: true, force: true })
})

let count = 0
/** A file of identities, and the words that use it. */
function identities(names: readonly string[]) {
  const file = join(folder, `identities-${count++}.json`)
  const write = (all: readonly string[]) =>
    writeFileSync(
      file,
      JSON.stringify(
        all.map((name) => ({
          ...{ identity_name: name, auth_provider: 'oidc', client_id: name, client_secret: `secret-of-${name}` },
          ...{ issuer: server.origin, token_endpoint: `${server.origin}/token` },
        })),
      ),
      { mode: 0o600 },
    )
  write(names)
  const output = join(folder, `tokens-${count}`)
  const tokenOf = (name: string) => JSON.parse(readFileSync(join(output, `${name}.json`), 'utf8')) as Record<string, string>
  return { file, write, tokenOf, output, words: ['--home', join(folder, 'home'), '--identities-file', file, '--output-dir', output] }
}
const events = (stderr: string) =>
  stderr
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)

describe('progress of generate', () => {
  test('is a line an end into a pipe, and the result is on stdout', async () => {
    const { words } = identities(['one', 'two'])
    const first = await built.run(['credentials', 'generate', ...words])
    expect(first).toMatchObject({ exit: 0 })
    expect(first.stderr.trimEnd().split('\n').toSorted()).toEqual(
      ['one', 'two'].map((name) => expect.stringMatching(new RegExp(`^minted ${name} \\(http://127\\.0\\.0\\.1:\\d+\\), expires 20`))),
    )
    expect(first.stdout).toContain('one.json')
    const second = await built.run(['credentials', 'generate', ...words])
    expect(second.stderr.trimEnd().split('\n').toSorted()).toEqual([
      expect.stringMatching(/^kept one /),
      expect.stringMatching(/^kept two /),
    ])
  })
  test('with --json is one document a change, with where the token went and when it ends', async () => {
    const { words, output } = identities(['one', 'two'])
    const { exit, stdout, stderr } = await built.run(['credentials', 'generate', '--json', ...words])
    expect(exit).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ tokens: [{ identity_name: 'one', reused: false }, { identity_name: 'two' }] })
    const told = events(stderr)
    for (const name of ['one', 'two']) {
      expect(told.filter(({ identity_name }) => identity_name === name)).toEqual([
        { event: 'identity', state: 'due', identity_name: name, issuer: server.origin },
        { event: 'identity', state: 'minting', identity_name: name, issuer: server.origin },
        {
          event: 'identity',
          state: 'minted',
          identity_name: name,
          issuer: server.origin,
          saved_to: join(output, `${name}.json`),
          expires_at: expect.stringMatching(/^20.*Z$/),
        },
      ])
    }
    expect(stdout + stderr).not.toMatch(/secret-of|eyJ/)
  })
  test('of a run with failures names each with its next step, and every cause once at the end: exit 9', async () => {
    const { words } = identities(['bad-1', 'good', 'bad-2'])
    const { exit, stdout, stderr } = await built.run(['credentials', 'generate', ...words])
    expect({ exit, stdout }).toEqual({ exit: 9, stdout: '' })
    for (const name of ['bad-1', 'bad-2'])
      expect(stderr).toMatch(new RegExp(`^failed ${name} \\(.*\\): token_refused, .*unauthorized_client; next: check `, 'm'))
    const [, error = ''] = stderr.split('error (partial): ')
    expect(error).toMatch(
      /^2 of 3 identities got no token:\n {2}token_refused, .*: unauthorized_client: bad-1, bad-2\n {4}next: check the client id/,
    )
    expect(error.match(/unauthorized_client/g)).toHaveLength(1)
  })
})

describe('list, status and inspect', () => {
  test('tell of the same identities, as text and as one document, and no token', async () => {
    const { words, output } = identities(['one', 'two'])
    await built.run(['credentials', 'generate', ...words])
    const json = async (command: string, ...more: string[]) => {
      const ran = await built.run(['credentials', command, ...more, '--json', ...words])
      expect(ran).toMatchObject({ exit: 0, stderr: '' })
      expect(ran.stdout).not.toMatch(new RegExp(`secret-of|eyJ|${SIGNATURE}`))
      return JSON.parse(ran.stdout) as unknown
    }
    expect(await json('list')).toMatchObject({ total: 2, identities: [{ identity_name: 'one', token_file: join(output, 'one.json') }, {}] })
    expect(await json('status')).toMatchObject({
      counts: { fresh: 2 },
      identities: [{ identity_name: 'one', minutes_left: 59, findings: [] }, {}],
    })
    expect(await json('inspect', 'two')).toMatchObject({ state: 'fresh', claims: { client_id: 'two', groups: ['data'] }, findings: [] })
    const text = await built.run(['credentials', 'status', ...words])
    expect(text.stdout).toMatch(/^Show how tokens stand:\ncounts:\n {2}fresh: 2\n/)
    const wrong = await built.run(['credentials', 'inspect', 'one', ...words], { MCP_GATEWAY_AUDIENCE: 'api://other' })
    expect(wrong.stdout).toContain('wrong audience: mcp-gateway, the gateway accepts api://other (setting MCP_GATEWAY_AUDIENCE)')
  })
})

describe('a watch', () => {
  /** Lines of stderr so far, each checked by `fits` until one does. */
  async function line({ child, ended }: Running, fits: (text: string) => boolean): Promise<void> {
    let text = ''
    const found = new Promise<void>((settle) => {
      child.stderr?.on('data', (more: string) => {
        text += more
        if (text.split('\n').some(fits)) settle()
      })
    })
    const late = sleep(30_000, undefined, { ref: false }).then(() => Promise.reject(new Error(`it did not say that: ${text}`)))
    await Promise.race([found, late, ended.then(({ stderr }) => Promise.reject(new Error(`it ended: ${stderr}`)))])
  }

  test('refreshes before the end, reads a changed file anew, keeps on with a broken one, and ends on SIGTERM', async () => {
    lifetime = 10
    const { words, write, file, tokenOf } = identities(['one', 'bad'])
    const watch = built.start(['credentials', 'generate', '--watch', ...words])
    await line(watch, (text) => text.startsWith('minted one'))
    const first = tokenOf('one')
    await line(watch, (text) => text.startsWith('minted one') && !text.includes(String(first['expires_at'])))
    const second = tokenOf('one')
    expect(Date.parse(String(second['generated_at']))).toBeLessThan(Date.parse(String(first['expires_at'])) - 1000)
    writeFileSync(file, '[{', { mode: 0o600 })
    await line(watch, (text) => text.startsWith('identities stay as they were: invalid_input'))
    write(['one', 'three'])
    await line(watch, (text) => text.startsWith('minted three'))
    watch.child.kill('SIGTERM')
    const { exit, stdout, stderr } = await watch.ended
    expect({ exit, stdout }).toEqual({ exit: 0, stdout: '' })
    expect(stderr).toMatch(/failed bad .*unauthorized_client; next: /)
    expect(stderr.endsWith('stopped\n')).toBe(true)
    expect(stderr).not.toMatch(/secret-of|eyJ/)
    lifetime = 3600
  })

  test('ends within five seconds while an issuer hangs', async () => {
    hangs = true
    const { words } = identities(['one'])
    const watch = built.start(['credentials', 'generate', '--watch', '--json', ...words])
    await line(watch, (text) => text.includes('"minting"'))
    const began = performance.now()
    watch.child.kill('SIGINT')
    const { exit, stderr } = await watch.ended
    hangs = false
    expect(exit).toBe(0)
    expect(performance.now() - began).toBeLessThan(5000)
    expect(events(stderr).map(({ event, state }) => state ?? event)).toEqual(['due', 'minting', 'note'])
  })

  test('that has nothing to begin with says so', async () => {
    const { exit, stderr } = await built.run([
      'credentials',
      'generate',
      '--watch',
      '--home',
      join(folder, 'empty'),
      '--identities-file',
      join(folder, 'missing.json'),
    ])
    expect(exit).toBe(3)
    expect(stderr).toMatch(/error \(not_found\)/)
  })
})
