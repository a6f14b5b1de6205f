/** What can be wrong with a command line before any operation is asked: words and flags, and the file of `--env-file`. */
import { loadEnvFile } from 'node:process'
import type { CommanderError } from 'commander'
import { invalidInput, ToolkitError } from '../core/errors.js'

/** Reads variables into the environment; those that are set stay. @throws ToolkitError invalid_input */
export function readEnvFile(path: string): void {
  try {
    loadEnvFile(path)
  } catch {
    throw invalidInput('the command line', [{ path: '--env-file', expected: 'a readable file of NAME=value lines', found: path }])
  }
}

/** A mistyped flag is repeated by its name alone: its value may be a secret. */
export function withoutValue(message: string): string {
  return message.replace(/(unknown option '-[^'=]*)=.*'/s, "$1'")
}

/** A refusal of commander's as ours. */
export function usageError({ code, message }: CommanderError): ToolkitError<'invalid_input'> {
  const isHelp = code === 'commander.help'
  const said = isHelp ? 'a command is missing' : withoutValue(message.replace(/^error: /, ''))
  return new ToolkitError(
    'invalid_input',
    said,
    { problems: [{ path: 'the command line', expected: said }] },
    'add --help for the options and examples',
  )
}
