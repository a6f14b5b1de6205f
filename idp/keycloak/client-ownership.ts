/** Whose a client is, and which of our kinds it is: by its marks, else by its own shape. */
import type ClientRepresentation from '@keycloak/keycloak-admin-client/lib/defs/clientRepresentation.js'
import { ToolkitError } from '../../core/errors.js'
import { cleanText } from '../../core/foreign-text.js'
import type { Observed } from '../../core/plan.js'
import type { ClientKind } from '../../core/resources.js'
import { OWNER_MARK } from '../../core/vocabulary.js'
import { ownerOf } from './ownership.js'

/** Beside the owner: a client of ours is never turned into one of another kind. */
const KIND_MARK = 'mcp_gateway_idp.kind'

/** Made by Keycloak in every realm; master also has a client for each realm. */
const BUILT_IN = ['account', 'account-console', 'admin-cli', 'broker', 'realm-management', 'security-admin-console']

/** What a client of ours carries. */
export function marksOf(kind: ClientKind, profile: string): Record<string, string> {
  return { [OWNER_MARK]: profile, [KIND_MARK]: kind }
}

export function carriesMarks({ attributes = {} }: ClientRepresentation, kind: ClientKind, profile: string): boolean {
  return Object.entries(marksOf(kind, profile)).every(([name, value]) => attributes[name] === value)
}

/** @throws ToolkitError conflict when a client of ours, or of nobody, is not of the kind: it would have to be turned into another thing */
export function clientOwner(
  client: ClientRepresentation,
  kind: ClientKind,
  { realm, profile }: { realm: string; profile: string },
): Observed['owner'] {
  const { clientId: key = '', attributes = {} } = client
  if (isBuiltIn(client, realm)) return { other: 'Keycloak' }
  const owner = ownerOf(attributes, profile)
  if (owner === 'nobody') {
    const shape = shapeOf(client)
    if (shape === kind) return owner
    throw notOfKind(`client ${key} is ${shape === undefined ? 'nothing that we make' : `a ${shape}`}, not a ${kind}`, kind, key)
  }
  if (owner !== 'us') return owner
  const marked: unknown = attributes[KIND_MARK]
  if (marked === kind) return owner
  throw notOfKind(`client ${key} is a ${cleanText(String(marked ?? 'client'), 40)} of ours, not a ${kind}`, kind, key)
}

function notOfKind(message: string, kind: ClientKind, key: string): ToolkitError<'conflict'> {
  return new ToolkitError('conflict', message, { kind, key }, 'choose another client id')
}

function isBuiltIn({ clientId = '', bearerOnly }: ClientRepresentation, realm: string): boolean {
  return BUILT_IN.includes(clientId) || (realm === 'master' && bearerOnly === true && clientId.endsWith('-realm'))
}

/** Undefined for a client of SAML, for one that only checks tokens, and for one without a flow that we use. */
function shapeOf(client: ClientRepresentation): ClientKind | undefined {
  if (client.protocol === 'saml' || client.bearerOnly === true) return undefined
  if (client.publicClient === true) return 'public-client'
  if (client.standardFlowEnabled === true) return 'web-client'
  return client.serviceAccountsEnabled === true ? 'machine-client' : undefined
}
