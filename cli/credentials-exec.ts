/** `mcp-idp credentials exec`: a program of the caller's with a token in its environment, in no file and no argument list. */
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { EXIT_INTERRUPTED, invalidInput } from '../core/errors.js'
import { tokenVariable, VARIABLE_NAME } from '../credentials-provider/formats.js'
import { type TokenOptions, tokenFor } from './credentials-token.js'
import { reportFailure, say, stopAtInterrupt } from './run.js'

export interface ExecOptions extends TokenOptions {
  readonly envVar: string
}

const FORWARDED = ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGCONT', 'SIGTSTP'] as const
/** A terminal sends these to the program itself, too: it would get them twice. */
const FROM_KEYBOARD: readonly string[] = ['SIGINT', 'SIGQUIT', 'SIGTSTP']
/** As a shell says it (POSIX 2.8.2). */
const NOT_FOUND = 127
const NOT_EXECUTABLE = 126
const SIGNALLED = 128

/** The program's own exit status; 128 and the signal's number when one ended it. */
export async function execWithCredential(name: string, words: readonly string[], options: ExecOptions): Promise<number> {
  const stop = stopAtInterrupt()
  try {
    const { envVar } = options
    if (!VARIABLE_NAME.test(envVar))
      throw invalidInput('the command line', [{ path: '--env-var', expected: 'the name of a variable', found: envVar.slice(0, 64) }])
    const saved = await tokenFor(name, options, { isSaved: false, signal: stop.signal })
    stop.end()
    return await run(words, { ...process.env, ...tokenVariable(saved, envVar) })
  } catch (error) {
    return stop.signal.aborted ? EXIT_INTERRUPTED : reportFailure(error, options)
  } finally {
    stop.end()
  }
}

function run([program = '', ...args]: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  return new Promise((ended) => {
    const child = spawn(program, args, { env, stdio: 'inherit' })
    const isAtTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY
    const forwarders = FORWARDED.map((signal) => {
      const forward = () => void (isAtTerminal && FROM_KEYBOARD.includes(signal) ? undefined : child.kill(signal))
      process.on(signal, forward)
      return () => void process.off(signal, forward)
    })
    const end = (status: number) => {
      for (const remove of forwarders) remove()
      ended(status)
    }
    child.once('error', ({ code }: NodeJS.ErrnoException) => {
      say(`${program} cannot be run (${code})`)
      end(code === 'ENOENT' ? NOT_FOUND : NOT_EXECUTABLE)
    })
    child.once('exit', (status, signal) => end(signal === null ? (status ?? 0) : SIGNALLED + constants.signals[signal]))
  })
}
