/** Shell completions, made from the catalogue. */
import { Argument, type Command } from 'commander'
import { CATALOG } from '../toolkit/catalog.js'
import { CREDENTIALS_WORDS } from './credentials-command.js'

const SHELLS = ['bash', 'zsh', 'fish'] as const
const WORDS: readonly (readonly string[])[] = [
  ['start'],
  ['mcp'],
  ['generate-creds'],
  ['completion'],
  ...CREDENTIALS_WORDS.map((word) => ['credentials', word]),
  ...CATALOG.map(({ command }) => command),
]

export function addCompletion(program: Command): void {
  program
    .command('completion')
    .description('Print a completion script for a shell')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .addHelpText('after', '\nExample:\n  source <(mcp-idp completion bash)')
    .action((shell: (typeof SHELLS)[number]) => {
      process.stdout.write(`${completionScript(shell)}\n`)
    })
}

/** First words, and the second words below each. */
function completionScript(shell: (typeof SHELLS)[number]): string {
  const groups = new Map<string, string[]>()
  for (const [first = '', second] of WORDS) groups.set(first, [...(groups.get(first) ?? []), ...(second === undefined ? [] : [second])])
  const firsts = [...groups.keys()].join(' ')
  if (shell === 'fish') {
    const top = `complete -c mcp-idp -f -n __fish_use_subcommand -a '${firsts}'`
    return [
      top,
      ...[...groups]
        .filter(([, below]) => below.length > 0)
        .map(([first, below]) => `complete -c mcp-idp -f -n '__fish_seen_subcommand_from ${first}' -a '${below.join(' ')}'`),
    ].join('\n')
  }
  const cases = [...groups]
    .filter(([, below]) => below.length > 0)
    .map(([first, below]) => `    ${first}) COMPREPLY=($(compgen -W "${below.join(' ')}" -- "$word")) ;;`)
  const bash = [
    '_mcp_idp() {',
    '  local word="${COMP_WORDS[COMP_CWORD]}"',
    `  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W "${firsts}" -- "$word")); return; fi`,
    '  if [ "$COMP_CWORD" -eq 2 ]; then case "${COMP_WORDS[1]}" in',
    ...cases,
    '  esac; fi',
    '}',
    'complete -o default -F _mcp_idp mcp-idp',
  ].join('\n')
  return shell === 'zsh' ? `autoload -U +X bashcompinit && bashcompinit\n${bash}` : bash
}
