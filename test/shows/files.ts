/**
 * Everything of ours that writes a private file, as the show of files runs it: in a process with a umask of its own, on a
 * full disk, before a planting.
 */
import { createHash, randomUUID } from 'node:crypto'
import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { passwordFile } from '../../core/password-file.js'
import { savePlanFile } from '../../core/plan-file.js'
import { Secret } from '../../core/secret.js'
import { secretFile } from '../../core/secret-file.js'
import { saveEnvFile } from '../../credentials-provider/env-file.js'
import { saveToken } from '../../credentials-provider/token-file.js'
import { registrationsOf } from '../../idp/dcr/registrations.js'
import { keptFiles, savePasswords } from '../../idp/embedded/kept-files.js'
import { openStore } from '../../idp/embedded/store.js'
import { tokenRequest } from '../../idp/tokens.js'
import { registryEnvironment } from '../../setup/environment-file.js'
import { saveProfile } from '../../toolkit/home.js'

export interface Writer {
  /** The module that calls core/private-file.ts. */
  readonly module: string
  /** Where it writes, below the folder that it is given. */
  readonly file: string
  write(folder: string): Promise<unknown>
}

export const PLANTED = 'planted-4711'
const secret = () => new Secret(PLANTED)
const facts = { identity_name: 'agent', auth_provider: 'keycloak' }
const ISSUER = 'http://127.0.0.1:1'
const person = { username: 'ada', issuer: ISSUER }
const identity = { ...facts, auth_provider: 'keycloak', client_id: 'agent', fields: { keycloak_url: ISSUER } } as const
const token = { access_token: secret(), token_type: 'Bearer', expires_in: 300 }
const registration = {
  issuer: ISSUER,
  client_name: 'a',
  client_id: 'a',
  registration_client_uri: `${ISSUER}/a`,
  registration_access_token: secret(),
}
const REGISTRATION = `${createHash('sha256').update(ISSUER).digest('hex')}/a.json`

/** What replaces a file as a whole, by what is in it. */
export const SAVERS: Readonly<Record<string, Writer>> = {
  'a client secret': {
    module: 'core/secret-file.ts',
    file: 'agent.json',
    write: (folder) => secretFile(join(folder, 'agent.json'), facts).save(secret(), 'agent'),
  },
  'an initial password': {
    module: 'core/secret-file.ts',
    file: 'ada.json',
    write: (folder) => passwordFile(join(folder, 'ada.json'), person).save(secret(), 'ada'),
  },
  'an access token': {
    module: 'credentials-provider/token-file.ts',
    file: 'token.json',
    write: (folder) => saveToken(join(folder, 'token.json'), identity, tokenRequest(identity, {}), token, Date.now() / 1000),
  },
  'an access token as variables': {
    module: 'credentials-provider/env-file.ts',
    file: 'agent-agent.env',
    // One that says the same is not written again.
    write: (folder) => saveEnvFile(join(folder, 'token.json'), identity, new Secret(`${PLANTED}-${randomUUID()}`)),
  },
  'a profile': {
    module: 'toolkit/home.ts',
    file: 'profile.json',
    write: (folder) => saveProfile(folder, { profile: 'default', settings: {} }),
  },
  'a registration': {
    module: 'idp/dcr/registrations.ts',
    file: REGISTRATION,
    write: (folder) => registrationsOf(ISSUER, folder).save(registration),
  },
  'passwords of the embedded provider': {
    module: 'idp/embedded/kept-files.ts',
    file: 'people.json',
    write: (folder) => savePasswords(join(folder, 'people.json'), { ada: PLANTED }),
  },
  'a plan': {
    module: 'core/plan-file.ts',
    file: 'plan.json',
    write: (folder) =>
      savePlanFile(join(folder, 'plan.json'), { operation: 'x', input: {} }, { changes: [], manual: [], tenants: [] }, new Date()),
  },
  "the registry's environment": {
    module: 'setup/environment-file.ts',
    file: 'registry.env',
    write(folder) {
      const spec = { path: join(folder, 'registry.env'), settings: { A: '1' }, secrets: {} }
      return registryEnvironment(spec, []).create(spec)
    },
  },
}

/** What makes files that were not there and leaves the others as they are. */
export const CREATORS: Readonly<Record<string, Writer>> = {
  'a pending client secret': {
    module: 'core/secret-file.ts',
    file: 'agent.json.pending',
    write: (folder) => secretFile(join(folder, 'agent.json'), facts).savePending(secret()),
  },
  'a pending password': {
    module: 'core/secret-file.ts',
    file: 'ada.json.pending',
    write: (folder) => passwordFile(join(folder, 'ada.json'), person).savePending(secret()),
  },
  'keys of the embedded provider': { module: 'idp/embedded/kept-files.ts', file: 'jwks.json', write: keptFiles },
  'the store of the embedded provider': {
    module: 'idp/embedded/store.ts',
    file: 'provider.db',
    write: async (folder) => (await openStore(folder)).destroy(),
  },
}

/** A write on a full disk: how it ended, and whether the old file is what it was. */
export interface Refused {
  readonly name: string
  readonly message: string
  readonly isOldWhole: boolean
  readonly temporaries: number
}

/** Rewrites every saver's file, which is there already, where not a byte more fits. */
export async function rewriteAll(folder: string): Promise<Refused[]> {
  const rows: Refused[] = []
  for (const [name, { file, write }] of Object.entries(SAVERS)) {
    const path = join(folder, file)
    const before = readFileSync(path)
    const message = await write(folder).then(
      () => 'it was written',
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    )
    const temporaries = readdirSync(dirname(path)).filter((one) => one.endsWith('.tmp')).length
    rows.push({ name, message: message.replace(path, '<path>'), isOldWhole: readFileSync(path).equals(before), temporaries })
  }
  return rows
}

/** Fills the disk to the last byte. */
export function fill(folder: string): void {
  const file = openSync(join(folder, 'filler'), 'w')
  try {
    for (let size = 65_536; size >= 1; ) {
      try {
        if (writeSync(file, Buffer.alloc(size)) < size) size = Math.floor(size / 2)
      } catch {
        size = Math.floor(size / 2)
      }
    }
  } finally {
    closeSync(file)
  }
}
