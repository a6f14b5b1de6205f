/** The contract as tests of one tenant. What it cannot keep is an exception, with its reason and a test of the refusal. */
import { describe, expect, test } from 'vitest'
import { PROMISES } from './promises.js'
import type { TenantUnderTest } from './tenant.js'

export interface ContractException {
  /** A name in PROMISES. */
  readonly promise: string
  readonly reason: string
  /** Shows that nothing is pretended: what happens instead. */
  refusal(tenant: TenantUnderTest): Promise<void>
}

/**
 * `makeTenant` is told the name of the promise, since a server that hangs is best met with a short deadline. An exception
 * whose promise holds after all fails, so that none outlives its reason.
 */
export function contractSuite(
  name: string,
  makeTenant: (promise: string) => Promise<TenantUnderTest>,
  exceptions: readonly ContractException[] = [],
): void {
  const excepted = new Map(exceptions.map((one) => [one.promise, one]))
  const onTenant = async (promise: string, work: (tenant: TenantUnderTest) => Promise<void>): Promise<void> => {
    const tenant = await makeTenant(promise)
    try {
      await work(tenant)
    } finally {
      tenant.fault(undefined)
      await tenant.close()
    }
  }

  describe(`${name} keeps its promises:`, () => {
    for (const [promise, { title, keep }] of Object.entries(PROMISES)) {
      if (!excepted.has(promise)) test(title, () => onTenant(promise, keep))
    }
  })

  if (exceptions.length === 0) return
  describe(`${name} says why it does not promise`, () => {
    test('only what there is, and each once', () => {
      expect(exceptions.map(({ promise }) => promise).filter((promise) => PROMISES[promise] === undefined)).toEqual([])
      expect(excepted.size).toBe(exceptions.length)
    })
    for (const { promise, reason, refusal } of exceptions) {
      test(`${promise}: ${reason}`, async () => {
        await onTenant(promise, refusal)
        const held = await onTenant(promise, (tenant) => PROMISES[promise]?.keep(tenant) ?? Promise.resolve()).then(
          () => true,
          () => false,
        )
        expect(held, `${promise} holds after all: remove the exception`).toBe(false)
      })
    }
  })
}
