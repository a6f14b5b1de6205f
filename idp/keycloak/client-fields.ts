/**
 * A Keycloak client and our spec of it, both ways. Each field is one row: how it is seen, and what is sent to make it so.
 * Every security property is here, so that drift in it is seen.
 */
import type ClientRepresentation from '@keycloak/keycloak-admin-client/lib/defs/clientRepresentation.js'
import type ProtocolMapperRepresentation from '@keycloak/keycloak-admin-client/lib/defs/protocolMapperRepresentation.js'
import type { Resources } from '../../core/resources.js'

const PKCE = 'pkce.code.challenge.method'

/** Where Keycloak keeps each grant type: a field of the client, or an attribute. */
const GRANTS = {
  authorization_code: { field: 'standardFlowEnabled' },
  implicit: { field: 'implicitFlowEnabled' },
  password: { field: 'directAccessGrantsEnabled' },
  client_credentials: { field: 'serviceAccountsEnabled' },
  'urn:ietf:params:oauth:grant-type:device_code': { attribute: 'oauth2.device.authorization.grant.enabled' },
  'urn:openid:params:grant-type:ciba': { attribute: 'oidc.ciba.grant.enabled' },
  'urn:ietf:params:oauth:grant-type:token-exchange': { attribute: 'standard.token.exchange.enabled' },
  'urn:ietf:params:oauth:grant-type:jwt-bearer': { attribute: 'oauth2.jwt.authorization.grant.enabled' },
} as const satisfies Record<string, { field: keyof ClientRepresentation } | { attribute: string }>

/** Refresh tokens are on unless said otherwise, and mean nothing without a flow for people. */
const REFRESH = 'use.refresh.tokens'

/** Every field that a client of any kind has here. */
export type ClientSpec = Omit<Resources['public-client'] & Resources['web-client'] & Resources['machine-client'], 'groups'>

export function observedSpec(client: ClientRepresentation): ClientSpec {
  const attributes: Record<string, unknown> = client.attributes ?? {}
  return {
    client_id: client.clientId ?? '',
    client_name: client.name ?? '',
    enabled: client.enabled ?? false,
    redirect_uris: client.redirectUris ?? [],
    web_origins: client.webOrigins ?? [],
    grant_types: observedGrants(client, attributes),
    token_endpoint_auth_method: observedAuthMethod(client),
    pkce: typeof attributes[PKCE] === 'string' && attributes[PKCE] !== '' ? attributes[PKCE] : 'none',
    full_scope: client.fullScopeAllowed ?? true,
    groups_claim: groupsClaimOf(mapperNamed(client, GROUPS_MAPPER)),
    audience: audienceOf(mapperNamed(client, AUDIENCE_MAPPER)),
  }
}

function observedGrants(client: ClientRepresentation, attributes: Record<string, unknown>): string[] {
  const grants = Object.entries(GRANTS).flatMap(([grant, place]) =>
    ('field' in place ? client[place.field] === true : attributes[place.attribute] === 'true') ? [grant] : [],
  )
  const forPeople = grants.some((grant) => grant !== 'client_credentials')
  return forPeople && attributes[REFRESH] !== 'false' ? [...grants, 'refresh_token'] : grants
}

function observedAuthMethod(client: ClientRepresentation): string {
  if (client.publicClient) return 'none'
  // Keycloak takes the secret in the header or in the body alike.
  return client.clientAuthenticatorType === 'client-secret' ? 'client_secret_basic' : (client.clientAuthenticatorType ?? 'unknown')
}

/** The part of a client's representation that makes the given fields true. Mappers are separate objects: see `mappersFor`. */
export function representationOf(fields: Partial<ClientSpec>): ClientRepresentation {
  const { client_id, client_name, enabled, redirect_uris, web_origins, grant_types, token_endpoint_auth_method, pkce, full_scope } = fields
  const attributes = {
    ...(pkce === undefined ? {} : { [PKCE]: pkce === 'none' ? '' : pkce }),
    ...(grant_types ? grantAttributes(grant_types) : {}),
  }
  return {
    ...(client_id === undefined ? {} : { clientId: client_id }),
    ...(client_name === undefined ? {} : { name: client_name }),
    ...(enabled === undefined ? {} : { enabled }),
    ...(redirect_uris === undefined ? {} : { redirectUris: [...redirect_uris] }),
    ...(web_origins === undefined ? {} : { webOrigins: [...web_origins] }),
    ...(full_scope === undefined ? {} : { fullScopeAllowed: full_scope }),
    ...(grant_types ? grantFields(grant_types) : {}),
    ...(token_endpoint_auth_method === undefined ? {} : authMethodFields(token_endpoint_auth_method)),
    ...(Object.keys(attributes).length === 0 ? {} : { attributes }),
  }
}

