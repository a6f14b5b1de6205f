/**
 * The one thing we must remember (a declared exception from "no state file"): servers with RFC 7591 cannot list clients, so
 * each registration lies in `registrations/<sha256 of the issuer>/<name>.json`, 0600 in 0700. When a file is lost its client
 * cannot be seen any more; that is not the same as being absent, but nobody can tell the two apart.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { z } from 'zod'
import { invalidInput } from '../../core/errors.js'
import { problemsOf } from '../../core/operation.js'
import { makePrivateFolder, readSmallFile, removeFile, savePrivateFile } from '../../core/private-file.js'
import { Secret } from '../../core/secret.js'
import { clientId, clientName } from '../../core/vocabulary.js'

const registrationFile = z.strictObject({
  issuer: z.string().max(2048),
  client_name: clientName,
  client_id: clientId,
  registration_client_uri: z.string().max(2048),
  registration_access_token: z.string().min(1).max(4096),
})

/** What opens one client's configuration endpoint (RFC 7592 section 3). */
export interface Registration {
  readonly issuer: string
  readonly client_name: string
  readonly client_id: string
  readonly registration_client_uri: string
  readonly registration_access_token: Secret
}

export interface Registrations {
  /** @throws ToolkitError invalid_input for a file that is not ours, is of another client or issuer, or leads elsewhere */
  read(client_name: string): Promise<Registration | undefined>
  save(registration: Registration): Promise<void>
  remove(client_name: string): Promise<void>
}

/** The registrations of one issuer below a folder. */
export function registrationsOf(issuer: string, folder: string): Registrations {
  const ownFolder = join(folder, hash(issuer))
  const pathOf = (client_name: string) => join(ownFolder, `${fileName(client_name)}.json`)
  return {
    async read(client_name) {
      const path = pathOf(client_name)
      const text = await readSmallFile(path)
      if (text === undefined) return undefined
      const result = registrationFile.safeParse(parsed(text))
      if (!result.success) throw notOurs(path, problemsOf(result.error))
      const { registration_access_token, ...facts } = result.data
      if (facts.issuer !== issuer) throw notOurs(path, [{ path: 'issuer', expected: issuer }])
      if (facts.client_name !== client_name) throw notOurs(path, [{ path: 'client_name', expected: client_name }])
      if (!isAtIssuer(facts.registration_client_uri, issuer))
        throw notOurs(path, [{ path: 'registration_client_uri', expected: `a URL at ${issuer}` }])
      return { ...facts, registration_access_token: new Secret(registration_access_token) }
    },
    async save({ registration_access_token, ...facts }) {
      await makePrivateFolder(ownFolder)
      const file = { ...facts, registration_access_token: registration_access_token.reveal() }
      await savePrivateFile(pathOf(facts.client_name), `${JSON.stringify(file, null, 2)}\n`)
    },
    remove: (client_name) => removeFile(pathOf(client_name)),
  }
}

/** Whether a URL has the issuer's origin: a registration access token is sent nowhere else. */
export function isAtIssuer(url: string, issuer: string): boolean {
  return URL.canParse(url) && new URL(url).origin === new URL(issuer).origin
}

/** Plain names as they are; others (spaces, slashes, capitals, which some file systems fold) get a hash that keeps them apart. */
function fileName(client_name: string): string {
  if (/^[a-z0-9][a-z0-9._-]{0,63}$/.test(client_name)) return client_name
  const readable = client_name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 40)
  return `${readable}~${hash(client_name).slice(0, 16)}`
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function notOurs(path: string, problems: Parameters<typeof invalidInput>[1]) {
  return invalidInput(`the registration file ${path}`, problems, 'restore it; without it the client cannot be seen or changed')
}
