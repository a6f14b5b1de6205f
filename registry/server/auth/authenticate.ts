/** From request headers to a caller: the bearer token (RFC 6750 section 2.1), the client's record, the scopes. */
import { ToolkitError } from '../../../core/errors.js'
import type { Store } from '../store/store.js'
import { type Caller, callerOf } from './caller.js'
import type { Verifier } from './verify.js'

/** @throws ToolkitError unauthenticated; unavailable when an issuer's keys or the database cannot be read */
export type Authenticate = (headers: Headers) => Promise<Caller>

const BEARER = /^Bearer +([A-Za-z0-9\-._~+/]+=*)$/i

export function authenticator({ verify }: Verifier, store: Store): Authenticate {
  return async (headers) => {
    // As in the original: it serves where a proxy keeps Authorization for itself, so it wins, also when it is wrong.
    const value = headers.get('x-authorization') ?? headers.get('authorization')
    const bearer = BEARER.exec(value ?? '')?.[1]
    if (bearer === undefined) {
      const vendor_code = value === null ? 'missing' : 'malformed'
      throw new ToolkitError('unauthenticated', 'there is no bearer token', { system: 'registry', vendor_code })
    }
    const token = await verify(bearer)
    const record = token.client_id === null ? undefined : await store.m2mClients.get(token.client_id)
    return callerOf(token, record, await store.scopes())
  }
}
