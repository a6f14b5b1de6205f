/** A token at rest, as it is read. Loads no schema library: the shortest way to a cached token passes here. */
import { readSmallFile } from '../core/private-file.js'
import { Secret } from '../core/secret.js'
import { secondsOf, type TokenTimes } from './freshness.js'

/** Times in seconds since the epoch, the lifetime in seconds. */
export interface SavedToken extends TokenTimes {
  readonly token: Secret
  readonly token_type: string
  readonly client_id?: string
  readonly issuer?: string
  readonly identity_name?: string
  readonly provider?: string
  readonly scope?: string
  /** What was asked for, see `requestDigest`. */
  readonly request_digest?: string
  /** What the entry said that it was asked for by, see `entryDigest`. */
  readonly entry_digest?: string
}

/** A token file of any of the documented shapes; undefined when there is none or it is not one. @throws ToolkitError invalid_input for what is no plain file */
export async function readTokenFile(path: string): Promise<SavedToken | undefined> {
  const text = await readSmallFile(path)
  return text === undefined ? undefined : savedTokenIn(text)
}

/** `expires_at` is ISO 8601 or seconds since the epoch: both are in use. */
export function savedTokenIn(text: string): SavedToken | undefined {
  const content = objectIn(text)
  const access_token = textOf(content?.['access_token'])
  const expires_at = secondsOf(content?.['expires_at'])
  if (content === undefined || access_token === undefined || expires_at === undefined) return undefined
  const generated_at = secondsOf(content['generated_at'])
  const expires_in = content['expires_in']
  const lifetime = typeof expires_in === 'number' ? expires_in : generated_at === undefined ? undefined : expires_at - generated_at
  return {
    token: new Secret(access_token),
    token_type: textOf(content['token_type']) ?? 'Bearer',
    expires_at,
    ...(lifetime === undefined ? {} : { lifetime }),
    ...(generated_at === undefined ? {} : { generated_at }),
    ...texts(content, ['client_id', 'issuer', 'identity_name', 'provider', 'scope', 'request_digest', 'entry_digest']),
  }
}

type TextField = 'client_id' | 'issuer' | 'identity_name' | 'provider' | 'scope' | 'request_digest' | 'entry_digest'

function texts(content: Readonly<Record<string, unknown>>, names: readonly TextField[]): { readonly [N in TextField]?: string } {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = textOf(content[name])
      return value === undefined ? [] : [[name, value]]
    }),
  )
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function objectIn(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
