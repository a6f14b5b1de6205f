/** `mcp-idp start` as a process with a home of its own: started, watched while it runs, and its log of requests read. */
import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Ran, type Running, start } from '../live/product.js'

const LOOK_MS = 2

/** Step 3 when everything is as it should be. */
export const NO_CHANGES = '3. Plan: 0 changes at the identity provider, 0 changes at the registry'

export interface MainJob extends Running {
  /** What it has printed so far. */
  stdout(): string
  /** Waits until something is so. @throws Error when the process ends before */
  until(isSo: () => boolean | Promise<boolean>): Promise<void>
  /** Ends it by its pid, if it has not ended. */
  stop(): Promise<void>
}

/**
 * Starts it from a built `cli/main.js`, with files open to everybody by default (umask 0), so that a mode is somebody's
 * intention. It is killed after 110 s.
 */
export function startMainJob(main: string, home: string, ...flags: string[]): MainJob {
  const words = [process.execPath, main, 'start', '--home', home, ...flags]
  // The user's own home and configuration are out of its sight.
  const running = start('sh', ['-c', 'umask 000 && exec "$@"', 'sh', ...words], { HOME: home })
  let stdout = ''
  running.child.stdout?.on('data', (text: string) => {
    stdout += text
  })
  let hasEnded = false
  const whenEnded = () => {
    hasEnded = true
  }
  running.ended.then(whenEnded, whenEnded)
  return {
    ...running,
    stdout: () => stdout,
    async stop() {
      if (!hasEnded) running.child.kill('SIGKILL')
      await running.ended
    },
    async until(isSo) {
      while (!(await isSo())) {
        if (hasEnded) throw new Error(`it ended before: ${JSON.stringify(await running.ended)}`)
        await sleep(LOOK_MS)
      }
    },
  }
}

/** Runs it to its end. */
export function mainJob(main: string, home: string, ...flags: string[]): Promise<Ran> {
  return startMainJob(main, home, ...flags).ended
}

/** The numbered lines of an output, in order. */
export function numbered(stdout: string): string[] {
  return stdout.split('\n').filter((line) => /^\d+\. /.test(line))
}

/** The origins of identity provider and registry, as steps 1 and 2 say them. */
export function originsIn(stdout: string): { issuer: string; registry: string } {
  const [issuer, registry] = [1, 2].map((step) => new RegExp(`^${step}\\. .+: (http://127\\.0\\.0\\.1:\\d+)$`, 'm').exec(stdout)?.[1])
  if (issuer === undefined || registry === undefined) throw new Error(`no origins in ${stdout}`)
  return { issuer, registry }
}

/** A line of requests.jsonl: a request that we sent, or something a server of ours saw. */
export interface Logged {
  readonly run: string
  readonly sent?: true
  readonly server?: 'provider' | 'registry' | 'demo'
  readonly method?: string
  readonly url?: string
  readonly class?: 'read' | 'write'
  readonly event?: string
  readonly account?: string
  readonly client_id?: string
  readonly tool?: string
  readonly subject?: string
  readonly path?: string
  readonly status?: number
}

/** The log of a home, empty before the first line is written; only the newest run with `newest`. */
export async function requestLog(home: string, which: 'all' | 'newest' = 'all'): Promise<Logged[]> {
  const text = await readFile(join(home, 'requests.jsonl'), 'utf8').catch(() => '')
  // The last line may be in the middle of being written.
  const lines = text.split('\n').slice(0, -1)
  const entries = lines.map((line) => JSON.parse(line) as Logged)
  const newest = entries.map(({ run }) => run).sort()
  return which === 'all' ? entries : entries.filter(({ run }) => run === newest.at(-1))
}

/** The requests of a log that we sent: writes, and requests to the issuer's token endpoint. */
export function sentIn(log: readonly Logged[], issuer: string): { all: number; writes: number; tokens: number } {
  const sent = log.filter((entry) => entry.sent)
  const isTokenRequest = ({ method, url }: Logged) => method === 'POST' && url === `${issuer}/token`
  return { all: sent.length, writes: sent.filter((entry) => entry.class === 'write').length, tokens: sent.filter(isTokenRequest).length }
}

/** Listens on a port of 127.0.0.1, 0 for any; undefined when it is taken. */
export function occupy(port: number): Promise<{ port: number; close(): Promise<void> } | undefined> {
  const server: Server = createServer()
  return new Promise((settle) => {
    server.once('error', () => settle(undefined))
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      const taken = typeof address === 'object' && address !== null ? address.port : port
      settle({ port: taken, close: () => new Promise((done) => server.close(() => done())) })
    })
  })
}

export async function isFree(origin: string): Promise<boolean> {
  const own = await occupy(Number(new URL(origin).port))
  await own?.close()
  return own !== undefined
}
