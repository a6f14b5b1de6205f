/** The composition root: what an operation may ask for, built on first use, so that a command pays only for its own vendor. */
import { resolve } from 'node:path'
import { type StepDone, stepText } from '../core/apply.js'
import { converge, type Plan } from '../core/converge.js'
import { ToolkitError } from '../core/errors.js'
import { createDoor, type Door, type DoorOptions, type JournalEntry, WriteLatch } from '../core/http.js'
import { doorTimes, type KnownServers } from '../core/http-patience.js'
import type { ProxySettings } from '../core/http-transport.js'
import type { Reconcilers } from '../core/plan.js'
import type { Secret } from '../core/secret.js'
import { type SettingSource, SettingsReader } from '../core/settings.js'
import type { IdpName } from '../core/vocabulary.js'
import { type IdentityState, identityText, MOST_CONCURRENCY } from '../credentials-provider/identity-state.js'
import type { CredentialsContext } from '../credentials-provider/operations.js'
import { IDPS, type Tenant } from '../idp/index.js'
import type { RegistryClient } from '../registry/client.js'
import type { RegistryContext } from '../registry/operations/m2m-clients.js'
import type { RegistryRowOptions } from '../registry/reconcilers.js'
import type { SetupContext } from '../setup/context.js'
import { tryLock, withLocks } from './lock.js'

export interface ToolkitContext extends SetupContext, RegistryContext, CredentialsContext {
  /** Every request of this run, over all doors. */
  readonly requests: readonly JournalEntry[]
  /** The registry as another credential sees it. */
  registryAs(token: () => Promise<Secret>): Promise<RegistryClient>
  close(): Promise<void>
}

/** What a surface brings. */
export interface Surroundings {
  readonly home: string
  readonly profile: string
  readonly settings: SettingSource
  readonly planOnly?: boolean
  readonly onPlan?: (plan: Plan) => void
  readonly signal?: AbortSignal
  readonly approve: (plan: Plan) => Promise<boolean>
  readonly progress?: (line: string) => void
  /** Each finished step of an apply; told as a line of progress where this is absent. */
  readonly onStep?: (step: StepDone) => void
  readonly onRequest?: (entry: JournalEntry) => void
  /** What becomes of each identity of a batch; told as a line of progress where this is absent. */
  readonly onIdentity?: (state: IdentityState) => void
  /** Whether an assistant asks, and not a person: secrets are then named by files of the home folder only. */
  readonly isAssistant?: boolean
  /** Environment variables that identities may name. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** PEM of certificate authorities besides the well-known ones. */
  readonly ca?: string
}

