/**
 * The shortest way to a token: `mcp-idp credentials get` for one that the token agent has, or that lies fresh in its file.
 * Loads nothing before the words are known, and neither commander nor zod nor undici then.
 */
import type { Environment } from '../toolkit/home-folder.js'

interface Asked {
  readonly words: readonly string[]
  readonly flags: Readonly<Partial<Record<Flag, string>>>
  readonly isJson: boolean
}

const FLAGS = ['--format', '--header', '--identities-file', '--output-dir', '--home'] as const
type Flag = (typeof FLAGS)[number]

/** The exit status once a token, or the agent's refusal, has been told; undefined when it takes the whole program. */
export async function getAtOnce(argv: readonly string[], env: Environment): Promise<number | undefined> {
  const asked = askedIn(argv)
  if (asked === undefined) return undefined
  const { FORMATS, HEADER_NAME, renderToken } = await import('../credentials-provider/formats.js')
  const { words, flags, isJson } = asked
  const [, , name = ''] = words
  const format = FORMATS.find((one) => one === (flags['--format'] ?? (isJson ? 'json' : 'raw')))
  const header = flags['--header']
  if (format === undefined || (header !== undefined && !HEADER_NAME.test(header))) return undefined
  const files = { identities_file: flags['--identities-file'], output_dir: flags['--output-dir'] }
  const agent = agentOf(files, env)
  if (agent !== undefined) {
    const { askAgent } = await import('../credentials-provider/token-agent-client.js')
    try {
      const answer = await askAgent(agent, name)
      if (answer) return tell(renderToken(answer, { format, header }, Date.now() / 1000))
    } catch (error) {
      const { reportFailure } = await import('./run.js')
      return reportFailure(error, { json: isJson })
    }
  }
  const [{ readCachedToken }, { homeFolder }] = await Promise.all([
    import('../credentials-provider/cached-token.js'),
    import('../toolkit/home-folder.js'),
  ])
  const now = Date.now() / 1000
  const ask = { identity_name: name, home: homeFolder(flags['--home'], env), ...files }
  // Whatever is wrong with a file, the whole program says it better.
  const saved = await readCachedToken(ask, now).catch(() => undefined)
  return saved && tell(renderToken(saved, { format, header }, now))
}

/** The socket of the agent to ask; files that are named go before it. */
export function agentOf(
  { identities_file, output_dir }: { identities_file?: string | undefined; output_dir?: string | undefined },
  env: Environment,
): string | undefined {
  return identities_file === undefined && output_dir === undefined ? env['MCP_IDP_AGENT'] || undefined : undefined
}

function tell(text: string): number {
  process.stdout.write(text)
  return 0
}

/** Undefined for anything but `credentials get NAME` with flags that are known here, each once. */
function askedIn(argv: readonly string[]): Asked | undefined {
  const words: string[] = []
  const flags: Partial<Record<Flag, string>> = {}
  let isJson = false
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] ?? ''
    const [head = '', ...rest] = word.split('=')
    const flag = FLAGS.find((one) => one === head)
    if (flag !== undefined) {
      const value = rest.length > 0 ? rest.join('=') : argv[++index]
      if (value === undefined || value === '' || value.startsWith('-') || flags[flag] !== undefined) return undefined
      flags[flag] = value
    } else if (word === '--json') isJson = true
    else if (word.startsWith('-') && word !== '--no-save') return undefined
    else if (word !== '--no-save') words.push(word)
  }
  return words.length === 3 && words[0] === 'credentials' && words[1] === 'get' ? { words, flags, isJson } : undefined
}
