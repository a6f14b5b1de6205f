/** Proof by a real token: a machine's by minting one, a person's by the server's own evaluation. */
import { z } from 'zod'
import { isToolkitError } from '../core/errors.js'
import type { Door } from '../core/http.js'
import type { SecretSink } from '../core/sink.js'
import { claimFindings, decodedToken, type Expected } from '../idp/claims.js'
import { IDPS, type Tenant } from '../idp/index.js'
import { createMinter } from '../idp/tokens.js'

/** How a result tells of the proof. */
export const verifiedShape = z.strictObject({
  how: z.string().describe('what was looked at: a minted token, an evaluated one, or why nothing was'),
  findings: z.array(z.string()),
})
export type Verified = z.infer<typeof verifiedShape>

/** Mints a token with the saved secret and looks at its claims; the token itself goes nowhere. */
export async function verifyMachine(
  tenant: Tenant,
  { name, sink, doorTo }: { name: string; sink: SecretSink; doorTo: (origin: string) => Door },
  expected: Expected,
): Promise<Verified> {
  const saved = await sink.read()
  if (saved === undefined) return { how: `nothing: ${sink.place} holds no secret`, findings: [] }
  const { identity_name, auth_provider: _, ...fields } = tenant.identityFacts(name)
  const identity = { identity_name, auth_provider: tenant.idp, client_id: saved.subject, fields }
  try {
    const { token } = await createMinter(doorTo).mint(identity, { client_secret: saved.secret })
    const { groups_claim } = IDPS[tenant.idp].capabilities.token
    const decoded = decodedToken(token.access_token)
    if (decoded === undefined) return { how: 'a minted token', findings: ['opaque token: only its issuer can read it'] }
    return { how: 'a minted token', findings: claimFindings(decoded.claims, expected, groups_claim) }
  } catch (error) {
    if (!isToolkitError(error, 'token_refused')) throw error
    return { how: 'a minted token', findings: [`the saved secret mints no token: ${error.details.error}`] }
  }
}

/** Lets the server evaluate what a person would get through a client. */
export async function verifyPerson(
  tenant: Tenant,
  { client_id, username }: { client_id: string; username?: string | undefined },
  expected: Expected,
): Promise<Verified> {
  if (tenant.evaluate === undefined)
    return { how: `nothing: ${IDPS[tenant.idp].capabilities.title} evaluates no tokens; log in to see`, findings: [] }
  try {
    const evaluated = await tenant.evaluate(client_id, username)
    if (evaluated === undefined) return { how: 'nothing: nobody is in a group yet', findings: [] }
    const { groups_claim } = IDPS[tenant.idp].capabilities.token
    return { how: `the server’s evaluation for ${evaluated.username}`, findings: claimFindings(evaluated.claims, expected, groups_claim) }
  } catch (error) {
    if (!isToolkitError(error, 'forbidden')) throw error
    return { how: `nothing: evaluating needs ${error.details.needs.join(', ')}`, findings: [] }
  }
}
