import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isToolkitError } from '../../core/errors.js'
import { MCP_CLIENTS, type McpClient } from '../../ide/catalogue.js'
import type { Connection, Rendered } from '../../ide/connection.js'
import { serverEntryName } from '../../ide/entry-name.js'
import { codexCallbackId, redirectUris } from '../../ide/redirects.js'
import { tomlKey, tomlString } from '../../ide/render/toml.js'
import { renderConnect } from '../../ide/render.js'

const URL_ = 'https://gateway.example.com/my-server/mcp'
const base: Connection = { name: 'My Server', url: URL_, client_id: 'mcp-gateway-ide', callback_port: null, headers: [], dcr: null }
const render = (client: McpClient, more: Partial<Connection> = {}) => renderConnect(client, { ...base, ...more })
const command = (rendered: Rendered) => [rendered, ...rendered.alternatives].find(({ kind }) => kind === 'command')?.text ?? ''
const json = (text: string) => JSON.parse(text) as { mcpServers: Record<string, Record<string, unknown>> }

/** The words that the program behind a shell line gets. */
const wordsOf = (line: string) =>
  execFileSync('sh', ['-c', `printf '%s\\0' ${line}`], { encoding: 'utf8' })
    .split('\0')
    .slice(0, -1)

describe('Claude Code', () => {
  test.each<[string, Partial<Connection>, string]>([
    ['with a login client', {}, `claude mcp add --transport http --client-id mcp-gateway-ide my-server ${URL_}`],
    [
      'with a pinned port',
      { callback_port: 43110 },
      `claude mcp add --transport http --client-id mcp-gateway-ide --callback-port 43110 my-server ${URL_}`,
    ],
    ['registering itself', { client_id: null, dcr: true }, `claude mcp add --transport http my-server ${URL_}`],
    [
      'registering itself, whatever port is pinned for others',
      { client_id: null, dcr: true, callback_port: 43110 },
      `claude mcp add --transport http my-server ${URL_}`,
    ],
    [
      'by token where it cannot',
      { client_id: null, dcr: false },
      `claude mcp add --transport http my-server ${URL_} --header 'Authorization: Bearer \${MCP_AUTH_TOKEN}'`,
    ],
    [
      'by token where nobody looked',
      { client_id: null },
      `claude mcp add --transport http my-server ${URL_} --header 'Authorization: Bearer \${MCP_AUTH_TOKEN}'`,
    ],
    [
      'by token of another variable',
      { client_id: null, token_variable: 'MY_TOKEN' },
      `claude mcp add --transport http my-server ${URL_} --header 'Authorization: Bearer \${MY_TOKEN}'`,
    ],
    [
      'with headers after name and URL',
      { headers: ['X-Api-Key'] },
      `claude mcp add --transport http --client-id mcp-gateway-ide my-server ${URL_} --header 'X-Api-Key: \${MCP_HEADER_X_API_KEY}'`,
    ],
    ['with a client id like a flag', { client_id: '-v' }, `claude mcp add --transport http --client-id=-v my-server ${URL_}`],
  ])('%s', (_, more, text) => {
    expect(render('claude-code', more)).toMatchObject({
      client: 'claude-code',
      title: 'Claude Code',
      kind: 'command',
      language: 'sh',
      text,
    })
  })

  test('the file of a project says the same as the command, and names its type', () => {
    const [file] = render('claude-code', { callback_port: 43110, headers: ['X-Team'] }).alternatives
    expect(file).toMatchObject({ kind: 'file', language: 'json', path: '.mcp.json' })
    expect(json(file?.text ?? '').mcpServers).toEqual({
      'my-server': {
        type: 'http',
        url: URL_,
        oauth: { clientId: 'mcp-gateway-ide', callbackPort: 43110 },
        headers: { 'X-Team': `\${MCP_HEADER_X_TEAM}` },
      },
    })
    expect(json(render('claude-code', { client_id: null, dcr: true }).alternatives[0]?.text ?? '').mcpServers).toEqual({
      'my-server': { type: 'http', url: URL_ },
    })
  })
})

