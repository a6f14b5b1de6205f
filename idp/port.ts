/** The port between the rooms and one tenant of one identity provider. */
import type { Door, DoorOptions } from '../core/http.js'
import type { Reconcilers } from '../core/plan.js'
import type { HeldRights } from '../core/rights.js'
import type { IdentityFacts } from '../core/secret-file.js'
import type { SettingSource } from '../core/settings.js'
import type { IdpName } from '../core/vocabulary.js'
import type { Capabilities, Claims } from './capabilities.js'

/** What a connection gets from the composition root. */
export interface Connecting {
  readonly settings: SettingSource
  readonly profile: string
  /** Home folder, for the declared state of decision "registrations". */
  readonly home: string
  /** True where the tenant itself may still have to be made; a tenant that is missing is `not_found` otherwise. */
  readonly bootstrap?: boolean
  /** A door to these origins, with the latch, the deadline and the log of this run, which closes it. */
  open(options: Pick<DoorOptions, 'origins' | 'isRead'>): Door
}

/** A connected tenant: a realm, an issuer. */
export interface Tenant {
  readonly idp: IdpName
  /** The realm, or whatever the vendor calls its tenants. */
  readonly name: string
  readonly issuer: string
  /** Locked while changes are applied. */
  readonly lock: string
  readonly reconcilers: Reconcilers
  /** What an identities file must say of a client of this tenant. */
  identityFacts(name: string): IdentityFacts
  /** What the registry must be told of this tenant, by the registry's own variable names. */
  readonly registrySettings: Readonly<Record<string, string>>
  /** What reads alone tell of the credential's rights. */
  rights(): Promise<HeldRights>
  /**
   * The claims of the access token that a person would get through a client, by the server's own evaluation; without a
   * user name somebody who is in a group is taken. Undefined when there is nobody; absent where the server cannot tell.
   */
  evaluate?(client_id: string, username?: string): Promise<{ readonly username: string; readonly claims: Claims } | undefined>
}

/** Everything a provider's folder offers; loaded on first use. */
export interface Adapter {
  connect(connecting: Connecting): Promise<Tenant>
}

export interface IdpRow {
  readonly capabilities: Capabilities
  load(): Promise<Adapter>
}
