/**
 * What proves each vendor operation: every adapter does everything that it does, at a real server, while a proxy before that
 * server writes down what it is asked and how it answers. docs/evidence.md is made of that record and of the adapters' tables.
 */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Answered, evidenceDocument, type Standing, standing, textOf, VENDORS, type VendorName } from '../docs/evidence.js'
import { providerInTemporaryFolder } from '../idp/embedded/provider.js'
import { everythingAtEmbedded, everythingAtKeycloak } from './everything.js'
import { keycloak, unmadeRealm } from './rig/keycloak.js'
import { freePort } from './rig/server.js'
import { witnessed } from './witness.js'

const root = resolve(import.meta.dirname, '../..')
const NAMES = Object.keys(VENDORS) as VendorName[]
const WITNESSED = { keycloak: atKeycloak, embedded: atEmbedded } as const satisfies Record<VendorName, unknown>

interface Found extends Standing {
  readonly version: string
  readonly requests: number
}
const found = new Map<VendorName, Found>()
const foundOf = (name: VendorName): Found => {
  const one = found.get(name)
  if (one === undefined) throw new Error(`${name} was not asked`)
  return one
}

beforeAll(async () => {
  for (const name of NAMES) {
    const { record, version } = await WITNESSED[name]()
    found.set(name, { ...standing(VENDORS[name].operations, record), version, requests: record.length })
  }
}, 300_000)

afterAll(() => {
  let total = 0
  for (const [name, { proved, unproved, version, requests }] of found) {
    const { product, operations } = VENDORS[name]
    for (const one of proved) console.log(`${product} ${version} was really asked: ${textOf(one)}`)
    console.log(
      `evidence: ${proved.length} of ${operations.length} operations proved on ${product} ${version}, ${unproved.length} unproved (${requests} requests)`,
    )
    total += proved.length
  }
  expect(total).toBeGreaterThan(0)
})

interface Asking {
  readonly record: readonly Answered[]
  readonly version: string
}

async function atKeycloak(): Promise<Asking> {
  const record = await witnessed(keycloak().url, everythingAtKeycloak)
  const { body } = await unmadeRealm().admin<{ systemInfo?: { version?: string } }>('GET', '/../../serverinfo')
  return { record, version: body.systemInfo?.version ?? '' }
}

/** The provider must know the proxy's address, and the proxy the provider's. */
async function atEmbedded(): Promise<Asking> {
  const port = await freePort()
  const record = await witnessed(`http://127.0.0.1:${port}`, async (url) => {
    const provider = await providerInTemporaryFolder({ port, publicOrigin: url })
    try {
      await everythingAtEmbedded(provider.running)
    } finally {
      await provider.stop()
    }
  })
  const { version } = JSON.parse(readFileSync(join(root, 'node_modules/oidc-provider/package.json'), 'utf8')) as { version: string }
  return { record, version }
}

describe.each(NAMES)('%s', (name) => {
  test('answered every operation of its table with a success', () => {
    const { proved, unproved } = foundOf(name)
    expect(unproved).toEqual([])
    expect(proved).toEqual(VENDORS[name].operations)
  })
  test('was asked nothing that is not in its table', () => {
    expect(foundOf(name).unknown).toEqual([])
  })
  test('tells its version', () => {
    expect(foundOf(name).version).toMatch(/^\d+\.\d+\.\d+$/)
  })
})

test('docs/evidence.md is what was found; if this fails, run: npm run docs:evidence', async () => {
  // Nothing is written of an operation that was not proved.
  for (const name of NAMES) expect(foundOf(name)).toMatchObject({ unproved: [], unknown: [] })
  const versions = { keycloak: foundOf('keycloak').version, embedded: foundOf('embedded').version }
  await expect(evidenceDocument(versions)).toMatchFileSnapshot(join(root, 'docs/evidence.md'))
})
