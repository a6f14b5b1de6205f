/** Whole processes, measured from their start to their end. */
import { spawnSync } from 'node:child_process'

/** No measured process takes this long, milliseconds. */
const RUN_MS = 300_000

export interface Start {
  /** What `node` is given. */
  readonly args: readonly string[]
  /** The whole environment besides PATH. */
  readonly env?: Readonly<Record<string, string>>
}

/** `node` with nothing to do. */
export const BARE: Start = { args: ['-e', '0'] }

/** Milliseconds, and what was printed. Nothing else runs here meanwhile. @throws Error when it does not end well */
export function startTime({ args, env = {} }: Start): { readonly ms: number; readonly stdout: string } {
  const started = performance.now()
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    timeout: RUN_MS,
    maxBuffer: 10_000_000,
  })
  const ms = performance.now() - started
  if (status !== 0) throw new Error(`node ${args.join(' ')} ended with ${status ?? signal}: ${stderr.slice(0, 2000)}`)
  return { ms, stdout }
}

export interface Pair {
  readonly ours: number
  readonly other: number
}

/** Runs both, side by side: which goes first alternates, so that neither always finds what the other has warmed. */
export async function pairsOf(
  count: number,
  ours: (index: number) => number | Promise<number>,
  other: (index: number) => number | Promise<number>,
): Promise<Pair[]> {
  const pairs: Pair[] = []
  for (let index = 0; index < count; index++) {
    if (index % 2 === 0) {
      const first = await ours(index)
      pairs.push({ ours: first, other: await other(index) })
    } else {
      const first = await other(index)
      pairs.push({ ours: await ours(index), other: first })
    }
  }
  return pairs
}
