/**
 * One command as text for a POSIX shell. Made from argv, word by word: a template with values put in would let a server's
 * name run commands.
 */
import { invalidInput } from '../core/errors.js'

/** Words that mean themselves everywhere. A leading `=` is left out: zsh expands it to a command's path. */
const PLAIN = /^[A-Za-z0-9_@%+:,./-][A-Za-z0-9_@%+=:,./-]*$/
/** In the place of the command these are syntax; quoted they are names. */
const RESERVED =
  /^(?:case|coproc|do|done|elif|else|end|esac|fi|for|foreach|function|if|in|nocorrect|repeat|select|then|time|until|while)$|=/

/**
 * The words as one command line for sh, dash, bash and zsh; words that need no quotes have none. A line break stays one,
 * inside its quotes.
 * @throws ToolkitError invalid_input for a NUL, which no argument of a program can hold
 */
export function quotePosix(argv: readonly string[]): string {
  const problems = argv.flatMap((word, index) => (word.includes('\0') ? [{ path: `word ${index + 1}`, expected: 'no NUL character' }] : []))
  if (problems.length > 0) throw invalidInput('the command line', problems)
  return argv.map((word, index) => (PLAIN.test(word) && !(index === 0 && RESERVED.test(word)) ? word : quoted(word))).join(' ')
}

/** Nothing is special between single quotes, so the quote itself is set outside of them (POSIX Shell Command Language 2.2.2). */
function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`
}
