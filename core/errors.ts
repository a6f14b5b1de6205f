/**
 * Every failure the toolkit reports: one class, one table of codes.
 * A code narrows `details`; the hint is the next thing to do. Vendor error objects never travel inside.
 */

/** One thing wrong with an input, with its place: `groups[2]`, `servers.json:14:3`, `--callback-port`. */
export interface Problem {
  readonly path: string
  readonly expected: string
  readonly found?: string
}

/** What each code carries. Values are printed, so none of them may hold a secret or a vendor's free text. */
export interface ErrorDetails {
  invalid_input: { problems: readonly Problem[] }
  not_configured: { missing: readonly string[] }
  unauthenticated: { system: string; status?: number; vendor_code?: string; request_id?: string }
  forbidden: { system: string; needs: readonly string[]; status?: number; request_id?: string }
  not_found: { kind: string; key: string }
  conflict: { kind: string; key: string; moved?: readonly string[] }
  ambiguous: { kind: string; key: string; matches: readonly string[] }
  owned_elsewhere: { kind: string; key: string; owner: string }
  declined: { command?: string; plan?: readonly string[] }
  unsupported: { system: string; capability: string; why: string }
  token_refused: { issuer: string; error: string; status?: number }
  rate_limited: { system: string; retry_after_seconds?: number }
  unavailable: { system: string; reason: string; status?: number }
  unexpected_response: { system: string; reason: string; status?: number; vendor_code?: string; request_id?: string }
  not_converged: { remaining: readonly string[] }
  partial: { failed: readonly string[]; succeeded: number }
  internal: { where?: string }
}
export type ErrorCode = keyof ErrorDetails

/** Code to exit status and meaning; the README's table of errors is made from it. */
export const ERRORS = {
  invalid_input: { exit: 2, meaning: 'an argument, a file or a field is wrong; every problem is listed with its place' },
  not_configured: { exit: 2, meaning: 'settings are missing; all of them are listed' },
  not_found: { exit: 3, meaning: 'the named thing does not exist' },
  conflict: { exit: 3, meaning: 'the name is taken by something that is not ours, or the world moved after the plan' },
  ambiguous: { exit: 3, meaning: 'more than one object carries the name' },
  owned_elsewhere: { exit: 3, meaning: 'the object belongs to another owner; change it there' },
  unauthenticated: { exit: 4, meaning: 'the credential was not accepted' },
  forbidden: { exit: 4, meaning: 'the credential lacks a right, which is named' },
  token_refused: { exit: 4, meaning: 'the authorization server refused to issue a token (RFC 6749 section 5.2)' },
  rate_limited: { exit: 5, meaning: 'the server asks to slow down' },
  unavailable: { exit: 5, meaning: 'no usable answer: name, connection, TLS, deadline or 5xx' },
  unexpected_response: { exit: 5, meaning: 'an answer that is not what the contract says' },
  unsupported: { exit: 6, meaning: 'this identity provider cannot do it, and why' },
  not_converged: { exit: 7, meaning: 'after the change, or in a check, something still differs' },
  declined: { exit: 8, meaning: 'nobody said yes; nothing was changed' },
  partial: { exit: 9, meaning: 'some items of a batch failed; each is named' },
  internal: { exit: 70, meaning: 'a defect of ours' },
} as const satisfies Record<ErrorCode, { exit: number; meaning: string }>

/** Exit status of a run stopped by Ctrl-C (128 + SIGINT). */
export const EXIT_INTERRUPTED = 130

/**
 * The one error class.
 * @example throw new ToolkitError('not_found', 'group data does not exist', { kind: 'group', key: 'data' }, 'create it with --create-groups')
 */
export class ToolkitError<C extends ErrorCode = ErrorCode> extends Error {
  override readonly name = 'ToolkitError'
  constructor(
    readonly code: C,
    message: string,
    readonly details: ErrorDetails[C],
    readonly hint?: string,
  ) {
    super(message)
  }
}

/** Narrows an unknown error to ours, and to one code when given. */
export function isToolkitError<C extends ErrorCode>(error: unknown, code?: C): error is ToolkitError<C> {
  return error instanceof ToolkitError && (code === undefined || error.code === code)
}

/** Collects every problem of an input, so that all are told at once. */
export class Problems {
  readonly #found: Problem[] = []
  add(path: string, expected: string, found?: string): void {
    this.#found.push(found === undefined ? { path, expected } : { path, expected, found })
  }
  /** @throws ToolkitError invalid_input when anything was added */
  throwIfAny(what: string): void {
    if (this.#found.length > 0) throw invalidInput(what, this.#found)
  }
}

/** An `invalid_input` whose message lists each problem on its own line. */
export function invalidInput(what: string, problems: readonly Problem[], hint?: string): ToolkitError<'invalid_input'> {
  const lines = problems.map(({ path, expected, found }) => `  ${path}: ${expected}${found === undefined ? '' : ` (found ${found})`}`)
  return new ToolkitError('invalid_input', [`${what} is not valid:`, ...lines].join('\n'), { problems }, hint)
}

/** Our error somewhere inside another library's error: SDKs wrap what their HTTP layer throws. */
export function toolkitErrorIn(error: unknown): ToolkitError | undefined {
  let current: unknown = error
  for (let depth = 0; depth < 8 && typeof current === 'object' && current !== null; depth++) {
    if (current instanceof ToolkitError) return current
    const wrapper = current as { cause?: unknown; customError?: unknown }
    current = wrapper.cause ?? wrapper.customError
  }
  return undefined
}