describe('Codex', () => {
  test.each<[string, Partial<Connection>, string[]]>([
    [
      'with a login client, neither port nor URL of the callback',
      {},
      [`[mcp_servers.my-server]`, `url = "${URL_}"`, '', '[mcp_servers.my-server.oauth]', 'client_id = "mcp-gateway-ide"'],
    ],
    [
      'with a pinned port, the port and the URL with the id',
      { callback_port: 43110 },
      [
        '[mcp_servers.my-server]',
        `url = "${URL_}"`,
        '',
        '[mcp_servers.my-server.oauth]',
        'client_id = "mcp-gateway-ide"',
        'callback_port = 43110',
        'callback_url = "http://127.0.0.1:43110/callback/4YytuSq7vmJ5"',
      ],
    ],
    ['registering itself', { client_id: null, dcr: true }, ['[mcp_servers.my-server]', `url = "${URL_}"`]],
    [
      'by token',
      { client_id: null, dcr: false },
      ['[mcp_servers.my-server]', `url = "${URL_}"`, 'bearer_token_env_var = "MCP_AUTH_TOKEN"'],
    ],
    [
      'with headers by variables',
      { client_id: null, dcr: true, headers: ['X-Api-Key', 'x.team'] },
      [
        '[mcp_servers.my-server]',
        `url = "${URL_}"`,
        'env_http_headers = { X-Api-Key = "MCP_HEADER_X_API_KEY", "x.team" = "MCP_HEADER_X_TEAM" }',
      ],
    ],
  ])('%s', (_, more, lines) => {
    expect(render('codex', more)).toMatchObject({
      title: 'Codex',
      kind: 'file',
      language: 'toml',
      path: '~/.codex/config.toml',
      text: `${lines.join('\n')}\n`,
    })
  })

  test.each<[string, Partial<Connection>, string]>([
    ['with a login client', {}, `codex mcp add my-server --url ${URL_} --oauth-client-id mcp-gateway-ide`],
    [
      'with a pinned port',
      { callback_port: 43110 },
      `codex mcp add my-server --url ${URL_} --oauth-client-id mcp-gateway-ide -c mcp_oauth_callback_port=43110`,
    ],
    ['registering itself', { client_id: null, dcr: true }, `codex mcp add my-server --url ${URL_}`],
    ['by token', { client_id: null }, `codex mcp add my-server --url ${URL_} --bearer-token-env-var MCP_AUTH_TOKEN`],
    ['with a client id like a flag', { client_id: '--url' }, `codex mcp add my-server --url ${URL_} --oauth-client-id=--url`],
  ])('the command, %s', (_, more, text) => {
    expect(command(render('codex', more))).toBe(text)
  })

  test('there is no command where headers are wanted, since it would lose them', () => {
    const { alternatives, notes } = render('codex', { headers: ['X-Api-Key'] })
    expect(alternatives).toEqual([])
    expect(notes.join('\n')).toContain('cannot set headers')
  })

  test('the login is told with the port, and not at all where a token is used', () => {
    expect(render('codex', { callback_port: 43110 }).notes.join('\n')).toContain(
      'codex mcp login my-server -c mcp_oauth_callback_port=43110',
    )
    expect(render('codex', { client_id: null }).notes.join('\n')).not.toContain('codex mcp login')
  })

  test('nobody is sent to log in a second time: the command has done it, where there is one', () => {
    expect(render('codex').notes).toContain('To log in, which codex mcp add does by itself: codex mcp login my-server')
    expect(render('codex', { headers: ['X-Api-Key'] }).notes).toContain('To log in: codex mcp login my-server')
  })
})

describe('Cursor', () => {
  test.each<[string, Partial<Connection>, object]>([
    ['with a login client', {}, { url: URL_, auth: { CLIENT_ID: 'mcp-gateway-ide' } }],
    ['registering itself', { client_id: null, dcr: true }, { url: URL_ }],
    ['by token', { client_id: null, dcr: false }, { url: URL_, headers: { Authorization: `Bearer \${env:MCP_AUTH_TOKEN}` } }],
    [
      'with headers',
      { headers: ['X-Api-Key'] },
      { url: URL_, headers: { 'X-Api-Key': `\${env:MCP_HEADER_X_API_KEY}` }, auth: { CLIENT_ID: 'mcp-gateway-ide' } },
    ],
    ['with a pinned port, which it has no place for', { callback_port: 43110 }, { url: URL_, auth: { CLIENT_ID: 'mcp-gateway-ide' } }],
  ])('%s', (_, more, entry) => {
    const rendered = render('cursor', more)
    expect(rendered).toMatchObject({ title: 'Cursor', kind: 'file', language: 'json', path: '~/.cursor/mcp.json', alternatives: [] })
    expect(JSON.parse(rendered.text)).toEqual({ mcpServers: { 'my-server': entry } })
  })
  test('says that it keeps its own port', () => {
    expect(render('cursor', { callback_port: 43110 }).notes.join('\n')).toContain('port 8787')
    expect(render('cursor').notes.join('\n')).not.toContain('8787')
  })
})

