/** The little of TOML 1.0 that is written here: basic strings and keys. */
import { invalidInput } from '../../core/errors.js'

/**
 * A basic string. JSON's escapes are all TOML's too; only DEL must be escaped besides.
 * @throws ToolkitError invalid_input for a lone surrogate, which no TOML document can hold
 */
export function tomlString(value: string): string {
  if (/\p{Surrogate}/u.test(value)) throw invalidInput('a TOML string', [{ path: '(text)', expected: 'well-formed Unicode' }])
  return JSON.stringify(value).replaceAll('\x7f', '\\u007f')
}

/** A key: bare where it may be, else quoted. */
export function tomlKey(name: string): string {
  return /^[A-Za-z0-9_-]+$/.test(name) ? name : tomlString(name)
}