function grantFields(grants: readonly string[]): ClientRepresentation {
  return Object.fromEntries(
    Object.entries(GRANTS).flatMap(([grant, place]) => ('field' in place ? [[place.field, grants.includes(grant)]] : [])),
  )
}

function grantAttributes(grants: readonly string[]): Record<string, string> {
  const rows = Object.entries(GRANTS).flatMap(([grant, place]) =>
    'attribute' in place ? [[place.attribute, String(grants.includes(grant))]] : [],
  )
  return Object.fromEntries([...rows, [REFRESH, String(grants.includes('refresh_token'))]])
}

function authMethodFields(method: string): ClientRepresentation {
  return method === 'none' ? { publicClient: true } : { publicClient: false, clientAuthenticatorType: 'client-secret' }
}

const GROUPS_MAPPER = 'groups'
const AUDIENCE_MAPPER = 'gateway-audience'

export function mapperNamed(client: ClientRepresentation, name: string): ProtocolMapperRepresentation | undefined {
  return client.protocolMappers?.find((mapper) => mapper.name === name)
}

/** The mappers that carry the given fields. */
export function mappersFor({ groups_claim, audience }: Partial<ClientSpec>): ProtocolMapperRepresentation[] {
  return [
    ...(groups_claim === undefined ? [] : [groupsMapper(groups_claim)]),
    ...(audience === undefined ? [] : [audienceMapper(audience)]),
  ]
}

function groupsMapper(claim: string): ProtocolMapperRepresentation {
  const config = {
    'claim.name': claim,
    'full.path': 'false',
    'access.token.claim': 'true',
    'id.token.claim': 'true',
    'userinfo.token.claim': 'true',
    'introspection.token.claim': 'true',
  }
  return { name: GROUPS_MAPPER, protocol: 'openid-connect', protocolMapper: 'oidc-group-membership-mapper', config }
}

function audienceMapper(audience: string): ProtocolMapperRepresentation {
  const config = {
    'included.custom.audience': audience,
    // Empty takes out what somebody put there; Keycloak does not store it.
    'included.client.audience': '',
    'access.token.claim': 'true',
    'id.token.claim': 'false',
    'userinfo.token.claim': 'false',
    'introspection.token.claim': 'true',
  }
  return { name: AUDIENCE_MAPPER, protocol: 'openid-connect', protocolMapper: 'oidc-audience-mapper', config }
}

/** The claim that the mapper really makes, in words where it is not the plain one. */
function groupsClaimOf(mapper: ProtocolMapperRepresentation | undefined): string {
  if (mapper === undefined) return '(none)'
  const config: Record<string, unknown> = mapper.config ?? {}
  const oddities = [
    ...(mapper.protocolMapper === 'oidc-group-membership-mapper' ? [] : [`made by ${String(mapper.protocolMapper).slice(0, 60)}`]),
    ...(config['full.path'] === 'false' ? [] : ['with full paths']),
    ...(config['access.token.claim'] === 'true' ? [] : ['not in access tokens']),
  ]
  const claim = String(config['claim.name'] ?? '(unnamed)').slice(0, 60)
  return oddities.length === 0 ? claim : `${claim} ${oddities.join(', ')}`
}

function audienceOf(mapper: ProtocolMapperRepresentation | undefined): string {
  if (mapper === undefined) return '(none)'
  const config: Record<string, unknown> = mapper.config ?? {}
  const oddities = [
    ...(mapper.protocolMapper === 'oidc-audience-mapper' ? [] : [`made by ${String(mapper.protocolMapper).slice(0, 60)}`]),
    ...(config['access.token.claim'] === 'true' ? [] : ['not in access tokens']),
    ...(typeof config['included.client.audience'] === 'string' && config['included.client.audience'] !== '' ? ['and a client'] : []),
  ]
  const audience = String(config['included.custom.audience'] ?? '(none)').slice(0, 200)
  return oddities.length === 0 ? audience : `${audience} ${oddities.join(', ')}`
}
