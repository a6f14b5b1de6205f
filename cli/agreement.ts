/** The question that a person at a terminal answers before anything is changed; commands and scripts ask it alike. */

/** Whether there is a terminal to ask at; stdout may be a pipe. */
export function isSomebodyHere(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY
}

/** Asks for a yes, no being the default; Ctrl-C at the question stops the run as it does everywhere else. */
export async function askForYes(): Promise<boolean> {
  const { confirm, isCancel } = await import('@clack/prompts')
  const answer = await confirm({ message: 'Do this?', initialValue: false, output: process.stderr })
  // The terminal is in raw mode, so no signal was sent.
  if (isCancel(answer)) process.emit('SIGINT')
  return answer === true
}
