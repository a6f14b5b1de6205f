/** What an entry of an identities file may say, provider by provider; the schema for editors is made from it. */
import { z } from 'zod'
import { AUTH_PROVIDERS, type AuthProvider, clientId, fileSafeName } from '../core/vocabulary.js'
import { TOKEN_SOURCES } from '../idp/tokens.js'
import { secretValue } from './secret-reference.js'

/** RFC 6749 appendix A.4. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/

/** An entry of one provider, with `identity_name` and `auth_provider` filled in where the file's name says them. */
function entrySchema(provider: AuthProvider): z.ZodObject {
  const { title, fields, secrets, scope, isLoose } = TOKEN_SOURCES[provider]
  const scopes = z.string().max(1024).regex(SCOPE, 'scopes, separated by single spaces').describe('scopes, separated by spaces')
  const isOne = secrets.length === 1
  const shape = {
    identity_name: fileSafeName.describe('name of the identity and of its token file'),
    auth_provider: z.literal(provider).describe(title),
    client_id: clientId.describe('client id'),
    ...Object.fromEntries(secrets.map((field) => [field, isOne ? secretValue : secretValue.optional()])),
    scope: scope === 'required' ? scopes : scopes.optional(),
    ...fields.shape,
  }
  return isLoose ? z.looseObject(shape) : z.strictObject(shape)
}

const schemas = new Map<AuthProvider, z.ZodObject>()

/** The schema of a provider, made once. */
export function schemaOf(provider: AuthProvider): z.ZodObject {
  const schema = schemas.get(provider) ?? entrySchema(provider)
  schemas.set(provider, schema)
  return schema
}

/** What the documented name of a file may say instead of its entries. */
const IMPLIED: { readonly [P in AuthProvider]?: readonly string[] } = {
  keycloak: ['identity_name', 'auth_provider'],
  entra: ['auth_provider'],
}

/** JSON Schema (draft 2020-12) of an identities file, for editors. */
export function identitiesJsonSchema(): object {
  const entries = AUTH_PROVIDERS.map((provider) => {
    const { $schema: _, required = [], ...rest } = z.toJSONSchema(schemaOf(provider), { io: 'input', unrepresentable: 'any' })
    return { title: TOKEN_SOURCES[provider].title, ...rest, required: required.filter((field) => !IMPLIED[provider]?.includes(field)) }
  })
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'identities file of mcp-gateway-idp',
    anyOf: [{ $ref: '#/$defs/identity' }, { type: 'array', items: { $ref: '#/$defs/identity' } }],
    $defs: { identity: { anyOf: entries } },
  }
}
