/** The tables of vendor operations against the adapters' own code and against docs/evidence.md; what was proved is the live tests' business. */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import KeycloakAdminClient from '@keycloak/keycloak-admin-client'
import { describe, expect, test } from 'vitest'
import { AUTH_PROVIDERS } from '../../core/vocabulary.js'
import { IDPS } from '../../idp/index.js'
import { keycloakCapabilities } from '../../idp/keycloak/capabilities.js'
import { keycloakOperations } from '../../idp/keycloak/operations.js'
import { type SecretField, tokenRequest } from '../../idp/tokens.js'
import { codeOf, modules, project } from '../house/sources.js'
import {
  type Answered,
  type Asked,
  evidenceDocument,
  operationOf,
  standing,
  TOKEN_VENDORS,
  textOf,
  VENDORS,
  type VendorName,
} from './evidence.js'

const NAMES = Object.keys(VENDORS) as VendorName[]
const document = readFileSync(join(project, 'docs/evidence.md'), 'utf8')

/** A path that a template stands for. */
const filled = (path: string) => path.replaceAll(/\{\w+\}/g, 'one')
const asked = (one: Asked): Answered => ({ method: one.method, path: filled(one.path), scheme: one.scheme, status: 200 })

test('every identity provider has a table', () => {
  expect(NAMES.toSorted()).toEqual(Object.keys(IDPS).toSorted())
})

test('every provider of tokens has one of the two tables; any other issuer has no vendor', () => {
  const tables = [...NAMES, ...Object.keys(TOKEN_VENDORS), 'oidc']
  expect(tables.toSorted()).toEqual([...AUTH_PROVIDERS].toSorted())
})

describe('a vendor that is asked for tokens only', () => {
  test.for(Object.entries(TOKEN_VENDORS))('%s: each row is one of a kind, and none claims a real server', ([, { operations }]) => {
    expect(operations.length).toBeGreaterThan(0)
    const rows = operations.map((one) => [textOf(one), ...one.needs].join(' '))
    expect(new Set(rows).size).toBe(rows.length)
    expect(operations.filter(({ evidence }) => evidence === 'real server')).toEqual([])
  })
  test.for<[keyof typeof TOKEN_VENDORS, SecretField, Record<string, string>]>([
    ['okta', 'private_key', { okta_domain: 'https://one.okta.com' }],
    ['okta', 'private_key', { okta_domain: 'https://one.okta.com', authorization_server_id: 'one' }],
    ['okta', 'client_secret', { okta_domain: 'https://one.okta.com', authorization_server_id: 'one' }],
    ['entra', 'client_secret', { tenant_id: 'one' }],
    ['entra', 'client_certificate', { tenant_id: 'one' }],
    ['auth0', 'client_secret', { auth0_domain: 'https://one.auth0.com', audience: 'one' }],
  ])('%s: what an identity with a %s asks for is a row', ([auth_provider, secret, fields]) => {
    const identity = { identity_name: 'one', auth_provider, client_id: 'one', fields }
    const { token_endpoint = '', token_endpoint_auth_method: by } = tokenRequest(identity, { [secret]: true })
    const asked = { method: 'POST', path: new URL(token_endpoint).pathname, scheme: by === 'client_secret_basic' ? 'Basic' : 'none' }
    expect(operationOf(TOKEN_VENDORS[auth_provider].operations, asked)).toBeDefined()
  })
  test.for(['entra', 'auth0'] as const)('%s: it is said plainly that nothing stronger than a shaped provider stands behind it', (name) => {
    const { operations, held, product } = TOKEN_VENDORS[name]
    expect(operations.map(({ evidence }) => evidence)).toContain('shaped provider')
    expect(held).toMatch(/No tenant was ever asked: `oidc-provider`.*is all that stands behind/)
    expect(document).toContain(`## ${product}: tokens\n\n${held}\n`)
  })
})

describe.each(NAMES)('the table of %s', (name) => {
  const { operations } = VENDORS[name]
  test('has each operation once, and each request is one of them', () => {
    expect(operations.length).toBeGreaterThan(10)
    for (const one of operations) expect(operationOf(operations, asked(one))).toBe(one)
  })
})

test('docs/evidence.md is made of the tables; if this fails, run: npm run docs:evidence', () => {
  const versionOf = (name: VendorName) => new RegExp(`^## ${VENDORS[name].product} (\\d+\\.\\d+\\.\\d+)$`, 'm').exec(document)?.[1] ?? ''
  expect(document).toBe(evidenceDocument({ keycloak: versionOf('keycloak'), embedded: versionOf('embedded') }))
})

