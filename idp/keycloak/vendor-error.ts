/** Keycloak's failures as ours. Status and a well-formed code are copied; its texts are not, since they echo what was sent. */
import { ToolkitError, toolkitErrorIn } from '../../core/errors.js'
import type { Kind } from '../../core/resources.js'
import type { Right } from '../../core/rights.js'
import { masked } from '../../core/secret.js'
import { keycloakCapabilities } from './capabilities.js'

interface Asked {
  readonly kind: Kind
  readonly key: string
  /** What the request needs: a right of ours, or roles of `realm-management`. */
  readonly needs: Right | readonly string[]
}

const CODE = /^[A-Za-z_]{1,60}$/
/** Measured: roles alone are not enough when the service account's own client has full scope off. */
const ROLES_HINT =
  'grant these roles of realm-management; a service account also needs them in the scope of its own client (or full scope there)'
const CREATE_HINT = 'grant this role of the realm master to an administrator who logs in there, or let somebody else make the realm'

function vendorError(error: unknown, { kind, key, needs }: Asked): ToolkitError {
  const ours = toolkitErrorIn(error)
  if (ours) return ours
  const status = statusOf(error)
  if (status === undefined) {
    return new ToolkitError(
      'unexpected_response',
      `Keycloak's answer for ${kind} ${key} cannot be read`,
      { system: 'Keycloak', reason: 'unreadable' },
      'run again',
    )
  }
  const code = codeOf(error)
  const details = { system: 'Keycloak', status, ...(code === undefined ? {} : { vendor_code: code }) }
  if (status === 401) return new ToolkitError('unauthenticated', 'Keycloak did not accept the administrator’s token', details, 'run again')
  if (status === 403) return forbidden(`Keycloak does not let us touch ${kind} ${key}`, needs)
  if (status === 404) return new ToolkitError('not_found', `Keycloak has no ${kind} ${key}`, { kind, key })
  if (status === 409)
    return new ToolkitError('conflict', `Keycloak already has something named like ${kind} ${key}`, { kind, key }, 'choose another name')
  if (status === 429) return new ToolkitError('rate_limited', 'Keycloak asks to slow down', { system: 'Keycloak' }, 'wait, then run again')
  if (status >= 500)
    return new ToolkitError(
      'unavailable',
      `Keycloak answers ${status}`,
      { system: 'Keycloak', reason: 'server_error', status },
      'run again',
    )
  return new ToolkitError('unexpected_response', `Keycloak refused ${kind} ${key} (${status})`, { ...details, reason: 'refused' })
}

/** A refusal that names the roles which are needed. */
export function forbidden(message: string, needed: Asked['needs']): ToolkitError<'forbidden'> {
  const needs = typeof needed === 'string' ? keycloakCapabilities.rights[needed] : needed
  const hint = needed === 'tenant:create' ? CREATE_HINT : ROLES_HINT
  return new ToolkitError('forbidden', `${message} (needs ${needs.join(', ')})`, { system: 'Keycloak', needs }, hint)
}

/** Runs one vendor call; its failure becomes ours. */
export async function asking<T>(asked: Asked, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw vendorError(error, asked)
  }
}

function statusOf(error: unknown): number | undefined {
  const response = typeof error === 'object' && error !== null && 'response' in error ? error.response : undefined
  return response instanceof Response ? response.status : undefined
}

function codeOf(error: unknown): string | undefined {
  const data = typeof error === 'object' && error !== null && 'responseData' in error ? error.responseData : undefined
  const code = typeof data === 'object' && data !== null && 'error' in data ? data.error : undefined
  // A word that is the very secret that was sent is no code.
  return typeof code === 'string' && CODE.test(code) && masked(code) === code ? code : undefined
}
