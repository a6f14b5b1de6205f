/** Syncs of a folder, shared: many files that get their names in one folder at the same time need no sync each. */
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'

interface OpenFolder {
  readonly handle: Promise<FileHandle>
  users: number
  underWay?: Promise<void> | undefined
  /** Has not begun: it serves everybody who renamed before it does. */
  next?: Promise<void>
}
const folders = new Map<string, OpenFolder>()

/**
 * Runs `work` with the folder open, so that a folder which cannot be opened stops it before it changes anything. What was
 * renamed in it before `sync` is called stays so once `sync` has ended. @throws the file system's errors, and what `work` throws
 */
export async function withFolder<T>(path: string, work: (sync: () => Promise<void>) => Promise<T>): Promise<T> {
  const folder = folders.get(path) ?? { handle: open(path, constants.O_RDONLY | constants.O_DIRECTORY), users: 0 }
  folders.set(path, folder)
  folder.users++
  try {
    const handle = await folder.handle
    return await work(() => sync(folder, handle))
  } finally {
    folder.users--
    if (folder.users === 0) {
      folders.delete(path)
      // Closing what was only read loses nothing.
      await folder.handle.then((handle) => handle.close()).catch(() => undefined)
    }
  }
}

function sync(folder: OpenFolder, handle: FileHandle): Promise<void> {
  folder.next ??= syncAfter(folder.underWay, folder, handle)
  return folder.next
}

async function syncAfter(last: Promise<void> | undefined, folder: OpenFolder, handle: FileHandle): Promise<void> {
  await last?.catch(() => undefined)
  folder.underWay = folder.next
  delete folder.next
  await handle.sync()
}
