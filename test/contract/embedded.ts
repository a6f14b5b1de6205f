/** The embedded provider as the contract suite wants it: one server for all promises, each with a profile and a home of its own. */

import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Resources } from '../../core/resources.js'
import { OWNER_MARK } from '../../core/vocabulary.js'
import { registrationsOf } from '../../idp/dcr/registrations.js'
import { embedded } from '../../idp/embedded/adapter.js'
import { embeddedCapabilities } from '../../idp/embedded/capabilities.js'
import { admin, providerInTemporaryFolder, registerClient, type TestProvider } from '../idp/embedded/provider.js'
import { type FaultyFront, faultyFront } from './front.js'
import { acceptsClient, authorization, connect, namesAndSinks, settled } from './served.js'
import type { ContractKind, TenantUnderTest } from './tenant.js'

export interface EmbeddedServer {
  readonly provider: TestProvider
  readonly front: FaultyFront
  stop(): Promise<void>
}

export async function startEmbedded(): Promise<EmbeddedServer> {
  const port = await freePort()
  const front = await faultyFront(`http://127.0.0.1:${port}`)
  const provider = await providerInTemporaryFolder({ port, publicOrigin: front.url })
  return {
    provider,
    front,
    async stop() {
      await provider.stop()
      await front.close()
    },
  }
}

/** The front must know the port before the provider knows the front. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

export async function embeddedUnderTest({ provider, front }: EmbeddedServer, promise: string): Promise<TenantUnderTest> {
  const { salt, name, sink } = namesAndSinks()
  const profile = `p-${salt}`
  const home = await mkdtemp(join(tmpdir(), 'contract-home-'))
  const { issuer, initialAccessToken, adminToken } = provider.running
  const variables = {
    EMBEDDED_ISSUER: issuer,
    EMBEDDED_INITIAL_ACCESS_TOKEN: initialAccessToken.reveal(),
    EMBEDDED_ADMIN_TOKEN: adminToken.reveal(),
  }
  const { tenant, latch, close } = await connect(embedded, { variables, profile, home, promise })
  const registrations = registrationsOf(issuer, join(home, 'registrations'))
  const call = async (method: string, path: string, body?: unknown) => {
    const answer = await admin(provider, method, path, body === undefined ? {} : { body })
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`)
    return answer.json
  }

  /** A client as its own registration shows it, which is the only way to see one. */
  async function configuration(key: string, method: string, body?: object): Promise<Record<string, unknown> | undefined> {
    const registration = await registrations.read(key)
    if (registration === undefined) return undefined
    const response = await fetch(registration.registration_client_uri.replace(issuer, provider.running.url), {
      method,
      headers: { authorization: `Bearer ${registration.registration_access_token.reveal()}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (response.status === 401) return undefined
    const json = (await response.json()) as Record<string, unknown>
    if (!response.ok) throw new Error(`${method} client ${key}: ${response.status} ${JSON.stringify(json)}`)
    return json
  }

  async function plant(kind: ContractKind, spec: Resources[ContractKind], mark?: string): Promise<void> {
    const owner = mark === undefined ? {} : { [OWNER_MARK]: mark }
    if (kind === 'group') await call('POST', '/groups', { ...spec, ...owner })
    else if (kind === 'user') await call('POST', '/users', { ...spec, ...owner, password: `a password of ${salt}`, temporary: true })
    // As somebody else would register it, who then holds its registration.
    else await registerClient(provider, { ...metadataOf(spec), ...owner })
  }

  return {
    capabilities: embeddedCapabilities,
    reconcilers: tenant.reconcilers,
    latch,
    profile,
    page: 200,
    name,
    sink,
    plant,
    async plantMany(kind, names) {
      const field = { group: 'name', user: 'username' }[kind as string] ?? 'client_name'
      const bare = (one: string) => ({ [field]: one }) as unknown as Resources[ContractKind]
      await Promise.all(names.map((one) => plant(kind, bare(one), profile)))
    },
    async meddle(kind, key, fields) {
      if (kind === 'group' || kind === 'user') return void (await call('PATCH', `/${kind}s/${encodeURIComponent(key)}`, fields))
      const { registration_access_token, registration_client_uri, client_secret_expires_at, client_id_issued_at, ...kept } =
        (await configuration(key, 'GET')) ?? {}
      await configuration(key, 'PUT', { ...kept, ...fields })
    },
    // Its admin API is strict, and a client holds what is registered: there is no place for anything else.
    decorate: async () => undefined,
    async look(kind, key) {
      if (kind === 'group' || kind === 'user') {
        const all = (await call('GET', `/${kind}s?limit=1000`)) as Record<string, { name?: string; username?: string }[]>
        return (all[`${kind}s`] ?? []).filter((one) => (one.name ?? one.username) === key).map(settled)
      }
      const seen = await configuration(key, 'GET')
      return seen ? [settled(seen)] : []
    },
    writes: front.writes,
    fault: front.fault,
    credentials: () => [...Object.values(variables).slice(1), ...front.credentials()],
    accepts: (client_id, secret) => acceptsClient(`${provider.running.issuer}/token`, client_id, secret),
    async authorizes(request) {
      const response = await authorization(`${issuer}/auth`, request)
      return /\/login\//.test(response.headers.get('location') ?? '')
    },
    rights: tenant.rights,
    async limitedTo() {
      throw new Error('there is one credential, for everything')
    },
    async close() {
      await close()
      await rm(home, { recursive: true, force: true })
    },
  }
}

/** Of a spec, what RFC 7591 knows and a machine may leave out. */
function metadataOf(spec: Resources[ContractKind]): Record<string, unknown> {
  const { client_name, redirect_uris, grant_types, token_endpoint_auth_method } = spec as Partial<Resources['public-client']>
  const isMachine = grant_types?.includes('client_credentials') === true
  return { client_name, redirect_uris, grant_types, token_endpoint_auth_method, ...(isMachine ? { response_types: [] } : {}) }
}
