/** Prints a saved secret once, when a person at a terminal asks for it; never into a pipe, a file or a log. */
import { invalidInput } from '../core/errors.js'

/** @throws ToolkitError invalid_input when stdout is not a terminal; runs before anything is changed */
export function requireTerminal(): void {
  if (process.stdout.isTTY) return
  const problem = { path: '--show-secret', expected: 'a terminal; what is printed into a pipe or a file stays there' }
  throw invalidInput('the command line', [problem], 'read the secret from the file that it is saved in')
}

export async function showSecret(file: string): Promise<void> {
  // Loaded here alone: a command that shows no secret reads no identities.
  const { readIdentities } = await import('../credentials-provider/identities.js')
  const [entry] = await readIdentities(file, { env: () => undefined, mayRefer: false })
  const secret = (await entry?.credential())?.client_secret
  if (secret) process.stdout.write(`client_secret: ${secret.reveal()}\n`)
}
