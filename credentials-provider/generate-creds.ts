#!/usr/bin/env -S npx --no -- tsx
/** The drop-in for the gateway's `generate_creds.sh`. Run it from the repository's root; `mcp-idp generate-creds` is the same. */
import { parseArgs } from 'node:util'
import { echo } from 'zx'
import { generateCreds } from '../cli/generate-creds.js'
import { reportFailure } from '../cli/run.js'
import { readEnvFile } from '../cli/usage.js'
import { Problems } from '../core/errors.js'
import { DOCUMENTED_NOTES, DOCUMENTED_OPTIONS, type DocumentedOption } from './documented-options.js'

const OPTIONS: readonly DocumentedOption[] = [
  ...DOCUMENTED_OPTIONS,
  { name: 'env-file', value: 'file', help: 'read environment variables from a file first; those that are set stay' },
  { name: 'help', short: 'h', help: 'show this' },
]

const lines = OPTIONS.map(({ name, short, value, help }) => {
  const flags = `${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` <${value}>`}`
  return `  ${flags}\n        ${help}`
})
const usage = `generate-creds.ts [options]

Mints tokens as the documented generate_creds.sh does, with its options.

${lines.join('\n')}

${DOCUMENTED_NOTES}

Examples:
  ./credentials-provider/generate-creds.ts -a keycloak -k https://kc.example.com
  ./credentials-provider/generate-creds.ts -a entra -v`

/** What was typed, by the options' names. @throws ToolkitError invalid_input with every word that is no option */
function typedOptions(args: readonly string[]): Record<string, string | boolean> {
  const problems = new Problems()
  const options = Object.fromEntries(
    OPTIONS.map(
      ({ name, short, value }) => [name, { type: value === undefined ? 'boolean' : 'string', ...(short ? { short } : {}) }] as const,
    ),
  )
  const { tokens } = parseArgs({ args: [...args], options, strict: false, tokens: true })
  const typed = tokens.flatMap((token): (readonly [string, string | boolean])[] => {
    const row = token.kind === 'option' ? OPTIONS.find(({ name }) => name === token.name) : undefined
    if (token.kind !== 'option' || row === undefined) {
      // What is no option may be a secret that was typed in the wrong place.
      problems.add(token.kind === 'option' ? token.rawName : 'a word', 'an option that --help shows')
      return []
    }
    if (row.value === undefined) return [[row.name, true]]
    if (!token.value) problems.add(`--${row.name}`, 'a value after it')
    return [[row.name, token.value ?? '']]
  })
  problems.throwIfAny('the command line')
  return Object.fromEntries(typed)
}

try {
  const typed = typedOptions(process.argv.slice(2))
  if (typed['help'] === true) echo(usage)
  else {
    if (typeof typed['env-file'] === 'string') readEnvFile(typed['env-file'])
    process.exitCode = await generateCreds(typed, {})
  }
} catch (error) {
  process.exitCode = reportFailure(error, {})
}
