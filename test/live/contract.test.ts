/** The contract on a real Keycloak. */
import { afterAll, beforeAll, expect } from 'vitest'
import { type FaultyFront, faultyFront } from '../contract/front.js'
import { sample } from '../contract/samples.js'
import { type ContractException, contractSuite } from '../contract/suite.js'
import { KINDS } from '../contract/tenant.js'
import { keycloakUnderTest } from './contract-keycloak.js'
import { keycloak, makeRealm, type Realm } from './rig/keycloak.js'

let realm: Realm
let front: FaultyFront
beforeAll(async () => {
  realm = await makeRealm({ adminEvents: false })
  front = await faultyFront(keycloak().url)
  // A place for our mark among the attributes of people, as `init` makes one.
  const profile = await realm.admin<object>('GET', '/users/profile')
  await realm.admin('PUT', '/users/profile', { ...profile.body, unmanagedAttributePolicy: 'ADMIN_EDIT' })
})
afterAll(async () => {
  await front?.close()
  await realm?.remove()
})

const unique = KINDS.map(
  (kind): ContractException => ({
    promise: `ambiguous ${kind}`,
    reason: 'the server keeps names unique',
    async refusal(tenant) {
      const { spec } = sample(tenant, kind, tenant.name('twin'))
      await tenant.plant(kind, spec)
      await expect(tenant.plant(kind, spec)).rejects.toThrow('409')
    },
  }),
)

contractSuite('Keycloak', (promise) => keycloakUnderTest(realm, front, promise), unique)
