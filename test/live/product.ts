/**
 * The product as people run it: the built CLI and the setup script as processes, with an environment of their own and a
 * home folder that goes away. Nothing of this process's environment reaches them but what a program needs to start.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { keycloak, type Realm } from './rig/keycloak.js'
import { exchange, type LoginRequest, type LoginResult, loginByForm } from './rig/login.js'

/** Scripts are run from here. */
const ROOT = resolve(import.meta.dirname, '../..')
const CLI = join(ROOT, 'dist/cli/main.js')
const RUN_MS = 110_000

export type Variables = Readonly<Record<string, string>>

export interface Ran {
  /** Null when a signal ended it. */
  readonly exit: number | null
  readonly stdout: string
  readonly stderr: string
  readonly ms: number
}

export interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<Ran>
}

/** Starts a program at the repository's root; it is killed after 110 s. */
export function start(command: string, args: readonly string[], variables: Variables): Running {
  const began = performance.now()
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(command, args, { cwd: ROOT, env: { PATH, HOME, ...variables }, stdio: ['ignore', 'pipe', 'pipe'], timeout: RUN_MS })
  const text = { stdout: '', stderr: '' }
  child.stdout?.setEncoding('utf8').on('data', (part: string) => {
    text.stdout += part
  })
  child.stderr?.setEncoding('utf8').on('data', (part: string) => {
    text.stderr += part
  })
  const ended = new Promise<Ran>((done, fail) => {
    child.once('error', fail).once('close', (exit) => done({ exit, ...text, ms: performance.now() - began }))
  })
  return { child, ended }
}

/** Starts the built CLI. */
export function startCli(args: readonly string[], variables: Variables): Running {
  return start(process.execPath, [CLI, ...args], variables)
}

/** Runs the built CLI to its end, whatever that is. */
export function cli(args: readonly string[], variables: Variables): Promise<Ran> {
  return startCli(args, variables).ended
}

/** Runs the built CLI with `--json` and reads its document. @throws Error with what it said when it fails */
export async function cliJson<Result = Record<string, unknown>>(args: readonly string[], variables: Variables): Promise<Result> {
  const { exit, stdout, stderr } = await cli([...args, '--json'], variables)
  if (exit !== 0) throw new Error(`mcp-idp ${args.join(' ')} ended with ${exit}: ${stdout}${stderr}`)
  return JSON.parse(stdout) as Result
}

/** What a change operation's document says of its changes. */
export interface Changed {
  readonly applied: boolean
  readonly changes: readonly { readonly action: string; readonly kind: string; readonly key: string; readonly fields: readonly string[] }[]
}

/** The administrator's settings for a realm, and a home; `url` when something stands in front of the server. */
export function administrator({ realm }: Pick<Realm, 'realm'>, home: string, url?: string): Variables {
  const server = keycloak()
  return {
    MCP_IDP_HOME: home,
    KEYCLOAK_URL: url ?? server.url,
    KEYCLOAK_REALM: realm,
    KEYCLOAK_ADMIN: server.adminUser,
    KEYCLOAK_ADMIN_PASSWORD: server.adminPassword,
  }
}

/** An empty folder of ours. */
export async function makeFolder(): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'mcp-idp-live-'))
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}

/** The claims of a JWT, unverified. */
export function claimsOf(token: string): Record<string, unknown> {
  const [, payload = ''] = token.split('.')
  return JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>
}

/** A person's login through the form of a realm. */
export function login(
  { issuer }: Realm,
  request: Pick<LoginRequest, 'client_id' | 'redirect_uri' | 'username' | 'password'> & Partial<LoginRequest>,
): Promise<LoginResult> {
  return loginByForm({ authorizationEndpoint: `${issuer}/protocol/openid-connect/auth`, pkce: 'S256', ...request })
}

/** A person's login to its end. @throws Error telling how it ended instead */
export async function accessToken(realm: Realm, request: Parameters<typeof login>[1]): Promise<string> {
  const result = await login(realm, request)
  if (!('code' in result)) throw new Error(`no code for ${request.redirect_uri}: ${JSON.stringify(result).slice(0, 300)}`)
  const { code, verifier } = result
  const { redirect_uri, client_id } = request
  const answer = await exchange({ tokenEndpoint: tokenEndpoint(realm), code, verifier, redirect_uri, client_id })
  if (answer.status !== 200) throw new Error(`no token for ${redirect_uri}: ${answer.status} ${JSON.stringify(answer.body)}`)
  return String(answer.body['access_token'])
}

export function tokenEndpoint({ issuer }: Realm): string {
  return `${issuer}/protocol/openid-connect/token`
}

/** A token by any grant, with plain fetch; the status when it is refused. */
export async function askToken(realm: Realm, form: Variables): Promise<{ status: number; access_token: string }> {
  const response = await fetch(tokenEndpoint(realm), {
    method: 'POST',
    body: new URLSearchParams(form),
    signal: AbortSignal.timeout(30_000),
  })
  const { access_token = '' } = (await response.json()) as { access_token?: string }
  return { status: response.status, access_token }
}

/** The realm's client of that id, whole. @throws Error unless there is exactly one */
export async function clientOf<Client = ClientRepresentation>(realm: Realm, client_id: string): Promise<Client> {
  const { body } = await realm.admin<Client[]>('GET', `/clients?clientId=${encodeURIComponent(client_id)}`)
  const [client, ...others] = body
  if (client === undefined || others.length > 0) throw new Error(`${body.length} clients ${client_id}`)
  return client
}

/** What the tests read of a client; the rest travels along. */
export interface ClientRepresentation {
  readonly id: string
  readonly clientId: string
  readonly protocolMappers?: readonly Mapper[]
  readonly [field: string]: unknown
}
export interface Mapper {
  readonly id: string
  readonly name: string
  readonly protocolMapper: string
  readonly config: Readonly<Record<string, string>>
}
