/** Promises about secrets and logins: yielded once, saved, rotated, planted and found nowhere; and who gets in with them. */
import { inspect } from 'node:util'
import { expect } from 'vitest'
import { renderPlan } from '../../core/converge.js'
import { clientIdOf } from '../../core/plan.js'
import { Secret } from '../../core/secret.js'
import { rotated } from '../fakes/converging.js'
import { failureOf } from '../fakes/door.js'
import type { ContractPromise } from './promises.js'
import { sample } from './samples.js'
import { reconcilerOf, run, type TenantUnderTest } from './tenant.js'

type Confidential = 'web-client' | 'machine-client'
const CONFIDENTIAL = ['web-client', 'machine-client'] as const
const PLANTED = 'planted-3f9c1d7e5b2a4c60-secret-of-the-contract'

async function made(tenant: TenantUnderTest, kind: Confidential, word: string) {
  const wanted = sample(tenant, kind, tenant.name(word))
  const outcome = await run(tenant, [wanted])
  const seen = (await reconcilerOf(tenant, kind).observe([wanted.key])).get(wanted.key)
  return { wanted, outcome, seen, sink: tenant.sink(wanted.key), client_id: clientIdOf(seen) ?? '' }
}

/** Nothing that a person, a log or a model may be shown has a secret in it. */
function expectNowhere(shown: unknown, secrets: readonly (string | undefined)[]): void {
  const text = [inspect(shown, { depth: 20, showHidden: true }), shown instanceof Error ? `${shown.message} ${shown.stack}` : ''].join()
  for (const secret of secrets) {
    expect(secret).toMatch(/.{8}/)
    expect(text.includes(secret ?? '')).toBe(false)
  }
}

const yields = async (tenant: TenantUnderTest, kind: Confidential) => {
  const { wanted, outcome, sink, seen, client_id } = await made(tenant, kind, 'yields')
  expect(outcome.receipts).toHaveLength(1)
  expect(sink.content).toEqual({ secret: expect.stringMatching(/.{16}/), client_id })
  expect(sink.pending).toBeUndefined()
  if (seen?.secret) expect(seen.secret.equals(new Secret(sink.content?.secret ?? ''))).toBe(true)
  expect((await run(tenant, [wanted])).receipts).toEqual([])
}

const unseen = async (tenant: TenantUnderTest, kind: Confidential) => {
  const { outcome, sink, wanted } = await made(tenant, kind, 'unseen')
  const shown = { outcome, plan: renderPlan(outcome), again: await run(tenant, [wanted]) }
  expectNowhere(shown, [sink.content?.secret, ...tenant.credentials()])
}

/** The server refuses and repeats everything that it was sent, as some do. */
const echoed = async (tenant: TenantUnderTest, kind: Confidential) => {
  const { seen } = await made(tenant, kind, 'echoed')
  const reconciler = reconcilerOf(tenant, kind)
  const { spec } = sample(tenant, kind, tenant.name('refused'))
  tenant.fault('echo', 'writes')
  const works: (() => Promise<unknown>)[] = [() => reconciler.create(spec as never, new Secret(PLANTED))]
  if (seen && reconciler.setSecret) works.push(async () => reconciler.setSecret?.(seen as never, new Secret(PLANTED)))
  for (const work of works) {
    const failure = await failureOf(tenant.latch.whileOpen(work))
    expect(failure.code).toMatch(/^(?:unexpected_response|invalid_input)$/)
    expectNowhere(failure, [PLANTED, ...tenant.credentials()])
  }
}

const rotates = async (tenant: TenantUnderTest, kind: Confidential) => {
  const { wanted, sink, client_id } = await made(tenant, kind, 'rotates')
  const before = sink.content?.secret ?? ''
  const { changes, receipts } = await run(tenant, [rotated(kind, wanted.key, sink)])
  expect(changes).toMatchObject([{ action: 'rotate_secret', kind, key: wanted.key }])
  expect(receipts).toHaveLength(1)
  expect(sink.content).toEqual({ secret: expect.stringMatching(/^[\w-]{43}$/), client_id })
  expect([sink.content?.secret === before, sink.pending]).toEqual([false, undefined])
  expect(await tenant.accepts(client_id, before)).toBe(false)
  expect(await tenant.accepts(client_id, sink.content?.secret ?? '')).toBe(true)
  expect((await run(tenant, [wanted])).changes).toEqual([])
}

const accepted = async (tenant: TenantUnderTest, kind: Confidential) => {
  const { sink, client_id } = await made(tenant, kind, 'accepted')
  expect(await tenant.accepts(client_id, sink.content?.secret ?? '')).toBe(true)
  expect(await tenant.accepts(client_id, `${sink.content?.secret}-not`)).toBe(false)
}

const TITLES: Readonly<Record<string, readonly [string, (tenant: TenantUnderTest, kind: Confidential) => Promise<void>]>> = {
  yields: ['a confidential client yields its secret once, into its sink', yields],
  accepted: ['the secret that was saved is the one that the token endpoint accepts', accepted],
  rotates: ['a rotation ends the old secret and saves the new one, which works', rotates],
  unseen: ['a secret is in no plan and no report', unseen],
  echoed: ['a planted secret is in no error, even when the server repeats it', echoed],
}

const publicClient: ContractPromise = {
  title: 'a public client has no secret, and gets in with PKCE at its own redirect URIs only',
  async keep(tenant) {
    const wanted = sample(tenant, 'public-client', tenant.name('ide'))
    const { receipts } = await run(tenant, [wanted])
    const seen = (await reconcilerOf(tenant, 'public-client').observe([wanted.key])).get(wanted.key)
    const client_id = clientIdOf(seen) ?? ''
    expect([receipts, seen?.secret, seen?.spec.token_endpoint_auth_method]).toEqual([[], undefined, 'none'])
    const own = 'http://127.0.0.1:51234/callback'
    expect(await tenant.authorizes({ client_id, redirect_uri: own, pkce: true })).toBe(true)
    expect(await tenant.authorizes({ client_id, redirect_uri: own, pkce: false })).toBe(false)
    for (const redirect_uri of ['https://evil.example/callback', 'http://127.0.0.1.evil.example/callback', `${own}/elsewhere`]) {
      expect(await tenant.authorizes({ client_id, redirect_uri, pkce: true }), redirect_uri).toBe(false)
    }
  },
}

const initial: ContractPromise = {
  title: 'the first password of a person is saved once and never looked at again',
  async keep(tenant) {
    const wanted = sample(tenant, 'user', tenant.name('newcomer'))
    const { receipts } = await run(tenant, [wanted])
    const sink = tenant.sink(wanted.key)
    expect(receipts).toHaveLength(1)
    expect(sink.content).toEqual({ secret: expect.stringMatching(/.{16}/), client_id: wanted.key })
    await sink.save(new Secret('they chose another one'), wanted.key)
    const writes = tenant.writes()
    expect((await run(tenant, [wanted])).changes).toEqual([])
    expect([sink.content?.secret, tenant.writes()]).toEqual(['they chose another one', writes])
  },
}

const named = Object.entries(TITLES).flatMap(([name, [title, keep]]) =>
  CONFIDENTIAL.map((kind): [string, ContractPromise] => [
    `${name} ${kind}`,
    { title: `${title} (${kind})`, keep: (tenant) => keep(tenant, kind) },
  ]),
)
export const SECRETS: Readonly<Record<string, ContractPromise>> = {
  ...Object.fromEntries(named),
  'login public-client': publicClient,
  'password user': initial,
}
