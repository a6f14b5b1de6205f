/** Identities files: one identity or an array of them, for any mix of identity providers; checked whole before any request. */
import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { z } from 'zod'
import { invalidInput, type Problem, ToolkitError } from '../core/errors.js'
import { problemsOf } from '../core/operation.js'
import { readSmallFile } from '../core/private-file.js'
import { Secret } from '../core/secret.js'
import { clientId, fileSafeName, idpName } from '../core/vocabulary.js'
import type { Identity } from '../idp/index.js'

const entry = z
  .object({
    identity_name: fileSafeName,
    auth_provider: idpName,
    client_id: clientId,
    client_secret: z.string().min(1).max(4096),
    scope: z.string().max(1024).optional(),
  })
  .catchall(z.string().max(4096))

/** @throws ToolkitError not_found, invalid_input with every problem of the file */
export async function readIdentities(path: string): Promise<Identity[]> {
  const text = await readSmallFile(path)
  if (text === undefined)
    throw new ToolkitError(
      'not_found',
      `there is no identities file ${path}`,
      { kind: 'file', key: path },
      'run mcp-idp setup m2m-app first',
    )
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw invalidInput('the identities file', [{ path, expected: 'JSON: an identity, or an array of them' }])
  }
  const rows = (Array.isArray(value) ? value : [value]).map((row, index) => ({
    row: entry.safeParse(row),
    place: `${basename(path)}[${index}]`,
  }))
  const problems = rows.flatMap(({ row, place }) =>
    row.success ? [] : problemsOf(row.error).map((one) => ({ ...one, path: `${place}.${one.path}` })),
  )
  if (problems.length > 0) throw invalidInput('the identities file', problems)
  return rows.flatMap(({ row }) => (row.success ? [identityOf(row.data)] : []))
}

/** Every identity of a folder's `*.json` files, in order of their names. */
export async function readIdentityFolder(folder: string): Promise<Identity[]> {
  const names = await readdir(folder).catch(() => [])
  const files = names.filter((name) => name.endsWith('.json') && !name.startsWith('.')).sort()
  return (await Promise.all(files.map((name) => readIdentities(join(folder, name))))).flat()
}

/** @throws ToolkitError invalid_input when two identities would share one token file on some file system */
export function refuseClashes(identities: readonly Identity[]): void {
  const seen = new Set<string>()
  const problems: Problem[] = []
  for (const { identity_name } of identities) {
    const folded = identity_name.toLowerCase()
    if (seen.has(folded)) problems.push({ path: identity_name, expected: 'a name that no other identity has, whatever its case' })
    seen.add(folded)
  }
  if (problems.length > 0) throw invalidInput('the identities', problems)
}

function identityOf({ identity_name, auth_provider, client_id, client_secret, scope, ...fields }: z.infer<typeof entry>): Identity {
  return {
    identity_name,
    auth_provider,
    client_id,
    client_secret: new Secret(client_secret),
    ...(scope === undefined ? {} : { scope }),
    fields,
  }
}
