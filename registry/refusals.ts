/**
 * What the registry's refusals mean in our codes. It answers in four shapes: `{detail: text}`, `{detail: rows}`,
 * `{error, reason}` and a proxy's HTML page, which tells nothing but its status.
 */
import { z } from 'zod'
import { invalidInput, type Problem, ToolkitError } from '../core/errors.js'
import { cleanText } from '../core/foreign-text.js'
import type { Answer } from '../core/http.js'

/** What the request was about, for `not_found`, `conflict` and `owned_elsewhere`. */
export interface Subject {
  readonly kind?: string
  readonly key?: string
}

const shape = z.object({
  detail: z.union([z.string(), z.array(z.object({ loc: z.array(z.union([z.string(), z.number()])), msg: z.string() }))]).optional(),
  error: z.string().optional(),
  reason: z.string().optional(),
})

/** An error for any answer that is not a success; `system` is the registry's URL. */
export function registryError(
  { status, headers, json }: Answer,
  system: string,
  { kind = 'registry', key = system }: Subject,
): ToolkitError {
  const body = shape.safeParse(json)
  const { detail, error, reason } = body.success ? body.data : {}
  const said = oneLine(typeof detail === 'string' ? detail : (reason ?? error ?? ''))
  const text = (otherwise: string) => (said === '' ? otherwise : `the registry says: ${said}`)
  switch (status) {
    case 401:
      return new ToolkitError(
        'unauthenticated',
        `${system} did not accept the token`,
        { system, status },
        'mint a new one; check its issuer and audience',
      )
    case 403:
      return forbidden(said, text('the registry refused'), system, { kind, key })
    case 404:
      if (said !== '' && said !== 'Not Found') return new ToolkitError('not_found', text(''), { kind, key })
      return new ToolkitError(
        'not_found',
        `${key} is not there`,
        { kind, key },
        'check the URL, and that the registry offers this interface',
      )
    case 409:
      return new ToolkitError('conflict', text(`${kind} ${key} exists already`), { kind, key })
    case 400:
    case 413:
    case 422:
      return invalidInput('the request', problemsOf(detail, said))
    case 429:
      return new ToolkitError('rate_limited', `${system} asks to slow down`, { system, ...retryAfter(headers) })
    default:
      if (status < 500) return new ToolkitError('unexpected_response', `${system} answered ${status}`, { system, reason: 'status', status })
      return new ToolkitError('unavailable', `${system} cannot answer now (${status})`, { system, reason: 'server_error', status })
  }
}

/** The registry has no code for this, only its text. */
const SYNCED = /was registered by IdP sync and cannot be/

function forbidden(said: string, message: string, system: string, { kind, key }: Required<Subject>): ToolkitError {
  if (SYNCED.test(said))
    return new ToolkitError('owned_elsewhere', message, { kind, key, owner: 'IdP sync' }, 'change it at the identity provider')
  if (said.includes('allow_privileged')) {
    return new ToolkitError('forbidden', message, { system, needs: ['allow_privileged'], status: 403 }, 'repeat with --allow-privileged')
  }
  const needs = /^Administrator permissions/.test(said) ? ['registry administrator'] : [`a group with access to ${kind} ${key}`]
  return new ToolkitError('forbidden', message, { system, needs, status: 403 }, 'use a token whose groups have that right')
}

/** Places come without the leading `body`; what was sent is not repeated. */
function problemsOf(detail: z.output<typeof shape>['detail'], said: string): Problem[] {
  if (!Array.isArray(detail)) return [{ path: 'request', expected: said === '' ? 'something else' : said }]
  return detail.slice(0, 50).map(({ loc, msg }) => {
    const place = loc.length > 1 && (loc[0] === 'body' || loc[0] === 'query') ? loc.slice(1) : loc
    const path = place.map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${oneLine(part)}`)).join('')
    return { path, expected: oneLine(msg) }
  })
}

function retryAfter(headers: Headers): { retry_after_seconds?: number } {
  const seconds = Number(headers.get('retry-after') ?? Number.NaN)
  return Number.isFinite(seconds) ? { retry_after_seconds: seconds } : {}
}

/** A line break in a message would let the registry write lines of its own into ours. */
function oneLine(text: string): string {
  return cleanText(text.replace(/\s+/g, ' ').trim())
}
