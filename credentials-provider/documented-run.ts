/** What the documented `generate_creds.sh` does: identities below the current folder in, their token files out beside them. */
import { readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Problems, ToolkitError } from '../core/errors.js'
import { AUTH_PROVIDERS, type AuthProvider, httpUrl } from '../core/vocabulary.js'
import { type Failure, mintAll } from './batch.js'
import type { DocumentedName, TypedOptions } from './documented-options.js'
import { refuseEnvClashes } from './env-file.js'
import { readIdentityFiles, refuseClashes } from './identity-files.js'
import type { Minted } from './mint.js'
import { CONCURRENCY, type CredentialsContext, mintingOf } from './operations.js'

/** What the options and the environment ask for. */
export interface DocumentedRun {
  readonly authProvider: AuthProvider
  readonly identitiesFile?: string
  /** What goes before the fields of every entry. */
  readonly overrides: Readonly<Record<string, string>>
  readonly force: boolean
  readonly envFiles: boolean
}

const DEFAULT_REALM = 'mcp-gateway'
/** Where an option without a value comes from, by the original's names. */
const VARIABLES: Readonly<Partial<Record<DocumentedName, string>>> = {
  'auth-provider': 'AUTH_PROVIDER',
  'keycloak-url': 'KEYCLOAK_EXTERNAL_URL',
  'keycloak-realm': 'KEYCLOAK_REALM',
}

/** @param env an environment variable; one that is empty counts as unset @throws ToolkitError invalid_input */
export function documentedRun(typed: TypedOptions, env: (name: string) => string | undefined): DocumentedRun {
  const textOf = (name: DocumentedName): string | undefined => {
    const [value, variable] = [typed[name], VARIABLES[name]]
    return typeof value === 'string' && value !== '' ? value : variable === undefined ? undefined : env(variable) || undefined
  }
  const problems = new Problems()
  const provider = textOf('auth-provider')
  const authProvider = AUTH_PROVIDERS.find((one) => one === provider)
  if (authProvider === undefined)
    problems.add('--auth-provider', `one of ${AUTH_PROVIDERS.join(', ')}`, provider?.slice(0, 40) ?? 'nothing')
  const urlOf = (name: 'keycloak-url' | 'entra-login-url'): string | undefined => {
    const url = textOf(name)
    if (url !== undefined && !httpUrl.safeParse(url).success) problems.add(`--${name}`, 'an absolute http or https URL without a user name')
    return url
  }
  const [keycloakUrl, realm, loginUrl] = [urlOf('keycloak-url'), textOf('keycloak-realm'), urlOf('entra-login-url')]
  problems.throwIfAny('the command line')
  // The realm of a file gives way to one that somebody chose, not to the default.
  const atKeycloak = { keycloak_url: keycloakUrl, keycloak_realm: realm === DEFAULT_REALM ? undefined : realm }
  const overrides = provider === 'keycloak' ? atKeycloak : provider === 'entra' ? { login_url: loginUrl } : {}
  const identitiesFile = textOf('identities-file')
  return {
    authProvider: authProvider ?? 'keycloak',
    ...(identitiesFile === undefined ? {} : { identitiesFile }),
    overrides: defined(overrides),
    force: typed['force'] === true,
    envFiles: typed['env-files'] === true,
  }
}

/**
 * Mints what the folder's identities ask for; those that failed are named with the rest. Nothing found is no failure.
 * @param folder absolute path of `.oauth-tokens`
 * @throws ToolkitError invalid_input with every problem of every file, before the first request; not_found for a named file
 */
export async function generateDocumented(
  { authProvider, identitiesFile, overrides, force, envFiles }: DocumentedRun,
  folder: string,
  context: CredentialsContext,
): Promise<{ readonly minted: readonly Minted[]; readonly failed: readonly Failure[] }> {
  const inputs = await inputsIn(folder)
  const own = inputs.filter((name) => (authProvider === 'keycloak' ? isAgentFile(name) : name === `${authProvider}-identities.json`))
  const paths = identitiesFile === undefined ? own.map((name) => join(folder, name)) : [resolve(identitiesFile)]
  const reading = { env: context.env, settings: context.settings, authProvider, overrides, mayRefer: identitiesFile !== undefined }
  const entries = await readIdentityFiles(paths, reading, folder)
  // Also of the files that this run does not read, none is ever replaced by a token.
  refuseClashes(entries, inputs)
  if (envFiles) refuseEnvClashes(entries)
  const minting = { ...mintingOf(context, { folder, force, envFiles }), concurrency: CONCURRENCY, onState: context.onIdentity }
  return mintAll(entries, minting)
}

/** Names of the identities files of every provider. */
async function inputsIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw new ToolkitError('unavailable', `${folder} cannot be read (${error.code})`, { system: 'file system', reason: String(error.code) })
  })
  return names.filter((name) => isAgentFile(name) || name.endsWith('-identities.json')).sort()
}

const isAgentFile = (name: string) => /^agent-.*\.json$/.test(name) && !name.endsWith('-token.json')

function defined(fields: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))
}
