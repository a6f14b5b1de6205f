/**
 * Clients at any server with dynamic registration (RFC 7591, RFC 7592), as reconcilers. The natural key is the name, since
 * ids are issued. Such servers list nothing: we see the clients whose registration file we hold, and no others, so a chosen
 * client id, adoption and a client whose creating answer was lost are out of reach. In the last case the next run creates a
 * second client, and the first stays at the server unseen.
 */
import { ToolkitError } from '../../core/errors.js'
import type { Door } from '../../core/http.js'
import type { Reconciler } from '../../core/plan.js'
import type { Secret } from '../../core/secret.js'
import { readClient, register, removeClient, replaceClient } from './client-configuration.js'
import { registrationEndpoint } from './discovery.js'
import {
  type ClientInformation,
  type ClientKind,
  type ClientSpec,
  differences,
  kindOf,
  metadataFields,
  ownerOf,
  registrationBody,
  specOf,
  updateBody,
} from './metadata.js'
import { isAtIssuer, type Registration, registrationsOf } from './registrations.js'

export interface DcrOptions {
  readonly issuer: string
  readonly door: Door
  /** RFC 7591 section 3; undefined where registration is open. */
  readonly initialAccessToken: Secret | undefined
  /** Folder of the registration files of all issuers. */
  readonly registrationsFolder: string
  readonly application_type: 'native'
  /** Our name in the ownership mark. */
  readonly profile: string
}

/** An `Observed` of either kind. */
interface ObservedClient {
  readonly id: string
  readonly owner: 'us' | { readonly other: string }
  readonly spec: ClientSpec
  /** A machine client's, where the server shows it. */
  readonly secret?: Secret
}

/** All that is needed of a client that was observed: the rest is read again. */
type Named = { readonly spec: { readonly client_name: string } }

/** Public clients and machine clients of one issuer. */
export function dcrReconcilers(options: DcrOptions): {
  'public-client': Reconciler<'public-client'>
  'machine-client': Reconciler<'machine-client'>
} {
  const people = clientStore('public-client', options)
  const machines = clientStore('machine-client', options)
  return {
    'public-client': {
      observe: people.observe,
      create: async (spec) => ({ spec: (await people.create(spec)).spec }),
      update: people.update,
      remove: people.remove,
      owned: people.owned,
    },
    'machine-client': { ...machines, secret: 'issued' },
  }
}

