/**
 * Files that only their owner may read: whole or absent, never torn, never open to others, not even for a moment. What the
 * system answers from memory is asked for at once, since a trip to the thread pool costs many times that; a disk is waited for.
 */
import { randomBytes } from 'node:crypto'
import { closeSync, constants, fstatSync, fsync, lstatSync, openSync, readFileSync, renameSync, type Stats, writeFileSync } from 'node:fs'
import { link, lstat, readdir, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { diskError, errno } from './disk-error.js'
import { invalidInput, type ToolkitError } from './errors.js'
import { withFolder } from './folder-sync.js'
import { isOurs, makeSafeFolder, octal } from './private-folder.js'
import type { Receipt } from './sink.js'

const FILE_MODE = 0o600
const OTHERS = 0o077
const WRITABLE = 0o022
const MAX_BYTES = 1_000_000
/** No write takes this long: a temporary this old belongs to a run that was killed. */
const STALE_MS = 60_000

/**
 * Replaces `path` as a whole: a random-named 0600 file beside it, synced, renamed over it, folder synced.
 * @throws ToolkitError invalid_input when something other than a plain file of ours is there, or others may write the
 *   folder; unavailable when the disk refuses
 */
export async function savePrivateFile(path: string, text: string): Promise<Receipt> {
  await makeSafeFolder(dirname(path))
  refuseForeignFile(path)
  await place(path, text, async (temporary) => renameSync(temporary, path))
  await removeStale(path)
  return { saved_to: path, mode: '0600' }
}

/** Creates `path` as a whole; false when something is there already, whatever it is. @throws ToolkitError as `savePrivateFile` */
export async function createPrivateFile(path: string, text: string): Promise<boolean> {
  await makeSafeFolder(dirname(path))
  if (statOf(path) !== undefined) return false
  let isNew = true
  // Unlike a rename, a link fails when the name is taken; unlike a write in place, it is never seen half done.
  await place(path, text, async (temporary) => {
    await link(temporary, path).catch((error: unknown) => {
      if (errno(error) !== 'EEXIST') throw error
      isNew = false
    })
    await unlink(temporary).catch(() => undefined)
  })
  await removeStale(path)
  return isNew
}

/**
 * The text of a small plain file, or undefined when there is none. With `isPrivate` it must be ours alone, too; where that
 * is a function, others may read a text of which it says false, but never write it.
 * @throws ToolkitError invalid_input for a link, folder, pipe, socket, device or a file over 1 MB; with `isPrivate` also for
 *   another user's file, one with a second name, and one that group or others may use (the hint is the chmod to type)
 */
export async function readSmallFile(
  path: string,
  { isPrivate = false }: { isPrivate?: boolean | ((text: string) => boolean) } = {},
): Promise<string | undefined> {
  try {
    const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      const found = fstatSync(file)
      if (isPrivate) refuseForeign(found, path)
      if (isPrivate) refuseOpenToOthers(found, path, isPrivate === true ? OTHERS : WRITABLE)
      if (!found.isFile()) throw notPlain(path, 'something that is not a file')
      if (found.size > MAX_BYTES) throw notPlain(path, `${found.size} bytes; at most ${MAX_BYTES}`)
      const text = readFileSync(file, 'utf8')
      if (typeof isPrivate === 'function' && isPrivate(text)) refuseOpenToOthers(found, path)
      return text
    } finally {
      closeSync(file)
    }
  } catch (error) {
    if (errno(error) === 'ENOENT' || errno(error) === 'ENOTDIR') return undefined
    if (errno(error) === 'ELOOP') throw notPlain(path, 'a symbolic link')
    if (errno(error) === 'ENXIO') throw notPlain(path, 'something that is not a file')
    throw diskError(error, path)
  }
}

/** Removes a file if it is there. */
export async function removeFile(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (errno(error) !== 'ENOENT') throw diskError(error, path)
  })
}

/**
 * Removes what killed runs left beside `path`, and beside `siblings` in the same folder: temporaries of their names that are
 * plain, ours and over a minute old, and one that is such a file itself under its first name. Never fails: what cannot be
 * removed stays.
 */
export async function removeStale(path: string, ...siblings: readonly string[]): Promise<void> {
  const folder = dirname(path)
  const names = await temporariesIn(folder)
  for (const one of [path, ...siblings]) {
    const left = names.filter((name) => isTemporaryOf(basename(one), name))
    const own = left.length === 0 ? undefined : await lstat(one).catch(() => undefined)
    for (const name of left) {
      const found = await lstat(join(folder, name)).catch(() => undefined)
      if (found === undefined || !found.isFile() || !isOurs(found)) continue
      const isTwin = found.ino === own?.ino && found.dev === own.dev
      if (isTwin || (found.nlink === 1 && Date.now() - found.mtimeMs > STALE_MS)) await unlink(join(folder, name)).catch(() => undefined)
    }
  }
}

/** Listings under way. Many files of one folder are looked at at once: whoever asks meanwhile shares the listing. */
const listings = new Map<string, Promise<readonly string[]>>()

async function temporariesIn(folder: string): Promise<readonly string[]> {
  const running = listings.get(folder) ?? readTemporaries(folder).finally(() => listings.delete(folder))
  listings.set(folder, running)
  return running
}

async function readTemporaries(folder: string): Promise<readonly string[]> {
  return (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.tmp'))
}

function isTemporaryOf(file: string, name: string): boolean {
  return name.startsWith(`.${file}.`) && /^[0-9a-f]{16}\.tmp$/.test(name.slice(file.length + 2))
}

/** Writes the text beside `path` and lets `put` give it its name; this run leaves no temporary, whatever happens. */
async function place(path: string, text: string, put: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(8).toString('hex')}.tmp`)
  try {
    await withFolder(dirname(path), async (sync) => {
      await writeNew(temporary, text)
      await put(temporary)
      await sync()
    })
  } catch (error) {
    await unlink(temporary).catch(() => undefined)
    throw diskError(error, path)
  }
}

const synced = promisify(fsync)

async function writeNew(path: string, text: string): Promise<void> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
  const file = openSync(path, flags, FILE_MODE)
  try {
    // Some file systems have one mode for all files; nothing is written where that is not ours alone.
    refuseOpenToOthers(fstatSync(file), path)
    writeFileSync(file, text)
    await synced(file)
  } finally {
    closeSync(file)
  }
}

/** A rename would silently replace a link, and a hard link keeps the old content readable elsewhere. */
function refuseForeignFile(path: string): void {
  const found = statOf(path)
  if (found !== undefined) refuseForeign(found, path)
}

function refuseForeign(found: Stats, path: string): void {
  if (found.isSymbolicLink()) throw notPlain(path, 'a symbolic link')
  if (!found.isFile()) throw notPlain(path, found.isDirectory() ? 'a folder' : 'something that is not a file')
  if (found.nlink > 1) throw notPlain(path, 'a file with another name elsewhere (hard link)')
  if (!isOurs(found)) throw notPlain(path, 'a file of another user')
}

function refuseOpenToOthers({ mode }: Stats, path: string, forbidden = OTHERS): void {
  // Without users there are no modes to go by (Windows).
  if (process.getuid === undefined || (mode & forbidden) === 0) return
  throw invalidInput('the file', [{ path, expected: 'closed to group and others', found: octal(mode) }], `chmod 600 ${path}`)
}

function statOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })
  } catch (error) {
    throw diskError(error, path)
  }
}

function notPlain(path: string, found: string): ToolkitError {
  return invalidInput('the file', [{ path, expected: 'a plain file of yours', found }], 'name another path')
}
