/**
 * The realm itself. Its mark is a realm attribute. People have no place for a mark until their profile has an attribute of
 * that name, so making or adopting the realm gives them one.
 */
import type RealmRepresentation from '@keycloak/keycloak-admin-client/lib/defs/realmRepresentation.js'
import { z } from 'zod'
import { ToolkitError } from '../../../core/errors.js'
import type { Observed, Reconciler } from '../../../core/plan.js'
import type { Resources } from '../../../core/resources.js'
import { OWNER_MARK } from '../../../core/vocabulary.js'
import type { Realm } from '../connect.js'
import { ownerOf } from '../ownership.js'
import type { PeopleMark } from '../people-mark.js'
import { requireRight } from '../rights.js'
import { asking, forbidden } from '../vendor-error.js'

type TenantSpec = Resources['tenant']

const FIELDS = {
  enabled: 'enabled',
  access_token_lifetime: 'accessTokenLifespan',
  session_idle_lifetime: 'ssoSessionIdleTimeout',
  session_lifetime: 'ssoSessionMaxLifespan',
  brute_force_protection: 'bruteForceProtected',
  login_failures: 'failureFactor',
  self_registration: 'registrationAllowed',
} as const satisfies Record<Exclude<keyof TenantSpec, 'name'>, keyof RealmRepresentation>

/** What somebody who may see the whole realm is shown of it. */
const wholeRealm = z.object({
  enabled: z.boolean(),
  accessTokenLifespan: z.number(),
  ssoSessionIdleTimeout: z.number(),
  ssoSessionMaxLifespan: z.number(),
  bruteForceProtected: z.boolean(),
  failureFactor: z.number(),
  registrationAllowed: z.boolean(),
  attributes: z.record(z.string(), z.unknown()).default({}),
})

export function tenants(realm: Realm, { makePlace }: PeopleMark): Reconciler<'tenant'> {
  const { api, realm: name, profile } = realm
  const ask = <T>(call: () => Promise<T>) => asking({ kind: 'tenant', key: name, needs: 'tenant:write' }, call)
  const whole = async () => {
    const seen = wholeRealm.safeParse(
      await asking({ kind: 'tenant', key: name, needs: 'tenant:read' }, () => api.realms.findOne({ realm: name })),
    )
    // With fewer rights the realm is shown with a handful of its fields.
    if (!seen.success) throw forbidden(`Keycloak does not show realm ${name}`, 'tenant:read')
    return seen.data
  }
  return {
    async observe(keys) {
      for (const key of keys) if (key !== name) throw unsupported(`realm ${key}`, 'another realm', `this connection is to realm ${name}`)
      if (keys.length === 0 || !(await realm.exists())) return new Map()
      return new Map([[name, observed(await whole(), realm)]])
    },
    async create(spec) {
      const body = { ...representationOf(spec), realm: name, attributes: { [OWNER_MARK]: profile } }
      // Enabled last: a run that is cut off leaves a realm that the next one must still touch.
      await asking({ kind: 'tenant', key: name, needs: 'tenant:create' }, () => api.realms.create({ ...body, enabled: false }))
      await makePlace()
      if (spec.enabled) await ask(() => api.realms.update({ realm: name }, { enabled: true }))
      return {}
    },
    async update(current, fields) {
      await makePlace()
      // A PUT keeps the fields that it leaves out, but replaces the attributes as a whole (measured).
      const adopted = current.owner === 'nobody' ? { attributes: { ...(await whole()).attributes, [OWNER_MARK]: profile } } : {}
      await ask(() => api.realms.update({ realm: name }, { ...representationOf(fields), ...adopted }))
    },
    async remove() {
      throw unsupported(`removing realm ${name}`, 'tenant removal', 'a realm holds what others made')
    },
    checkWrite: async () => requireRight(realm, (await realm.exists()) ? 'tenant:write' : 'tenant:create'),
  }
}

function observed(seen: z.infer<typeof wholeRealm>, { realm, profile }: Realm): Observed<'tenant'> {
  return {
    id: realm,
    owner: ownerOf(seen.attributes, profile),
    spec: {
      name: realm,
      enabled: seen.enabled,
      access_token_lifetime: seen.accessTokenLifespan,
      session_idle_lifetime: seen.ssoSessionIdleTimeout,
      session_lifetime: seen.ssoSessionMaxLifespan,
      brute_force_protection: seen.bruteForceProtected,
      login_failures: seen.failureFactor,
      self_registration: seen.registrationAllowed,
    },
  }
}

function representationOf(fields: Partial<TenantSpec>): RealmRepresentation {
  return Object.fromEntries(
    Object.entries(FIELDS).flatMap(([ours, theirs]) => {
      const value = fields[ours as keyof typeof FIELDS]
      return value === undefined ? [] : [[theirs, value]]
    }),
  )
}

function unsupported(what: string, capability: string, why: string): ToolkitError<'unsupported'> {
  return new ToolkitError('unsupported', `${what} is not supported: ${why}`, { system: 'Keycloak', capability, why })
}
