/** Promises about a server that fails: each way of failing is told by the right code, in reading and in writing. */
import { expect } from 'vitest'
import { Secret } from '../../core/secret.js'
import { failureOf } from '../fakes/door.js'
import type { ContractPromise } from './promises.js'
import { sample } from './samples.js'
import { type ContractKind, FAULTS, type Fault, reconcilerOf, run, type TenantUnderTest } from './tenant.js'

/** One that is found in lists, one that on some servers is asked for by itself. */
const FAULTY = ['group', 'machine-client'] as const satisfies readonly ContractKind[]
type Told = Exclude<Fault, 'echo'>

async function told(tenant: TenantUnderTest, kind: ContractKind, fault: Told): Promise<void> {
  const there = sample(tenant, kind, tenant.name('there'))
  await run(tenant, [there])
  const reconciler = reconcilerOf(tenant, kind)
  const codes: readonly string[] = FAULTS[fault]
  // Nobody answers a read with 409.
  if (fault !== 'status 409') {
    tenant.fault(fault, 'reads')
    expect(codes, 'in reading').toContain((await failureOf(reconciler.observe([there.key]))).code)
  }
  tenant.fault(fault, 'writes')
  const { spec, key } = sample(tenant, kind, tenant.name('fresh'))
  const secret = reconciler.secret === 'chosen' ? new Secret(`a secret of ${key}`) : undefined
  const create = tenant.latch.whileOpen(() => reconciler.create(spec as never, secret))
  expect(codes, 'in writing').toContain((await failureOf(create)).code)
  tenant.fault(undefined)
  expect((await run(tenant, [there])).changes).toEqual([])
}

export const FAULT_PROMISES: Readonly<Record<string, ContractPromise>> = Object.fromEntries(
  (Object.keys(FAULTS) as Told[]).flatMap((fault) =>
    FAULTY.map((kind): [string, ContractPromise] => [
      `fault ${fault} ${kind}`,
      {
        title: `a server that fails (${fault}) is told as ${FAULTS[fault].join(' or ')} (${kind})`,
        keep: (tenant) => told(tenant, kind, fault),
      },
    ]),
  ),
)
