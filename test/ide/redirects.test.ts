import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isToolkitError } from '../../core/errors.js'
import { CLIENTS, type ClientRow, MCP_CLIENTS, type McpClient } from '../../ide/catalogue.js'
import { checkRedirectUris } from '../../ide/redirect-check.js'
import { codexCallbackId, isCodexCallback, type RedirectOptions, redirectUris } from '../../ide/redirects.js'

const SERVER = 'https://gateway.example.com/my-server/mcp'
const ID = '4YytuSq7vmJ5'
const CURSOR = 'cursor://anysphere.cursor-mcp/oauth/callback'
const HOSTED = 'https://www.cursor.com/agents/mcp/oauth/callback'

const uris = (options: Partial<RedirectOptions>) =>
  redirectUris({ clients: MCP_CLIENTS, serverUrls: [SERVER], loopback_port: 'ignored', ...options }).uris
const problemsOf = (options: Partial<RedirectOptions>) => {
  try {
    uris(options)
  } catch (error) {
    if (isToolkitError(error, 'invalid_input')) return error.details.problems.map(({ path, expected }) => `${path}: ${expected}`)
    throw error
  }
  return []
}

describe('where ports are ignored, URIs have none', () => {
  test.each<[string, Partial<RedirectOptions>, string[]]>([
    ['Claude Code has one', { clients: ['claude-code'] }, ['http://localhost/callback']],
    ['Codex has one, and one for each server', { clients: ['codex'] }, ['http://127.0.0.1/callback', `http://127.0.0.1/callback/${ID}`]],
    ['Cursor has one on loopback and one of its own scheme', { clients: ['cursor'] }, ['http://localhost/callback', CURSOR]],
    [
      "Claude Code's serves Cursor too",
      {},
      ['http://localhost/callback', 'http://127.0.0.1/callback', `http://127.0.0.1/callback/${ID}`, CURSOR],
    ],
    [
      'a pinned port is not in them',
      { callbackPort: 43110, clients: ['claude-code', 'codex'] },
      ['http://localhost/callback', 'http://127.0.0.1/callback', `http://127.0.0.1/callback/${ID}`],
    ],
    ["the vendor's page comes only when asked for", { clients: ['cursor'], hosted: true }, ['http://localhost/callback', CURSOR, HOSTED]],
    ['no client has none', { clients: [] }, []],
    [
      'a server named twice counts once',
      { clients: ['codex'], serverUrls: [SERVER, SERVER] },
      ['http://127.0.0.1/callback', `http://127.0.0.1/callback/${ID}`],
    ],
  ])('%s', (_, options, expected) => {
    expect(uris(options)).toEqual(expected)
  })
})

describe('where ports are compared', () => {
  test('the pinned port is in the URIs, except where a client has its own', () => {
    expect(uris({ loopback_port: 'exact', callbackPort: 43110 })).toEqual([
      'http://localhost:43110/callback',
      'http://127.0.0.1:43110/callback',
      `http://127.0.0.1:43110/callback/${ID}`,
      'http://localhost:8787/callback',
      CURSOR,
    ])
  })

  test('Cursor needs no port', () => {
    expect(uris({ loopback_port: 'exact', clients: ['cursor'] })).toEqual(['http://localhost:8787/callback', CURSOR])
  })

  test('every client that needs a port is named at once, beside every other problem, and each once', () => {
    const problems = problemsOf({
      loopback_port: 'exact',
      serverUrls: [SERVER, 'not a url', 'ftp://x.example/', 'https://u:p@x.example/', `${SERVER}#a`],
    })
    expect(problems.map((one) => one.split(':')[0])).toEqual([
      'server_urls[1]',
      'server_urls[2]',
      'server_urls[3]',
      'server_urls[4]',
      'callback_port',
      'callback_port',
    ])
    expect(problems.at(-2)).toContain('Claude Code')
    expect(problems.at(-1)).toContain('Codex')
  })
})

test.each([0, -1, 65536, 1.5, Number.NaN])('%d is no port, whatever the rule of the provider', (callbackPort) => {
  expect(problemsOf({ callbackPort })).toHaveLength(1)
  expect(problemsOf({ callbackPort, loopback_port: 'exact' })).toHaveLength(1)
})

const servers = fc.uniqueArray(fc.webUrl({ withQueryParameters: true }), { maxLength: 6 })
const clients = fc.uniqueArray(fc.constantFrom(...MCP_CLIENTS))
const options = fc.record({
  clients,
  serverUrls: servers,
  callbackPort: fc.integer({ min: 1, max: 65535 }),
  loopback_port: fc.constantFrom('ignored' as const, 'exact' as const),
  hosted: fc.boolean(),
})