/** One context a run of an operation: its write latch is its own. Close it. */
export function createContext(around: Surroundings): ToolkitContext {
  const { home, profile, settings, signal, planOnly, onPlan } = around
  const latch = new WriteLatch()
  const requests: JournalEntry[] = []
  const servers: KnownServers = new Map()
  const closing: (() => Promise<void>)[] = []
  const progress = around.progress ?? (() => undefined)
  const onRequest = (entry: JournalEntry) => {
    requests.push(entry)
    around.onRequest?.(entry)
  }
  const stopping = signal ? { signal } : {}
  const open = (options: Pick<DoorOptions, 'origins' | 'isRead' | 'timeoutMs' | 'connections'>): Door => {
    const allowHttp = settings('MCP_IDP_ALLOW_HTTP') === 'true'
    const reaching = { proxy: proxyOf(settings), ...(around.ca === undefined ? {} : { ca: around.ca }) }
    const door = createDoor({
      ...{ latch, allowHttp, ...doorTimes(settings), servers, onWait: progress, onRequest },
      ...reaching,
      ...stopping,
      ...options,
    })
    closing.push(() => door.close())
    return door
  }

  const connected = (bootstrap: boolean) =>
    memo(async (idp: IdpName): Promise<Tenant> => {
      const adapter = await IDPS[idp].load()
      return adapter.connect({ settings, profile, home, bootstrap, open })
    })
  const [tenant, tenantToBe] = [connected(false), connected(true)]
  // Minting asks token endpoints only: every POST through these doors is a token request.
  const doorTo = memo((origin: string): Door => {
    const { tokenTimeoutMs: timeoutMs } = doorTimes(settings)
    return open({ origins: [origin], isRead: ({ method }) => method === 'POST' && 'once', timeoutMs, connections: MOST_CONCURRENCY })
  })
  const env = (name: string) => around.env?.[name]
  const registryAs = async (token: () => Promise<Secret>): Promise<RegistryClient> => {
    const reader = new SettingsReader(settings)
    const url = reader.url('REGISTRY_URL')
    reader.check('the registry')
    const { registryClient } = await import('../registry/client.js')
    const door = open({ origins: [new URL(url).origin] })
    return registryClient({ url, door, token })
  }
  const registry = once(() => registryAs(once(() => registryToken({ home, settings, doorTo, env }))))
  const requireRegistryRows = async (options: RegistryRowOptions): Promise<{ reconcilers: Reconcilers; lock: string }> => {
    const { registryReconcilers } = await import('../registry/reconcilers.js')
    const lock = settings('REGISTRY_URL') ?? ''
    return { reconcilers: registryReconcilers(await registry(), options), lock }
  }

  return {
    home,
    profile,
    settings,
    ...stopping,
    progress,
    requests,
    tenant: (idp, { bootstrap = false } = {}) => (bootstrap ? tenantToBe(idp) : tenant(idp)),
    doorTo,
    tryLock: (name) => tryLock(home, name),
    env,
    ...(around.isAssistant ? { isAssistant: true } : {}),
    onIdentity: around.onIdentity ?? ((state) => progress(identityText(state))),
    registry,
    registryAs,
    requireRegistryRows,
    registryRows: async (options) => (settings('REGISTRY_URL') === undefined ? undefined : requireRegistryRows(options)),
    converge: (target) =>
      converge(target, {
        latch,
        ...stopping,
        ...(planOnly ? { planOnly } : {}),
        patienceMs: doorTimes(settings).patienceMs,
        ...(onPlan ? { onPlan } : {}),
        approve: around.approve,
        onStep: around.onStep ?? ((step) => progress(stepText(step))),
        lock: (tenants, work) => withLocks(home, tenants, work, signal),
      }),
    async close() {
      await Promise.all(closing.map((close) => close()))
    },
  }
}

/** A token file that somebody keeps fresh, else our own identity. */
async function registryToken({
  home,
  settings,
  doorTo,
  env,
}: {
  home: string
  settings: SettingSource
  doorTo: (origin: string) => Door
  env: (name: string) => string | undefined
}): Promise<Secret> {
  const reader = new SettingsReader(settings)
  const file = reader.optional('REGISTRY_TOKEN_FILE')
  const identityFile = file === undefined ? reader.required('REGISTRY_IDENTITY_FILE') : ''
  reader.check('access to the registry')
  if (file !== undefined) {
    const { readTokenFile } = await import('../credentials-provider/saved-token.js')
    const saved = await readTokenFile(file)
    if (saved) return saved.token
    throw new ToolkitError('not_found', `${file} holds no token`, { kind: 'file', key: file }, 'mint one with mcp-idp credentials generate')
  }
  const { readIdentities } = await import('../credentials-provider/identities.js')
  const [entry] = await readIdentities(resolve(home, identityFile), { env, mayRefer: true })
  if (entry === undefined) throw new ToolkitError('not_found', `${identityFile} holds no identity`, { kind: 'file', key: identityFile })
  const { createMinter } = await import('../idp/tokens.js')
  return (await createMinter(doorTo).mint(entry.identity, await entry.credential())).token.access_token
}

/** By the variables that curl and others read. */
function proxyOf(settings: SettingSource): ProxySettings {
  const reader = new SettingsReader(settings)
  const [https, http, except] = [reader.optional('HTTPS_PROXY'), reader.optional('HTTP_PROXY'), reader.optional('NO_PROXY')]
  return {
    ...(https === undefined ? {} : { https }),
    ...(http === undefined ? {} : { http }),
    ...(except === undefined ? {} : { except }),
  }
}

function memo<K extends string, V>(make: (key: K) => V): (key: K) => V {
  const made = new Map<K, V>()
  return (key) => {
    const value = made.get(key) ?? make(key)
    made.set(key, value)
    return value
  }
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make()
    return made
  }
}
