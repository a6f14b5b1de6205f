/** The setup jobs as operations: state what should exist, report what a person does next. */
import { join } from 'node:path'
import { z } from 'zod'
import { objectKey, type Target } from '../core/converge.js'
import { ToolkitError } from '../core/errors.js'
import { type Context, changeOperation, outcomeFields, outcomeShape } from '../core/operation.js'
import { clientIdOf, type Reconcilers } from '../core/plan.js'
import { grantsPrivilege, refuseUnaskedPrivilege } from '../core/privileged-groups.js'
import { secretFile } from '../core/secret-file.js'
import { SettingsReader } from '../core/settings.js'
import { clientId, clientName, fileSafeName, groupName, httpUrl, type IdpName, idpName, port } from '../core/vocabulary.js'
import { MCP_CLIENTS } from '../ide/catalogue.js'
import { quotePosix } from '../ide/quote.js'
import { redirectUris } from '../ide/redirects.js'
import { IDPS, type Tenant } from '../idp/index.js'
import {
  ADVERTISED_SCOPES,
  clientKey,
  IDE_CLIENT_ID,
  IDE_CLIENT_NAME,
  ideClient,
  m2mRecord,
  machineClient,
  namedGroups,
  recordByHand,
} from './recipes.js'

/** How the registry's rows are written: `issuer` is presumed of records whose server shows none. */
export interface RegistryRowOptions {
  readonly allow_privileged: boolean
  readonly issuer?: string
}

/** What setup asks of its surroundings besides the core context. */
export interface SetupContext extends Context {
  tenant(idp: IdpName): Promise<Tenant>
  /** Reconcilers of the registry's rows and the lock of its tenant; undefined when no registry is configured. */
  registryRows(options: RegistryRowOptions): Promise<{ reconcilers: Reconcilers; lock: string } | undefined>
}

const idp = idpName.describe('identity provider')
const mcpClients = z.enum(MCP_CLIENTS)

export const setupIdeClient = changeOperation({
  summary:
    'Create or mend the public OAuth client that people log in through from their MCP clients (Claude Code, Codex, Cursor): code flow with PKCE, exact redirect URIs, groups claim, gateway audience. Shows a plan first; running it again changes nothing.',
  input: z.strictObject({
    idp,
    name: clientName.optional().describe(`name that people see at login (default: ${IDE_CLIENT_NAME})`),
    client_id: clientId.optional().describe(`client id, where it can be chosen (default: ${IDE_CLIENT_ID})`),
    mcp_clients: z
      .array(mcpClients)
      .min(1)
      .default([...MCP_CLIENTS])
      .describe('MCP clients to serve'),
    server_urls: z.array(httpUrl).default([]).describe('URL of an MCP server; Codex has one redirect URI for each'),
    callback_port: port.optional().describe('loopback port that the MCP clients pin'),
    hosted_redirects: z.boolean().default(false).describe('also register redirect URIs hosted by vendors'),
    prune_redirects: z.boolean().default(false).describe("also remove Codex's redirect URIs for other servers"),
  }),
  output: z.strictObject({
    idp,
    client_id: z.string().nullable().describe('null when it is issued by the provider and not created yet'),
    issuer: z.string(),
    redirect_uris: z.array(z.string()),
    next_settings: z.record(z.string(), z.string()).describe('settings for the registry, ready to export'),
    notes: z.array(z.string()),
    ...outcomeShape,
  }),
  repeated: { server_urls: 'server-url' },
  examples: [
    { idp: 'keycloak' },
    {
      idp: 'keycloak',
      mcp_clients: ['claude-code', 'codex'],
      server_urls: ['https://gateway.example.com/my-server/mcp'],
      callback_port: 33418,
    },
    { idp: 'embedded', name: 'My IDE client' },
  ],
  async target(input, context: SetupContext): Promise<Target> {
    const { capabilities } = IDPS[input.idp]
    const wanted = ideClient(capabilities, {
      ...ideNames(input),
      redirect_uris: redirectsFor(input).uris,
      prune: input.prune_redirects,
      ...audience(context),
    })
    const { reconcilers, lock } = await context.tenant(input.idp)
    return { wanted: [wanted], reconcilers, tenants: [lock] }
  },
  async report(outcome, input, context) {
    const { capabilities } = IDPS[input.idp]
    const key = clientKey(capabilities, ideNames(input))
    const seen = outcome.objects.get(objectKey('public-client', key))
    const client_id = clientIdOf(seen) ?? (capabilities.client_id === 'chosen' ? key : null)
    const { uris, notes } = redirectsFor(input)
    return {
      idp: input.idp,
      client_id,
      issuer: (await context.tenant(input.idp)).issuer,
      redirect_uris: [...(outcome.applied && seen && 'redirect_uris' in seen.spec ? (seen.spec.redirect_uris ?? uris) : uris)].sort(),
      next_settings: {
        ...(client_id === null ? {} : { IDE_OAUTH_CLIENT_ID: client_id }),
        ...(input.callback_port === undefined ? {} : { IDE_OAUTH_CALLBACK_PORT: String(input.callback_port) }),
        MCP_ADVERTISED_SCOPES: ADVERTISED_SCOPES,
      },
      notes: [...notes],
      ...outcomeFields(outcome),
    }
  },
})