function clientStore(kind: ClientKind, { issuer, door, initialAccessToken, registrationsFolder, application_type, profile }: DcrOptions) {
  const registrations = registrationsOf(issuer, registrationsFolder)

  /** A server may change the token with any answer (RFC 7592 section 3): what it said last is what counts. */
  async function keepLatest(
    registration: Registration,
    { registration_access_token, registration_client_uri }: ClientInformation,
  ): Promise<Registration> {
    const token = registration_access_token ?? registration.registration_access_token
    const uri = registration_client_uri ?? registration.registration_client_uri
    refuseForeign(uri, registration.client_id)
    const isSame = token.equals(registration.registration_access_token) && uri === registration.registration_client_uri
    const latest = { ...registration, registration_access_token: token, registration_client_uri: uri }
    if (!isSame) await registrations.save(latest)
    return latest
  }

  function refuseForeign(registration_client_uri: string, client_id: string): void {
    if (isAtIssuer(registration_client_uri, issuer)) return
    throw new ToolkitError(
      'unexpected_response',
      `${issuer} wants client ${client_id} to be managed at another origin; nothing was sent there`,
      { system: issuer, reason: 'foreign_origin' },
      'remove the client at the server',
    )
  }

  function registrationOf(client_name: string, information: ClientInformation): Registration {
    const { client_id, registration_client_uri, registration_access_token } = information
    if (registration_client_uri === undefined || registration_access_token === undefined) {
      const details = {
        system: issuer,
        capability: 'client configuration',
        why: 'its answer has no registration_client_uri and token (RFC 7592)',
      }
      throw new ToolkitError(
        'unsupported',
        `${issuer} created client ${client_id} and lets nobody manage it`,
        details,
        'remove the client at the server',
      )
    }
    refuseForeign(registration_client_uri, client_id)
    return { issuer, client_name, client_id, registration_client_uri, registration_access_token }
  }

  async function known(client_name: string): Promise<Registration> {
    const registration = await registrations.read(client_name)
    if (registration) return registration
    throw new ToolkitError(
      'not_found',
      `the registration file of ${kind} ${client_name} is gone`,
      { kind, key: client_name },
      'restore it; without it the client cannot be seen',
    )
  }

  /** The client as it is now. @throws ToolkitError not_found when it went away since it was observed */
  async function current(client_name: string): Promise<{ registration: Registration; information: ClientInformation }> {
    const registration = await known(client_name)
    const information = await readClient(door, registration)
    if (information === undefined)
      throw new ToolkitError('not_found', `${issuer} has no ${kind} ${client_name} any more`, { kind, key: client_name }, 'run again')
    return { registration: await keepLatest(registration, information), information }
  }

  /** Undefined when the server says that the client is gone. */
  async function look(registration: Registration): Promise<ClientInformation | undefined> {
    const information = await readClient(door, registration)
    if (information) await keepLatest(registration, information)
    return information
  }

  async function observeOne(key: string): Promise<[string, ObservedClient][]> {
    const registration = await registrations.read(key)
    const information = registration && (await look(registration))
    if (registration === undefined || information === undefined) return []
    const actual = kindOf(information)
    if (actual !== kind)
      throw new ToolkitError('conflict', `client ${key} is a ${actual} of ours, not a ${kind}`, { kind, key }, 'choose another name')
    const secret = kind === 'machine-client' && information.client_secret ? { secret: information.client_secret } : {}
    return [[key, { id: registration.client_id, owner: ownerFor(information), spec: specOf(information), ...secret }]]
  }

  function ownerFor(information: ClientInformation): ObservedClient['owner'] {
    const mark = ownerOf(information)
    // A server may drop the mark; the registration file in our home says the same.
    return mark === undefined || mark === profile ? 'us' : { other: `profile ${mark}` }
  }

  return {
    async observe(keys: readonly string[]): Promise<Map<string, ObservedClient>> {
      return new Map((await Promise.all(keys.map(observeOne))).flat())
    },

    async create(spec: Partial<ClientSpec>): Promise<{ spec: ClientSpec; secret?: Secret }> {
      const client_name = spec.client_name ?? ''
      const asked = registrationBody(spec, { kind, profile, application_type })
      const endpoint = await registrationEndpoint(issuer, door)
      const answer = await register(door, { issuer, endpoint, token: initialAccessToken }, asked)
      const registration = registrationOf(client_name, answer)
      await registrations.save(registration)
      const isSecretMissing = kind === 'machine-client' && answer.client_secret === undefined
      const different = [...differences(kind, asked, answer), ...(isSecretMissing ? ['client_secret'] : [])]
      if (different.length > 0) throw await takenBack(registration, different)
      return { spec: specOf(answer), ...(answer.client_secret ? { secret: answer.client_secret } : {}) }
    },

    async update({ spec: { client_name } }: Named, fields: Partial<ClientSpec>): Promise<void> {
      const { registration, information } = await current(client_name)
      const answer = await replaceClient(door, registration, updateBody(information, fields))
      await keepLatest(registration, answer)
      // Only what we own: a server's own fields, a time of change for one, may well differ.
      const different = differences(kind, metadataFields(fields), answer)
      if (different.length > 0) throw differs(client_name, different, 'changed')
    },

    async remove({ spec: { client_name } }: Named): Promise<void> {
      await removeClient(door, await known(client_name))
      await registrations.remove(client_name)
    },

    /** What a client is, the server says; a file whose client is gone there counts for neither kind. */
    async owned(): Promise<string[]> {
      const names = (await registrations.list()).map(async (registration) => {
        const information = await look(registration)
        return information && kindOf(information) === kind && ownerFor(information) === 'us' ? [registration.client_name] : []
      })
      return (await Promise.all(names)).flat()
    },
  }

  /** The client is not what was asked for: it is removed where the server lets us, else its file stays, so that it is seen. */
  async function takenBack(registration: Registration, fields: readonly string[]): Promise<ToolkitError> {
    try {
      await removeClient(door, registration)
      await registrations.remove(registration.client_name)
      return differs(registration.client_name, fields, 'registered and removed again')
    } catch {
      return differs(registration.client_name, fields, `registered as ${registration.client_id}, which could not be removed`)
    }
  }

  function differs(client_name: string, fields: readonly string[], what: string): ToolkitError {
    return new ToolkitError(
      'unexpected_response',
      `${issuer} made ${kind} ${client_name} something else than was asked for (${fields.join(', ')}); it was ${what}`,
      { system: issuer, reason: `differs: ${fields.join(', ')}` },
      'this server cannot hold such a client; set it up there by hand',
    )
  }
}
