/**
 * A Keycloak process: started by start-keycloak.sh on a port the system gives, stopped by its pid, its data removed.
 * The killing tests start one of their own with it; every other live test shares the run's.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const SCRIPT = join(import.meta.dirname, 'start-keycloak.sh')
/** The first start on a machine fetches and builds the server; later ones take about 5 s. */
const START_MS = 900_000
const STOP_MS = 15_000

/** Where a Keycloak is and how its administrator logs in. */
export interface KeycloakServer {
  readonly url: string
  readonly adminUser: string
  readonly adminPassword: string
  readonly version: string
}

export interface StartedKeycloak {
  readonly server: KeycloakServer
  readonly pid: number
  readonly port: number
  readonly dataDir: string
  /** Ends the process and removes its data. */
  stop(): Promise<void>
}

/** Starts a server; `port` and `dataDir` of an earlier one start that again. `durable` keeps every commit through a kill -9. */
export async function startKeycloak(options: { port?: number; dataDir?: string; durable?: boolean } = {}): Promise<StartedKeycloak> {
  const port = options.port ?? (await freePort())
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'keycloak-rig-')))
  const env = { ...process.env, ...(options.durable ? { RIG_DURABLE: '1' } : {}) }
  const running = promisify(execFile)('bash', [SCRIPT, String(port), dataDir], { env, timeout: START_MS })
  running.child.stderr?.pipe(process.stderr)
  const { stdout } = await running
  const ready = /^READY url=(\S+) pid=(\d+) version=(\S+) admin=(\S+)/m.exec(stdout)
  if (!ready) throw new Error(`start-keycloak.sh printed no READY line but ${JSON.stringify(stdout)}`)
  const [, url = '', pidText, version = '', adminUser = ''] = ready
  const pid = Number(pidText)
  const atExit = () => signal(pid, 'SIGKILL')
  process.once('exit', atExit)
  const adminPassword = await readFile(join(dataDir, 'admin-password'), 'utf8')
  return {
    server: { url, adminUser, adminPassword, version },
    pid,
    port,
    dataDir,
    async stop() {
      await end(pid)
      process.off('exit', atExit)
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

/** SIGTERM, and SIGKILL when that is not enough; returns once the process is gone. */
async function end(pid: number): Promise<void> {
  signal(pid, 'SIGTERM')
  const patience = Date.now() + STOP_MS
  while (signal(pid, 0)) {
    if (Date.now() > patience) signal(pid, 'SIGKILL')
    await sleep(100)
  }
}

/** False when there is no such process. */
function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name)
  } catch {
    return false
  }
}

/** A port nobody listens on at this moment. */
export async function freePort(): Promise<number> {
  const probe = createServer()
  return await new Promise((resolve, reject) => {
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => (typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no port'))))
    })
  })
}
