/** Errors of the file system as ours. */
import { constants as systemConstants } from 'node:os'
import { ToolkitError } from './errors.js'

/** The code of a file system's error, such as `ENOSPC`. */
export function errno(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** What the file system refused, with the path and the next thing to look at; ours stays as it is. */
export function diskError(error: unknown, path: string): ToolkitError {
  if (error instanceof ToolkitError) return error
  const reason = reasonOf(error)
  const message = `${path} cannot be read or written (${reason})`
  return new ToolkitError('unavailable', message, { system: 'file system', reason }, 'check its permissions and the room on its disk')
}

/** Node has no names for some errors, that of a full quota (EDQUOT) among them; the system does. */
function reasonOf(error: unknown): string {
  const code = errno(error) ?? 'unknown'
  const number = /^Unknown system error -(\d+)$/.exec(code)?.[1]
  return Object.entries(systemConstants.errno).find(([, value]) => String(value) === number)?.[0] ?? code
}
