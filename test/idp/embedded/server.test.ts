/** The embedded provider as a server: what it keeps, whom it lets in, what it tells. */
import { spawn } from 'node:child_process'
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ServedRequest } from '../../../idp/embedded/requests.js'
import { startEmbeddedProvider } from '../../../idp/embedded/server.js'
import { failureOf } from '../../fakes/door.js'
import {
  authorizationUrl,
  browser,
  csrfOf,
  logIn,
  providerInTemporaryFolder,
  registerClient,
  SEED,
  type TestProvider,
  tokenRequest,
  tokensFor,
  verified,
} from './provider.js'

let provider: TestProvider
const requests: ServedRequest[] = []

beforeAll(async () => {
  provider = await providerInTemporaryFolder({ onRequest: (entry) => requests.push(entry) })
})
afterAll(() => provider.stop())

describe('the gateway’s own machine client', () => {
  test('gets a token whose subject is the client itself, for the gateway, without groups', async () => {
    const { client_id, client_secret } = provider.running.machine
    const { body } = await tokenRequest(provider, { grant_type: 'client_credentials' }, { client_id, secret: client_secret.reveal() })
    const { header, claims } = await verified(provider, body['access_token'])
    expect(header.typ).toBe('at+jwt')
    expect(claims).toMatchObject({ sub: client_id, client_id, aud: 'mcp-gateway' })
    expect(claims).not.toHaveProperty('groups')
    expect(client_id).toMatch(/^mcp-[0-9a-f]{24}$/)
  })

  test('gets nothing with a wrong secret, and no code for a person', async () => {
    const { client_id } = provider.running.machine
    expect(await tokenRequest(provider, { grant_type: 'client_credentials' }, { client_id, secret: 'wrong' })).toMatchObject({
      status: 401,
      body: { error: 'invalid_client' },
    })
    expect(await browser().visit(authorizationUrl(provider, client_id))).toMatchObject({ status: 400, next: undefined })
  })
})

describe('registration', () => {
  const post = (headers: Record<string, string>) =>
    fetch(`${provider.running.issuer}/reg`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({
        redirect_uris: ['http://localhost/callback'],
        application_type: 'native',
        token_endpoint_auth_method: 'none',
      }),
    })

  test('needs the initial access token', async () => {
    expect((await post({})).status).toBe(401)
    expect((await post({ authorization: 'Bearer' })).status).toBeGreaterThanOrEqual(400)
    expect((await post({ authorization: 'Bearer wrong' })).status).toBe(401)
    expect((await post({ authorization: `Bearer ${provider.running.adminToken.reveal()}` })).status).toBe(401)
    expect((await post({ authorization: `Bearer ${provider.running.initialAccessToken.reveal()}` })).status).toBe(201)
  })

  test('keeps the ownership mark, and no other unknown field', async () => {
    const client = await registerClient(provider, { mcp_gateway_idp: 'default', something: 'else' })
    expect(client).toMatchObject({ mcp_gateway_idp: 'default' })
    expect(client).not.toHaveProperty('something')
    await expect(registerClient(provider, { mcp_gateway_idp: { not: 'a text' } })).rejects.toThrow('invalid_client_metadata')
  })
})

test('a restart keeps clients, keys, refresh tokens, sessions and people', async () => {
  let mine = await providerInTemporaryFolder()
  try {
    const client_id = String((await registerClient(mine))['client_id'])
    const tab = browser()
    const page = await tab.follow(authorizationUrl(mine, client_id))
    await tab.follow(page.url, { csrf: csrfOf(page.html), action: 'login', username: 'ada', password: await mine.password('ada') })
    const tokens = await tokensFor(mine, { client_id })
    const before = { ...mine.running, password: await mine.password('grace') }
    mine = await mine.restart()
    expect(mine.running.issuer).toBe(before.issuer)
    expect(mine.running.machine.client_id).toBe(before.machine.client_id)
    expect(mine.running.machine.client_secret.equals(before.machine.client_secret)).toBe(true)
    expect(mine.running.initialAccessToken.equals(before.initialAccessToken)).toBe(true)
    expect(mine.running.adminToken.equals(before.adminToken)).toBe(true)
    expect(await mine.password('grace')).toBe(before.password)
    expect((await verified(mine, tokens['access_token'])).claims.sub).toBe('ada')
    expect(
      await tokenRequest(mine, { grant_type: 'refresh_token', refresh_token: tokens['refresh_token'] ?? '', client_id }),
    ).toMatchObject({ status: 200 })
    expect((await tab.follow(authorizationUrl(mine, client_id))).html).toContain('Continue as ada')
    expect(await logIn(mine, { client_id, username: 'grace' })).toHaveProperty('code')
  } finally {
    await mine.stop()
  }
})

