/** Variables as a shell and dotenv readers take them: every value in single quotes, so that nothing in it is ever executed. */
import { invalidInput } from '../core/errors.js'

/** `NAME='value'`, a line each. @throws ToolkitError invalid_input for a value that no shell can hold */
export function renderDotenv(variables: Readonly<Record<string, string>>, { isExported = false } = {}): string {
  return Object.entries(variables)
    .map(([name, value]) => `${isExported ? 'export ' : ''}${name}=${quoted(name, value)}\n`)
    .join('')
}

/** POSIX 2.2.2: nothing inside single quotes is special; a quote itself stands outside of them. */
function quoted(name: string, value: string): string {
  if (value.includes('\0')) throw invalidInput('the variable', [{ path: name, expected: 'a value without NUL' }])
  return `'${value.replaceAll("'", "'\\''")}'`
}
