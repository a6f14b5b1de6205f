/**
 * The documented `agent-<name>.env`: a token as variables for a shell, written for those who ask for it. The original
 * also puts the client secret there; this one never does.
 */
import { dirname, join } from 'node:path'
import { invalidInput, type Problem } from '../core/errors.js'
import { readSmallFile, savePrivateFile } from '../core/private-file.js'
import type { Secret } from '../core/secret.js'
import { type Identity, TOKEN_SOURCES, type TokenSource } from '../idp/tokens.js'
import { renderDotenv } from './dotenv.js'
import type { IdentityEntry } from './identities.js'

/** `agent-<name>.env` for Keycloak, as documented; `<name>.env` for others. */
export function envFileName(identity: Identity): string {
  return `${fieldsOf(identity)['agent_name'] ?? identity.identity_name}.env`
}

/** Saves the variables beside the token file, 0600; a file that says the same stays. @throws ToolkitError as `savePrivateFile` */
export async function saveEnvFile(tokenFile: string, identity: Identity, token: Secret): Promise<void> {
  const { keycloak_url, keycloak_realm }: { keycloak_url?: string; keycloak_realm?: string } = fieldsOf(identity)
  const path = join(dirname(tokenFile), envFileName(identity))
  const variables = {
    ACCESS_TOKEN: token.reveal(),
    CLIENT_ID: identity.client_id,
    ...(keycloak_url === undefined ? {} : { KEYCLOAK_URL: keycloak_url }),
    ...(keycloak_realm === undefined ? {} : { KEYCLOAK_REALM: keycloak_realm }),
    AUTH_PROVIDER: identity.auth_provider,
  }
  const text = renderDotenv(variables, { isExported: true })
  // One that cannot be read as ours alone is replaced, or refused with the reason.
  const before = await readSmallFile(path, { isPrivate: true }).catch(() => undefined)
  if (before !== text) await savePrivateFile(path, text)
}

/** @throws ToolkitError invalid_input when two identities would share one `.env` file on some file system */
export function refuseEnvClashes(entries: readonly IdentityEntry[]): void {
  const seen = new Map<string, string>()
  const problems: Problem[] = []
  for (const { identity, place } of entries) {
    const file = envFileName(identity).toLowerCase()
    const other = seen.get(file)
    if (other === undefined) seen.set(file, place)
    else problems.push({ path: place, expected: `a name whose file ${file} is nobody else's, whatever its case`, found: `as ${other}` })
  }
  if (problems.length > 0) throw invalidInput('the identities', problems)
}

function fieldsOf(identity: Identity): Readonly<Record<string, string | undefined>> {
  const source: TokenSource = TOKEN_SOURCES[identity.auth_provider]
  return source.tokenFileFields?.(identity) ?? {}
}
