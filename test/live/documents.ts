/** What the documents and the recordings of the handbook say of identities and of token requests, read and not copied. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { handbook } from '../handbook.js'

/** An entry of an identities file, as a document has it. */
export type DocumentedIdentity = Readonly<Record<string, string>>

/** A file that a document shows: an object for `agent-<name>.json`, a list for `entra-identities.json`. */
export interface DocumentedFile {
  readonly document: string
  readonly content: DocumentedIdentity | readonly DocumentedIdentity[]
}

/** Every identities file that a document shows, in its order: the JSON texts in it that hold a client_secret. */
export function documentedFiles(document: '001' | '004'): DocumentedFile[] {
  const folder = handbook('seeds')
  const name = readdirSync(folder).find((one) => one.startsWith(document)) ?? ''
  const text = readFileSync(join(folder, name), 'utf8')
  // Each stands alone between a line that opens it and one that closes it.
  return [...text.matchAll(/^(?:\[$[\s\S]*?^\]$|\{$[\s\S]*?^\}$)/gm)]
    .flatMap(([block]) => {
      try {
        return [JSON.parse(block) as DocumentedFile['content']]
      } catch {
        return []
      }
    })
    .filter((content) => [content].flat().every((one) => 'client_secret' in one))
    .map((content) => ({ document, content }))
}

/** A request to Okta's token endpoint and its answer, as somebody else recorded them. */
export interface Recorded {
  readonly request: { readonly method: string; readonly uri: string; readonly body: Readonly<Record<string, string>> }
  readonly response: { readonly status: { readonly code: number }; readonly body: { readonly string: string } }
}

const TOKEN_PATH = '/oauth2/v1/token'

/** The token exchanges of one cassette. */
export function recordedExchanges(cassette: string): Recorded[] {
  const path = handbook(`fixtures/okta/recordings/test_dpop_it/${cassette}.yaml`)
  const { interactions } = parse(readFileSync(path, 'utf8')) as { interactions: Recorded[] }
  return interactions.filter(({ request }) => new URL(request.uri).pathname === TOKEN_PATH)
}
