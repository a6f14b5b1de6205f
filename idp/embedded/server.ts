/**
 * The embedded identity provider on a loopback port: an OpenID provider for evaluation and tests, with demo people.
 * State lies in one private folder and survives a restart: keys, clients, sessions, people.
 */
import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { invalidInput, ToolkitError } from '../../core/errors.js'
import { Secret } from '../../core/secret.js'
import { adminApi } from './admin.js'
import { providerConfiguration } from './configuration.js'
import { type LogEntry, logEvents } from './events.js'
import type { Exchange } from './exchange.js'
import { createGroups } from './groups.js'
import { keptFiles } from './kept-files.js'
import { handleLogin } from './login.js'
import { createLoginThrottle } from './login-throttle.js'
import { createLogins } from './logins.js'
import { seedMachineClient } from './machine-client.js'
import { createPeople } from './people.js'
import { requestHandler, type ServedRequest } from './requests.js'
import { loadOidcProvider } from './runtime.js'
import { type Seed, seedDirectory } from './seed.js'
import { openStore } from './store.js'

export interface EmbeddedProviderOptions {
  /** Holds everything it keeps; made with 0700 when missing. */
  readonly folder: string
  /** 0 lets the system choose; the issuer contains it, so use the same one again. */
  readonly port: number
  /** The issuer when a TLS-terminating proxy stands before it; an origin. Default `http://127.0.0.1:<port>`. */
  readonly publicOrigin?: string
  /** What is there from the first start; what is there already stays as it is. */
  readonly seed: Seed & {
    /** A confidential client for client credentials. */
    readonly machine: { readonly client_name: string }
  }
  /** URLs of the MCP servers that tokens may be asked for (RFC 8707); read at each request. */
  readonly resources?: () => readonly string[]
  readonly onLog?: (entry: LogEntry) => void
  readonly onRequest?: (entry: ServedRequest) => void
}

export interface RunningProvider {
  readonly issuer: string
  /** Where it listens. */
  readonly url: string
  readonly initialAccessToken: Secret
  readonly adminToken: Secret
  readonly machine: { readonly client_id: string; readonly client_secret: Secret }
  /** Who can log in, and the 0600 file with their passwords, by user name. */
  readonly people: readonly { readonly username: string; readonly password_file: string }[]
  /** Paths of the 0600 files, for a profile to refer to. */
  readonly files: { readonly initialAccessToken: string; readonly adminToken: string; readonly people: string }
  close(): Promise<void>
}

const HOST = '127.0.0.1'
const MAX_HEADER_BYTES = 16_384

/**
 * Starts the provider and resolves once it listens, on 127.0.0.1 only.
 * @throws ToolkitError invalid_input naming `--issuer-port` when the port is taken, or a folder or file that is not as we made it
 */
export async function startEmbeddedProvider(options: EmbeddedProviderOptions): Promise<RunningProvider> {
  const { folder, port, publicOrigin, seed, resources = () => [], onLog, onRequest } = options
  refuseNonOrigin(publicOrigin)
  const oidc = await loadOidcProvider()
  const store = await openStore(folder)
  const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES, headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 5_000 })
  try {
    const files = await keptFiles(folder)
    const people = createPeople(store)
    await seedDirectory(store, seed, files.paths.people)
    const machineSecret = await seedMachineClient(store, { ...files.machine, client_name: seed.machine.client_name })
    await listen(server, port)
    const url = `http://${HOST}:${(server.address() as AddressInfo).port}`
    const issuer = publicOrigin ?? url
    const provider = new oidc.Provider(issuer, providerConfiguration({ store, files, people, resources, oidc }))
    if (onLog) logEvents(provider, onLog)
    const login = { provider, logins: createLogins(store), throttle: createLoginThrottle(), csrfKey: randomBytes(32) }
    const routes = {
      '/login/': (exchange: Exchange) => handleLogin(login, exchange),
      '/admin/': adminApi({ groups: createGroups(store), people, store, adminToken: files.adminToken }),
    }
    const serve = requestHandler({ provider, issuer, url, routes, ...(onRequest ? { onRequest } : {}) })
    server.on('request', (request, response) => void serve({ request, response }))
    let closed: Promise<void> | undefined
    return {
      issuer,
      url,
      initialAccessToken: new Secret(files.initialAccessToken),
      adminToken: new Secret(files.adminToken),
      machine: { client_id: files.machine.client_id, client_secret: new Secret(machineSecret) },
      people: seed.people.map(({ username }) => ({ username, password_file: files.paths.people })),
      files: files.paths,
      close: () => (closed ??= stop(server).then(() => store.destroy())),
    }
  } catch (error) {
    await stop(server)
    await store.destroy()
    throw error
  }
}

function refuseNonOrigin(publicOrigin: string | undefined): void {
  if (
    publicOrigin === undefined ||
    (URL.canParse(publicOrigin) && /^https?:/.test(publicOrigin) && new URL(publicOrigin).origin === publicOrigin)
  )
    return
  throw invalidInput('the command', [{ path: 'publicOrigin', expected: 'an origin such as https://idp.example.com' }])
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, port)))
    server.listen(port, HOST, () => {
      server.removeAllListeners('error')
      resolve()
    })
  })
}

function listenError({ code }: NodeJS.ErrnoException, port: number): ToolkitError {
  const problem = (expected: string) =>
    invalidInput('the command', [{ path: '--issuer-port', expected, found: String(port) }], 'name another --issuer-port')
  if (code === 'EADDRINUSE') return problem('a free port')
  if (code === 'EACCES') return problem('a port that you may use')
  return new ToolkitError('unavailable', `${HOST}:${port} cannot be listened on (${code})`, { system: HOST, reason: code ?? 'unknown' })
}

/** Idle keep-alive connections would hold `close` for seconds. */
async function stop(server: Server): Promise<void> {
  await new Promise((resolve) => {
    server.close(resolve)
    server.closeAllConnections()
  })
}
