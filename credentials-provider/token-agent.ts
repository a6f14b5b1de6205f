/**
 * The token agent: on a Unix socket of ours one JSON line asks, `{"identity_name":"reporter","format":"headers"}`, and one
 * JSON line answers. Whoever has our user id may ask; nobody else can.
 */
import { createServer, type Socket } from 'node:net'
import { z } from 'zod'
import { invalidInput, isToolkitError, ToolkitError } from '../core/errors.js'
import { problemsOf } from '../core/operation.js'
import { masked } from '../core/secret.js'
import { fileSafeName } from '../core/vocabulary.js'
import { listenAt } from './agent-socket.js'
import { FORMATS, formatted, HEADER_NAME } from './formats.js'
import type { TryLock } from './single-flight.js'
import type { TokenMemory } from './token-memory.js'

const asked = z.strictObject({
  identity_name: fileSafeName,
  format: z.enum(FORMATS).default('json'),
  header: z.string().regex(HEADER_NAME).optional(),
})

export interface TokenAgentOptions {
  readonly path: string
  readonly tokens: TokenMemory
  readonly tryLock: TryLock
  /** Seconds since the epoch. */
  readonly now: () => number
  /** What went wrong with one ask; its message holds no token. */
  readonly onRefusal?: (error: unknown) => void
  /** How long a client may take to ask, and to take its answer, milliseconds. */
  readonly patienceMs?: number
}

export interface TokenAgent {
  /** Ends it and removes its socket. */
  close(): Promise<void>
}

const LONGEST_ASK = 4096
const MOST_CONNECTIONS = 128
const PATIENCE_MS = 5_000

/** @throws ToolkitError as `listenAt` */
export async function startTokenAgent(options: TokenAgentOptions): Promise<TokenAgent> {
  const { path, tokens, now, tryLock, onRefusal, patienceMs = PATIENCE_MS } = options
  const sockets = new Set<Socket>()
  const answerTo = async (line: string): Promise<object | string> => {
    try {
      const { identity_name, ...asking } = parseAsk(line)
      return formatted(await tokens.token(identity_name), asking, now())
    } catch (error) {
      onRefusal?.(error)
      return { error: told(error) }
    }
  }
  // Who has asked may close its end and still wait for the answer.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket)).on('error', () => socket.destroy())
    readLine(socket, patienceMs)
      .then(answerTo, (error: unknown) => ({ error: told(error) }))
      .then((answer) => {
        socket.setTimeout(patienceMs, () => socket.destroy())
        socket.end(`${JSON.stringify(answer)}\n`, () => socket.destroy())
      })
      .catch(() => socket.destroy())
  })
  server.maxConnections = MOST_CONNECTIONS
  await listenAt(server, path, tryLock)
  return {
    close: () =>
      new Promise((closed) => {
        server.close(() => closed())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

/** @throws ToolkitError invalid_input that repeats nothing of what was asked */
function parseAsk(line: string): z.infer<typeof asked> {
  const result = asked.safeParse(jsonIn(line))
  if (result.success) return result.data
  throw invalidInput(
    'the ask',
    problemsOf(result.error).map(({ path, expected }) => ({ path, expected })),
  )
}

function jsonIn(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    throw invalidInput('the ask', [{ path: 'the line', expected: 'one JSON object' }])
  }
}

/** The first line that comes; a client that closes its end has ended its line. @throws ToolkitError invalid_input */
function readLine(socket: Socket, patienceMs: number): Promise<string> {
  return new Promise((done, fail) => {
    const chunks: Buffer[] = []
    let size = 0
    const refuse = (expected: string) => fail(invalidInput('the ask', [{ path: 'the line', expected }]))
    const timer = setTimeout(() => refuse(`to come within ${patienceMs} ms`), patienceMs)
    const end = () => {
      clearTimeout(timer)
      const [line = ''] = Buffer.concat(chunks).toString('utf8').split('\n')
      done(line)
    }
    socket.on('data', (chunk: Buffer) => {
      // What comes after the line is let go.
      if (size > LONGEST_ASK) return
      size += chunk.length
      chunks.push(chunk)
      const isWhole = chunk.includes(0x0a)
      if (isWhole && chunk.indexOf(0x0a) + size - chunk.length <= LONGEST_ASK) end()
      else if (size > LONGEST_ASK) refuse(`at most ${LONGEST_ASK} bytes`)
    })
    socket.once('end', end)
    socket.once('close', () => clearTimeout(timer))
  })
}

/** As the command line tells an error with `--json`. */
function told(error: unknown): object {
  const { code, message, hint, details } = isToolkitError(error) ? error : new ToolkitError('internal', 'a defect of the token agent', {})
  return { code, message: masked(message), ...(hint === undefined ? {} : { hint: masked(hint) }), details }
}
