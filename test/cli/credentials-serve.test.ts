/** `credentials serve`: the token agent on its socket, asked by its client and by hand, by many at once and by those who mean harm. */
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { startTokenAgent } from '../../credentials-provider/token-agent.js'
import { temporaryFolder } from '../fakes/folder.js'
import { type BuiltCli, buildCli, type Ran, type Running, startProcess } from './built.js'
import { startIssuer, type TokenIssuer } from './token-issuer.js'

const LISTENS = 'the token agent listens'
const MOST_ASK_MS = 5

let built: BuiltCli
let issuer: TokenIssuer
let socket: string
beforeAll(() => {
  built = buildCli()
})
afterAll(() => built.remove())
beforeEach(async () => {
  issuer = await startIssuer()
  issuer.identity()
  socket = join(issuer.home, 'agent.sock')
})
afterEach(() => issuer.close())

/** Started with files open to everybody by default, so that a mode is somebody's intention. */
async function serve(...flags: string[]): Promise<Running & { stderr(): string }> {
  const words = [process.execPath, built.main, 'credentials', 'serve', ...flags]
  const running = startProcess('sh', ['-c', 'umask 000 && exec "$@"', 'sh', ...words], { MCP_IDP_HOME: issuer.home })
  let stderr = ''
  running.child.stderr?.on('data', (text: string) => {
    stderr += text
  })
  let hasEnded = false
  void running.ended.then(() => {
    hasEnded = true
  })
  onTestFinished(async () => {
    running.child.kill('SIGKILL')
    await running.ended
  })
  while (!stderr.includes(LISTENS) && !hasEnded) await sleep(10)
  return { ...running, stderr: () => stderr }
}

/** One line in, whatever comes back until the end. */
function ask(line: string, path = socket): Promise<string> {
  return new Promise((done, fail) => {
    let answer = ''
    const client = connect(path, () => client.write(line))
    client.setEncoding('utf8').on('data', (text: string) => {
      answer += text
    })
    client.once('error', fail).once('close', () => done(answer))
  })
}
const askFor = (format: string, identity_name = 'reporter') => ask(`${JSON.stringify({ identity_name, format })}\n`)
const get = (...words: string[]): Promise<Ran> =>
  built.run(['credentials', 'get', ...words], { MCP_IDP_HOME: issuer.home, MCP_IDP_AGENT: socket })

