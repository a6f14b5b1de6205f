/** Whether a realm is there, and the issuer that it is or will be: without a token, by its public metadata. */
import { ToolkitError } from '../../core/errors.js'
import { cleanText } from '../../core/foreign-text.js'
import type { Door } from '../../core/http.js'
import { shared } from './bulk-reads.js'

interface Place {
  readonly url: string
  readonly realm: string
  readonly door: Door
}

interface Existence {
  /** As the server spells it, which is what tokens say. */
  readonly issuer: string
  /** Whether the realm is there; asked until it is, since it may be made by us. @throws unexpected_response for another issuer */
  exists(): Promise<boolean>
}

/**
 * What the realm calls itself. While it is missing that is foretold from the URL, and compared once it is there.
 * @throws ToolkitError not_found, unavailable, unexpected_response for something that is no Keycloak
 */
export async function existence(place: Place & { mayBeMissing: boolean }): Promise<Existence> {
  const { url, realm, mayBeMissing } = place
  const found = await issuerOf(place)
  if (found !== undefined) return { issuer: found, exists: async () => true }
  if (!mayBeMissing) {
    throw new ToolkitError(
      'not_found',
      `realm ${realm} does not exist at ${url}`,
      { kind: 'realm', key: realm },
      'check KEYCLOAK_REALM and the path of KEYCLOAK_URL',
    )
  }
  const issuer = `${url}/realms/${realm}`
  let isThere = false
  const look = shared(async () => {
    const now = await issuerOf(place)
    if (now !== undefined && now !== issuer) {
      const details = { system: url, reason: 'issuer_mismatch' }
      throw new ToolkitError(
        'unexpected_response',
        `realm ${realm} calls itself ${cleanText(now, 200)}, not ${issuer}`,
        details,
        'run again',
      )
    }
    isThere = now !== undefined
    return isThere
  })
  return { issuer, exists: async () => isThere || look() }
}

/** Undefined when there is no such realm; a disabled one answers like any other. */
async function issuerOf({ url, realm, door }: Place): Promise<string | undefined> {
  const { status, json } = await door.send({ method: 'GET', url: `${url}/realms/${realm}/.well-known/openid-configuration` })
  if (status === 404) return undefined
  const issuer = typeof json === 'object' && json !== null && 'issuer' in json ? json.issuer : undefined
  if (status === 200 && typeof issuer === 'string') return issuer
  if (status >= 500)
    throw new ToolkitError(
      'unavailable',
      `${url} answers ${status}`,
      { system: url, reason: 'server_error', status },
      'wait until it has started',
    )
  throw new ToolkitError(
    'unexpected_response',
    `${url} does not answer as a Keycloak`,
    { system: url, reason: 'no_metadata', status },
    'check KEYCLOAK_URL',
  )
}