describe.each(MCP_CLIENTS)('for any connection, %s', (client) => {
  const hostileId = fc.stringMatching(/^[\x21-\x7e]{1,40}$/)
  const header = fc.stringMatching(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,20}$/)
  const connection = fc.record({
    name: fc.string({ unit: 'grapheme' }),
    url: fc.webUrl({ validSchemes: ['https'], withQueryParameters: true }),
    client_id: fc.option(hostileId),
    callback_port: fc.option(fc.integer({ min: 1, max: 65535 })),
    headers: fc.array(header, { maxLength: 4 }),
    dcr: fc.constantFrom(true, false, null),
  })

  test('has texts that parse, with the values as they are', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(connection, (given) => {
        const rendered = renderConnect(client, given)
        for (const { language, text } of [rendered, ...rendered.alternatives]) {
          if (language === 'json') {
            const [entry] = Object.values(json(text).mcpServers)
            expect(entry?.['url']).toBe(given.url)
            if (given.client_id !== null) expect(JSON.stringify(entry)).toContain(JSON.stringify(given.client_id))
          }
          if (language === 'sh') {
            const words = wordsOf(text)
            expect(words).toContain(given.url)
            expect(words).toContain(serverEntryName(given.name))
            if (given.client_id !== null)
              expect(words.some((word) => word === given.client_id || word.endsWith(`=${given.client_id}`))).toBe(true)
          }
          if (language === 'toml')
            expect(tomlStringsIn(text)).toEqual(expect.arrayContaining([given.url, ...(given.client_id === null ? [] : [given.client_id])]))
        }
      }),
      { numRuns: 60 },
    )
  })

  test('names a token exactly where there is no login, by its variable', () => {
    fc.assert(
      fc.property(connection, (given) => {
        const shown = JSON.stringify(
          renderConnect(client, { ...given, client_id: given.client_id === null ? null : 'id', token_variable: 'A_TOKEN' }),
        )
        expect(shown.includes('A_TOKEN')).toBe(given.client_id === null && given.dcr !== true)
      }),
    )
  })

  test('says which versions were tested', () => {
    expect(render(client).notes.at(-1)).toMatch(/^Tested: \d/)
  })
})

test("Codex's callback URL is among the redirect URIs to register, for any server and port", () => {
  fc.assert(
    fc.property(fc.webUrl({ validSchemes: ['https'] }), fc.integer({ min: 1, max: 65535 }), (url, callbackPort) => {
      const callback = tomlStringsIn(render('codex', { url, callback_port: callbackPort }).text).at(-1)
      expect(redirectUris({ clients: ['codex'], serverUrls: [url], callbackPort, loopback_port: 'exact' }).uris).toContain(callback)
      expect(callback).toContain(codexCallbackId(url))
    }),
  )
})

describe('headers of a server', () => {
  test('are read from variables of one prefix, so that no server can ask for a variable of its choice', () => {
    const text = JSON.stringify(render('cursor', { headers: ['AWS_SECRET_ACCESS_KEY', 'PATH'] }))
    expect(text).toContain(`\${env:MCP_HEADER_AWS_SECRET_ACCESS_KEY}`)
    expect(text).not.toMatch(/env:(?!MCP_HEADER_)/)
  })
  test('do not replace the login', () => {
    const { text, notes } = render('cursor', { headers: ['authorization'] })
    expect(JSON.parse(text)).toEqual({ mcpServers: { 'my-server': { url: URL_, auth: { CLIENT_ID: 'mcp-gateway-ide' } } } })
    expect(notes.join('\n')).toContain('Authorization; it is left out')
  })
  test('have a variable each, and one that is named twice counts once', () => {
    const { mcpServers } = json(render('cursor', { headers: ['X-A', 'x-a', 'X_A', 'X.A'] }).text)
    const headers = mcpServers['my-server']?.['headers'] as Record<string, string>
    expect(Object.keys(headers)).toHaveLength(3)
    expect(new Set(Object.values(headers)).size).toBe(3)
  })
})

