/**
 * Secrets at rest as JSON files, each with a pending copy beside it; and the file of a client secret, which is an entry of
 * an identities file. A person's password is in `password-file.ts`.
 */
import { z } from 'zod'
import { invalidInput, ToolkitError } from './errors.js'
import { jsonOf } from './json-text.js'
import { createPrivateFile, readSmallFile, removeFile, removeStale, savePrivateFile } from './private-file.js'
import { Secret } from './secret.js'
import type { SecretSink } from './sink.js'

/** How a secret and its subject stand in a file. */
export interface Rendering {
  /** The whole file; `subject` is empty in a pending copy. */
  render(secret: string, subject: string): object
  readonly shape: z.ZodType<{ secret: string; subject: string }>
  /** The shape in words, for whoever has to mend the file. */
  readonly expected: string
}

/** What an identities file says of a client besides its id and secret: provider, URL, realm. */
export type IdentityFacts = { readonly identity_name: string; readonly auth_provider: string } & Readonly<Record<string, string>>

const identity = z
  .object({ client_id: z.string(), client_secret: z.string().min(1) })
  .transform(({ client_id, client_secret }) => ({ subject: client_id, secret: client_secret }))

/** A sink whose file is a whole entry of an identities file, so that `credentials generate` reads it as it is. */
export function secretFile(path: string, facts: IdentityFacts): SecretSink {
  return jsonSink(path, {
    render: (client_secret, client_id) => ({ ...facts, client_id, client_secret }),
    shape: identity,
    expected: 'one identity with client_id and client_secret, as this tool writes it',
  })
}

/** A sink of one JSON file, 0600; a pending secret lies in `<path>.pending` until it is saved. */
export function jsonSink(path: string, { render, shape, expected }: Rendering): SecretSink {
  const pending = `${path}.pending`
  const rendered = (secret: Secret, subject: string) => `${JSON.stringify(render(secret.reveal(), subject), null, 2)}\n`
  const read = async (from: string) => {
    const text = await readSmallFile(from, { isPrivate: true })
    if (text === undefined) return undefined
    const result = shape.safeParse(jsonOf(text))
    if (!result.success) throw invalidInput('the secret file', [{ path: from, expected }], 'name another --secret-file')
    return { secret: new Secret(result.data.secret), subject: result.data.subject }
  }
  return {
    place: path,
    read: () => read(path),
    async readPending() {
      // Also of a save that was cut off: whoever ran again within the minute saved anew beside it.
      await removeStale(pending, path)
      return (await read(pending))?.secret
    },
    async savePending(secret) {
      if (await createPrivateFile(pending, rendered(secret, ''))) return
      // What is there may be a planted link, which running again does not mend.
      await readSmallFile(pending, { isPrivate: true })
      throw new ToolkitError(
        'conflict',
        `${pending} exists: another run may be creating what it is for`,
        { kind: 'file', key: pending },
        'run again',
      )
    },
    discardPending: () => removeFile(pending),
    async save(secret, subject) {
      const receipt = await savePrivateFile(path, rendered(secret, subject))
      await removeFile(pending)
      await removeStale(pending)
      return receipt
    },
  }
}