export const setupM2mApp = changeOperation({
  summary:
    'Create or mend a machine client (client credentials) with its groups: the client at the identity provider, its secret in a file that only you can read, and its record in the registry, in one plan. The secret is never printed.',
  input: z.strictObject({
    idp,
    name: fileSafeName.describe('name of the machine; its client id where that can be chosen'),
    groups: z.array(groupName).default([]).describe('groups of the machine, exactly'),
    create_groups: z.boolean().default(false).describe('create groups that do not exist'),
    secret_file: z.string().min(1).max(4096).optional().describe('where the secret goes (default: identities/ in the home folder)'),
    allow_privileged: z.boolean().default(false).describe('allow a group that confers administration of the registry'),
  }),
  output: z.strictObject({
    idp,
    client_id: z.string().nullable(),
    issuer: z.string(),
    groups: z.array(z.string()),
    recorded: z.boolean().describe('whether the registry has a record after this'),
    secret_file: z.string(),
    ...outcomeShape,
  }),
  examples: [
    { idp: 'keycloak', name: 'reporting-agent', groups: ['data-readers'] },
    { idp: 'embedded', name: 'demo-agent', groups: ['demo-readers'] },
  ],
  needsPerson: grantsPrivilege,
  async target(input, context: SetupContext): Promise<Target> {
    refuseUnaskedPrivilege(input)
    const { capabilities } = IDPS[input.idp]
    const tenant = await context.tenant(input.idp)
    const sink = secretFile(secretPlace(input, context), tenant.identityFacts(input.name))
    const client = machineClient(capabilities, { client_name: input.name, groups: input.groups, sink, ...audience(context) })
    const registry = await context.registryRows({ allow_privileged: input.allow_privileged, issuer: tenant.issuer })
    return {
      wanted: [
        ...namedGroups(input.groups, input.create_groups),
        client,
        ...(registry ? [m2mRecord(capabilities, { client_name: input.name, groups: input.groups, issuer: tenant.issuer })] : []),
      ],
      reconcilers: { ...tenant.reconcilers, ...registry?.reconcilers },
      manual: registry ? [] : [recordByHand(input.name, input.groups, quotePosix)],
      tenants: [tenant.lock, ...(registry ? [registry.lock] : [])],
    }
  },
  async report(outcome, input, context) {
    const seen = clientIdOf(outcome.objects.get(objectKey('machine-client', input.name)))
    const chosen = IDPS[input.idp].capabilities.client_id === 'chosen'
    return {
      idp: input.idp,
      client_id: seen ?? (chosen ? input.name : null),
      issuer: (await context.tenant(input.idp)).issuer,
      groups: input.groups,
      recorded: outcome.manual.length === 0 && (outcome.applied || outcome.changes.length === 0),
      secret_file: secretPlace(input, context),
      ...outcomeFields(outcome),
    }
  },
})

function ideNames(input: { idp: IdpName; name?: string | undefined; client_id?: string | undefined }): {
  client_id?: string
  client_name: string
} {
  const { capabilities } = IDPS[input.idp]
  if (capabilities.client_id === 'issued') {
    if (input.client_id === undefined) return { client_name: input.name ?? IDE_CLIENT_NAME }
    throw new ToolkitError(
      'unsupported',
      `${capabilities.title} issues client ids itself; --client-id cannot be asked for`,
      { system: capabilities.title, capability: 'client_id', why: 'RFC 7591 leaves the client id to the server' },
      'use --name',
    )
  }
  return { client_id: input.client_id ?? IDE_CLIENT_ID, client_name: input.name ?? IDE_CLIENT_NAME }
}

function redirectsFor(input: {
  idp: IdpName
  mcp_clients: (typeof MCP_CLIENTS)[number][]
  server_urls: string[]
  callback_port?: number | undefined
  hosted_redirects: boolean
}) {
  return redirectUris({
    clients: input.mcp_clients,
    serverUrls: input.server_urls,
    loopback_port: IDPS[input.idp].capabilities.loopback_port,
    hosted: input.hosted_redirects,
    ...(input.callback_port === undefined ? {} : { callbackPort: input.callback_port }),
  })
}

function audience({ settings }: Context): { audience?: string } {
  const value = new SettingsReader(settings).optional('MCP_GATEWAY_AUDIENCE')
  return value === undefined ? {} : { audience: value }
}

function secretPlace(input: { idp: IdpName; name: string; secret_file?: string | undefined }, { home }: Context): string {
  return input.secret_file ?? join(home, 'identities', IDPS[input.idp].capabilities.files.identity(input.name))
}
