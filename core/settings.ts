/**
 * Settings by table: where each may come from, whether it is secret, what it means. A reader gets typed values or one
 * error that names everything missing. An empty variable counts as unset.
 */
import { invalidInput, type Problem, ToolkitError } from './errors.js'
import { Secret } from './secret.js'

export interface Setting {
  readonly meaning: string
  readonly aliases?: readonly string[]
  readonly fallback?: string
  readonly secret?: true
  /** Least and most of a setting that counts whole seconds. */
  readonly seconds?: readonly [number, number]
}

/** Every setting of the toolkit; the README's table is made from it. */
export const SETTINGS = {
  MCP_IDP_HOME: { meaning: 'folder with profile, identities, tokens and registrations; else the user configuration folder' },
  KEYCLOAK_URL: { meaning: 'base URL of the Keycloak server', aliases: ['KEYCLOAK_ADMIN_URL'] },
  KEYCLOAK_REALM: { meaning: 'realm to set up', fallback: 'mcp-gateway' },
  KEYCLOAK_ADMIN_REALM: { meaning: 'realm in which the administrator logs in', fallback: 'master' },
  KEYCLOAK_ADMIN: { meaning: 'administrator user name', fallback: 'admin' },
  KEYCLOAK_ADMIN_PASSWORD: { meaning: 'administrator password', secret: true },
  KEYCLOAK_ADMIN_CLIENT_ID: { meaning: 'service account to use instead of an administrator' },
  KEYCLOAK_ADMIN_CLIENT_SECRET: { meaning: 'its secret', secret: true },
  EMBEDDED_ISSUER: { meaning: 'issuer of the embedded provider; `mcp-idp start` writes it into the profile' },
  EMBEDDED_INITIAL_ACCESS_TOKEN: { meaning: 'lets us register clients at the embedded provider (RFC 7591 section 3)', secret: true },
  EMBEDDED_ADMIN_TOKEN: { meaning: "opens the embedded provider's admin API: groups, people, client secrets", secret: true },
  ENTRA_CLIENT_ID: { meaning: "the gateway's app registration; identities at Entra without a scope ask for its `/.default`" },
  ENTRA_LOGIN_BASE_URL: { meaning: 'login service of identities at Entra that name none' },
  REGISTRY_URL: { meaning: 'base URL of the gateway registry' },
  REGISTRY_ISSUERS: { meaning: 'issuers that the embedded registry trusts: `keycloak=<issuer>,embedded=<issuer>`, the first is primary' },
  REGISTRY_IDENTITY_FILE: { meaning: 'identity whose token opens the registry' },
  REGISTRY_TOKEN_FILE: { meaning: 'file with an access token for the registry, used instead of an identity' },
  MCP_IDP_ALLOW_HTTP: { meaning: '`true` lets credentials travel over plain http off this machine' },
  MCP_IDP_TIMEOUT: { meaning: 'seconds for one request with its body, 1 to 600', fallback: '30', seconds: [1, 600] },
  MCP_IDP_PATIENCE: {
    meaning: 'seconds to wait in all for a server that is busy or restarting, 0 to 3600',
    fallback: '60',
    seconds: [0, 3600],
  },
  MCP_IDP_TOKEN_TIMEOUT: { meaning: 'seconds for one token request, 1 to 600', fallback: '10', seconds: [1, 600] },
  MCP_IDP_CA_FILE: { meaning: 'PEM file of certificate authorities to trust besides the well-known ones; also `--ca-file`' },
  HTTPS_PROXY: { meaning: 'proxy for https servers off this machine', aliases: ['https_proxy'] },
  HTTP_PROXY: { meaning: 'proxy for http servers off this machine', aliases: ['http_proxy'] },
  NO_PROXY: { meaning: 'hosts that are reached without a proxy, separated by commas', aliases: ['no_proxy'] },
  MCP_GATEWAY_AUDIENCE: { meaning: 'audience that the gateway accepts', fallback: 'mcp-gateway' },
} as const satisfies Record<string, Setting>
export type SettingName = keyof typeof SETTINGS
type SecondsName = { [K in SettingName]: (typeof SETTINGS)[K] extends { seconds: unknown } ? K : never }[SettingName]

/** Resolves a name to its text; the composition root decides the order flag, environment, profile. */
export type SettingSource = (name: string) => string | undefined

/** Reads settings one by one and remembers what is missing, so that all is told at once. */
export class SettingsReader {
  readonly #missing: string[] = []
  readonly #problems: Problem[] = []
  constructor(private readonly source: SettingSource) {}

  optional(name: SettingName): string | undefined {
    const row: Setting = SETTINGS[name]
    for (const spelling of [name, ...(row.aliases ?? [])]) {
      const value = this.source(spelling)
      if (value !== undefined && value !== '') return value
    }
    return row.fallback
  }
  required(name: SettingName): string {
    const value = this.optional(name)
    if (value === undefined) this.#missing.push(name)
    return value ?? ''
  }
  secret(name: SettingName): Secret {
    return new Secret(this.required(name))
  }
  /** An absolute http or https URL without a trailing slash. */
  url(name: SettingName): string {
    const value = this.required(name)
    if (value === '') return value
    const url = URL.canParse(value) ? new URL(value) : undefined
    if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
      this.#problems.push({ path: name, expected: 'an absolute http or https URL without a user name' })
    }
    return value.replace(/\/+$/, '')
  }
  /** Whole seconds within the bounds of the table. */
  seconds(name: SecondsName): number {
    const [least, most] = SETTINGS[name].seconds
    const value = this.required(name)
    const seconds = /^\d{1,6}$/.test(value) ? Number(value) : Number.NaN
    if (!(seconds >= least && seconds <= most)) this.#problems.push({ path: name, expected: `whole seconds, ${least} to ${most}` })
    return seconds
  }
  /** Runs last. @throws ToolkitError invalid_input, or not_configured with every missing name */
  check(system: string): void {
    if (this.#problems.length > 0) throw invalidInput('the configuration', this.#problems)
    if (this.#missing.length === 0) return
    const lines = this.#missing.map((name) => `  ${name}: ${SETTINGS[name as SettingName].meaning}`)
    throw new ToolkitError(
      'not_configured',
      [`${system} is not configured; missing:`, ...lines].join('\n'),
      { missing: this.#missing },
      `set ${this.#missing.length === 1 ? 'it' : 'them'} in the environment or in the profile`,
    )
  }
}

/** The audience that the gateway accepts. */
export function audienceOf({ settings }: { readonly settings: SettingSource }): string {
  return new SettingsReader(settings).required('MCP_GATEWAY_AUDIENCE')
}
