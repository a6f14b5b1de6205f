/**
 * Doors for tests: a short deadline, a latch at hand, and a failure returned as a value to look at.
 */

import { isToolkitError, type ToolkitError } from '../../core/errors.js'
import { createDoor, type Door, type DoorOptions, WriteLatch } from '../../core/http.js'

export interface TestDoor extends Door {
  readonly latch: WriteLatch
}

/** A door to these origins. */
export function doorTo(origins: readonly string[], options: Partial<DoorOptions> = {}): TestDoor {
  const latch = options.latch ?? new WriteLatch()
  return { ...createDoor({ origins, timeoutMs: 2_000, allowHttp: true, ...options, latch }), latch }
}

/** The ToolkitError the work ends with. @throws Error when it succeeds, and whatever else it throws */
export async function failureOf(work: Promise<unknown>): Promise<ToolkitError> {
  try {
    await work
  } catch (error) {
    if (isToolkitError(error)) return error
    throw error
  }
  throw new Error('it did not fail')
}
