/** The bootstrap of a tenant for the gateway: what the documents call the initial setup, without its defaults and rotations. */
import { z } from 'zod'
import type { Target } from '../../core/converge.js'
import { type Context, changeOperation, outcomeFields, outcomeShape } from '../../core/operation.js'
import { passwordFile } from '../../core/password-file.js'
import type { Wanted } from '../../core/plan.js'
import { secretFile } from '../../core/secret-file.js'
import { audienceOf } from '../../core/settings.js'
import type { SecretSink } from '../../core/sink.js'
import { groupPath, httpUrl, userName } from '../../core/vocabulary.js'
import { IDPS, type Tenant } from '../../idp/index.js'
import { fields, places, type SetupContext } from '../context.js'
import { registryEnvironment } from '../environment-file.js'
import { NEEDS } from '../needs.js'
import { ADVERTISED_SCOPES, GATEWAY_MACHINE, gatewayTenant, LIFETIMES, machineClient, namedGroups, person, webClient } from '../recipes.js'
import { verifiedShape, verifyMachine } from '../verify.js'

const ADMIN_GROUP = 'registry-admins'
const WEB_CLIENT = 'mcp-gateway-web'

const input = z.strictObject({
  idp: fields.idp,
  groups: z.array(groupPath).default([]).describe(`further groups besides ${ADMIN_GROUP}`),
  admin_username: userName.default('admin').describe(`person in ${ADMIN_GROUP}; the first password goes to a file`),
  admin_email: z.email().max(255).toLowerCase().optional().describe('that person’s address'),
  auth_server_url: httpUrl
    .default('http://localhost:8888')
    .describe('public URL of the gateway’s auth server, where its web login returns to'),
  access_token_lifetime: z.coerce
    .number()
    .int()
    .min(60)
    .max(86_400)
    .default(LIFETIMES.access_token)
    .describe('seconds that an access token lives'),
  environment_file: z
    .string()
    .min(1)
    .max(4096)
    .optional()
    .describe('the registry’s environment file (default: registry.env in the home folder)'),
  adopt: fields.adopt,
})
type Input = z.output<typeof input>

export const initTenant = changeOperation({
  summary:
    'Prepare a tenant for the gateway: the realm with short tokens and brute-force protection, the gateway’s own web and machine clients, the group registry-admins with an administrator in it, and the registry’s environment file. Secrets and the first password go to files; running it again rotates nothing and changes nothing.',
  needs: NEEDS['setup init'],
  input,
  output: z.strictObject({
    idp: fields.idp,
    issuer: z.string(),
    admin: z.strictObject({ username: z.string(), password_file: z.string() }),
    environment_file: z.string().nullable().describe('null where the provider makes the gateway’s clients itself'),
    verified: verifiedShape.nullable().describe('null when only planned, or without a machine client of ours'),
    ...outcomeShape,
  }),
  examples: [
    { idp: 'keycloak', auth_server_url: 'https://gateway.example.com' },
    { idp: 'embedded', admin_username: 'operator' },
  ],
  // It makes an administrator.
  needsPerson: () => true,
  async target(given, context: SetupContext): Promise<Target> {
    const tenant = await context.tenant(given.idp, { bootstrap: true })
    const files = filesOf(given, tenant, context)
    const clients = gatewayClients(given, files, context)
    const environment = environmentOf(given, tenant, files)
    return {
      wanted: [
        ...('tenant' in tenant.reconcilers ? [gatewayTenant(tenant.name, given)] : []),
        ...namedGroups([ADMIN_GROUP, ...given.groups], true),
        ...clients,
        person({ username: given.admin_username, email: given.admin_email, groups: [ADMIN_GROUP], sink: files.admin, adopt: given.adopt }),
        ...(environment ? [environment] : []),
      ],
      reconcilers: {
        ...tenant.reconcilers,
        ...(environment ? { 'registry-environment': registryEnvironment(environment.spec, [files.web, files.machine]) } : {}),
      },
      tenants: [tenant.lock],
    }
  },
  async report(outcome, given, context) {
    const tenant = await context.tenant(given.idp, { bootstrap: true })
    const files = filesOf(given, tenant, context)
    const proved = makesClients(given) && (outcome.applied || outcome.changes.length === 0)
    const expected = { audience: audienceOf(context), groups: [ADMIN_GROUP] }
    return {
      idp: given.idp,
      issuer: tenant.issuer,
      admin: { username: given.admin_username, password_file: files.admin.place },
      environment_file: makesClients(given) ? files.environment : null,
      verified: proved
        ? await verifyMachine(tenant, { name: GATEWAY_MACHINE, sink: files.machine, doorTo: context.doorTo }, expected)
        : null,
      ...outcomeFields(outcome),
    }
  },
})

function makesClients({ idp }: Input): boolean {
  return IDPS[idp].capabilities.gateway_clients === 'ours'
}

interface Files {
  readonly admin: SecretSink
  readonly web: SecretSink
  readonly machine: SecretSink
  readonly environment: string
}

function filesOf({ idp, admin_username, environment_file }: Input, tenant: Tenant, context: Context): Files {
  return {
    admin: passwordFile(places.person(context, admin_username), { username: admin_username, issuer: tenant.issuer }),
    web: secretFile(places.client(context, WEB_CLIENT), tenant.identityFacts(WEB_CLIENT)),
    machine: secretFile(places.identity(context, idp, GATEWAY_MACHINE), tenant.identityFacts(GATEWAY_MACHINE)),
    environment: environment_file ?? places.environment(context),
  }
}

/** The gateway's own clients, where the provider does not bring them. */
function gatewayClients(given: Input, files: Files, context: Context): Wanted[] {
  if (!makesClients(given)) return []
  const { capabilities } = IDPS[given.idp]
  const { adopt, auth_server_url } = given
  const shared = { audience: audienceOf(context), adopt }
  return [
    webClient({
      client_id: WEB_CLIENT,
      client_name: 'MCP Gateway Web',
      redirect_uris: [`${auth_server_url.replace(/\/+$/, '')}${capabilities.web_callback ?? '/'}`],
      sink: files.web,
      ...shared,
    }),
    machineClient(capabilities, { client_name: GATEWAY_MACHINE, groups: [ADMIN_GROUP], sink: files.machine, ...shared }),
  ]
}

function environmentOf(
  given: Input,
  tenant: Tenant,
  files: Files,
): Extract<Wanted<'registry-environment'>, { ensure: 'present' }> | undefined {
  const variables = IDPS[given.idp].capabilities.registry_variables
  if (variables === undefined) return undefined
  const settings = {
    ...tenant.registrySettings,
    [variables.web.id]: WEB_CLIENT,
    [variables.machine.id]: GATEWAY_MACHINE,
    MCP_ADVERTISED_SCOPES: ADVERTISED_SCOPES,
  }
  const secrets = { [variables.web.secret]: files.web.place, [variables.machine.secret]: files.machine.place }
  const path = files.environment
  return { kind: 'registry-environment', key: path, ensure: 'present', spec: { path, settings, secrets } }
}
