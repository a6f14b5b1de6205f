import { createServer, request, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { Hono } from 'hono'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ToolkitError } from '../../core/errors.js'
import { type DemoCaller, demoServer } from '../../mcp-server/demo.js'

const ISSUER = 'http://127.0.0.1:8888'
const ADA: DemoCaller = {
  issuer: ISSUER,
  subject: 'u-1',
  client_id: 'ide',
  kind: 'person',
  username: 'ada',
  groups: ['demo-readers', 'a\u202eb'],
}
const ROBOT: DemoCaller = { issuer: ISSUER, subject: 'm-1', client_id: 'robot', kind: 'machine', groups: [] }
const CALLERS: Record<string, DemoCaller> = { 'token-of-ada': ADA, 'token-of-robot': ROBOT }

let http: Server
let url: string
let asked: string[] = []
let calls: object[] = []
let defects: string[] = []

async function verify(token: string): Promise<DemoCaller> {
  asked.push(token)
  if (token === 'down') throw new ToolkitError('unavailable', 'no keys', { system: 'issuer', reason: 'timeout' })
  if (token === 'defect') throw new TypeError(`cannot read ${token}`)
  if (token === 'slow') await new Promise((resolve) => setTimeout(resolve, 3_000).unref())
  const caller = CALLERS[token]
  if (caller === undefined) throw new ToolkitError('unauthenticated', 'the token is not accepted', { system: 'registry' })
  return caller
}

beforeAll(async () => {
  http = createServer()
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  const app = new Hono()
  app.onError((error, c) => {
    defects.push(error.name)
    return c.json({ error: 'internal' }, 500)
  })
  demoServer({
    path: '/demo',
    publicUrl: url,
    issuer: ISSUER,
    scopes: ['openid', 'profile', 'groups'],
    verify,
    onCall: (entry) => calls.push(entry),
    timeoutMs: 1_000,
  })(app)
  http.on('request', getRequestListener(app.fetch))
})
afterAll(async () => {
  http.closeAllConnections()
  await new Promise((resolve) => http.close(resolve))
})
beforeEach(() => {
  asked = []
  calls = []
  defects = []
})

