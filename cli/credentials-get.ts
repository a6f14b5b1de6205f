/** `mcp-idp credentials get` by the whole program: when nothing is saved, or what is saved must be looked at with care. */
import { EXIT_INTERRUPTED, invalidInput } from '../core/errors.js'
import { type Asking, HEADER_NAME, renderToken } from '../credentials-provider/formats.js'
import { type TokenOptions, tokenFor } from './credentials-token.js'
import { reportFailure, stopAtInterrupt } from './run.js'

export interface GetOptions extends TokenOptions, Asking {
  readonly save?: boolean
}

export async function getCredential(name: string, options: GetOptions): Promise<number> {
  const stop = stopAtInterrupt()
  try {
    const { format, header } = options
    if (header !== undefined && !HEADER_NAME.test(header))
      throw invalidInput('the command line', [{ path: '--header', expected: 'the name of a header', found: header.slice(0, 64) }])
    const saved = await tokenFor(name, options, { isSaved: options.save !== false, signal: stop.signal })
    // The one intended place; nothing else is ever printed there.
    process.stdout.write(renderToken(saved, { format, header }, Date.now() / 1000))
    return 0
  } catch (error) {
    return stop.signal.aborted ? EXIT_INTERRUPTED : reportFailure(error, options)
  } finally {
    stop.end()
  }
}
