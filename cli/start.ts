/** `mcp-idp start`: brings the world up, runs the main job on it, tells nine steps, and stays until Ctrl-C. */
import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { EXIT_INTERRUPTED } from '../core/errors.js'
import type { JournalEntry } from '../core/http.js'
import { quotePosix } from '../ide/quote.js'
import { createContext, type ToolkitContext } from '../toolkit/context.js'
import { homeFolder, openHome } from '../toolkit/home.js'
import { runMainJob, showPlan, type Tell } from './main-job.js'
import { type Globals, print, reportFailure, say, stopAtInterrupt, whenAborted } from './run.js'
import { DEMO, startWorld, type World } from './world.js'

export interface StartOptions extends Globals {
  readonly once?: boolean
  readonly port?: string
  readonly issuerPort?: string
}

export async function start(options: StartOptions): Promise<number> {
  const stop = stopAtInterrupt()
  const home = homeFolder(options.home, process.env)
  const log = requestLog(join(home, 'requests.jsonl'))
  const tell = teller(options.json === true)
  let world: World | undefined
  let context: ToolkitContext | undefined
  try {
    world = await startWorld({
      home,
      port: options.port,
      issuerPort: options.issuerPort,
      env: process.env,
      log: log.served,
      onUp: (part, url) => announce(tell, part, url),
    })
    // The servers just started are the ones set up here, whatever the environment names.
    context = createContext({ ...(await openHome(home, {})), signal: stop.signal, approve: showPlan(tell), onRequest: log.sent })
    await runMainJob(context, world, tell)
    if (options.once) return 0
    if (!options.json) print(closingLines(world).join('\n'))
    await whenAborted(stop.signal)
    return EXIT_INTERRUPTED
  } catch (error) {
    if (stop.signal.aborted) return EXIT_INTERRUPTED
    return reportFailure(error, options)
  } finally {
    if (stop.signal.aborted) say('stopping')
    stop.end()
    await context?.close().catch(() => undefined)
    await world?.close().catch(() => undefined)
    await log.end()
  }
}

function announce(tell: Tell, part: 'provider' | 'registry', url: string): void {
  if (part === 'provider') tell(1, `Identity provider is up: ${url}`)
  else tell(2, `Registry is up: ${url}`)
}

/** Numbered lines for people, one JSON object a step with `--json`. */
function teller(json: boolean): Tell {
  return (step, title, details = []) => {
    print(
      json ? JSON.stringify({ step, title, details }) : [`${step}. ${title}`, ...details.map((line) => `   ${line}`.trimEnd())].join('\n'),
    )
  }
}

function closingLines({ home, peopleFile }: World): string[] {
  return [
    '',
    `Log in as ${DEMO.people.map(({ username }) => username).join(' or ')}; passwords: ${peopleFile}`,
    'In another terminal, to use mcp-idp with this:',
    `  export MCP_IDP_HOME=${quotePosix([home])}`,
    'Ctrl-C stops it.',
  ]
}

/** An append-only log of requests for people: sent by us, and served. No code decides from it. */
function requestLog(path: string): { sent(entry: JournalEntry): void; served(entry: Record<string, unknown>): void; end(): Promise<void> } {
  const run = new Date().toISOString()
  let writing: Promise<unknown> = Promise.resolve()
  const append = (entry: Record<string, unknown>) => {
    const line = `${JSON.stringify({ run, at: new Date().toISOString(), ...entry })}\n`
    writing = writing.then(() => appendFile(path, line, { mode: 0o600 })).catch(() => undefined)
  }
  return {
    sent: (entry) => append({ sent: true, ...entry }),
    served: append,
    end: async () => void (await writing),
  }
}
