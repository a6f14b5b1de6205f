/** The identity providers: a new one is a folder and a row. Capabilities are free to read; SDKs load on first use. */
import type { IdpName } from '../core/vocabulary.js'
import { embeddedCapabilities } from './embedded/capabilities.js'
import { keycloakCapabilities } from './keycloak/capabilities.js'
import type { IdpRow } from './port.js'

export const IDPS: Readonly<Record<IdpName, IdpRow>> = {
  keycloak: { capabilities: keycloakCapabilities, load: async () => (await import('./keycloak/adapter.js')).keycloak },
  embedded: { capabilities: embeddedCapabilities, load: async () => (await import('./embedded/adapter.js')).embedded },
}

export type { Capabilities, Claims, TokenRules } from './capabilities.js'
export type { IdpRow, Tenant } from './port.js'
