/** A fresh token of one identity for the commands that hand it out: from the token agent, from its file, or new. */

import { freshToken } from '../credentials-provider/fresh-token.js'
import { identityNamed } from '../credentials-provider/identity-files.js'
import { identitiesOf, mintingOf } from '../credentials-provider/operations.js'
import type { SavedToken } from '../credentials-provider/saved-token.js'
import { createContext, type ToolkitContext } from '../toolkit/context.js'
import { homeFolder, openHome } from '../toolkit/home.js'
import { agentOf } from './get-at-once.js'
import { environmentOf, type Globals, say } from './run.js'

export interface TokenOptions extends Globals {
  readonly identitiesFile?: string
  readonly outputDir?: string
}

/** @throws ToolkitError not_found, and as the agent, the files and the authorization server say */
export async function tokenFor(
  name: string,
  options: TokenOptions,
  { isSaved, signal }: { isSaved: boolean; signal: AbortSignal },
): Promise<SavedToken> {
  const { identitiesFile: identities_file, outputDir: output_dir } = options
  const agent = agentOf({ identities_file, output_dir }, process.env)
  if (agent !== undefined) {
    const { askAgent } = await import('../credentials-provider/token-agent-client.js')
    const answer = await askAgent(agent, name)
    if (answer) return answer
  }
  return withContext(options, signal, async (context) => {
    const { entries, folder } = await identitiesOf({ identities_file, output_dir }, context)
    return freshToken(identityNamed(entries, name), mintingOf(context, { folder }), { isSaved })
  })
}

/** A context for as long as `work` takes; its doors close behind it. */
export async function withContext<T>(
  options: Globals,
  signal: AbortSignal,
  work: (context: ToolkitContext) => Promise<T>,
  progress: (line: string) => void = say,
): Promise<T> {
  const home = await openHome(homeFolder(options.home, process.env), environmentOf(options))
  const context = createContext({ ...home, signal, progress, approve: async () => false })
  try {
    return await work(context)
  } finally {
    await context.close().catch(() => undefined)
  }
}
