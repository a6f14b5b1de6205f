/** The public client that people log in through from their MCP clients. */
import { z } from 'zod'
import { objectKey, type Target } from '../../core/converge.js'
import { ToolkitError } from '../../core/errors.js'
import { changeOperation, outcomeFields, outcomeShape } from '../../core/operation.js'
import { clientIdOf } from '../../core/plan.js'
import { audienceOf } from '../../core/settings.js'
import { clientId, clientName, httpUrl, type IdpName, port } from '../../core/vocabulary.js'
import { MCP_CLIENTS } from '../../ide/catalogue.js'
import { redirectUris } from '../../ide/redirects.js'
import { IDPS } from '../../idp/index.js'
import { fields, type SetupContext } from '../context.js'
import { NEEDS } from '../needs.js'
import { ADVERTISED_SCOPES, clientKey, IDE_CLIENT_ID, IDE_CLIENT_NAME, ideClient } from '../recipes.js'
import { verifiedShape, verifyPerson } from '../verify.js'

export const setupIdeClient = changeOperation({
  summary:
    'Create or mend the public OAuth client that people log in through from their MCP clients (Claude Code, Codex, Cursor): code flow with PKCE, exact redirect URIs, groups claim, gateway audience. Shows a plan first; running it again changes nothing.',
  needs: NEEDS['setup ide-client'],
  input: z.strictObject({
    idp: fields.idp,
    name: clientName.optional().describe(`name that people see at login (default: ${IDE_CLIENT_NAME})`),
    client_id: clientId.optional().describe(`client id, where it can be chosen (default: ${IDE_CLIENT_ID})`),
    mcp_clients: z
      .array(z.enum(MCP_CLIENTS))
      .min(1)
      .default([...MCP_CLIENTS])
      .describe('MCP clients to serve'),
    server_urls: z.array(httpUrl).default([]).describe('URL of an MCP server; Codex has one redirect URI for each'),
    callback_port: port.optional().describe('loopback port that the MCP clients pin'),
    hosted_redirects: z.boolean().default(false).describe('also register redirect URIs hosted by vendors'),
    prune_redirects: z.boolean().default(false).describe("also remove Codex's redirect URIs for other servers"),
    adopt: fields.adopt,
    verify_user: z
      .string()
      .min(1)
      .max(255)
      .optional()
      .describe('person whose token the server evaluates as a proof (default: somebody in a group)'),
  }),
  output: z.strictObject({
    idp: fields.idp,
    client_id: z.string().nullable().describe('null when it is issued by the provider and not created yet'),
    issuer: z.string(),
    redirect_uris: z.array(z.string()),
    next_settings: z.record(z.string(), z.string()).describe('settings for the registry, ready to export'),
    notes: z.array(z.string()),
    verified: verifiedShape.nullable().describe('null when only planned'),
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
    const wanted = ideClient(IDPS[input.idp].capabilities, {
      ...namesOf(input),
      redirect_uris: redirectsFor(input).uris,
      prune: input.prune_redirects,
      adopt: input.adopt,
      audience: audienceOf(context),
    })
    const { reconcilers, lock } = await context.tenant(input.idp)
    return { wanted: [wanted], reconcilers, tenants: [lock] }
  },
  async report(outcome, input, context) {
    const { capabilities } = IDPS[input.idp]
    const key = clientKey(capabilities, namesOf(input))
    const seen = outcome.objects.get(objectKey('public-client', key))
    const client_id = clientIdOf(seen) ?? (capabilities.client_id === 'chosen' ? key : null)
    const { uris, notes } = redirectsFor(input)
    const tenant = await context.tenant(input.idp)
    const done = outcome.applied || outcome.changes.length === 0
    return {
      idp: input.idp,
      client_id,
      issuer: tenant.issuer,
      redirect_uris: [...(outcome.applied && seen && 'redirect_uris' in seen.spec ? (seen.spec.redirect_uris ?? uris) : uris)].sort(),
      next_settings: {
        ...(client_id === null ? {} : { IDE_OAUTH_CLIENT_ID: client_id }),
        ...(input.callback_port === undefined ? {} : { IDE_OAUTH_CALLBACK_PORT: String(input.callback_port) }),
        MCP_ADVERTISED_SCOPES: ADVERTISED_SCOPES,
      },
      notes: [...notes],
      verified:
        done && client_id !== null
          ? await verifyPerson(tenant, { client_id, username: input.verify_user }, { audience: audienceOf(context) })
          : null,
      ...outcomeFields(outcome),
    }
  },
})

function namesOf(input: { idp: IdpName; name?: string | undefined; client_id?: string | undefined }): {
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
