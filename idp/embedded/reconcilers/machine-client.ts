/** Machine clients of the embedded provider: those of dynamic registration, and their secrets can be replaced. */
import { ToolkitError } from '../../../core/errors.js'
import type { Reconciler } from '../../../core/plan.js'
import type { AdminClient } from '../admin-client.js'

/** Adds `setSecret` to what the DCR adapter makes: RFC 7592 has no way to choose one. */
export function withSetSecret(registered: Reconciler<'machine-client'>, admin: AdminClient): Reconciler<'machine-client'> {
  return {
    ...registered,
    async setSecret({ id, spec: { client_name } }, secret) {
      const answer = await admin.send('PUT', ['clients', id, 'secret'], { client_secret: secret })
      if (answer.status === 204) return
      const about = { kind: 'machine-client', key: client_name }
      if (answer.status === 404) throw new ToolkitError('not_found', `machine-client ${client_name} does not exist`, about, 'run again')
      if (answer.status === 409) throw new ToolkitError('conflict', `client ${client_name} has no secret to replace`, about, 'run again')
      throw admin.failure(answer)
    },
  }
}
