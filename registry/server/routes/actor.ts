/** Who an audit row names for a change. */
import { type Caller, nameOf } from '../auth/caller.js'
import type { Actor } from '../store/audit.js'

export function actorOf(caller: Caller): Actor {
  return { issuer: caller.issuer, subject: caller.subject, name: nameOf(caller) }
}
