/**
 * The promises that every identity provider keeps, as functions that throw when one is broken: they run as tests of each
 * tenant, and on broken ones to prove that they can fail. Each runs on a tenant in which nothing has its names.
 */
import { ADMINISTRATION } from './promises-administration.js'
import { FAULT_PROMISES } from './promises-faults.js'
import { OBJECTS, PAGING } from './promises-objects.js'
import { SECRETS } from './promises-secrets.js'
import type { TenantUnderTest } from './tenant.js'

export interface ContractPromise {
  /** A plain sentence; it ends with the kind it is about. */
  readonly title: string
  keep(tenant: TenantUnderTest): Promise<void>
}

/** By name: `drift user`, `fault status 503 group`, `rights`. */
export const PROMISES: Readonly<Record<string, ContractPromise>> = {
  ...OBJECTS,
  ...SECRETS,
  ...ADMINISTRATION,
  ...FAULT_PROMISES,
  ...PAGING,
}
