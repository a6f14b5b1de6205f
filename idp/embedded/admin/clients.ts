/** The one thing that dynamic registration (RFC 7592) leaves out: a confidential client's secret, replaced by one of ours. */
import { sql } from 'kysely'
import { z } from 'zod'
import type { Store } from '../store.js'
import { type Route, refused, withBody } from './route.js'

// VSCHAR of RFC 6749 appendix A.2 without the space; 32 characters or more, so that nobody sets a word.
const replacement = z.strictObject({ client_secret: z.string().regex(/^[\x21-\x7e]{32,256}$/) })

/** `/admin/clients/<client_id>/secret`: the old secret ends with the answer. */
export function clientSecret(store: Store): Route {
  return {
    PUT: ({ key, body }) =>
      withBody(replacement, body, async ({ client_secret }) => {
        const stored = `Client:${key}`
        // One statement: a registration that is changed at the same time loses nothing. oidc-provider reads it at each request.
        const { numUpdatedRows } = await store
          .updateTable('objects')
          .set({ payload: sql`json_set(payload, '$.client_secret', ${client_secret})` })
          .where('key', '=', stored)
          .where(sql`json_extract(payload, '$.client_secret')`, 'is not', null)
          .executeTakeFirstOrThrow()
        if (numUpdatedRows > 0n) return { status: 204 }
        const client = await store.selectFrom('objects').select('key').where('key', '=', stored).executeTakeFirst()
        return client ? refused(409, 'public_client') : refused(404, 'not_found')
      }),
  }
}
