/** What an entry of an identities file says, as a short text to compare: a token saved for the same text is the one it asks for. Loads no schema library. */
import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import type { SecretField } from '../idp/tokens.js'

type Entry = Readonly<Record<string, unknown>>

/** The same token answers to any secret; a field that is missing here does not compile. */
const SECRETS: Readonly<Record<SecretField, true>> = { client_secret: true, private_key: true, client_certificate: true }

/** Sixteen hex digits that change with anything the entry says, but for its secret. */
export function entryDigest(entry: Entry): string {
  const said = Object.entries(entry)
    .filter(([name]) => !Object.hasOwn(SECRETS, name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256').update(JSON.stringify(said)).digest('hex').slice(0, 16)
}

/** What the documented name of a file says of an entry that does not say it itself: `agent-x.json` is Keycloak's identity x, `entra-identities.json` is Entra's. */
export function impliedBy(path: string): Readonly<Record<string, string>> {
  const name = basename(path, '.json')
  if (name === 'entra-identities') return { auth_provider: 'entra' }
  return name.startsWith('agent-') ? { identity_name: name.slice('agent-'.length), auth_provider: 'keycloak' } : {}
}
