/** The composition root: what an operation may ask for, built on first use, so that a command pays only for its own vendor. */
import { resolve } from 'node:path'
import { type StepDone, stepText } from '../core/apply.js'
import { converge, type Plan } from '../core/converge.js'
import { ToolkitError } from '../core/errors.js'
import { createDoor, type Door, type JournalEntry, WriteLatch } from '../core/http.js'
import { doorTimes, type KnownServers } from '../core/http-patience.js'
import type { Reconcilers } from '../core/plan.js'
import type { Secret } from '../core/secret.js'
import { type SettingSource, SettingsReader } from '../core/settings.js'
import type { IdpName } from '../core/vocabulary.js'
import type { CredentialsContext } from '../credentials-provider/operations.js'
import { type Connecting, IDPS, type Tenant } from '../idp/index.js'
import type { RegistryClient } from '../registry/client.js'
import type { RegistryContext } from '../registry/operations/m2m-clients.js'
import type { RegistryRowOptions } from '../registry/reconcilers.js'
import type { SetupContext } from '../setup/context.js'
import { withLocks } from './lock.js'

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
  const open: Connecting['open'] = (options) => {
    const allowHttp = settings('MCP_IDP_ALLOW_HTTP') === 'true'
    const door = createDoor({ latch, allowHttp, ...doorTimes(settings), servers, onWait: progress, onRequest, ...stopping, ...options })
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
  const doorTo = memo((origin: string): Door => open({ origins: [origin], isRead: ({ method }) => method === 'POST' }))
  const registryAs = async (token: () => Promise<Secret>): Promise<RegistryClient> => {
    const reader = new SettingsReader(settings)
    const url = reader.url('REGISTRY_URL')
    reader.check('the registry')
    const { registryClient } = await import('../registry/client.js')
    const door = open({ origins: [new URL(url).origin] })
    return registryClient({ url, door, token })
  }
  const registry = once(() => registryAs(once(() => registryToken({ home, settings, doorTo }))))
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
}: {
  home: string
  settings: SettingSource
  doorTo: (origin: string) => Door
}): Promise<Secret> {
  const reader = new SettingsReader(settings)
  const file = reader.optional('REGISTRY_TOKEN_FILE')
  const identityFile = file === undefined ? reader.required('REGISTRY_IDENTITY_FILE') : ''
  reader.check('access to the registry')
  if (file !== undefined) {
    const { readTokenFile } = await import('../credentials-provider/token-file.js')
    const saved = await readTokenFile(file)
    if (saved) return saved.token
    throw new ToolkitError('not_found', `${file} holds no token`, { kind: 'file', key: file }, 'mint one with mcp-idp credentials generate')
  }
  const { readIdentities } = await import('../credentials-provider/identities.js')
  const [identity] = await readIdentities(resolve(home, identityFile))
  if (identity === undefined) throw new ToolkitError('not_found', `${identityFile} holds no identity`, { kind: 'file', key: identityFile })
  const adapter = await IDPS[identity.auth_provider].load()
  return (await adapter.mint(identity, doorTo)).token.access_token
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
