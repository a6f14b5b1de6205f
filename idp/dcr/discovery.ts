/**
 * Where an issuer registers clients. Both metadata documents are read, since servers put the registration endpoint into
 * one, the other or both; each must name the issuer exactly as it was asked for.
 */
import { z } from 'zod'
import { ToolkitError } from '../../core/errors.js'
import type { Door } from '../../core/http.js'
import { isAtIssuer } from './registrations.js'

const metadata = z.looseObject({ issuer: z.string().max(2048), registration_endpoint: z.string().max(2048).optional() })

/**
 * The registration endpoint of an issuer.
 * @throws ToolkitError not_found when there is no metadata, unsupported when it names no endpoint, unexpected_response for
 * another issuer (RFC 8414 section 3.3), two different endpoints, or one at another origin
 */
export async function registrationEndpoint(issuer: string, door: Door): Promise<string> {
  const documents = (await Promise.all(metadataUrls(issuer).map((url) => readMetadata(url, issuer, door)))).filter(
    (one) => one !== undefined,
  )
  if (documents.length === 0) {
    throw new ToolkitError(
      'not_found',
      `there is no issuer ${issuer}`,
      { kind: 'issuer', key: issuer },
      'check the URL, and that the server is up',
    )
  }
  const [endpoint, other] = new Set(documents.flatMap(({ registration_endpoint }) => registration_endpoint ?? []))
  if (endpoint === undefined) {
    const details = { system: issuer, capability: 'dynamic client registration', why: 'its metadata names no registration_endpoint' }
    throw new ToolkitError('unsupported', `${issuer} does not offer dynamic client registration`, details)
  }
  if (other !== undefined) throw unexpected(issuer, 'names two different registration endpoints', 'two_endpoints')
  if (!isAtIssuer(endpoint, issuer)) throw unexpected(issuer, 'has its registration endpoint at another origin', 'foreign_origin')
  return endpoint
}

/** RFC 8414 section 3.1 puts the well-known part before the issuer's path, OpenID Connect Discovery 1.0 section 4 after it. */
function metadataUrls(issuer: string): [string, string] {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, '')
  return [`${origin}/.well-known/oauth-authorization-server${path}`, `${origin}${path}/.well-known/openid-configuration`]
}

async function readMetadata(url: string, issuer: string, door: Door): Promise<z.output<typeof metadata> | undefined> {
  const { status, json } = await door.send({ method: 'GET', url })
  if (status === 404) return undefined
  if (status === 429) throw new ToolkitError('rate_limited', `${issuer} asks to slow down`, { system: issuer }, 'wait, then run again')
  if (status >= 500)
    throw new ToolkitError('unavailable', `${issuer} answers ${status}`, { system: issuer, reason: 'server_error', status }, 'run again')
  const result = metadata.safeParse(json)
  if (status === 200 && result.success && result.data.issuer === issuer) return result.data
  throw unexpected(issuer, 'does not describe itself as that issuer', 'issuer_mismatch', status)
}

function unexpected(issuer: string, what: string, reason: string, status?: number): ToolkitError {
  const details = { system: issuer, reason, ...(status === undefined ? {} : { status }) }
  return new ToolkitError(
    'unexpected_response',
    `${issuer} ${what}`,
    details,
    'spell the issuer exactly as the server does: scheme, host, port',
  )
}