describe('the table of keycloak', () => {
  /** `clients.find` and so on: what the adapter's code calls of the vendor's client. */
  const calls = [
    ...new Set(
      modules
        .filter(({ path }) => path.startsWith('idp/keycloak/'))
        .flatMap((source) => [...codeOf(source).matchAll(/\bapi\s*\.\s*(\w+)\s*\.\s*(\w+)\s*\(/g)].map(([, at, call]) => `${at}.${call}`)),
    ),
  ]

  test('is what the adapter calls of the vendor’s own client, no more and no less', async () => {
    expect(calls.length).toBeGreaterThan(20)
    const requests = await requestsOf(calls)
    expect(requests).toHaveLength(calls.length)
    const rows = requests.map((one) => operationOf(keycloakOperations, one))
    expect(requests.filter((_, index) => rows[index] === undefined).map(textOf)).toEqual([])
    const isTheirs = ({ path }: Asked) => path.startsWith('/admin/')
    expect(keycloakOperations.filter((one) => isTheirs(one) && !rows.includes(one)).map(textOf)).toEqual([])
  })

  test('needs no role that the capabilities do not name', () => {
    const known = new Set<string>(Object.values(keycloakCapabilities.rights).flat())
    const needed = keycloakOperations.filter(({ scheme }) => scheme === 'Bearer').flatMap(({ needs }) => needs)
    expect(needed.filter((role) => !known.has(role))).toEqual([])
    expect([...known].filter((role) => !needed.includes(role))).toEqual([])
  })
})

/** The request that each call of the vendor's client makes, whatever comes back. */
async function requestsOf(calls: readonly string[]): Promise<Asked[]> {
  const requests: Asked[] = []
  const server = createServer(({ method = '', url = '', headers }, answer) => {
    requests.push({ method, path: url.split('?', 1)[0] ?? '', scheme: headers.authorization?.split(' ', 1)[0] ?? 'none' })
    answer.writeHead(200, { 'content-type': 'application/json', location: '/made/one' }).end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const api = new KeycloakAdminClient({ baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
  api.registerTokenProvider({ getAccessToken: async () => 'a token' })
  const at = { realm: 'one', id: 'one', parentId: 'one', groupId: 'one', mapperId: 'one', scope: 'openid', userId: 'one', audience: '' }
  try {
    for (const call of calls) {
      const [resource = '', method = ''] = call.split('.')
      const methods = (api as unknown as Record<string, Record<string, (...given: object[]) => Promise<unknown>>>)[resource]
      await methods?.[method]?.(at, {})
    }
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return requests
}

describe('what a server’s record proves', () => {
  const { operations } = VENDORS.embedded
  const record = operations.map(asked)
  test('every operation that was answered with a success', () => {
    expect(standing(operations, record)).toEqual({ proved: operations, unproved: [], unknown: [] })
  })
  test.for(operations)('not $method $path when nobody asked it', (row) => {
    expect(
      standing(
        operations,
        record.filter((one) => operationOf(operations, one) !== row),
      ).unproved,
    ).toEqual([textOf(row)])
  })
  test.for([404, 500, 302, undefined])('nothing when the answer was %s', (status) => {
    const refused = record.map((one) => ({ ...one, status }))
    expect(standing(operations, refused).unproved).toHaveLength(operations.length)
  })
  test.for<Answered>([
    { method: 'POST', path: '/admin/groups/one', scheme: 'Bearer', status: 200 },
    { method: 'GET', path: '/admin/groups/one/two', scheme: 'Bearer', status: 404 },
    { method: 'GET', path: '/admin/groups', scheme: 'none', status: 401 },
    { method: 'GET', path: '/Admin/groups', scheme: 'Bearer', status: undefined },
  ])('$method $path with $scheme is no operation of ours, whatever was answered', (stray) => {
    expect(standing(operations, [...record, stray, stray]).unknown).toEqual([textOf(stray)])
  })
  test('a literal segment is told from a placeholder', () => {
    const at = (path: string) =>
      operationOf(keycloakOperations, { method: 'GET', path: `/admin/realms/one/users/${path}`, scheme: 'Bearer' })
    expect([at('count'), at('profile'), at('0f1e')].map((row) => row?.path.split('/').at(-1))).toEqual(['count', 'profile', '{id}'])
  })
})
