/**
 * ministack, an emulator of AWS made by somebody else: from the Python package index, in a virtual environment of its own
 * below the rig's cache folder, started on loopback and stopped by its pid. What Cognito itself does it cannot prove.
 */
import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { freePort } from './server.js'

const VERSION = '1.5.33'
const PACKAGES = [`ministack==${VERSION}`, 'cryptography==50.0.2']
const INSTALL_MS = 300_000
const START_MS = 60_000
const CALL_MS = 10_000

export interface Ministack {
  readonly url: string
  /** An operation of Cognito's control plane; ministack takes any credential. @throws Error unless it is answered with 200 */
  cognito(operation: string, input: object): Promise<Record<string, Record<string, unknown>>>
  stop(): Promise<void>
}

/** Installs it when it is absent. @returns its Python */
async function python(): Promise<string> {
  const rig = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'mcp-idp-rig')
  const folder = join(rig, `ministack-${VERSION}`)
  const program = join(folder, 'bin/python')
  if (existsSync(program)) return program
  await mkdir(rig, { recursive: true })
  // Whole or absent: another run may install it at the same time, and either may be cut off.
  const half = await mkdtemp(`${folder}.`)
  try {
    await promisify(execFile)('python3', ['-m', 'venv', half], { timeout: INSTALL_MS })
    const words = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--only-binary', 'cryptography', ...PACKAGES]
    await promisify(execFile)(join(half, 'bin/python'), words, { timeout: INSTALL_MS })
    await rename(half, folder)
  } catch (error) {
    await rm(half, { recursive: true, force: true })
    if (!existsSync(program)) throw error
  }
  return program
}

/** Starts one on a port of its own. */
export async function startMinistack(): Promise<Ministack> {
  const program = await python()
  const [port, folder] = [await freePort(), await mkdtemp(join(tmpdir(), 'ministack-'))]
  const { PATH = '' } = process.env
  const child = spawn(program, ['-c', 'from ministack.app import main; main()'], {
    cwd: folder,
    stdio: 'ignore',
    // Nothing of this machine is within its reach, containers least of all.
    env: {
      ...{ PATH, HOME: folder, TMPDIR: folder, STATE_DIR: join(folder, 'state'), DOCKER_HOST: 'unix:///nonexistent' },
      ...{ BIND_HOST: '127.0.0.1', MINISTACK_HOST: '127.0.0.1', GATEWAY_PORT: String(port) },
    },
  })
  const ended = new Promise<void>((done) => child.once('close', () => done()).once('error', () => done()))
  const atExit = () => child.kill('SIGKILL')
  process.once('exit', atExit)
  const stop = async () => {
    child.kill('SIGKILL')
    await ended
    process.off('exit', atExit)
    await rm(folder, { recursive: true, force: true })
  }
  const url = `http://127.0.0.1:${port}`
  const patience = Date.now() + START_MS
  while (!(await isUp(url))) {
    if (Date.now() < patience && child.exitCode === null) await sleep(100)
    else {
      await stop()
      throw new Error(`ministack did not start: ${child.exitCode}`)
    }
  }
  return { url, stop, cognito: (operation, input) => call(url, operation, input) }
}

async function isUp(url: string): Promise<boolean> {
  const health = await fetch(`${url}/_ministack/health`, { signal: AbortSignal.timeout(CALL_MS) }).catch(() => undefined)
  return health?.ok === true
}

async function call(url: string, operation: string, input: object): Promise<Record<string, Record<string, unknown>>> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': `AWSCognitoIdentityProviderService.${operation}`,
      authorization: 'AWS4-HMAC-SHA256 Credential=rig/20260101/us-east-1/cognito-idp/aws4_request, SignedHeaders=host, Signature=rig',
    },
    body: JSON.stringify(input),
    signal: AbortSignal.timeout(CALL_MS),
  })
  if (!answer.ok) throw new Error(`${operation}: ${answer.status} ${await answer.text()}`)
  return (await answer.json()) as Record<string, Record<string, unknown>>
}
