/** `mcp-idp credentials serve`: the token agent in the foreground, its status on stderr, until it is stopped. */
import { join, resolve } from 'node:path'
import { causeOf } from '../credentials-provider/batch.js'
import { mintInMemory } from '../credentials-provider/fresh-token.js'
import { isoOf } from '../credentials-provider/freshness.js'
import { identityNamed } from '../credentials-provider/identity-files.js'
import { identitiesOf, mintingOf } from '../credentials-provider/operations.js'
import { startTokenAgent } from '../credentials-provider/token-agent.js'
import { createTokenMemory } from '../credentials-provider/token-memory.js'
import { quotePosix } from '../ide/quote.js'
import { homeFolder } from '../toolkit/home.js'
import { tryLock } from '../toolkit/lock.js'
import { withContext } from './credentials-token.js'
import { type Globals, reportFailure, say, stopAtInterrupt, whenAborted } from './run.js'

export interface ServeOptions extends Globals {
  readonly socket?: string
  readonly identitiesFile?: string
}

export async function serveCredentials(options: ServeOptions): Promise<number> {
  const stop = stopAtInterrupt()
  const home = homeFolder(options.home, process.env)
  const path = options.socket === undefined ? join(home, 'agent.sock') : resolve(options.socket)
  const now = () => Date.now() / 1000
  const { identitiesFile: identities_file } = options
  try {
    // Told at once, not at the first ask.
    await withContext(options, stop.signal, (context) => identitiesOf({ identities_file }, context))
    const tokens = createTokenMemory({
      now,
      find: (name) =>
        withContext(options, stop.signal, async (context) =>
          identityNamed((await identitiesOf({ identities_file }, context)).entries, name),
        ),
      mint: (entry) =>
        withContext(options, stop.signal, async (context) => {
          const token = await mintInMemory(entry, mintingOf(context, { folder: home }))
          say(`minted ${entry.identity.identity_name}, expires ${isoOf(token.expires_at)}`)
          return token
        }),
    })
    const onRefusal = (error: unknown) => {
      const { code, cause } = causeOf(error)
      say(`refused: ${code}, ${cause}`)
    }
    const agent = await startTokenAgent({ path, tokens, now, onRefusal, tryLock: (name) => tryLock(home, name) })
    say(`the token agent listens; for those who ask: export MCP_IDP_AGENT=${quotePosix([path])}`)
    await whenAborted(stop.signal)
    await agent.close()
    say('stopped')
    return 0
  } catch (error) {
    return reportFailure(error, options)
  } finally {
    stop.end()
  }
}
