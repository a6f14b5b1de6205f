/** Asks a token agent at its socket for one token. Loads no schema library: the shortest way to a token passes here. */
import { lstat } from 'node:fs/promises'
import { connect } from 'node:net'
import { ERRORS, type ErrorCode, type ErrorDetails, invalidInput, ToolkitError } from '../core/errors.js'
import { type SavedToken, savedTokenIn } from './saved-token.js'

/** Longer than the agent may take to mint, with its patience. */
const ANSWER_MS = 150_000
const LONGEST_ANSWER = 1_000_000

/**
 * Undefined when nobody listens there.
 * @throws ToolkitError as the agent says it; invalid_input for a socket that is not ours alone; unexpected_response
 */
export async function askAgent(path: string, identity_name: string): Promise<SavedToken | undefined> {
  if (!(await isThere(path))) return undefined
  const line = await answerTo(path, `${JSON.stringify({ identity_name, format: 'json' })}\n`)
  if (line === undefined) return undefined
  const saved = savedTokenIn(line)
  if (saved) return saved
  throw refusalIn(line)
}

/** Whoever may listen there may answer with a token of theirs. */
async function isThere(path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) return false
  if (found.isSocket() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0) return true
  throw invalidInput('the environment', [{ path: 'MCP_IDP_AGENT', expected: 'a socket of yours, closed to others', found: path }])
}

function answerTo(path: string, ask: string): Promise<string | undefined> {
  return new Promise((done, fail) => {
    let text = ''
    const socket = connect(path, () => socket.write(ask))
    const unavailable = (reason: string) =>
      new ToolkitError('unavailable', `the token agent at ${path} did not answer`, { system: path, reason })
    const timer = setTimeout(() => socket.destroy(unavailable('deadline')), ANSWER_MS)
    socket.setEncoding('utf8').on('data', (part: string) => {
      text += part
      if (text.length > LONGEST_ANSWER) socket.destroy(unavailable('too_long'))
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error instanceof ToolkitError) fail(error)
      // Nobody there, or gone before a word: others may know the token.
      else done(undefined)
    })
    socket.once('close', () => {
      clearTimeout(timer)
      done(text.endsWith('\n') ? text : undefined)
    })
  })
}

function refusalIn(line: string): ToolkitError {
  const { error } = parsed(line)
  const { code, message, hint, details } = error ?? {}
  if (typeof code !== 'string' || !Object.hasOwn(ERRORS, code) || typeof message !== 'string') {
    return new ToolkitError('unexpected_response', 'the token agent answered something else', { system: 'token agent', reason: 'shape' })
  }
  // Ours, by the owner of its socket: what it tells are details of that code.
  return new ToolkitError(
    code as ErrorCode,
    message,
    (details ?? {}) as ErrorDetails[ErrorCode],
    typeof hint === 'string' ? hint : undefined,
  )
}

function parsed(line: string): { error?: Readonly<Record<string, unknown>> | null } {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}
