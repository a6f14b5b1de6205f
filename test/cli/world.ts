/** The world of `mcp-idp start`, running: provider, registry and demo server, set up in a home that goes away. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { BuiltCli, Ran, Running, Variables } from './built.js'

/** A line of its log of requests. */
export interface Logged {
  readonly sent?: boolean
  readonly server?: 'provider' | 'registry' | 'demo'
  readonly method?: string
  readonly path?: string
  readonly status?: number
}

export interface TestWorld {
  readonly home: string
  readonly running: Running
  /** Runs a command of the CLI on it. */
  cli(args: readonly string[], variables?: Variables): Promise<Ran>
  setting(name: string): Promise<string>
  /** What its servers served so far: their log is written behind them, and read once it stands still. */
  served(): Promise<Logged[]>
  /** As Ctrl-C does it. */
  stop(): Promise<Ran>
}

export async function startWorld(built: BuiltCli, args: readonly string[] = []): Promise<TestWorld> {
  const home = await mkdtemp(join(tmpdir(), 'mcp-idp-world-'))
  const running = built.start(['start', '--home', home, '--port', '0', '--issuer-port', '0', '--json', ...args])
  await running.line((line) => line.includes('"step":9'))
  return {
    ...{ home, running },
    cli: (words, variables = {}) => built.run(words, { MCP_IDP_HOME: home, ...variables }),
    async setting(name) {
      const { settings } = JSON.parse(await readFile(join(home, 'profile.json'), 'utf8')) as { settings: Record<string, string> }
      return settings[name] ?? ''
    },
    async served() {
      const lines = (await stillText(join(home, 'requests.jsonl'))).trimEnd().split('\n')
      return lines.map((line) => JSON.parse(line) as Logged).filter(({ server, method }) => server !== undefined && method !== undefined)
    },
    async stop() {
      running.child.kill('SIGINT')
      const ran = await running.ended
      await rm(home, { recursive: true, force: true })
      return ran
    },
  }
}

/** The text of a file that has not grown for a while. */
async function stillText(path: string): Promise<string> {
  for (let before: string | undefined; ; ) {
    const text = await readFile(path, 'utf8')
    if (text === before) return text
    before = text
    await sleep(150)
  }
}
