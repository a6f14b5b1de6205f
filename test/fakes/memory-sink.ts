/** A secret sink in memory that keeps the promises of the file sink and writes every call to a timeline. */
import { ToolkitError } from '../../core/errors.js'
import { Secret } from '../../core/secret.js'
import type { SecretSink } from '../../core/sink.js'
import type { Timeline } from './timeline.js'

export interface MemorySink extends SecretSink {
  /** What a person would find in the file. */
  readonly content: { readonly secret: string; readonly client_id: string } | undefined
  readonly pending: string | undefined
}

/** An empty sink; `place` is what plans show. */
export function memorySink(line: Timeline, place = 'memory/agent.json'): MemorySink {
  let content: { secret: string; client_id: string } | undefined
  let pending: string | undefined
  return {
    place,
    get content() {
      return content
    },
    get pending() {
      return pending
    },
    read: () =>
      line.during('sink read', () =>
        content === undefined ? undefined : { secret: new Secret(content.secret), subject: content.client_id },
      ),
    readPending: () => line.during('sink readPending', () => (pending === undefined ? undefined : new Secret(pending))),
    savePending: (secret) =>
      line.during('sink savePending', () => {
        if (pending !== undefined) throw new ToolkitError('conflict', 'pending exists', { kind: 'file', key: place })
        pending = secret.reveal()
      }),
    discardPending: () =>
      line.during('sink discardPending', () => {
        pending = undefined
      }),
    save: (secret, subject) =>
      line.during('sink save', () => {
        content = { secret: secret.reveal(), client_id: subject }
        pending = undefined
        return { saved_to: place, mode: '0600' }
      }),
  }
}
