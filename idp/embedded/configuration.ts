/**
 * How oidc-provider is set up: the configuration that real Claude Code and Codex log in to, each setting with its reason.
 * It issues RFC 9068 access tokens for the gateway's audience, whatever registered resource they were asked for (RFC 8707).
 */
import type { Configuration } from 'oidc-provider'
import { DEFAULT_AUDIENCE, GROUPS_CLAIM, OWNER_MARK } from '../../core/vocabulary.js'
import { nameInToken } from './groups.js'
import { type KeptFiles, newClientId } from './kept-files.js'
import { errorPage } from './login-page.js'
import { objectAdapters } from './objects.js'
import type { People, Person } from './people.js'
import type { Store } from './store.js'

/** Every scope there is. No `offline_access`: dropped in silence without `prompt=consent`, while Codex repeats it at refresh and fails. */
export const SCOPES = ['openid', 'profile', 'email', 'groups']
/** The resource when a client names none; a bare word is not a resource indicator (RFC 8707 section 2). */
export const DEFAULT_RESOURCE = 'urn:mcp-gateway'

const MINUTE = 60
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

interface Parts {
  readonly store: Store
  readonly files: KeptFiles
  readonly people: People
  /** URLs of the MCP servers that tokens may be asked for, besides the default. */
  readonly resources: () => readonly string[]
  readonly oidc: Pick<typeof import('oidc-provider'), 'errors' | 'interactionPolicy'>
}

export function providerConfiguration({ store, files, people, resources, oidc }: Parts): Configuration {
  const { errors } = oidc
  return {
    adapter: objectAdapters(store),
    jwks: { keys: files.jwks.keys },
    // Cookies are shared by all ports of a host, so the names say whose they are.
    cookies: { keys: files.cookieKeys, names: { session: 'mcp_idp_session', interaction: 'mcp_idp_login', resume: 'mcp_idp_resume' } },
    scopes: SCOPES,
    claims: { openid: ['sub'], profile: ['name'], email: ['email'], groups: [GROUPS_CLAIM] },
    responseTypes: ['code'],
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post'],
    pkce: { required: () => true },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      rpInitiatedLogout: { enabled: false },
      // JWTs cannot be revoked, and introspection could tell nothing of them; refresh tokens are revoked by their own client.
      revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
      registration: { enabled: true, initialAccessToken: files.initialAccessToken, idFactory: newClientId },
      // Rotation would lose the client with a lost answer to a PUT.
      registrationManagement: { enabled: true, rotateRegistrationAccessToken: false },
      resourceIndicators: {
        enabled: true,
        // Else a token is opaque when `openid` was granted and the token request names no resource.
        useGrantedResource: () => true,
        defaultResource: (_ctx, _client, oneOf) => oneOf ?? DEFAULT_RESOURCE,
        getResourceServerInfo(_ctx, resource) {
          if (resource !== DEFAULT_RESOURCE && !resources().includes(resource)) throw new errors.InvalidTarget()
          return {
            audience: DEFAULT_AUDIENCE,
            scope: SCOPES.join(' '),
            accessTokenFormat: 'jwt',
            // Below five minutes Claude Code refreshes before every request.
            accessTokenTTL: HOUR,
            jwt: { sign: { alg: 'RS256' } },
          }
        },
      },
    },
    extraClientMetadata: { properties: [OWNER_MARK], validator: (_ctx, key, value) => checkMark(errors, key, value) },
    extraTokenClaims: async (_ctx, token) =>
      token.kind === 'AccessToken' ? { [GROUPS_CLAIM]: groupsClaim(await people.person(token.accountId)) } : undefined,
    // The default issues none without `offline_access`.
    issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    expiresWithSession: async () => false,
    // Against the general advice (RFC 9700 section 4.14): two parallel refreshes would end the session, and this is for evaluation.
    rotateRefreshToken: false,
    // A server that advertises no scope would end in `access_denied` after the login.
    extraParams: {
      scope(ctx) {
        const { params } = ctx.oidc
        if (params && !params['scope']) params['scope'] = 'openid profile groups'
      },
    },
    clientBasedCORS: () => false,
    interactions: { policy: loginPolicy(oidc), url: (_ctx, { uid }) => `/login/${uid}` },
    async findAccount(_ctx, sub) {
      const person = await people.person(sub)
      // Without an account there is no code, no refresh and no answer of userinfo.
      if (person?.enabled !== true) return undefined
      const { name, email } = person
      return { accountId: sub, claims: async () => ({ sub, name, email, [GROUPS_CLAIM]: groupsClaim(person) }) }
    },
    renderError(ctx, { error, error_description }) {
      const page = errorPage(error, error_description)
      ctx.set(page.headers)
      ctx.body = page.html
    },
    ttl: {
      AccessToken: HOUR,
      AuthorizationCode: MINUTE,
      ClientCredentials: HOUR,
      Grant: 14 * DAY,
      IdToken: HOUR,
      Interaction: HOUR,
      RefreshToken: 14 * DAY,
      Session: 14 * DAY,
    },
  }
}

/** A session whose person was disabled needs a login; without an account oidc-provider itself ends in an error of its own. */
function loginPolicy({ interactionPolicy: { base, Check } }: Parts['oidc']) {
  const policy = base()
  const isWithoutAccount = new Check('no_account', 'the person of this session cannot go on', ({ oidc }) =>
    oidc.session?.accountId !== undefined && oidc.account === undefined ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT,
  )
  policy.get('login')?.checks.add(isWithoutAccount)
  return policy
}

/** Names without their paths; two groups of one name are one to whoever reads the token. */
function groupsClaim(person: Person | undefined): string[] {
  return [...new Set((person?.groups ?? []).map(nameInToken))].sort()
}

function checkMark(errors: Parts['oidc']['errors'], key: string, value: unknown): void {
  if (value === undefined || (typeof value === 'string' && /^[\w.:-]{1,64}$/.test(value))) return
  throw new errors.InvalidClientMetadata(`${key} must be 1 to 64 of A-Z a-z 0-9 _ . : -`)
}
