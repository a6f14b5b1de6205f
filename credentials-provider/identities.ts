/** Identities files: one identity or an array of them, for any mix of identity providers; checked whole before any request. */
import { basename, dirname } from 'node:path'
import { invalidInput, type Problem, ToolkitError } from '../core/errors.js'
import { problemsOf } from '../core/operation.js'
import { readSmallFile } from '../core/private-file.js'
import { AUTH_PROVIDERS, type AuthProvider } from '../core/vocabulary.js'
import { type Credential, type Identity, SECRET_FIELDS, type SecretField } from '../idp/tokens.js'
import { schemaOf } from './identity-schema.js'
import { type JsonDocument, parseJson } from './json-document.js'
import { isReference, openSecret, type SecretValue } from './secret-reference.js'

/** An identity and where its secret is. */
export interface IdentityEntry {
  readonly identity: Identity
  /** `identities.json:3:5` */
  readonly place: string
  /** Path of the file that it stands in. */
  readonly file: string
  readonly secret: SecretField
  /** Opens the secret, or what it names. @throws ToolkitError invalid_input, unavailable */
  credential(signal?: AbortSignal): Promise<Credential>
}

export interface ReadingIdentities {
  /** Environment variables, for `env:` references. */
  readonly env: (name: string) => string | undefined
  /** Provider of entries that name none, by default what the file's name says. */
  readonly authProvider?: AuthProvider
  /** Whether references are honoured; a folder that anybody may have made holds secrets written out only. */
  readonly mayRefer: boolean
  /** Values that go before those of the file, such as a URL given as a flag. */
  readonly overrides?: Readonly<Record<string, string>>
}

/** @throws ToolkitError not_found, invalid_input with every problem of the file and its place */
export async function readIdentities(path: string, reading: ReadingIdentities): Promise<IdentityEntry[]> {
  const text = await readSmallFile(path, { isPrivate: true })
  if (text === undefined) {
    throw new ToolkitError(
      'not_found',
      `there is no identities file ${path}`,
      { kind: 'file', key: path },
      'run mcp-idp setup m2m-app first',
    )
  }
  const document = parseJson(text, basename(path))
  const isList = Array.isArray(document.value)
  const rows: unknown[] = isList ? (document.value as unknown[]) : [document.value]
  const problems: Problem[] = []
  const entries = rows.flatMap((row, index) => {
    const at = isList ? [index] : []
    const read = readEntry(row, { path, document, at, reading })
    if (!Array.isArray(read)) return [read]
    problems.push(...read)
    return []
  })
  if (problems.length > 0) throw invalidInput(path, problems)
  return entries
}

interface Reading {
  readonly path: string
  readonly document: JsonDocument
  readonly at: readonly number[]
  readonly reading: ReadingIdentities
}

/** The entry, or what is wrong with it. */
function readEntry(row: unknown, { path, document, at, reading }: Reading): IdentityEntry | Problem[] {
  const place = (inner: readonly PropertyKey[]) => document.place([...at, ...inner])
  if (typeof row !== 'object' || row === null || Array.isArray(row)) {
    return [{ path: place([]), expected: 'an identity: an object with identity_name, auth_provider, client_id and a secret' }]
  }
  const named = { ...impliedBy(path, reading), ...row, ...reading.overrides } as Record<string, unknown>
  const provider = AUTH_PROVIDERS.find((one) => one === named['auth_provider'])
  if (provider === undefined) return [{ path: place(['auth_provider']), expected: `auth_provider: one of ${AUTH_PROVIDERS.join(', ')}` }]
  const result = schemaOf(provider).safeParse(named)
  if (!result.success) {
    return result.error.issues.map((issue, index) => ({
      ...(problemsOf(result.error)[index] ?? { expected: issue.message }),
      path: `${place(issue.path)} ${issue.path.join('.')}`.trim(),
    }))
  }
  const secret = SECRET_FIELDS.find((field) => result.data[field] !== undefined)
  if (secret === undefined) return [{ path: place([]), expected: `a secret: ${SECRET_FIELDS.join(' or ')}` }]
  const value = result.data[secret] as SecretValue
  if (!reading.mayRefer && isReference(value)) {
    return [
      { path: place([secret]), expected: 'the secret itself: references are honoured in the home folder and in files that a flag names' },
    ]
  }
  return entryOf(result.data, { path, place: place([]), secret, value, secretPlace: place([secret]), env: reading.env })
}

function entryOf(
  { identity_name, auth_provider, client_id, scope, ...rest }: Record<string, unknown>,
  from: { path: string; place: string; secret: SecretField; value: SecretValue; secretPlace: string; env: ReadingIdentities['env'] },
): IdentityEntry {
  const fields = Object.fromEntries(
    Object.entries(rest).filter(([name, value]) => typeof value === 'string' && !SECRET_FIELDS.some((one) => one === name)),
  ) as Record<string, string>
  const identity = {
    identity_name: String(identity_name),
    auth_provider: auth_provider as AuthProvider,
    client_id: String(client_id),
    ...(scope === undefined ? {} : { scope: String(scope) }),
    fields,
  }
  const { path, place, secret, value, secretPlace, env } = from
  return {
    identity,
    place,
    file: path,
    secret,
    credential: async (signal) => ({
      [secret]: await openSecret(value, { place: secretPlace, folder: dirname(path), env, ...(signal ? { signal } : {}) }),
    }),
  }
}

/** What the documented names of files say of an entry that does not say it itself. */
function impliedBy(path: string, { authProvider }: ReadingIdentities): Record<string, string> {
  const name = basename(path, '.json')
  const implied = name.startsWith('agent-') ? { identity_name: name.slice('agent-'.length), auth_provider: 'keycloak' } : {}
  return { ...implied, ...(authProvider === undefined ? {} : { auth_provider: authProvider }) }
}
