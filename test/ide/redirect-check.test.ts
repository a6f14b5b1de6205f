import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isToolkitError } from '../../core/errors.js'
import { checkRedirectUris } from '../../ide/redirect-check.js'

function reasons(uri: string, options: { wildcard?: boolean } = {}): string[] {
  try {
    checkRedirectUris([uri], options)
  } catch (error) {
    if (isToolkitError(error, 'invalid_input')) return error.details.problems.map(({ expected }) => expected)
    throw error
  }
  return []
}

describe('fit to be registered', () => {
  test.each([
    'http://localhost/callback',
    'http://localhost:8787/callback',
    'http://127.0.0.1:33418/',
    'http://127.0.0.1:33418',
    'http://[::1]/callback',
    'http://127.0.0.1/callback/4YytuSq7vmJ5',
    'https://www.cursor.com/agents/mcp/oauth/callback',
    'https://gateway.example.com/cb?tenant=a&x=%2F',
    'https://xn--bcher-kva.example/cb',
    'cursor://anysphere.cursor-mcp/oauth/callback',
    'com.example.app:/oauth/callback',
  ])('%s', (uri) => {
    expect(reasons(uri)).toEqual([])
  })
})

describe('refused, with the reason', () => {
  test.each([
    ['http://localhost:*/callback', 'no * as port'],
    ['http://127.0.0.1:*/*', 'no * as port'],
    ['http://localhost/*', 'no wildcard'],
    ['http://localhost/callback*', 'no wildcard'],
    ['https://*.example.com/cb', 'no wildcard'],
    ['http://localhost/callback#', 'no fragment'],
    ['https://x.example/cb#token', 'no fragment'],
    ['https://user@x.example/cb', 'no user name'],
    ['https://user:pw@x.example/cb', 'no user name'],
    ['http://localhost@evil.example/cb', 'no user name'],
    ['http://@localhost/cb', 'no user name'],
    ['javascript:alert(1)', 'no javascript: URI'],
    ['JavaScript:alert(1)', 'no javascript: URI'],
    ['javascript://localhost/%0aalert(1)', 'no javascript: URI'],
    ['data:text/html,x', 'no data: URI'],
    ['vbscript:x', 'no vbscript: URI'],
    ['file:///etc/passwd', 'no file: URI'],
    ['blob:https://x.example/1', 'no blob: URI'],
    ['wss://x.example/cb', 'no wss: URI'],
    ['http://gateway.example.com/callback', 'https, or http on localhost'],
    ['http://localhost.evil.example/callback', 'https, or http on localhost'],
    ['http://localhost./callback', 'https, or http on localhost'],
    ['http://0.0.0.0/callback', 'https, or http on localhost'],
    ['http://127.0.0.2/callback', 'https, or http on localhost'],
    ['http://10.0.0.1/callback', 'https, or http on localhost'],
    ['http://[::ffff:127.0.0.1]/callback', 'https, or http on localhost'],
    ['http://LOCALHOST/callback', 'lower case'],
    ['https://Gateway.example.com/cb', 'lower case'],
    ['cursor://Anysphere.cursor-mcp/oauth/callback', 'lower case'],
    ['/callback', 'an absolute URI'],
    ['callback', 'an absolute URI'],
    ['//localhost/callback', 'an absolute URI'],
    ['localhost/callback', 'an absolute URI'],
    ['', 'an absolute URI'],
    ['https://', 'can be parsed'],
    ['http://localhost:99999/cb', 'can be parsed'],
    ['http://127.1/callback', 'the spelling that clients send: http://127.0.0.1/callback'],
    ['http://2130706433/callback', 'the spelling that clients send'],
    ['http://localhost:80/callback', 'the spelling that clients send: http://localhost/callback'],
    ['https://x.example/a/../b', 'the spelling that clients send: https://x.example/b'],
    ['https:\\\\x.example\\cb', 'the spelling that clients send'],
    ['https:x.example/cb', 'the spelling that clients send'],
    ['https://bücher.example/cb', 'the spelling that clients send: https://xn--bcher-kva.example/cb'],
    ['http://localhost/call back', 'no white space'],
    [' http://localhost/callback', 'no white space'],
    ['http://localhost/callback\n', 'no white space'],
    ['http://local\thost/callback', 'no white space'],
    ['http://localhost/\u0000', 'no white space'],
    ['http://localhost/\u202ekcabllac', 'no white space'],
    [`https://x.example/${'a'.repeat(2048)}`, 'at most 2048 characters'],
  ])('%j', (uri, reason) => {
    expect(reasons(uri).join('\n')).toContain(reason)
  })

  test('every reason is told at once, and where the URI stands', () => {
    const check = () => checkRedirectUris(['http://localhost/callback', 'cursor://a/b', 'http://U:p@Evil.example/*#x'])
    expect(reasons('http://U:p@Evil.example/*#x')).toHaveLength(5)
    expect(check).toThrow(/redirect_uris\[2\]/)
  })
})

describe('a wildcard that is asked for', () => {
  test.each(['http://localhost/*', 'http://127.0.0.1/*', 'http://[::1]/*'])('%s is allowed', (uri) => {
    expect(reasons(uri, { wildcard: true })).toEqual([])
  })
  test.each([
    'http://localhost:*/callback',
    'https://x.example/*',
    'https://*.example/cb',
    'http://localhost/a*b',
    'http://localhost/callback/*',
    'http://localhost/*?*',
    '*',
    'http://*/cb',
    'cursor://x/*',
  ])('%s is not', (uri) => {
    expect(reasons(uri, { wildcard: true })).not.toEqual([])
  })
})

test('whatever the text, the check ends, and what passes is sent as it is written, to a safe place', () => {
  const parts = fc.constantFrom(
    'http',
    'https',
    'cursor',
    'javascript',
    ':',
    '/',
    '//',
    '@',
    '#',
    '*',
    '?',
    '\\',
    'localhost',
    '127.0.0.1',
    '[::1]',
    'evil.example',
    'EVIL',
    ':80',
    '..',
    '%0a',
    ' ',
    'é',
  )
  const uri = fc.oneof(
    fc.string(),
    fc.webUrl(),
    fc.array(parts, { maxLength: 8 }).map((some) => some.join('')),
  )
  fc.assert(
    fc.property(uri, (text) => {
      if (reasons(text).length > 0) return
      const url = new URL(text)
      expect([text, `${text}/`]).toContain(url.href)
      expect([url.username, url.password, url.hash]).toEqual(['', '', ''])
      expect(url.protocol).not.toBe('javascript:')
      if (url.protocol === 'http:') expect(['localhost', '127.0.0.1', '[::1]']).toContain(url.hostname)
    }),
    { numRuns: 2000 },
  )
})
