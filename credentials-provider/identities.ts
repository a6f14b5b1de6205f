/** Identities files: one identity or an array of them, for any mix of identity providers; checked whole before any request. */
import { basename, dirname } from 'node:path'
import { invalidInput, type Problem, ToolkitError } from '../core/errors.js'
import { isExposed } from '../core/origins.js'
import { readSmallFile } from '../core/private-file.js'
import type { SettingSource } from '../core/settings.js'
import { AUTH_PROVIDERS, type AuthProvider } from '../core/vocabulary.js'
import { type Credential, type Identity, SECRET_FIELDS, type SecretField, TOKEN_SOURCES } from '../idp/tokens.js'
import { entryDigest, impliedBy } from './entry-digest.js'
import { type FieldProblem, fieldProblems } from './identity-problems.js'
import { schemaOf } from './identity-schema.js'
import { type JsonDocument, parseJson } from './json-document.js'
import { holdsSecrets, isReference, openSecret, type SecretValue } from './secret-reference.js'

/** An identity and where its secret is. */
export interface IdentityEntry {
  readonly identity: Identity
  /** `identities.json:3:5` */
  readonly place: string
  /** Path of the file that it stands in. */
  readonly file: string
  readonly secret: SecretField
  /** What the file says, see `entryDigest`; absent where a flag or a setting says something besides. */
  readonly digest?: string | undefined
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
  /** For what a provider's entries may leave to the configuration. */
  readonly settings?: SettingSource
  /** Values that go before those of the file, such as a URL given as a flag. */
  readonly overrides?: Readonly<Record<string, string>>
}

/** What one file says, and what is wrong with it. */
export interface FileOfIdentities {
  readonly entries: readonly IdentityEntry[]
  readonly problems: readonly Problem[]
}

/** @throws ToolkitError not_found, invalid_input with every problem of the file and its place */
export async function readIdentities(path: string, reading: ReadingIdentities): Promise<IdentityEntry[]> {
  const { entries, problems } = await identitiesIn(path, reading)
  if (problems.length > 0) throw invalidInput(path, problems)
  return [...entries]
}

/**
 * The entries that are right beside the problems of the others.
 * @throws ToolkitError not_found; invalid_input when the file is not JSON, not ours, or open to others while it holds a secret
 */
export async function identitiesIn(path: string, reading: ReadingIdentities): Promise<FileOfIdentities> {
  const text = await readSmallFile(path, { isPrivate: holdsSecretsIn })
  if (text === undefined) {
    throw new ToolkitError(
      'not_found',
      `there is no identities file ${path}`,
      { kind: 'file', key: path },
      'run mcp-idp setup m2m-app first',
    )
  }
  const document = await parseJson(text, basename(path))
  const isList = Array.isArray(document.value)
  const entries: IdentityEntry[] = []
  const problems: Problem[] = []
  for (const [index, row] of rowsOf(document.value).entries()) {
    const read = readEntry(row, { path, document, at: isList ? [index] : [], reading })
    if (Array.isArray(read)) problems.push(...read)
    else entries.push(read)
    if (problems.length < MOST_PROBLEMS) continue
    problems.push({ path: basename(path), expected: `fewer problems; only the first ${MOST_PROBLEMS} are told` })
    break
  }
  return { entries, problems }
}

/** More help nobody. */
const MOST_PROBLEMS = 500

const rowsOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [value])

/** What is no JSON may be anything. */
function holdsSecretsIn(text: string): boolean {
  try {
    return holdsSecrets(rowsOf(JSON.parse(text.replace(/^\ufeff/, ''))))
  } catch {
    return true
  }
}

interface Reading {
  readonly path: string
  readonly document: JsonDocument
  readonly at: readonly number[]
  readonly reading: ReadingIdentities
}

