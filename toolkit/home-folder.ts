/** Where the home folder is. Loads nothing: the shortest way to a saved token passes here. */
import { homedir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'

/** Environment variables as the entry gives them. */
export type Environment = Readonly<Record<string, string | undefined>>

/** `--home`, else `MCP_IDP_HOME`, else the user's configuration folder. */
export function homeFolder(flag: string | undefined, env: Environment): string {
  const named = flag ?? (env['MCP_IDP_HOME'] || undefined)
  if (named !== undefined) return resolve(named)
  const base = env['XDG_CONFIG_HOME']
  return join(base && isAbsolute(base) ? base : join(homedir(), '.config'), 'mcp-idp')
}
