/** Steps 3 to 9 of the main job, on servers that are up: one plan for provider and registry, a token, a connect configuration. */
import { join } from 'node:path'
import { type Outcome, objectKey, type Plan, renderPlan, type Target } from '../core/converge.js'
import { type Change, clientIdOf } from '../core/plan.js'
import { secretFile } from '../core/secret-file.js'
import { readIdentities } from '../credentials-provider/identities.js'
import { mintToFile } from '../credentials-provider/mint.js'
import { mintingOf } from '../credentials-provider/operations.js'
import { readTokenFile } from '../credentials-provider/saved-token.js'
import { MCP_CLIENTS } from '../ide/catalogue.js'
import { redirectUris } from '../ide/redirects.js'
import { IDPS } from '../idp/index.js'
import { clientRef, IDE_CLIENT_NAME, ideClient, m2mRecord, machineClient, namedGroups } from '../setup/recipes.js'
import type { ToolkitContext } from '../toolkit/context.js'
import { getConnectConfig } from '../toolkit/operations/connect-config.js'
import { folded } from './render.js'
import { DEMO, type World } from './world.js'

const AGENT = 'demo-agent'
const AGENT_GROUPS = ['demo-readers']

export type Tell = (step: number, title: string, details?: readonly string[]) => void

/** What the plan's approval needs to know: it is shown as step 3. */
export function showPlan(tell: Tell): (plan: Plan) => Promise<boolean> {
  return async (plan) => {
    tell(3, `Plan: ${counts(plan.changes)}`, folded(renderPlan(plan), (process.stdout.columns ?? Number.POSITIVE_INFINITY) - 3).split('\n'))
    return true
  }
}

export async function runMainJob(context: ToolkitContext, world: World, tell: Tell): Promise<void> {
  const target = await mainJobTarget(context, world)
  const outcome = await context.converge(target)
  if (outcome.changes.length === 0) tell(3, `Plan: ${counts([])}`)
  const idOf = (kind: 'public-client' | 'machine-client', key: string) =>
    clientIdOf(outcome.objects.get(objectKey(kind, key))) ?? '(unknown)'
  tell(4, `Public client for IDEs ${done(outcome, 'public-client')}: ${idOf('public-client', IDE_CLIENT_NAME)}`)
  tell(5, `Machine client ${done(outcome, 'machine-client')}: ${idOf('machine-client', AGENT)}`, [`secret in ${secretPlace(world)} (0600)`])
  tell(6, `Recorded in the registry (${done(outcome, 'm2m-record')}) with groups ${AGENT_GROUPS.join(', ')}`)

  const [identity] = await readIdentities(secretPlace(world), { env: context.env, mayRefer: true })
  if (identity === undefined) throw new Error('the secret file holds no identity')
  const minted = await mintToFile(identity, mintingOf(context, { folder: join(world.home, '.oauth-tokens') }))
  const { saved_to, mode, expires_at } = minted.receipt
  tell(7, minted.reused ? 'Token still fresh' : 'Token minted', [`${saved_to} (${mode}), until ${expires_at}`])

  const saved = await readTokenFile(saved_to)
  if (saved === undefined) throw new Error('the token file holds no token')
  const caller = await (await context.registryAs(async () => saved.token)).me()
  const servers = caller.accessible_servers ?? []
  tell(8, `The registry accepts it: groups ${caller.groups.join(', ')} (from the ${caller.groups_source}), servers ${servers.join(', ')}`)

  tell(9, `Connect to ${world.registryUrl}${DEMO.server}/mcp`, await connectLines(context))
}

async function mainJobTarget(context: ToolkitContext, world: World): Promise<Target> {
  const { capabilities } = IDPS.embedded
  const tenant = await context.tenant('embedded')
  const registry = await context.requireRegistryRows({ allow_privileged: false })
  const serverUrl = `${world.registryUrl}${DEMO.server}/mcp`
  const { uris } = redirectUris({ clients: MCP_CLIENTS, serverUrls: [serverUrl], loopback_port: capabilities.loopback_port })
  const sink = secretFile(secretPlace(world), tenant.identityFacts(AGENT))
  return {
    wanted: [
      ...namedGroups(AGENT_GROUPS, false),
      ideClient(capabilities, { client_name: IDE_CLIENT_NAME, redirect_uris: uris }),
      machineClient(capabilities, { client_name: AGENT, groups: AGENT_GROUPS, sink }),
      m2mRecord(capabilities, { client_name: AGENT, groups: AGENT_GROUPS, issuer: tenant.issuer }),
      {
        kind: 'server-record',
        key: DEMO.server,
        ensure: 'present',
        spec: {
          path: DEMO.server,
          server_name: 'Demo',
          description: 'Tells you who you are',
          proxy_pass_url: serverUrl,
          oauth_client_id: clientRef(capabilities, 'public-client', IDE_CLIENT_NAME),
          append_mcp_path: true,
        },
      },
    ],
    reconcilers: { ...tenant.reconcilers, ...registry.reconcilers },
    tenants: [tenant.lock, registry.lock],
  }
}

async function connectLines(context: ToolkitContext): Promise<string[]> {
  const shown = await Promise.all(MCP_CLIENTS.map((client) => getConnectConfig.run({ server_path: DEMO.server, client }, context)))
  return shown.flatMap(({ title, kind, path, text, alternatives }) => {
    // Who pastes a command need not open a file.
    const commands = (alternatives as { title: string; language: string; text: string }[]).filter(({ language }) => language === 'sh')
    return [
      ...pasted(`${title}${kind === 'file' ? `, in ${path}` : ''}`, String(text)),
      ...commands.flatMap((one) => pasted(one.title, one.text)),
    ]
  })
}

function pasted(title: string, text: string): string[] {
  return [
    `${title}:`,
    ...text
      .trimEnd()
      .split('\n')
      .map((line) => `  ${line}`),
  ]
}

const AT_REGISTRY: readonly string[] = ['m2m-record', 'server-record']

function counts(changes: readonly Change[]): string {
  const atRegistry = changes.filter(({ kind }) => AT_REGISTRY.includes(kind)).length
  const words = (count: number) => `${count} ${count === 1 ? 'change' : 'changes'}`
  return `${words(changes.length - atRegistry)} at the identity provider, ${words(atRegistry)} at the registry`
}

function done({ changes }: Outcome, kind: Change['kind']): string {
  const change = changes.find((one) => one.kind === kind)
  return change === undefined ? 'as it was' : change.action === 'create' ? 'created' : 'mended'
}

function secretPlace({ home }: World): string {
  return join(home, 'identities', IDPS.embedded.capabilities.files.identity(AGENT))
}
