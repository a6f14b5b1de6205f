/** What the setup jobs share: what they ask of their surroundings, the fields of their inputs, the places of their files. */
import { join } from 'node:path'
import { z } from 'zod'
import { fileNameOf } from '../core/file-name.js'
import type { Door } from '../core/http.js'
import type { Context } from '../core/operation.js'
import type { Reconcilers } from '../core/plan.js'
import { type IdpName, idpName } from '../core/vocabulary.js'
import { IDPS, type Tenant } from '../idp/index.js'

/** How the registry's rows are written: `issuer` is presumed of records whose server shows none. */
export interface RegistryRowOptions {
  readonly allow_privileged: boolean
  readonly issuer?: string
}

/** What setup asks of its surroundings besides the core context. */
export interface SetupContext extends Context {
  /** `bootstrap` where the tenant itself may still have to be made. */
  tenant(idp: IdpName, options?: { bootstrap?: boolean }): Promise<Tenant>
  /** Reconcilers of the registry's rows and the lock of its tenant; undefined when no registry is configured. */
  registryRows(options: RegistryRowOptions): Promise<{ reconcilers: Reconcilers; lock: string } | undefined>
  /** A door for token requests to one origin. */
  doorTo(origin: string): Door
}

/** Fields that several inputs have. */
export const fields = {
  idp: idpName.describe('identity provider'),
  adopt: z.boolean().default(false).describe('take over what exists and carries no mark of ours'),
  allow_privileged: z.boolean().default(false).describe('allow a group that confers administration of the registry'),
  create_groups: z.boolean().default(false).describe('create groups that do not exist'),
  secret_file: z.string().min(1).max(4096),
}

/** Files of secrets below the home folder. */
export const places = {
  /** Of a machine client: an entry of an identities file, which `credentials generate` reads. */
  identity: ({ home }: Context, idp: IdpName, name: string) => join(home, 'identities', IDPS[idp].capabilities.files.identity(name)),
  /** Of a confidential client that mints nothing by itself. */
  client: ({ home }: Context, name: string) => join(home, 'clients', `${fileNameOf(name)}.json`),
  /** Of a person's first password. */
  person: ({ home }: Context, username: string) => join(home, 'people', `${fileNameOf(username)}.json`),
  /** The registry's environment. */
  environment: ({ home }: Context) => join(home, 'registry.env'),
}