describe('the agent', () => {
  test('answers one line with one line, in each format, from memory alone', async () => {
    const agent = await serve()
    const [token = ''] = [JSON.parse(await askFor('raw')), ...issuer.tokens]
    expect(issuer.tokens).toEqual([token])
    expect(await askFor('headers')).toBe(`{"Authorization":"Bearer ${token}"}\n`)
    expect(JSON.parse(await askFor('dotenv'))).toBe(`ACCESS_TOKEN='${token}'\n`)
    expect(JSON.parse(await askFor('json'))).toMatchObject({ access_token: token, token_type: 'Bearer' })
    expect(await ask('{"identity_name":"reporter","format":"headers","header":"X-A"}\n')).toBe(`{"X-A":"Bearer ${token}"}\n`)
    expect(issuer.tokens).toHaveLength(1)
    const inFiles = (readdirSync(issuer.home, { recursive: true, encoding: 'utf8' }) as string[])
      .map((name) => join(issuer.home, name))
      .filter((path) => lstatSync(path).isFile() && readFileSync(path, 'latin1').includes(token))
    expect(inFiles).toEqual([])
    expect(agent.stderr()).toContain('minted reporter')
    expect(agent.stderr()).not.toContain(token)
  })

  test('mints once for a hundred who ask at once, and again only when the token is no longer fresh', async () => {
    issuer.lifetime = 3
    await serve()
    const answers = await Promise.all(Array.from({ length: 100 }, () => askFor('raw')))
    expect(new Set(answers)).toEqual(new Set([`"${issuer.tokens[0]}"\n`]))
    expect(issuer.tokens).toHaveLength(1)
    await sleep(3000)
    expect(await askFor('raw')).toBe(`"${issuer.tokens[1]}"\n`)
    expect(issuer.tokens).toHaveLength(2)
  })

  test('sees that an identity asks for something else, or is new', async () => {
    await serve()
    await askFor('raw')
    await sleep(100)
    issuer.identity({ scope: 'more' })
    expect(await askFor('raw')).toBe(`"${issuer.tokens[1]}"\n`)
    issuer.identity({ identity_name: 'second' }, join(issuer.home, 'identities/second.json'))
    expect(JSON.parse(await askFor('raw', 'second'))).toBe(issuer.tokens[2])
    expect(issuer.tokens).toHaveLength(3)
  })

  test(`answers within ${MOST_ASK_MS} ms`, async () => {
    await serve()
    await askFor('raw')
    const rounds: number[] = []
    // The best of some rounds: others work on this machine, too.
    for (let round = 0; round < 10; round++) {
      const began = performance.now()
      for (let count = 0; count < 20; count++) await askFor('raw')
      rounds.push((performance.now() - began) / 20)
    }
    expect(Math.min(...rounds)).toBeLessThan(MOST_ASK_MS)
  })

  test('tells refusals as errors, of its own and of the server', async () => {
    await serve()
    const codeOf = (answer: string) => (JSON.parse(answer) as { error: { code: string } }).error.code
    expect(codeOf(await askFor('raw', 'nobody'))).toBe('not_found')
    for (const line of ['nonsense\n', '[]\n', '{}\n', '{"identity_name":"../x"}\n', '{"identity_name":"reporter","format":"xml"}\n'])
      expect(codeOf(await ask(line))).toBe('invalid_input')
    expect(codeOf(await ask('{"identity_name":"reporter","more":1}\n'))).toBe('invalid_input')
    expect(codeOf(await ask('x'.repeat(5000)))).toBe('invalid_input')
    expect(codeOf(await ask(`${' '.repeat(4096)}{"identity_name":"reporter"}\n`))).toBe('invalid_input')
    issuer.status = 401
    expect(codeOf(await askFor('raw'))).toBe('token_refused')
    expect(issuer.tokens).toEqual([])
    issuer.status = 200
    expect(JSON.parse(await askFor('raw'))).toBe(issuer.tokens[0])
  })
})

describe('its socket', () => {
  test('is ours alone under any umask, and gone after a SIGTERM', async () => {
    const agent = await serve()
    expect(lstatSync(socket).isSocket()).toBe(true)
    expect(lstatSync(socket).mode & 0o777).toBe(0o600)
    agent.child.kill('SIGTERM')
    expect(await agent.ended).toMatchObject({ exit: 0, stdout: '' })
    expect(existsSync(socket)).toBe(false)
  })

  test('of a dead agent is replaced; of one that lives it is not', async () => {
    const first = await serve()
    first.child.kill('SIGKILL')
    await first.ended
    expect(lstatSync(socket).isSocket()).toBe(true)
    await serve()
    expect(await (await serve()).ended).toMatchObject({ exit: 3, stderr: expect.stringContaining('listens at') })
    expect(JSON.parse(await askFor('raw'))).toBe(issuer.tokens[0])
  })

  test('is one agent’s of ten that start at once over a dead one’s', async () => {
    const dead = await serve()
    dead.child.kill('SIGKILL')
    await dead.ended
    const ten = await Promise.all(Array.from({ length: 10 }, () => serve()))
    expect(ten.filter(({ stderr }) => stderr().includes(LISTENS))).toHaveLength(1)
    expect(JSON.parse(await askFor('raw'))).toBe(issuer.tokens[0])
  })

  test.each([
    ['a file', (path: string) => writeFileSync(path, 'precious')],
    ['a folder', (path: string) => mkdirSync(path)],
    ['a link', (path: string) => symlinkSync('/dev/null', path)],
  ])('does not replace %s', async (_, put) => {
    const path = join(issuer.home, 'taken')
    put(path)
    const before = lstatSync(path)
    expect(await (await serve('--socket', path)).ended).toMatchObject({ exit: 2, stderr: expect.stringContaining('something else') })
    expect(lstatSync(path)).toMatchObject({ ino: before.ino, mtimeMs: before.mtimeMs })
  })

  test('is in no folder that others may write, and under no path that is too long', async () => {
    const open = join(issuer.home, 'open')
    mkdirSync(open)
    chmodSync(open, 0o777)
    expect(await (await serve('--socket', join(open, 'a.sock'))).ended).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('chmod go-w'),
    })
    expect(readdirSync(open)).toEqual([])
    const long = join(issuer.home, 'x'.repeat(120))
    expect(await (await serve('--socket', long)).ended).toMatchObject({ exit: 2, stderr: expect.stringContaining('at most 103 bytes') })
  })
})