test('a start that was cut off between password file and store is mended by the next one', async () => {
  let mine = await providerInTemporaryFolder({ seed: { ...SEED, people: [] } })
  try {
    await writeFile(mine.running.files.people, JSON.stringify({ ada: 'kept-from-the-first-try' }), { mode: 0o600 })
    const client_id = String((await registerClient(mine))['client_id'])
    await mine.running.close()
    const { port } = new URL(mine.running.url)
    const running = await startEmbeddedProvider({ folder: mine.folder, port: Number(port), seed: SEED })
    mine = { ...mine, running }
    expect(await mine.password('ada')).toBe('kept-from-the-first-try')
    expect(await logIn(mine, { client_id })).toHaveProperty('code')
    expect(await logIn(mine, { client_id, username: 'grace' })).toHaveProperty('code')
  } finally {
    await mine.stop()
  }
})

describe('files', () => {
  test('are 0600 in a 0700 folder, even under umask 000', async () => {
    const umask = process.umask(0)
    const mine = await providerInTemporaryFolder().finally(() => process.umask(umask))
    try {
      const names = await readdir(mine.folder)
      expect(names.sort()).toEqual(
        expect.arrayContaining([
          'admin-token',
          'cookie-keys.json',
          'demo-people.json',
          'initial-access-token',
          'jwks.json',
          'machine-client.json',
          'provider.db',
        ]),
      )
      for (const name of names) expect([name, (await stat(join(mine.folder, name))).mode & 0o777]).toEqual([name, 0o600])
      expect((await stat(mine.folder)).mode & 0o777).toBe(0o700)
      expect(names.filter((name) => name.endsWith('.new') || name.endsWith('.tmp'))).toEqual([])
    } finally {
      await mine.stop()
    }
  })

  test('hold no password besides the one file that is for people', async () => {
    const password = await provider.password('ada')
    for (const name of await readdir(provider.folder)) {
      const holds = (await readFile(join(provider.folder, name))).includes(password)
      expect([name, holds]).toEqual([name, name === 'demo-people.json'])
    }
  })

  test('in a folder that others may enter are refused', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'embedded-'))
    await chmod(folder, 0o750)
    try {
      expect(await failureOf(startEmbeddedProvider({ folder, port: 0, seed: SEED }))).toMatchObject({
        code: 'invalid_input',
        hint: `chmod 700 ${folder}`,
      })
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  test.each(['jwks.json', 'initial-access-token', 'demo-people.json'])(
    '%s with something else inside is refused by name and its content is not told',
    async (name) => {
      const mine = await providerInTemporaryFolder()
      try {
        await mine.running.close()
        await writeFile(join(mine.folder, name), '"not-ours-at-all"')
        const failure = await failureOf(startEmbeddedProvider({ folder: mine.folder, port: 0, seed: SEED }))
        expect(failure).toMatchObject({ code: 'invalid_input' })
        expect(failure.message).toContain(name)
        expect(failure.message).not.toContain('not-ours-at-all')
      } finally {
        await mine.stop()
      }
    },
  )

  test('made by two starts at once are the same for both', async () => {
    const folder = join(await mkdtemp(join(tmpdir(), 'embedded-')), 'provider')
    const start = () => startEmbeddedProvider({ folder, port: 0, seed: { ...SEED, people: [] } })
    const [one, two] = await Promise.all([start(), start()])
    try {
      expect(one.machine.client_id).toBe(two.machine.client_id)
      expect(one.adminToken.equals(two.adminToken)).toBe(true)
      expect(await (await fetch(`${one.url}/jwks`)).text()).toBe(await (await fetch(`${two.url}/jwks`)).text())
    } finally {
      await Promise.all([one.close(), two.close()])
      await rm(join(folder, '..'), { recursive: true })
    }
  })
})

