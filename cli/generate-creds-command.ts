/** `mcp-idp generate-creds`: the documented options, declared here without cost, done in `generate-creds.ts`. */
import { type Command, Option } from 'commander'
import { DOCUMENTED_NOTES, DOCUMENTED_OPTIONS, type DocumentedOption } from '../credentials-provider/documented-options.js'

export function addGenerateCreds(program: Command): void {
  const command = program.command('generate-creds').description('Mint tokens as the documented generate_creds.sh does, with its options')
  const options = DOCUMENTED_OPTIONS.map((row: DocumentedOption) => {
    const { name, short, value, help } = row
    const option = new Option(`${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` <${value}>`}`, help)
    command.addOption(option)
    return [name, option.attributeName()] as const
  })
  command
    .addHelpText('after', `\n${DOCUMENTED_NOTES}\n\nExamples:`)
    .addHelpText('after', '  mcp-idp generate-creds -a keycloak -k https://kc.example.com\n  mcp-idp generate-creds -a entra -v')
    .action(async (values: Record<string, string | boolean>, own: Command) => {
      const { generateCreds } = await import('./generate-creds.js')
      const typed = Object.fromEntries(options.map(([name, attribute]) => [name, values[attribute]]))
      process.exitCode = await generateCreds(typed, own.optsWithGlobals())
    })
}
