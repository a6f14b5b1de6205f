/** The place of a token agent's socket: in a folder that only we may write, ours alone from its birth, never two agents' at once. */
import { once } from 'node:events'
import { chmod, lstat, stat, unlink } from 'node:fs/promises'
import { connect, type Server } from 'node:net'
import { dirname } from 'node:path'
import { invalidInput, ToolkitError } from '../core/errors.js'
import { makePrivateFolder } from '../core/private-folder.js'
import type { TryLock } from './single-flight.js'

/** unix(7): 108 bytes with the one that ends it; macOS has 104. */
const LONGEST_PATH = 103

/**
 * Listens at `path`, where only a dead agent's socket is replaced.
 * @throws ToolkitError conflict for an agent that lives; invalid_input for a folder that others may write, a path that is
 *   too long and anything that is not a socket of ours
 */
export async function listenAt(server: Server, path: string, tryLock: TryLock): Promise<void> {
  if (Buffer.byteLength(path) > LONGEST_PATH)
    throw refused(path, `a path of at most ${LONGEST_PATH} bytes`, String(Buffer.byteLength(path)), 'name a shorter one with --socket')
  await requireOwnFolder(dirname(path))
  // Two that start at once would each find the other's socket dead before it listens.
  const release = await tryLock(`agent ${path}`)
  if (release === undefined) throw lives(path)
  try {
    await removeDead(path)
    const before = process.umask(0o077)
    try {
      server.listen(path)
      await once(server, 'listening')
    } finally {
      process.umask(before)
    }
    await chmod(path, 0o600)
  } finally {
    release()
  }
}

async function requireOwnFolder(folder: string): Promise<void> {
  await makePrivateFolder(folder)
  const { uid, mode } = await stat(folder)
  if (uid !== process.getuid?.()) throw refused(folder, 'a folder of yours', undefined, 'name another place with --socket')
  if ((mode & 0o022) !== 0) throw refused(folder, 'a folder that others may not write', (mode & 0o7777).toString(8), `chmod go-w ${folder}`)
}

async function removeDead(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) return
  if (!found.isSocket() || found.uid !== process.getuid?.())
    throw refused(path, 'nothing, or a socket of yours', 'something else', 'name another place with --socket')
  if (await answers(path)) throw lives(path)
  await unlink(path)
}

/** Whether somebody listens there. */
function answers(path: string): Promise<boolean> {
  return new Promise((told) => {
    const socket = connect(path)
    const tell = (isAnswered: boolean) => () => {
      socket.destroy()
      told(isAnswered)
    }
    socket.once('connect', tell(true)).once('error', tell(false))
  })
}

function lives(path: string): ToolkitError<'conflict'> {
  return new ToolkitError('conflict', `a token agent listens at ${path} already`, { kind: 'socket', key: path }, 'use it, or stop it first')
}

function refused(path: string, expected: string, found: string | undefined, hint: string): ToolkitError<'invalid_input'> {
  return invalidInput('the socket', [{ path, expected, ...(found === undefined ? {} : { found }) }], hint)
}
