#!/usr/bin/env node
/** `mcp-idp`: a token that is at hand is told at once; for all else the program is loaded. */
import { getAtOnce } from './get-at-once.js'

// Whoever read our output has gone (`| head`): there is nobody left to tell.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

const argv = process.argv.slice(2)
const exit = await getAtOnce(argv, process.env)
process.exitCode = exit ?? (await (await import('./program.js')).run(argv))
