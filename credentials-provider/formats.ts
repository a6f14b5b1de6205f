/** A token as those who ask take it: the text itself, a JSON object, HTTP headers, or a variable. Loads no schema library. */
import { renderDotenv } from './dotenv.js'
import { isoOf } from './freshness.js'
import type { SavedToken } from './saved-token.js'

export const FORMATS = ['raw', 'json', 'headers', 'dotenv'] as const
export type Format = (typeof FORMATS)[number]

/** RFC 9110 section 5.6.2. */
export const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/
export const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/
export const VARIABLE = 'ACCESS_TOKEN'

export interface Asking {
  readonly format: Format
  /** Name of the header, of `headers`. */
  readonly header?: string | undefined
}

/** Text for `raw` and `dotenv`, an object for `json` and `headers`. @param now seconds since the epoch */
export function formatted(saved: SavedToken, { format, header = 'Authorization' }: Asking, now: number): string | object {
  const { token_type, expires_at } = saved
  const access_token = saved.token.reveal()
  switch (format) {
    case 'raw':
      return access_token
    case 'dotenv':
      return renderDotenv(tokenVariable(saved, VARIABLE))
    case 'headers':
      // RFC 6750 section 2.1: the scheme is written so, however the answer spelled the type.
      return { [header]: `${/^bearer$/i.test(token_type) ? 'Bearer' : token_type} ${access_token}` }
    case 'json':
      return { access_token, token_type, expires_in: Math.max(0, Math.floor(expires_at - now)), expires_at: isoOf(expires_at) }
  }
}

/** The same as lines to print. */
export function renderToken(saved: SavedToken, asking: Asking, now: number): string {
  const value = formatted(saved, asking, now)
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.endsWith('\n') ? text : `${text}\n`
}

/** The token as a variable of an environment. */
export function tokenVariable({ token }: SavedToken, name: string): Readonly<Record<string, string>> {
  return { [name]: token.reveal() }
}