describe('get and exec', () => {
  test('ask the agent that the environment names', async () => {
    await serve()
    const first = await get('reporter', '--format', 'headers')
    expect(first).toMatchObject({ exit: 0, stdout: `{"Authorization":"Bearer ${issuer.tokens[0]}"}\n`, stderr: '' })
    const variables = { MCP_IDP_HOME: '/nonexistent', MCP_IDP_AGENT: socket }
    const elsewhere = await built.run(['credentials', 'exec', 'reporter', '--', 'printenv', 'ACCESS_TOKEN'], variables)
    expect(elsewhere.stdout).toBe(`${issuer.tokens[0]}\n`)
    expect(existsSync(join(issuer.home, '.oauth-tokens'))).toBe(false)
    expect(issuer.tokens).toHaveLength(1)
  })

  test('tell its refusals as their own', async () => {
    await serve()
    expect(await get('nobody')).toMatchObject({ exit: 3, stdout: '', stderr: expect.stringContaining('there is no identity nobody') })
    const { exit, stdout } = await get('nobody', '--json')
    expect({ exit, ...JSON.parse(stdout) }).toMatchObject({ exit: 3, error: { code: 'not_found', hint: expect.any(String) } })
  })

  test('mint themselves when it is gone, and when files are named', async () => {
    const agent = await serve()
    await get('reporter', '--identities-file', join(issuer.home, 'identities/reporter.json'))
    expect(agent.stderr()).not.toContain('minted')
    agent.child.kill('SIGKILL')
    await agent.ended
    expect((await get('reporter')).stdout).toBe(`${issuer.tokens[0]}\n`)
  })

  test('do not listen to a socket that others may use', async () => {
    await serve()
    chmodSync(socket, 0o666)
    expect(await get('reporter')).toMatchObject({ exit: 2, stdout: '', stderr: expect.stringContaining('MCP_IDP_AGENT') })
    expect(issuer.tokens).toEqual([])
  })
})

describe('a client that', () => {
  const tokens = { token: () => Promise.reject(new Error('nobody asks')) }
  const agentAt = async (patienceMs: number) => {
    const path = join(temporaryFolder(), 'a.sock')
    const agent = await startTokenAgent({ path, tokens, patienceMs, now: () => 0, tryLock: async () => () => undefined })
    onTestFinished(() => agent.close())
    return path
  }

  test('says nothing is sent away after its time, and keeps nobody else waiting', async () => {
    const path = await agentAt(200)
    const began = performance.now()
    const [silent, slow] = await Promise.all([ask('', path), ask('{"identity', path)])
    for (const answer of [silent, slow]) expect(JSON.parse(answer)).toMatchObject({ error: { code: 'invalid_input' } })
    expect(performance.now() - began).toBeLessThan(5000)
  })

  test('is one too many is not served; when others have gone it is', async () => {
    const path = await agentAt(2000)
    const answers = await Promise.all(Array.from({ length: 200 }, () => ask('', path).catch(() => '')))
    const told = answers.filter((answer) => answer !== '').length
    expect(told).toBeGreaterThan(0)
    expect(told).toBeLessThanOrEqual(128)
    expect(await ask('{}\n', path)).toContain('invalid_input')
  })

  test('closes its end when it has asked is answered still', async () => {
    const path = await agentAt(2000)
    const answer = await new Promise<string>((done, fail) => {
      let text = ''
      const client = connect(path, () => client.end('{}'))
      client.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      client.once('error', fail).once('close', () => done(text))
    })
    expect(answer).toContain('invalid_input')
  })
})
