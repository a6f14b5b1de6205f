/** Runs the program that prints a secret: no shell, a deadline, and nothing that it printed in any message. */
import { spawn } from 'node:child_process'
import { ToolkitError } from '../core/errors.js'
import { cleanText } from '../core/foreign-text.js'

/** A password manager may ask for a touch; nothing it prints is that long. */
const DEADLINE_MS = 30_000
const MOST_BYTES = 64_000

export interface Running {
  /** Where the reference stands, for messages. */
  readonly place: string
  readonly environment: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
  readonly deadlineMs?: number
}

/**
 * What the program prints on its standard output; its input is empty and its complaints go nowhere, for they may quote the
 * secret. It leads a process group of its own, which is killed as a whole at the deadline.
 * @throws ToolkitError unavailable with a reason; the signal's own reason when it is aborted
 */
export async function outputOf(
  [program = '', ...words]: readonly string[],
  { place, environment, signal, deadlineMs = DEADLINE_MS }: Running,
): Promise<string> {
  signal?.throwIfAborted()
  const failed = (reason: string) =>
    new ToolkitError(
      'unavailable',
      `${place}: ${cleanText(program, 120)} did not print a secret (${reason})`,
      { system: cleanText(program, 120), reason },
      'run it by hand; it gets PATH, HOME and the like, and the variables that "env" beside "exec" names',
    )
  return new Promise<string>((resolve, reject) => {
    const child = spawn(program, words, { env: environment, stdio: ['ignore', 'pipe', 'ignore'], detached: true })
    const chunks: Buffer[] = []
    let size = 0
    const end = (settle: () => void) => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      settle()
    }
    const stop = (error: unknown) => {
      killGroup(child.pid)
      // Whoever left the group may hold the pipe open.
      child.stdout.destroy()
      end(() => reject(error))
    }
    const onAbort = () => stop(signal?.reason)
    const timer = setTimeout(() => stop(failed('deadline')), deadlineMs)
    signal?.addEventListener('abort', onAbort, { once: true })
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > MOST_BYTES) stop(failed('too_long'))
      else chunks.push(chunk)
    })
    child.once('error', (error: NodeJS.ErrnoException) => end(() => reject(failed(error.code ?? 'unknown'))))
    child.once('close', (status, killedBy) =>
      end(() => {
        if (status !== 0) return reject(failed(status === null ? `killed_${killedBy}` : `exit_${status}`))
        const text = textOf(Buffer.concat(chunks))
        return text === undefined ? reject(failed('not_text')) : resolve(text)
      }),
    )
  })
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    // A negative number names the group; where there are none (Windows), this throws and the program alone is killed.
    process.kill(-pid, 'SIGKILL')
  } catch {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It has ended by itself.
    }
  }
}

function textOf(bytes: Buffer): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return text.includes('\0') ? undefined : text
  } catch {
    return undefined
  }
}