describe('refused before anything is written', () => {
  test.each<[string, Partial<Connection>]>([
    ['url', { url: 'http://gateway.example.com/mcp' }],
    ['url', { url: 'https://u:p@gateway.example.com/mcp' }],
    ['url', { url: `${URL_}#x` }],
    ['url', { url: 'javascript:alert(1)' }],
    ['url', { url: 'https://gateway.example.com/a\nrm -rf' }],
    ['url', { url: 'https://gateway.example.com/a b' }],
    ['url', { url: `https://gateway.example.com/\u202e` }],
    ['url', { url: '/demo/mcp' }],
    ['client_id', { client_id: '' }],
    ['client_id', { client_id: 'a b' }],
    ['client_id', { client_id: 'a\nb' }],
    ['callback_port', { callback_port: 0 }],
    ['callback_port', { callback_port: 70000 }],
    ['headers[1]', { headers: ['X-A', 'X B'] }],
    ['headers[0]', { headers: ['X-A: b\r\nX-C'] }],
    ['token_variable', { token_variable: 'a-b' }],
    ['token_variable', { token_variable: '$(id)' }],
  ])('%s of %j', (path, more) => {
    try {
      render('codex', more)
      expect.unreachable()
    } catch (error) {
      if (!isToolkitError(error, 'invalid_input')) throw error
      expect(error.details.problems.map((problem) => problem.path)).toEqual([path])
    }
  })
  test.each([
    'http://127.0.0.1:7860/demo/mcp',
    'http://localhost:7860/demo/mcp',
    'http://[::1]:7860/demo/mcp',
    'https://gateway.example.com/mcp?x=1',
  ])('%s is not', (url) => {
    expect(render('cursor', { url }).text).toContain(url)
  })
})

describe('the name of an entry', () => {
  test.each([
    ['My Server', 'my-server'],
    ['/demo', 'demo'],
    ['/team/My.Server', 'team-my-server'],
    ['  two   words ', 'two-words'],
    ['tab\tand\nbreak', 'tab-and-break'],
    ['a; rm -rf /', 'a-rm--rf'],
    ['--flag', 'flag'],
    ['-', 'server-'],
    ['!!!', 'server-'],
    ['日本', 'server-'],
    ['', 'server-'],
    ['under_score', 'underscore'],
    ['x'.repeat(100), 'x'.repeat(64)],
  ])('%j is %s', (given, name) => {
    expect(serverEntryName(given).startsWith(name)).toBe(true)
    if (!name.endsWith('-')) expect(serverEntryName(given)).toBe(name)
  })
  test('is fit for every client, and stays itself when made again', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 100 }), (given) => {
        const name = serverEntryName(given)
        expect(name).toMatch(/^[a-z0-9][a-z0-9-]{0,63}$/)
        expect(serverEntryName(name)).toBe(name)
      }),
    )
  })
  test('differs for two names of which nothing is left', () => {
    expect(serverEntryName('日本')).not.toBe(serverEntryName('中国'))
  })
})

/** A basic string by the grammar of TOML 1.0: escapes, and no bare quote, backslash or control character. */
const BASIC = /"((?:[^"\\\u0000-\u001f\u007f]|\\(?:["\\bfnrt]|u[0-9a-fA-F]{4}))*)"/g
function tomlStringsIn(text: string): string[] {
  const rest = text.replace(BASIC, '').replace(/\n/g, '')
  expect(rest).not.toMatch(/["\\\u0000-\u001f\u007f]/)
  return [...text.matchAll(BASIC)].map(([whole]) => JSON.parse(whole) as string)
}

describe('TOML strings', () => {
  test.each([
    ['plain', '"plain"'],
    ['', '""'],
    ['"', '"\\""'],
    ['\\', '"\\\\"'],
    ['a\nb', '"a\\nb"'],
    ['\u007f', '"\\u007f"'],
    ['\u0000', '"\\u0000"'],
    ['é🙂', '"é🙂"'],
    ['"""\n[evil]\nx = "', '"\\"\\"\\"\\n[evil]\\nx = \\""'],
  ])('%j is %s', (value, text) => {
    expect(tomlString(value)).toBe(text)
  })
  test('hold any text and give it back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        expect(tomlStringsIn(tomlString(value))).toEqual([value])
      }),
    )
  })
  test('cannot hold half a character', () => {
    expect(() => tomlString('a\ud800')).toThrow('well-formed Unicode')
  })
  test.each([
    ['my-server', 'my-server'],
    ['a b', '"a b"'],
    ['a.b', '"a.b"'],
    ['', '""'],
  ])('the key %j is %s', (name, key) => {
    expect(tomlKey(name)).toBe(key)
  })
})
