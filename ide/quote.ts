/** Words for a POSIX shell: whatever is in them, the command gets them back unchanged. */
import { invalidInput } from '../core/errors.js'

/** Words that no shell reads as anything but themselves. */
const PLAIN = /^[A-Za-z0-9_@%+:,./-][A-Za-z0-9_@%+=:,./-]*$/

/** One line for sh, dash, bash and zsh (POSIX.1-2017, Shell Command Language 2.2.2). @throws ToolkitError invalid_input for a NUL */
export function quotePosix(argv: readonly string[]): string {
  return argv.map(quoteWord).join(' ')
}

function quoteWord(word: string): string {
  if (word.includes('\0')) throw invalidInput('a word for the shell', [{ path: '(word)', expected: 'no NUL character, which no command line can hold' }])
  return PLAIN.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}