/** The entry, or what is wrong with it. */
function readEntry(row: unknown, { path, document, at, reading }: Reading): IdentityEntry | Problem[] {
  const place = (field?: string) => document.place(field === undefined ? at : [...at, field])
  const wrong = (problems: readonly FieldProblem[]): Problem[] =>
    problems.map(({ field, ...rest }) =>
      field === '' ? { path: place(), ...rest } : { path: `${place(field)} ${fieldName(field)}`, ...rest },
    )
  if (typeof row !== 'object' || row === null || Array.isArray(row))
    return wrong([{ field: '', expected: 'an identity: an object with identity_name, auth_provider, client_id and a secret' }])
  const own = { ...impliedBy(path), ...row }
  const said: Record<string, unknown> = { ...own, ...providerOf(reading), ...row }
  // Saved tokens lie beside identities, under names that may be any.
  if (at.length === 0 && isTokenFile(own)) return []
  const provider = AUTH_PROVIDERS.find((one) => one === said['auth_provider'])
  if (provider === undefined) return wrong([{ field: 'auth_provider', expected: `one of ${AUTH_PROVIDERS.join(', ')}` }])
  const source = TOKEN_SOURCES[provider]
  const schema = schemaOf(provider)
  const overrides = Object.entries(reading.overrides ?? {}).filter(([field]) => Object.hasOwn(schema.shape, field))
  const named = { ...(reading.settings && source.defaults?.(reading.settings)), ...said, ...Object.fromEntries(overrides) }
  const isAlone = overrides.length === 0 && reading.authProvider === undefined && Object.keys(named).length === Object.keys(own).length
  const result = schema.safeParse(named)
  if (!result.success) return wrong(fieldProblems(result.error, named, schema))
  const [secret, another] = source.secrets.filter((field) => result.data[field] !== undefined)
  if (secret === undefined) return wrong([{ field: '', expected: `a secret: ${source.secrets.join(' or ')}` }])
  if (another !== undefined) return wrong([{ field: another, expected: `one secret only; there is a ${secret} already` }])
  const value = result.data[secret] as SecretValue
  if (!reading.mayRefer && isReference(value)) {
    const expected = 'the secret itself: references are honoured in the home folder and in files that a flag names'
    return wrong([{ field: secret, expected }])
  }
  const identity = identityOf(result.data, provider)
  const problems = source.problems?.(identity, secret) ?? []
  if (problems.length > 0) return wrong(problems.map(({ path: field, ...rest }) => ({ field, ...rest })))
  const server = serverProblem(identity, secret, reading)
  if (server) return wrong([server])
  return {
    identity,
    get place() {
      return place()
    },
    file: path,
    secret,
    // Only a token that is saved needs it.
    get digest() {
      return isAlone ? entryDigest(own) : undefined
    },
    credential: async (signal) => {
      const opening = { place: place(secret), folder: dirname(path), env: reading.env, ...(signal ? { signal } : {}) }
      return { [secret]: await openSecret(value, opening) }
    },
  }
}

/** Some fields of a documented file say nothing here; they stay in the file. */
function identityOf({ identity_name, client_id, scope, ...rest }: Record<string, unknown>, provider: AuthProvider): Identity {
  const { shape } = TOKEN_SOURCES[provider].fields
  const fields = Object.entries(rest).filter(
    (pair): pair is [string, string] => typeof pair[1] === 'string' && Object.hasOwn(shape, pair[0]),
  )
  return {
    identity_name: String(identity_name),
    auth_provider: provider,
    client_id: String(client_id),
    ...(scope === undefined ? {} : { scope: String(scope) }),
    fields: Object.fromEntries(fields),
  }
}

/** A key that no field resembles may be a secret that slipped to the wrong side of a colon. */
function fieldName(field: string): string {
  return /^[A-Za-z_-]{1,40}$/.test(field) ? field : '(a key that is no name of a field)'
}

/** That requests could be sent nowhere, or where others read along (RFC 6749 section 3.2); told here, the door would refuse it later. */
function serverProblem(identity: Identity, secret: SecretField, { settings }: ReadingIdentities): FieldProblem | undefined {
  const { issuer, token_endpoint = issuer, discovery = issuer } = TOKEN_SOURCES[identity.auth_provider].request(identity, secret)
  const urls = [...new Set([issuer, token_endpoint, discovery])]
  const expected = `fields that tell the URL of its server, as ${TOKEN_SOURCES[identity.auth_provider].title} wants them`
  if (!urls.every((url) => URL.canParse(url))) return { field: '', expected }
  if (settings === undefined || settings('MCP_IDP_ALLOW_HTTP') === 'true' || !urls.some(isExposed)) return undefined
  const [field = ''] = Object.entries(identity.fields).find(([, value]) => URL.canParse(value) && isExposed(value)) ?? []
  return { field, expected: 'https, since the secret is sent there; MCP_IDP_ALLOW_HTTP=true allows http on a network that you trust' }
}

function providerOf({ authProvider }: ReadingIdentities): Record<string, string> {
  return authProvider === undefined ? {} : { auth_provider: authProvider }
}

function isTokenFile(content: object): boolean {
  return Object.hasOwn(content, 'access_token') && !SECRET_FIELDS.some((field) => Object.hasOwn(content, field))
}
