/** The file sink of a client secret: an entry of an identities file, so that `credentials generate` reads it as it is. */
import { invalidInput, ToolkitError } from './errors.js'
import { createPrivateFile, readSmallFile, refuseForeignFile, removeFile, savePrivateFile } from './private-file.js'
import { Secret } from './secret.js'
import type { SecretSink } from './sink.js'

/** What an identities file says of a client besides its id and secret: provider, URL, realm. */
export type IdentityFacts = { readonly identity_name: string; readonly auth_provider: string } & Readonly<Record<string, string>>

/** A sink whose file is a whole entry of an identities file, so that `credentials generate` reads it as it is. */
export function secretFile(path: string, facts: IdentityFacts): SecretSink {
  const pending = `${path}.pending`
  const entry = (secret: Secret, client_id: string) =>
    `${JSON.stringify({ ...facts, client_id, client_secret: secret.reveal() }, null, 2)}\n`
  return {
    place: path,
    async read() {
      await refuseForeignFile(path)
      const text = await readSmallFile(path)
      if (text === undefined) return undefined
      const { client_id, client_secret } = entryOf(text, path)
      return { secret: new Secret(client_secret), subject: client_id }
    },
    async readPending() {
      const text = await readSmallFile(pending)
      return text === undefined ? undefined : new Secret(entryOf(text, pending).client_secret)
    },
    async savePending(secret) {
      if (await createPrivateFile(pending, entry(secret, ''))) return
      throw new ToolkitError(
        'conflict',
        `${pending} exists: another run may be creating this client`,
        { kind: 'file', key: pending },
        'run again',
      )
    },
    discardPending: () => removeFile(pending),
    async save(secret, subject) {
      const receipt = await savePrivateFile(path, entry(secret, subject))
      await removeFile(pending)
      return receipt
    },
  }
}

function entryOf(text: string, path: string): { client_id: string; client_secret: string } {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = undefined
  }
  const { client_id, client_secret } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  if (typeof client_id === 'string' && typeof client_secret === 'string' && client_secret !== '') return { client_id, client_secret }
  throw invalidInput(
    'the secret file',
    [{ path, expected: 'one identity with client_id and client_secret, as this tool writes it' }],
    'name another --secret-file',
  )
}
