/** The embedded registry on a port: store, verifier and app put together, with the limits of a server that strangers reach. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import type { Hono } from 'hono'
import { invalidInput, ToolkitError } from '../../core/errors.js'
import type { Env } from './answers.js'
import { createApp, type IdeClient, type ServedRequest } from './app.js'
import { type Authenticate, authenticator } from './auth/authenticate.js'
import type { FetchKeySet } from './auth/keys.js'
import { createVerifier, type TrustedIssuer } from './auth/verify.js'
import { openStore, type Seed, type Store } from './store/store.js'

export interface RegistryOptions {
  /** Folder of `registry.db`; private to its owner. */
  readonly folder: string
  /** 0 lets the system choose. */
  readonly port: number
  readonly host?: string
  /** Base URL as clients spell it, when that is not the address listened on. */
  readonly url?: string
  /** The first is primary: the issuer of records that name none. */
  readonly issuers: readonly TrustedIssuer[]
  readonly audience?: string
  readonly seed?: Seed
  readonly ide?: IdeClient
  readonly version?: string
  readonly onRequest?: (entry: ServedRequest) => void
  /** Adds routes of the same origin, with the registry's own way to tell who calls. */
  readonly mount?: (app: Hono<Env>, registry: { readonly url: string; readonly authenticate: Authenticate }) => void
  /** How an issuer's keys are read; for tests. */
  readonly jwks?: FetchKeySet
}

export interface RunningRegistry {
  /** Base URL without a trailing slash. */
  readonly url: string
  readonly store: Store
  close(): Promise<void>
}

/** Tokens with many groups make long headers; more than this is refused by Node with 431. */
const MAX_HEADER_BYTES = 32_768
const LOOPBACK = ['127.0.0.1', '::1', 'localhost']

/**
 * Starts the registry and resolves once it listens.
 * @throws ToolkitError invalid_input naming `--port` when the port is taken, `--host` off loopback while the embedded
 * provider is trusted (its people and passwords are for evaluation)
 */
export async function startRegistry(options: RegistryOptions): Promise<RunningRegistry> {
  const { folder, port, host = '127.0.0.1', issuers, audience = 'mcp-gateway', seed, ide = {}, jwks } = options
  refuseExposure(host, issuers)
  const store = await openStore({ folder, ...(seed ? { seed } : {}), ...(ide.client_id ? { ideClientId: ide.client_id } : {}) })
  const verifier = createVerifier({ issuers, audience, ...(jwks ? { jwks } : {}) })
  const authenticate = authenticator(verifier, store)
  const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES, headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 5_000 })
  const release = async () => {
    await verifier.close()
    await store.close()
  }
  try {
    await listen(server, port, host)
  } catch (error) {
    await release()
    throw error
  }
  const url = options.url ?? urlOf(server, host)
  const { version, onRequest, mount } = options
  const app = createApp({
    ...{ url, store, authenticate, ide, issuers: issuers.map(({ issuer }) => issuer) },
    ...(version === undefined ? {} : { version }),
    ...(onRequest ? { onRequest } : {}),
    ...(mount ? { mount: (app) => mount(app, { url, authenticate }) } : {}),
  })
  server.on('request', getRequestListener(app.fetch))
  let closed: Promise<void> | undefined
  return { url, store, close: () => (closed ??= stop(server).then(release)) }
}

function refuseExposure(host: string, issuers: readonly TrustedIssuer[]): void {
  if (LOOPBACK.includes(host) || !issuers.some(({ name }) => name === 'embedded')) return
  const problem = { path: '--host', expected: 'a loopback address while the embedded identity provider is trusted', found: host }
  throw invalidInput('the command', [problem], 'use 127.0.0.1, or trust another identity provider')
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, port, host)))
    server.listen(port, host, () => {
      server.removeAllListeners('error')
      resolve()
    })
  })
}

function listenError({ code }: NodeJS.ErrnoException, port: number, host: string): ToolkitError {
  const found = String(port)
  if (code === 'EADDRINUSE') return invalidInput('the command', [{ path: '--port', expected: 'a free port', found }], 'name another --port')
  if (code === 'EACCES')
    return invalidInput('the command', [{ path: '--port', expected: 'a port that you may use', found }], 'name a --port over 1023')
  return new ToolkitError('unavailable', `${host}:${port} cannot be listened on (${code})`, { system: host, reason: code ?? 'unknown' })
}

function urlOf(server: Server, host: string): string {
  const { port } = server.address() as AddressInfo
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Idle keep-alive connections would hold `close` for seconds. */
async function stop(server: Server): Promise<void> {
  await new Promise((resolve) => {
    server.close(resolve)
    server.closeAllConnections()
  })
}