test('for any choice: no duplicates, the same order however the clients are named, all of them fit to be registered', () => {
  fc.assert(
    fc.property(options, (chosen) => {
      const { uris: made } = redirectUris(chosen)
      expect(new Set(made).size).toBe(made.length)
      expect(redirectUris({ ...chosen, clients: chosen.clients.toReversed() }).uris).toEqual(made)
      expect(() => checkRedirectUris(made)).not.toThrow()
      expect(made.some((uri) => uri.startsWith('https:'))).toBe(chosen.hosted && chosen.clients.includes('cursor'))
      const perServer = chosen.clients.includes('codex') ? new Set(chosen.serverUrls.map((url) => new URL(url).href)).size : 0
      expect(made.filter(isCodexCallback)).toHaveLength(perServer)
    }),
  )
})

describe('notes', () => {
  const notes = (more: Partial<RedirectOptions>) =>
    redirectUris({ clients: MCP_CLIENTS, serverUrls: [SERVER], loopback_port: 'ignored', ...more }).notes
  test('say that Codex wants the URLs of the servers, when there are none', () => {
    expect(notes({ serverUrls: [] }).join()).toContain('Codex has a redirect URI for each server')
    expect(notes({}).join()).not.toContain('Codex has a redirect URI')
    expect(notes({ serverUrls: [], clients: ['cursor'] }).join()).not.toContain('Codex')
  })
  test("tell what a vendor's page means, registered or not", () => {
    expect(notes({ hosted: true }).join()).toContain('authorization codes pass through it')
    expect(notes({}).join()).toContain('web agents cannot log in')
  })
  test('say that a fixed port stays what it is', () => {
    expect(notes({ loopback_port: 'exact', callbackPort: 4000 }).join()).toContain('port 8787')
    expect(notes({ callbackPort: 4000 }).join()).not.toContain('8787')
  })
})

describe("Codex's callback id", () => {
  test('is the known answer', () => {
    expect(codexCallbackId(SERVER)).toBe(ID)
  })
  test.each([
    ['HTTPS://Gateway.Example.COM/my-server/mcp', true],
    ['https://gateway.example.com:443/my-server/mcp', true],
    [`${SERVER}#part`, true],
    [`${SERVER}#`, true],
    [`${SERVER}/`, false],
    [`${SERVER}?a=1`, false],
    ['https://gateway.example.com:8443/my-server/mcp', false],
    ['http://gateway.example.com/my-server/mcp', false],
    ['https://gateway.example.com/My-Server/mcp', false],
  ])('of %s is the same: %s', (url, same) => {
    expect(codexCallbackId(url) === ID).toBe(same)
  })
  test('of any URL is 12 characters that need no escape, and the URI made of it is known again', () => {
    fc.assert(
      fc.property(fc.webUrl(), fc.option(fc.integer({ min: 1, max: 65535 }), { nil: null }), (url, port) => {
        const id = codexCallbackId(url)
        expect(id).toMatch(/^[A-Za-z0-9_-]{12}$/)
        expect(isCodexCallback(`http://127.0.0.1${port === null ? '' : `:${port}`}/callback/${id}`)).toBe(true)
      }),
    )
  })
  test('of something else is refused', () => {
    expect(() => codexCallbackId('/my-server/mcp')).toThrow('an absolute URL')
  })
})

test.each([
  'http://127.0.0.1/callback',
  'http://127.0.0.1/callback/',
  'http://127.0.0.1/callback/*',
  'http://127.0.0.1/callback/4YytuSq7vmJ',
  'http://127.0.0.1/callback/4YytuSq7vmJ55',
  'http://127.0.0.1/callback/4YytuSq7vm+5',
  `http://127.0.0.1/callback/${ID}?x=1`,
  `http://127.0.0.1/callback/${ID}#x`,
  `http://127.0.0.1/callback/${ID}\n`,
  `http://127.0.0.1:0/callback/${ID}`,
  `http://127.0.0.1@evil.example/callback/${ID}`,
  `http://127.0.0.1.evil.example/callback/${ID}`,
  `http://127x0x0x1/callback/${ID}`,
  `https://127.0.0.1/callback/${ID}`,
  `https://gateway.example.com/callback/${ID}`,
  ` http://127.0.0.1/callback/${ID}`,
  `http://127.0.0.1/x/callback/${ID}`,
  CURSOR,
])('%j is not taken for one of Codex', (uri) => {
  expect(isCodexCallback(uri)).toBe(false)
})

describe.each(MCP_CLIENTS)('the row of %s', (client: McpClient) => {
  const row: ClientRow = CLIENTS[client]
  test('has redirect URIs of known forms, a way to give a client id and the versions tested', () => {
    expect(row.redirects.length).toBeGreaterThan(0)
    expect(row.tested).toMatch(/\d+\.\d+/)
    expect(row.static_client_id).not.toBe('')
  })
  test('pins a port exactly when a redirect URI has a pinned one', () => {
    expect(row.redirects.some((form) => form.kind === 'loopback' && form.port === 'pinned')).toBe(row.pin !== null)
  })
})
