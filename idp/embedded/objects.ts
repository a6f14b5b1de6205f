/** The store as oidc-provider wants it: one adapter a model, objects as JSON by `Model:id`. */
import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider'
import type { Store } from './store.js'

/** Adapter contract of oidc-provider; expired objects are as good as gone. */
export function objectAdapters(store: Store): AdapterFactory {
  const parsed = (row: { payload: string } | undefined) => (row === undefined ? undefined : (JSON.parse(row.payload) as AdapterPayload))
  const live = () =>
    store
      .selectFrom('objects')
      .select('payload')
      .where(({ eb, or }) => or([eb('expires_at', 'is', null), eb('expires_at', '>', now())]))

  return (model): Adapter => {
    const keyOf = (id: string) => `${model}:${id}`
    return {
      async upsert(id, payload, expiresIn) {
        if (model === 'Interaction') await sweep(store)
        const row = {
          payload: JSON.stringify(payload),
          grant_id: payload.grantId ?? null,
          uid: payload.uid ?? null,
          expires_at: expiresIn === undefined ? null : now() + expiresIn,
        }
        await store
          .insertInto('objects')
          .values({ key: keyOf(id), ...row })
          .onConflict((conflict) => conflict.column('key').doUpdateSet(row))
          .execute()
      },
      find: async (id) => parsed(await live().where('key', '=', keyOf(id)).executeTakeFirst()),
      findByUid: async (uid) => parsed(await live().where('uid', '=', uid).where('key', 'like', keyOf('%')).executeTakeFirst()),
      // Only the device flow has user codes, and it is off.
      findByUserCode: async () => undefined,
      async consume(id) {
        const payload = parsed(await live().where('key', '=', keyOf(id)).executeTakeFirst())
        if (payload === undefined) return
        await store
          .updateTable('objects')
          .set({ payload: JSON.stringify({ ...payload, consumed: now() }) })
          .where('key', '=', keyOf(id))
          .execute()
      },
      async destroy(id) {
        await store.deleteFrom('objects').where('key', '=', keyOf(id)).execute()
      },
      async revokeByGrantId(grantId) {
        await store.deleteFrom('objects').where('grant_id', '=', grantId).execute()
      },
    }
  }
}

/** Every login begins with an interaction, so the store is swept as often as it is filled. */
async function sweep(store: Store): Promise<void> {
  await store.deleteFrom('objects').where('expires_at', '<=', now()).execute()
}

function now(): number {
  return Math.floor(Date.now() / 1000)
}