describe('the Host header', () => {
  function ask(host: string, path = '/.well-known/openid-configuration') {
    const { hostname, port } = new URL(provider.running.url)
    return new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
      request(
        { hostname, port, path, headers: { host, 'x-forwarded-host': 'forged.example', 'x-forwarded-proto': 'https' } },
        (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('end', () => resolve({ status: response.statusCode, text: Buffer.concat(chunks).toString() }))
        },
      )
        .on('error', reject)
        .end()
    })
  }

  test('of another host, port or spelling is refused before anything is built from it', async () => {
    const { port } = new URL(provider.running.url)
    for (const host of [
      'forged.example',
      `forged.example:${port}`,
      '127.0.0.1',
      '127.0.0.1:1',
      `127.0.0.1.forged.example:${port}`,
      `127.0.0.1:${port}@forged.example`,
      `[::1]:${port}`,
    ]) {
      const answer = await ask(host)
      expect([host, answer.status]).toEqual([host, 421])
      expect(answer.text).not.toContain('forged')
    }
    for (const path of ['/admin/groups', '/login/x', 'http://forged.example/.well-known/openid-configuration']) {
      const host = path.startsWith('/') ? 'forged.example' : new URL(provider.running.url).host
      expect([path, (await ask(host, path)).status]).toEqual([path, 421])
    }
  })

  test('of our own names is served, and forwarded ones are not believed', async () => {
    const { host, port } = new URL(provider.running.url)
    for (const own of [host, `localhost:${port}`, `LOCALHOST:${port}`]) {
      const { status, text } = await ask(own)
      expect([own, status]).toEqual([own, 200])
      expect(text).not.toContain('forged')
      expect(JSON.parse(text)).toMatchObject({ issuer: provider.running.issuer })
    }
  })

  test('behind a proxy the metadata names the public origin, whatever the request says', async () => {
    const mine = await providerInTemporaryFolder({ publicOrigin: 'https://idp.example.com' })
    try {
      const metadata = await (
        await fetch(`${mine.running.url}/.well-known/openid-configuration`, { headers: { 'x-forwarded-host': 'forged.example' } })
      ).json()
      expect(metadata).toMatchObject({ issuer: 'https://idp.example.com', token_endpoint: 'https://idp.example.com/token' })
    } finally {
      await mine.stop()
    }
  })

  test.each(['https://idp.example.com/path', 'idp.example.com', 'ftp://idp.example.com'])(
    '%s is no public origin',
    async (publicOrigin) => {
      expect(await failureOf(startEmbeddedProvider({ folder: '/nowhere', port: 0, seed: SEED, publicOrigin }))).toMatchObject({
        code: 'invalid_input',
      })
    },
  )
})

test('a busy port is an error that names its flag, and what was started is closed', async () => {
  const other = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => other.once('listening', resolve))
  const address = other.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const parent = await mkdtemp(join(tmpdir(), 'embedded-'))
  try {
    const failure = await failureOf(startEmbeddedProvider({ folder: join(parent, 'provider'), port, seed: SEED }))
    expect(failure).toMatchObject({ code: 'invalid_input', details: { problems: [{ path: '--issuer-port', found: String(port) }] } })
  } finally {
    await new Promise((resolve) => other.close(resolve))
    await rm(parent, { recursive: true })
  }
})

describe('what it tells', () => {
  test('is one line for each event, with the client and the person, and no token or secret', async () => {
    const client = await registerClient(provider)
    const client_id = String(client['client_id'])
    provider.log.length = 0
    const tokens = await tokensFor(provider, { client_id })
    await tokenRequest(provider, { grant_type: 'refresh_token', refresh_token: tokens['refresh_token'] ?? '', client_id })
    const { machine } = provider.running
    await tokenRequest(
      provider,
      { grant_type: 'client_credentials' },
      { client_id: machine.client_id, secret: machine.client_secret.reveal() },
    )
    const another = await registerClient(provider)
    expect(provider.log).toEqual([
      { event: 'authorization', client_id, account: 'ada' },
      { event: 'code_exchange', client_id, account: 'ada' },
      { event: 'refresh', client_id, account: 'ada' },
      { event: 'client_credentials', client_id: machine.client_id },
      { event: 'registration', client_id: another['client_id'] },
    ])
  })

  test('of a request is method, path without ids, and status', async () => {
    const client = await registerClient(provider)
    requests.length = 0
    await logIn(provider, { client_id: String(client['client_id']) })
    await fetch(String(client['registration_client_uri']), { headers: { authorization: 'Bearer x' } })
    await fetch(`${provider.running.url}/nothing?secret=x`)
    await expect.poll(() => requests.length).toBe(6)
    expect(requests).toEqual([
      { method: 'GET', path: '/auth', status: 303 },
      { method: 'GET', path: '/login/:id', status: 200 },
      { method: 'POST', path: '/login/:id', status: 303 },
      { method: 'GET', path: '/auth/:id', status: 303 },
      { method: 'GET', path: '/reg/:id', status: 401 },
      { method: 'GET', path: '/nothing', status: 404 },
    ])
  })

  test('when printed shows no secret', () => {
    const text = inspect(provider.running, { depth: 5 })
    for (const secret of [provider.running.initialAccessToken, provider.running.adminToken, provider.running.machine.client_secret])
      expect(text).not.toContain(secret.reveal())
    expect(text).toContain('[secret]')
  })

  test('on its streams is nothing: a start, a login, tokens, refusals and a stop print no line', async () => {
    const script = fileURLToPath(new URL('./whole-life.ts', import.meta.url))
    const child = spawn(process.execPath, ['--import', 'tsx', script], { env: { PATH: process.env['PATH'] } })
    const output: string[] = []
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => output.push(chunk.toString()))
    const status = await new Promise((resolve) => child.once('close', resolve))
    expect(output.join('')).toBe('lived\n')
    expect(status).toBe(0)
  })
})
