/**
 * Client metadata of RFC 7591 section 2 and our specs, both ways. Answers are read by schema; their secrets are wrapped
 * here and never travel as text. What a server adds of its own is kept, so that an update drops nothing.
 */
import { z } from 'zod'
import { ToolkitError } from '../../core/errors.js'
import type { SecretJson } from '../../core/http-body.js'
import { diff } from '../../core/plan.js'
import type { Resources } from '../../core/resources.js'
import { Secret } from '../../core/secret.js'
import { clientId, OWNER_MARK } from '../../core/vocabulary.js'

export type ClientKind = 'public-client' | 'machine-client'
export type ClientSpec = Resources['public-client'] & Resources['machine-client']

const secret = z
  .string()
  .min(1)
  .max(4096)
  .transform((value) => new Secret(value))
const texts = z.array(z.string().max(2048)).max(500)

/** Client information response (RFC 7591 section 3.2.1, RFC 7592 section 3), with the defaults that section 2 gives absent fields. */
const clientInformation = z.looseObject({
  client_id: clientId,
  client_secret: secret.optional(),
  client_name: z.string().max(256).optional(),
  redirect_uris: texts.default([]),
  grant_types: texts.default(['authorization_code']),
  response_types: texts.default(['code']),
  token_endpoint_auth_method: z.string().max(100).default('client_secret_basic'),
  registration_access_token: secret.optional(),
  registration_client_uri: z.string().max(2048).optional(),
})
export type ClientInformation = z.output<typeof clientInformation>

/** @throws ToolkitError unexpected_response naming the fields that are not as the RFC says */
export function clientInformationOf(json: unknown, system: string): ClientInformation {
  const result = clientInformation.safeParse(json)
  if (result.success) return result.data
  const fields = [...new Set(result.error.issues.map(({ path }) => String(path[0] ?? 'the whole answer')))]
  throw new ToolkitError('unexpected_response', `${system} sent client information that is not valid: ${fields.join(', ')}`, {
    system,
    reason: 'client_information',
  })
}

/** The spec fields a server with RFC 7591 can hold; such a client is always enabled. */
export function specOf(information: ClientInformation): ClientSpec {
  const { client_id, client_name = '', redirect_uris, grant_types, token_endpoint_auth_method } = information
  return { client_id, client_name, enabled: true, redirect_uris, grant_types, token_endpoint_auth_method }
}

/** What a client is, told by what it can do. */
export function kindOf({ token_endpoint_auth_method }: ClientInformation): ClientKind {
  return token_endpoint_auth_method === 'none' ? 'public-client' : 'machine-client'
}

/** The profile that the client's mark names; undefined where the server keeps no mark. */
export function ownerOf(information: ClientInformation): string | undefined {
  const mark = information[OWNER_MARK]
  return typeof mark === 'string' ? mark.slice(0, 64) : undefined
}

export interface NewClient {
  readonly kind: ClientKind
  readonly profile: string
  /** OpenID Connect Registration section 2; a `web` client gets no port leniency on loopback. */
  readonly application_type: 'native'
}

/** Body of a registration (RFC 7591 section 3.1). A machine has no responses, and says so: the default would ask it for redirect URIs. */
export function registrationBody(spec: Partial<ClientSpec>, { kind, profile, application_type }: NewClient): Record<string, SecretJson> {
  const own = kind === 'public-client' ? { response_types: ['code'], application_type } : { response_types: [], redirect_uris: [] }
  return { ...own, ...metadataFields(spec), [OWNER_MARK]: profile }
}

/** Body of an update (RFC 7592 section 2.2): everything the server said of the client, with `fields` over it, without the four that it refuses. */
export function updateBody(current: ClientInformation, fields: Partial<ClientSpec>): Record<string, SecretJson> {
  const { registration_access_token, registration_client_uri, client_secret_expires_at, client_id_issued_at, ...kept } = current
  return { ...(kept as Record<string, SecretJson>), ...metadataFields(fields) }
}

/** The fields in which an answer differs from what was asked (arrays are sets); a secret that a public client must not have is one. */
export function differences(kind: ClientKind, asked: Readonly<Record<string, SecretJson>>, answer: ClientInformation): string[] {
  // A server may ignore an extension (RFC 7591 section 2); the registration file tells whose the client is.
  const { [OWNER_MARK]: _mark, ...compared } = asked
  const fields = diff<Record<string, unknown>>(answer, compared).map(({ field }) => field)
  return kind === 'public-client' && answer.client_secret !== undefined ? [...fields, 'client_secret'] : fields
}

/** The part of a spec that is client metadata. @throws ToolkitError unsupported for a disabled client: RFC 7591 has no such state */
export function metadataFields({
  client_name,
  redirect_uris,
  grant_types,
  token_endpoint_auth_method,
  enabled,
}: Partial<ClientSpec>): Record<string, SecretJson> {
  if (enabled === false) {
    const details = { system: 'dynamic client registration', capability: 'disabling a client', why: 'RFC 7591 has no such metadata' }
    throw new ToolkitError('unsupported', 'a registered client cannot be disabled', details, 'remove it')
  }
  const fields = { client_name, redirect_uris, grant_types, token_endpoint_auth_method }
  return Object.fromEntries(Object.entries(fields).flatMap(([field, value]) => (value === undefined ? [] : [[field, value]])))
}
