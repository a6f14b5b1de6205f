/** A disk of 64 KB in memory, seen by one process and its children only. */
import { execFileSync } from 'node:child_process'
import { temporaryFolder } from '../fakes/folder.js'

/** The shell words that mount it, for a process started by `unshare` with `unshareFlags`. */
export const mountWords = (folder: string) => `mount -t tmpfs -o size=64k,mode=700 tmpfs ${folder}`

/** Undefined where we may not mount one. */
export function unshareFlags(): '-m' | '-rm' | undefined {
  const folder = temporaryFolder()
  return (['-m', '-rm'] as const).find((flags) => {
    try {
      execFileSync('/bin/sh', ['-c', `unshare ${flags} ${mountWords(folder)}`], { stdio: 'ignore' })
      return true
    } catch {
      return false
    }
  })
}
