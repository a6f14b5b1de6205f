/** Files that only their owner may read: whole or absent, never torn, never open to others, not even for a moment. */
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, mkdir, open, rename, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { invalidInput, ToolkitError } from './errors.js'
import type { Receipt } from './sink.js'

const FILE_MODE = 0o600
const MAX_BYTES = 1_000_000

/** Makes a folder that only we may enter, and its parents. */
export async function makePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 })
}

/**
 * Replaces `path` as a whole: a random-named 0600 file beside it, synced, renamed over it, folder synced.
 * @throws ToolkitError invalid_input when something other than a plain file of ours is there; unavailable when the disk refuses
 */
export async function savePrivateFile(path: string, text: string): Promise<Receipt> {
  await refuseForeignFile(path)
  await makePrivateFolder(dirname(path))
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(8).toString('hex')}.tmp`)
  try {
    await writeNew(temporary, text)
    await rename(temporary, path)
    await syncFolder(dirname(path))
  } catch (error) {
    await unlink(temporary).catch(() => undefined)
    throw diskError(error, path)
  }
  return { saved_to: path, mode: '0600' }
}

/** Creates `path`; false when it exists already. */
export async function createPrivateFile(path: string, text: string): Promise<boolean> {
  await makePrivateFolder(dirname(path))
  try {
    await writeNew(path, text)
    await syncFolder(dirname(path))
    return true
  } catch (error) {
    if (errno(error) === 'EEXIST') return false
    throw diskError(error, path)
  }
}

/**
 * The text of a small plain file, or undefined when there is none.
 * @throws ToolkitError invalid_input for a link, folder, pipe or a file over 1 MB
 */
export async function readSmallFile(path: string): Promise<string | undefined> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      const { size, isFile } = await file.stat().then((stat) => ({ size: stat.size, isFile: stat.isFile() }))
      if (!isFile) throw notPlain(path, 'something that is not a file')
      if (size > MAX_BYTES) throw notPlain(path, `${size} bytes; at most ${MAX_BYTES}`)
      return await file.readFile('utf8')
    } finally {
      await file.close()
    }
  } catch (error) {
    if (errno(error) === 'ENOENT' || errno(error) === 'ENOTDIR') return undefined
    if (errno(error) === 'ELOOP') throw notPlain(path, 'a symbolic link')
    throw diskError(error, path)
  }
}

/** Removes a file if it is there. */
export async function removeFile(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (errno(error) !== 'ENOENT') throw diskError(error, path)
  })
}

async function writeNew(path: string, text: string): Promise<void> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
  const file = await open(path, flags, FILE_MODE)
  try {
    await file.writeFile(text)
    await file.sync()
  } catch (error) {
    // Half a file would be taken for a whole one by the next run.
    await unlink(path).catch(() => undefined)
    throw error
  } finally {
    await file.close()
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** A rename would silently replace a link, and a hard link keeps the old content readable elsewhere. */
export async function refuseForeignFile(path: string): Promise<void> {
  const stat = await lstat(path).catch((error: unknown) => {
    if (errno(error) === 'ENOENT') return undefined
    throw diskError(error, path)
  })
  if (stat === undefined) return
  if (stat.isSymbolicLink()) throw notPlain(path, 'a symbolic link')
  if (!stat.isFile()) throw notPlain(path, stat.isDirectory() ? 'a folder' : 'something that is not a file')
  if (stat.nlink > 1) throw notPlain(path, 'a file with another name elsewhere (hard link)')
  if (process.getuid !== undefined && stat.uid !== process.getuid()) throw notPlain(path, 'a file of another user')
}

function notPlain(path: string, found: string): ToolkitError {
  return invalidInput('the file', [{ path, expected: 'a plain file of yours', found }], 'name another path')
}

function errno(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

function diskError(error: unknown, path: string): ToolkitError {
  if (error instanceof ToolkitError) return error
  const reason = errno(error) ?? 'unknown'
  return new ToolkitError('unavailable', `${path} cannot be read or written (${reason})`, { system: 'file system', reason })
}
