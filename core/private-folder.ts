/** Folders that hold private files: entered by us alone, or at least written by nobody else. */
import { type Stats, statSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { diskError, errno } from './disk-error.js'
import { invalidInput, type ToolkitError } from './errors.js'

const STICKY = 0o1000

/**
 * Makes a folder that only we may enter, and its parents; one that is there stays as it is.
 * @throws ToolkitError invalid_input when something else is there; unavailable when the disk refuses
 */
export async function makePrivateFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
  } catch (error) {
    // A recursive mkdir meets ENOENT at a link to nothing only.
    if (['EEXIST', 'ENOTDIR', 'ENOENT', 'ELOOP'].includes(errno(error) ?? '')) throw notFolder(path, 'something else there or on the way')
    throw diskError(error, path)
  }
}

/** Whoever may write the folder may put a file of theirs under our name; in a sticky one (/tmp) only its owner may. */
export async function makeSafeFolder(path: string): Promise<void> {
  const found = await existingFolder(path)
  if (!isOurs(found) && found.uid !== 0) throw notFolder(path, 'a folder of another user')
  if (process.getuid === undefined || (found.mode & 0o002) === 0 || (found.mode & STICKY) !== 0) return
  const problem = { path, expected: 'a folder that others may not write', found: octal(found.mode) }
  throw invalidInput('the folder', [problem], `chmod go-w ${path}`)
}

async function existingFolder(path: string): Promise<Stats> {
  const found = folderAt(path)
  if (found) return found
  await makePrivateFolder(path)
  try {
    return statSync(path)
  } catch (error) {
    throw diskError(error, path)
  }
}

/** What stands in its way is told by the attempt to make it. */
function folderAt(path: string): Stats | undefined {
  try {
    const found = statSync(path, { throwIfNoEntry: false })
    return found?.isDirectory() ? found : undefined
  } catch {
    return undefined
  }
}

/** Without users there are none but us (Windows). */
export const isOurs = ({ uid }: Stats) => process.getuid === undefined || uid === process.getuid()

export const octal = (mode: number) => (mode & 0o7777).toString(8)

function notFolder(path: string, found: string): ToolkitError {
  return invalidInput('the folder', [{ path, expected: 'a folder of yours', found }], 'name another path')
}
