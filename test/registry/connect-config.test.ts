import { describe, expect, test } from 'vitest'
import { type ConnectOptions, type ConnectServer, connectTarget } from '../../registry/connect-config.js'
import { connectConfig } from '../../registry/records.js'

const registryUrl = 'http://127.0.0.1:7860'
const base = {
  ...{
    path: '/demo',
    server_name: 'Demo',
    auth_scheme: 'none',
    auth_header_name: null,
    custom_headers: [] as object[],
    decrypt_failures: 0,
  },
  ...{ oauth_client_id: null as string | null, oauth_callback_port: null as number | null, append_mcp_path: null as boolean | null },
}
const target = (config: Partial<typeof base> = {}, server: Partial<ConnectServer> = {}, options: Partial<ConnectOptions> = {}) =>
  connectTarget(connectConfig.parse({ ...base, ...config }), { path: '/demo', ...server }, { registryUrl, ...options })

describe('the URL', () => {
  const rows = [
    ['appends /mcp when nothing is said', {}, {}, {}, `${registryUrl}/demo/mcp`],
    ['appends /mcp when told to', { append_mcp_path: true }, {}, {}, `${registryUrl}/demo/mcp`],
    ['does not append it when told not to', { append_mcp_path: false }, {}, {}, `${registryUrl}/demo`],
    ['does not guess from the upstream URL', {}, { proxy_pass_url: 'http://127.0.0.1:9/mcp' }, {}, `${registryUrl}/demo/mcp`],
    [
      'is the endpoint of the server where it names one',
      { append_mcp_path: true },
      { mcp_endpoint: 'https://mcp.example/x' },
      {},
      'https://mcp.example/x',
    ],
    [
      'is the upstream itself without a gateway',
      {},
      { proxy_pass_url: 'http://127.0.0.1:9/sse' },
      { deployment_mode: 'registry-only' },
      'http://127.0.0.1:9/sse',
    ],
    ['has single slashes between its parts', {}, { path: '//a/b//' }, { registryUrl: `${registryUrl}//` }, `${registryUrl}/a/b/mcp`],
  ] as const
  for (const [title, config, server, options, url] of rows) {
    test(title, () => expect(target(config, server, options).url).toBe(url))
  }

  for (const mcp_endpoint of [
    'javascript:alert(1)',
    'file:///etc/passwd',
    'http://user:pass@127.0.0.1/',
    'http://127.0.0.1/#x',
    'no url',
  ]) {
    test(`is refused: ${mcp_endpoint}`, () => {
      expect(() => target({}, { mcp_endpoint })).toThrow(expect.objectContaining({ code: 'unexpected_response' }))
    })
  }
})

test('the values of custom headers are gone, their names stay, and only names that are names', () => {
  const result = target({
    custom_headers: [
      { name: 'X-Team', value: 'canary' },
      { name: 'bad\r\nname', value: 'canary' },
    ],
  })
  expect(result.headers).toEqual(['X-Team'])
  expect(JSON.stringify(result)).not.toContain('canary')
})

test('an empty client id is none, port 0 is none, a port comes without a client id too', () => {
  expect(target({ oauth_client_id: '', oauth_callback_port: 0 })).toMatchObject({ client_id: null, callback_port: null })
  expect(target({ oauth_callback_port: 56789 })).toMatchObject({ client_id: null, callback_port: 56789 })
  expect(target({ oauth_client_id: 'ide' }).client_id).toBe('ide')
  expect(() => target({ oauth_client_id: '--evil option' })).toThrow()
})

test('the name is a key for configuration files, from the path where nothing else is left', () => {
  expect(target({ server_name: 'My  Demo (v2)!' }).name).toBe('my-demo-v2')
  expect(target({ server_name: '日本語' }, { path: '/team/demo_x' }).name).toBe('team-demo-x')
})
