/**
 * What the contract suite needs of a tenant beside its reconcilers: a hand behind its back, an eye that is not the adapter's,
 * and a switch that makes its server fail.
 */
import { type ConvergeOptions, converge, type Outcome } from '../../core/converge.js'
import type { ErrorCode } from '../../core/errors.js'
import type { WriteLatch } from '../../core/http.js'
import type { Reconciler, Reconcilers, Wanted } from '../../core/plan.js'
import type { Kind, Resources } from '../../core/resources.js'
import type { HeldRights, Right } from '../../core/rights.js'
import type { Capabilities } from '../../idp/capabilities.js'
import type { Present } from '../fakes/converging.js'
import type { MemorySink } from '../fakes/memory-sink.js'

/** What identity providers hold for the gateway; the tenant itself is made before there is one to test. */
export const KINDS = ['group', 'user', 'public-client', 'web-client', 'machine-client'] as const satisfies readonly Kind[]
export type ContractKind = (typeof KINDS)[number]

/** How a server may fail, and what an adapter may make of it. */
export const FAULTS = {
  'status 401': ['unauthenticated'],
  'status 403': ['forbidden'],
  'status 404': ['not_found', 'unexpected_response'],
  'status 409': ['conflict'],
  'status 429': ['rate_limited'],
  'status 500': ['unavailable'],
  'status 503': ['unavailable'],
  hang: ['unavailable'],
  html: ['unexpected_response'],
  truncated: ['unexpected_response'],
  '100 MB': ['unexpected_response'],
} as const satisfies Readonly<Record<string, readonly ErrorCode[]>>
/** `echo` refuses with 400 and repeats the whole request, credentials included. */
export type Fault = keyof typeof FAULTS | 'echo'

/** Rights of a credential, and what it may write by its own account. */
export interface Credential {
  rights(): Promise<HeldRights>
  readonly reconcilers: Reconcilers
  close(): Promise<void>
}

export interface TenantUnderTest {
  readonly capabilities: Capabilities
  readonly reconcilers: Reconcilers
  readonly latch: WriteLatch
  /** Our mark. */
  readonly profile: string
  /** Objects a page of its longest list. */
  readonly page: number
  /** A name that nothing else in the tenant has, with a word in it. */
  name(word: string): string
  /** The sink of a name, the same one each time. */
  sink(name: string): MemorySink
  /** Puts an object there by hand: nobody's, or with the mark of a profile. */
  plant<K extends ContractKind>(kind: K, spec: Resources[K], profile?: string): Promise<void>
  /** Many bare objects with our mark. */
  plantMany(kind: ContractKind, names: readonly string[]): Promise<void>
  /** Changes fields by hand. */
  meddle<K extends ContractKind>(kind: K, key: string, fields: Partial<Resources[K]>): Promise<void>
  /** Adds what no spec of ours knows, wherever the server has a place for it. */
  decorate(kind: ContractKind, key: string): Promise<void>
  /** Every object of that key, whole, as the server tells it by hand. */
  look(kind: ContractKind, key: string): Promise<readonly unknown[]>
  /** Requests that may have changed something, by the server's own count. */
  writes(): number
  /** From now on, every read or every write of the adapter is answered like this; undefined ends it. */
  fault(fault: Fault | undefined, on?: 'reads' | 'writes'): void
  /** Texts that may stand in no error: credentials that the adapter used so far. */
  credentials(): readonly string[]
  /** Whether the server's token endpoint accepts a client's secret. */
  accepts(client_id: string, secret: string): Promise<boolean>
  /** Whether the authorization endpoint would let somebody log in. */
  authorizes(request: { client_id: string; redirect_uri: string; pkce: boolean }): Promise<boolean>
  rights(): Promise<HeldRights>
  /** A credential with these rights only. */
  limitedTo(rights: readonly Right[]): Promise<Credential>
  close(): Promise<void>
}

/** Plans, says yes and applies. */
export function run(
  { reconcilers, latch }: Pick<TenantUnderTest, 'reconcilers' | 'latch'>,
  wanted: readonly Wanted[],
  options: Partial<ConvergeOptions> = {},
): Promise<Outcome> {
  return converge(
    { wanted, reconcilers, tenants: ['under test'] },
    { latch, approve: async () => true, lock: (_tenants, work) => work(), patienceMs: 2_000, ...options },
  )
}

/** @throws Error where the tenant cannot hold the kind */
export function reconcilerOf<K extends Kind>({ reconcilers }: Pick<TenantUnderTest, 'reconcilers'>, kind: K): Reconciler<K> {
  const found: Reconcilers[K] = reconcilers[kind]
  if (found === undefined) throw new Error(`no reconciler of ${kind}`)
  return found as unknown as Reconciler<K>
}

/** What one kind of object is wanted to be, whole, as the recipes want it; `Present` of a kind that is not known statically. */
export type Sample = Present<ContractKind> & { readonly key: string }
