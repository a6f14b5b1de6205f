/** What a refusal of Keycloak says: the roles of the right that the request needed, and where to grant them. */
import { expect, test } from 'vitest'
import { RIGHTS, type Right } from '../../../core/rights.js'
import { keycloakCapabilities } from '../../../idp/keycloak/capabilities.js'
import { asking } from '../../../idp/keycloak/vendor-error.js'

/** As the admin client throws it. */
const refusal = (status: number) =>
  Object.assign(new Error('HTTP 403 Forbidden'), { response: new Response(null, { status }), responseData: {} })
const asked = (needs: Parameters<typeof asking>[0]['needs'], status = 403) =>
  asking({ kind: 'tenant', key: 'made', needs }, () => Promise.reject(refusal(status)))

test.each(Object.keys(RIGHTS) as Right[])('a refusal of %s names every role of it', async (right) => {
  const needs = keycloakCapabilities.rights[right]
  expect(needs.length).toBeGreaterThan(0)
  await expect(asked(right)).rejects.toMatchObject({
    code: 'forbidden',
    details: { needs },
    message: expect.stringContaining(needs.join(', ')),
  })
})

test('only the right to make a realm is granted in master', async () => {
  for (const right of Object.keys(RIGHTS) as Right[])
    await expect(asked(right)).rejects.toMatchObject({
      hint: expect.stringContaining(right === 'tenant:create' ? 'master' : 'realm-management'),
    })
})

test('no other status is a missing right', async () => {
  for (const status of [400, 401, 404, 409, 429, 500])
    await expect(asked('tenant:write', status)).rejects.not.toMatchObject({ code: 'forbidden' })
})
