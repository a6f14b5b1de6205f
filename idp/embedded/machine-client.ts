/** The gateway's own confidential client, there from the first start; its id and secret lie in a kept file. */
import { objectAdapters } from './objects.js'
import type { Store } from './store.js'

interface MachineClient {
  readonly client_id: string
  readonly client_secret: string
  readonly client_name: string
}

/**
 * Writes the client unless it is there, and answers the secret that is good: one that was replaced since is in the store
 * alone. A machine has no responses and no redirects (RFC 6749 section 4.4).
 */
export async function seedMachineClient(store: Store, client: MachineClient): Promise<string> {
  const clients = objectAdapters(store)('Client')
  const there = await clients.find(client.client_id)
  if (there) return there.client_secret ?? client.client_secret
  await clients.upsert(client.client_id, {
    ...client,
    client_id_issued_at: Math.floor(Date.now() / 1000),
    client_secret_expires_at: 0,
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    token_endpoint_auth_method: 'client_secret_basic',
  })
  return client.client_secret
}
