/**
 * What the stand-in Keycloak has: a realm of ours with a client of each kind, each with a secret in the list, a group and a
 * person. Nothing that is written stays; it is about what comes out.
 */
import type { SeenRequest } from '../fakes/server.js'

/** Secrets that the realm gives away to whoever may list it. */
export interface RealmSecrets {
  readonly clientSecret: string
  readonly webSecret: string
  readonly publicSecret: string
  readonly registrationToken: string
  readonly mailPassword: string
}

const MARK = 'mcp_gateway_idp'
/** Client ids, by our kinds. */
export const CLIENTS = { 'machine-client': 'planted-machine', 'web-client': 'mcp-gateway-web', 'public-client': 'mcp-gateway-ide' } as const
const PERSON = { id: 'p', username: 'planted', enabled: true, access: { manage: true }, attributes: { [MARK]: ['default'] } }
const GROUP = { id: 'g', name: 'demo-readers', path: '/demo-readers', subGroupCount: 0, access: { manage: true, manageMembership: true } }

/** The answer to a read below `/admin/realms/<realm>`, or to a write; undefined for what there is not. */
export function realmAnswer({ method, path }: SeenRequest, secrets: RealmSecrets): { status: number; body?: unknown } | undefined {
  const [pathname = '', query = ''] = path.split('?', 2)
  const below = /^\/admin\/realms\/[^/]+(.*)$/.exec(pathname)?.[1]?.replace(/\/$/, '')
  if (below === undefined) return undefined
  if (method === 'POST') return { status: 201 }
  if (method !== 'GET') return { status: 204 }
  const found = READS.find(([fits]) => fits.test(below))?.[1]
  return found && { status: 200, body: found(secrets, new URLSearchParams(query), below) }
}

type Read = (secrets: RealmSecrets, query: URLSearchParams, below: string) => unknown
const READS: readonly (readonly [RegExp, Read])[] = [
  [/^$/, ({ mailPassword }) => realm(mailPassword)],
  [/^\/clients$/, (secrets, query) => clients(secrets).filter(({ clientId }) => (query.get('clientId') ?? clientId) === clientId)],
  [/^\/clients\/[^/]+$/, (secrets, _, below) => clients(secrets).find(({ id }) => below.endsWith(`/${id}`))],
  [/^\/clients\/[^/]+\/service-account-user$/, () => ({ id: 'sa', username: `service-account-${CLIENTS['machine-client']}` })],
  [/^\/clients\/[^/]+\/evaluate-scopes\//, () => ({ sub: 'p', aud: 'mcp-gateway', groups: ['demo-readers'] })],
  [/^\/groups$/, () => [GROUP]],
  [/^\/groups\/[^/]+\/members$/, () => [PERSON]],
  [/^\/users$/, (_, query) => ((query.get('username') ?? PERSON.username) === PERSON.username ? [PERSON] : [])],
  [/^\/users\/profile$/, () => ({ attributes: [], unmanagedAttributePolicy: 'ADMIN_EDIT' })],
  [/^\/users\/[^/]+\/groups$/, () => [GROUP]],
  [/^\/attack-detection\//, () => ({})],
  [/^\/default-groups$/, () => []],
]

function realm(password: string) {
  return {
    ...{ realm: 'x', enabled: true, accessTokenLifespan: 300, ssoSessionIdleTimeout: 1800, ssoSessionMaxLifespan: 36_000 },
    ...{ bruteForceProtected: true, failureFactor: 5, registrationAllowed: false, registrationEmailAsUsername: false },
    attributes: { [MARK]: 'default' },
    // Keycloak shows stars here; a plug-in or a proxy may not.
    smtpServer: { host: 'mail.example', password },
  }
}

function clients({ clientSecret, webSecret, publicSecret, registrationToken }: RealmSecrets) {
  const client = (kind: keyof typeof CLIENTS, secret: string) => ({
    ...{
      id: `id-of-${kind}`,
      clientId: CLIENTS[kind],
      enabled: true,
      access: { manage: true },
      secret,
      registrationAccessToken: registrationToken,
    },
    ...{ publicClient: kind === 'public-client', standardFlowEnabled: kind !== 'machine-client', clientAuthenticatorType: 'client-secret' },
    serviceAccountsEnabled: kind === 'machine-client',
    attributes: { [MARK]: 'default', [`${MARK}.kind`]: kind },
  })
  return [
    { ...client('public-client', publicSecret), id: 'a', clientId: 'account', attributes: {} },
    client('machine-client', clientSecret),
    client('web-client', webSecret),
    client('public-client', publicSecret),
  ]
}
