/**
 * The one thing we must remember (a declared exception from "no state file"): servers with RFC 7591 cannot list clients, so
 * each registration lies in `registrations/<sha256 of the issuer>/<name>.json`, 0600 in 0700. When a file is lost its client
 * cannot be seen any more; that is not the same as being absent, but nobody can tell the two apart.
 */
import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { invalidInput, ToolkitError } from '../../core/errors.js'
import { jsonOf } from '../../core/json-text.js'
import { problemsOf } from '../../core/operation.js'
import { readSmallFile, removeFile, savePrivateFile } from '../../core/private-file.js'
import { makePrivateFolder } from '../../core/private-folder.js'
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
  /** Of every file there is. @throws ToolkitError as `read`; unavailable when the disk refuses */
  list(): Promise<Registration[]>
  save(registration: Registration): Promise<void>
  remove(client_name: string): Promise<void>
}

/** The registrations of one issuer below a folder. */
export function registrationsOf(issuer: string, folder: string): Registrations {
  const ownFolder = join(folder, hash(issuer))
  const pathOf = (client_name: string) => join(ownFolder, `${fileName(client_name)}.json`)

  async function readFrom(path: string): Promise<Registration | undefined> {
    const text = await readSmallFile(path)
    if (text === undefined) return undefined
    const result = registrationFile.safeParse(jsonOf(text))
    if (!result.success) throw notOurs(path, problemsOf(result.error))
    const { registration_access_token, ...facts } = result.data
    if (facts.issuer !== issuer) throw notOurs(path, [{ path: 'issuer', expected: issuer }])
    if (pathOf(facts.client_name) !== path) throw notOurs(path, [{ path: 'client_name', expected: 'the name that the file is called by' }])
    if (!isAtIssuer(facts.registration_client_uri, issuer))
      throw notOurs(path, [{ path: 'registration_client_uri', expected: `a URL at ${issuer}` }])
    return { ...facts, registration_access_token: new Secret(registration_access_token) }
  }

  return {
    read: (client_name) => readFrom(pathOf(client_name)),
    async list() {
      // Temporaries of a run that was killed begin with a dot.
      const files = (await namesIn(ownFolder)).filter((name) => name.endsWith('.json') && !name.startsWith('.'))
      const read = await Promise.all(files.sort().map((name) => readFrom(join(ownFolder, name))))
      return read.filter((one) => one !== undefined)
    },
    async save({ registration_access_token, ...facts }) {
      await makePrivateFolder(ownFolder)
      const file = { ...facts, registration_access_token: registration_access_token.reveal() }
      await savePrivateFile(pathOf(facts.client_name), `${JSON.stringify(file, null, 2)}\n`)
    },
    remove: (client_name) => removeFile(pathOf(client_name)),
  }
}

/** Nothing for a folder that is not there. */
async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    const reason = error.code ?? 'unknown'
    throw new ToolkitError('unavailable', `${folder} cannot be read (${reason})`, { system: 'file system', reason })
  })
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

function notOurs(path: string, problems: Parameters<typeof invalidInput>[1]) {
  return invalidInput(`the registration file ${path}`, problems, 'restore it; without it the client cannot be seen or changed')
}