const MCP = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const post = (body: unknown, headers: Record<string, string> = bearer('token-of-ada')) =>
  fetch(`${url}/demo/mcp`, {
    method: 'POST',
    headers: { ...MCP, ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })

async function connected(token: string): Promise<Client> {
  const client = new Client({ name: 'test', version: '1.0.0' })
  await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/demo/mcp`), { requestInit: { headers: bearer(token) } }))
  return client
}

/** fetch does not send a Host of one's choice. */
function rawGet(path: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    request(`${url}${path}`, { headers }, (answer) => {
      answer.resume()
      resolve(answer.statusCode ?? 0)
    })
      .on('error', reject)
      .end()
  })
}

describe('with a token', () => {
  test('an MCP client of the SDK connects, lists one read-only tool and is told who it is', async () => {
    const client = await connected('token-of-ada')
    const { tools } = await client.listTools()
    expect(tools.map(({ name, annotations, inputSchema }) => ({ name, readOnly: annotations?.readOnlyHint, inputSchema }))).toEqual([
      { name: 'whoami', readOnly: true, inputSchema: { type: 'object', properties: {}, additionalProperties: false } },
    ])
    const { structuredContent, content } = await client.callTool({ name: 'whoami' })
    const who = { subject: 'u-1', username: 'ada', groups: ['demo-readers', 'ab'], client_id: 'ide', kind: 'person' }
    expect(structuredContent).toEqual(who)
    expect(content).toEqual([{ type: 'text', text: JSON.stringify(who) }])
    expect(calls).toEqual([{ tool: 'whoami', subject: 'u-1', client_id: 'ide', kind: 'person' }])
    await client.close()
  })

  test('a machine is told that it is one, and that it has no user name', async () => {
    const client = await connected('token-of-robot')
    const { structuredContent } = await client.callTool({ name: 'whoami', arguments: {} })
    expect(structuredContent).toEqual({ subject: 'm-1', username: null, groups: [], client_id: 'robot', kind: 'machine' })
    await client.close()
  })

  test('every request is checked anew, and no session is made', async () => {
    const first = await post({ jsonrpc: '2.0', id: 1, method: 'tools/list' })
    expect([first.status, first.headers.get('mcp-session-id'), first.headers.get('content-type')]).toEqual([200, null, 'application/json'])
    await post({ jsonrpc: '2.0', id: 1, method: 'tools/list' })
    expect(asked).toEqual(['token-of-ada', 'token-of-ada'])
  })

  test('arguments that the tool does not have are a failed call, which tells nothing and is not counted', async () => {
    const client = await connected('token-of-ada')
    const { isError, structuredContent } = await client.callTool({ name: 'whoami', arguments: { as: 'root' } })
    expect([isError, structuredContent, calls]).toEqual([true, undefined, []])
    await client.close()
  })

  test('an unknown tool is an error of the protocol', async () => {
    const client = await connected('token-of-ada')
    await expect(client.callTool({ name: 'rm' })).rejects.toMatchObject({ code: -32602 })
    await client.close()
  })

  test('many callers at once get their own answers', async () => {
    const tokens = Array.from({ length: 20 }, (_, index) => (index % 2 ? 'token-of-ada' : 'token-of-robot'))
    const answers = await Promise.all(
      tokens.map(async (token) =>
        (await post({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'whoami' } }, bearer(token))).json(),
      ),
    )
    const subjects = answers.map((one) => (one as { result: { structuredContent: { subject: string } } }).result.structuredContent.subject)
    expect(subjects).toEqual(tokens.map((token) => (token === 'token-of-ada' ? 'u-1' : 'm-1')))
  })

  test.each(['GET', 'HEAD', 'DELETE', 'PUT'])('%s is not allowed, since there is no session', async (method) => {
    const answer = await fetch(`${url}/demo/mcp`, { method, headers: { ...bearer('token-of-ada'), accept: 'text/event-stream' } })
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST'])
  })

  test.each([
    ['the discovery of a newer revision', { jsonrpc: '2.0', id: 7, method: 'server/discover' }, {}, -32601],
    [
      'the discovery, with the header of its revision',
      { jsonrpc: '2.0', id: 7, method: 'server/discover' },
      { 'mcp-protocol-version': '2026-07-28' },
      -32000,
    ],
    ['no JSON', '{', {}, -32700],
    ['no JSON-RPC', { hello: 1 }, {}, -32700],
  ])('%s is answered with a JSON-RPC error', async (_, body, headers, code) => {
    const answer = await post(body, { ...bearer('token-of-ada'), ...headers })
    expect(await answer.json()).toMatchObject({ jsonrpc: '2.0', error: { code } })
  })

  test('a body over 1 MB is refused, and one just below is not', async () => {
    const padded = (bytes: number) =>
      JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta: { pad: '' } } }).replace(
        '""',
        `"${'x'.repeat(bytes)}"`,
      )
    expect((await post(padded(1_000_000))).status).toBe(413)
    expect((await post(padded(990_000))).status).toBe(200)
  })

  test('a message that cancels itself does not hold the connection for ever', async () => {
    const answer = await post([
      { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'whoami' } },
      { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } },
    ])
    expect(answer.status).toBe(408)
  })
})

describe('without a good token', () => {
  const challenge = (error: string) =>
    `Bearer realm="mcp", ${error}resource_metadata="${url}/.well-known/oauth-protected-resource/demo/mcp", scope="openid profile groups"`

  test.each(['GET', 'HEAD', 'POST', 'DELETE', 'OPTIONS'])('%s without a token is challenged, without an error code', async (method) => {
    const answer = await fetch(`${url}/demo/mcp`, { method, headers: MCP })
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, challenge('')])
    expect(asked).toEqual([])
    if (method !== 'HEAD') expect(await answer.json()).toEqual({ error: 'unauthorized' })
  })

  test.each(['GET', 'HEAD', 'POST'])('%s with a token that is not accepted is told so', async (method) => {
    const answer = await fetch(`${url}/demo/mcp`, { method, headers: { ...MCP, ...bearer('forged') } })
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, challenge('error="invalid_token", ')])
    if (method !== 'HEAD') expect(await answer.json()).toEqual({ error: 'invalid_token' })
  })

  test.each([
    ['Bearer', 'error="invalid_token", '],
    ['Bearer a b', 'error="invalid_token", '],
    ['Bearer a,b', 'error="invalid_token", '],
    ['Basic dG9rZW4tb2YtYWRhOg==', ''],
    ['token-of-ada', ''],
    ['', ''],
  ])('the header %j is no bearer token, and nobody is asked about it', async (authorization, error) => {
    const answer = await post({ jsonrpc: '2.0', id: 1, method: 'tools/list' }, { authorization })
    expect([answer.status, answer.headers.get('www-authenticate'), asked]).toEqual([401, challenge(error), []])
  })

  test('a token in the query or the body is no token', async () => {
    const answer = await fetch(`${url}/demo/mcp?access_token=token-of-ada`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'access_token=token-of-ada',
    })
    expect([answer.status, asked]).toEqual([401, []])
  })

  test('the discovery of a newer revision and a large body are challenged like anything else', async () => {
    expect((await post({ jsonrpc: '2.0', id: 1, method: 'server/discover' }, {})).status).toBe(401)
    expect((await post('x'.repeat(2_000_000), {})).status).toBe(401)
  })

  test('an MCP client of the SDK fails to connect', async () => {
    await expect(connected('forged')).rejects.toMatchObject({ code: 401 })
  })

  test('while tokens cannot be checked, nobody is told that theirs is bad', async () => {
    const answer = await post({ jsonrpc: '2.0', id: 1, method: 'tools/list' }, bearer('down'))
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([503, null])
  })

  test('a defect of the check lets nobody in, and its text does not go out', async () => {
    const answer = await post({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'whoami' } }, bearer('defect'))
    expect([answer.status, await answer.json(), defects]).toEqual([500, { error: 'internal' }, ['TypeError']])
  })

  test('a check that takes too long ends the request', async () => {
    expect((await post({ jsonrpc: '2.0', id: 1, method: 'tools/list' }, bearer('slow'))).status).toBe(408)
  })
})

test('the metadata names resource, authorization server, scopes and the header, and needs no token', async () => {
  const answer = await fetch(`${url}/.well-known/oauth-protected-resource/demo/mcp`)
  expect(await answer.json()).toMatchObject({
    resource: `${url}/demo/mcp`,
    authorization_servers: [ISSUER],
    scopes_supported: ['openid', 'profile', 'groups'],
    bearer_methods_supported: ['header'],
  })
})

describe('callers from elsewhere', () => {
  const port = () => new URL(url).port
  test.each<[string, () => string, number]>([
    ['our own address', () => `127.0.0.1:${port()}`, 401],
    ['localhost', () => `localhost:${port()}`, 401],
    ['our name in upper case', () => `LOCALHOST:${port()}`, 401],
    ['a name that was bound to this address', () => `evil.example:${port()}`, 421],
    ['a name that begins like ours', () => `127.0.0.1.evil.example:${port()}`, 421],
    ['another port', () => '127.0.0.1:1', 421],
    ['no port', () => '127.0.0.1', 421],
  ])('the host %s', async (_, host, status) => {
    expect(await rawGet('/demo/mcp', { host: host() })).toBe(status)
    expect(await rawGet('/.well-known/oauth-protected-resource/demo/mcp', { host: host() })).toBe(status === 401 ? 200 : status)
  })

  test.each<[string, () => string, number]>([
    ['our own', () => url, 200],
    ['localhost', () => `http://localhost:${port()}`, 200],
    ['another site', () => 'https://evil.example', 403],
    ['another port of this machine', () => 'http://127.0.0.1:1', 403],
    ['a sandboxed page', () => 'null', 403],
    ['no origin at all', () => 'x', 403],
  ])('the origin of %s', async (_, origin, status) => {
    const answer = await post({ jsonrpc: '2.0', id: 1, method: 'tools/list' }, { ...bearer('token-of-ada'), origin: origin() })
    expect(answer.status).toBe(status)
    if (status === 403) expect(asked).toEqual([])
  })

  test('a body that never comes ends with the deadline', async () => {
    const { hostname, port: ours } = new URL(url)
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(ours), hostname, () => {
        const head = [
          'POST /demo/mcp HTTP/1.1',
          `Host: ${hostname}:${ours}`,
          'Authorization: Bearer token-of-ada',
          'Content-Type: application/json',
        ]
        socket.write(`${[...head, 'Accept: application/json, text/event-stream', 'Content-Length: 100', '', '{'].join('\r\n')}`)
      })
      let text = ''
      socket.on('data', (chunk) => {
        text += chunk
      })
      socket.on('close', () => resolve(text))
      socket.on('error', reject)
    })
    expect(answer).toMatch(/^HTTP\/1\.1 408 /)
  })
})

test.each([
  { publicUrl: 'http://127.0.0.1:7860/' },
  { publicUrl: 'http://127.0.0.1:7860/base' },
  { publicUrl: '127.0.0.1:7860' },
  { path: 'demo' },
  { path: '/demo/' },
  { path: '/:any' },
  { scopes: ['openid', 'a" error="x'] },
])('an option that cannot stand in a URL or a challenge is refused: %j', (wrong) => {
  expect(() =>
    demoServer({ path: '/demo', publicUrl: 'http://127.0.0.1:7860', issuer: ISSUER, scopes: ['openid'], verify, ...wrong }),
  ).toThrow('is not valid')
})
