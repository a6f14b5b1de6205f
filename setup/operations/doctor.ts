/** What the given credential can and cannot do, told by reads alone. */
import { z } from 'zod'
import { queryOperation } from '../../core/operation.js'
import { type Held, RIGHTS, type Right } from '../../core/rights.js'
import { IDPS } from '../../idp/index.js'
import { fields, type SetupContext } from '../context.js'
import { NEEDS } from '../needs.js'

const held = z.enum(['yes', 'no', 'unknown'])

export const doctor = queryOperation({
  summary:
    'Tell what the configured credential can and cannot do at an identity provider, right by right and command by command, with the vendor’s own names of what is missing. Reads only; `unknown` means that only trying would tell.',
  input: z.strictObject({ idp: fields.idp }),
  output: z.strictObject({
    idp: fields.idp,
    issuer: z.string(),
    rights: z.array(z.strictObject({ right: z.string(), meaning: z.string(), held, needs: z.string().describe('in the vendor’s words') })),
    commands: z.array(z.strictObject({ command: z.string(), can: held, missing: z.string() })),
  }),
  examples: [{ idp: 'keycloak' }],
  async handler({ idp }, context: SetupContext) {
    const tenant = await context.tenant(idp, { bootstrap: true })
    const { rights: words } = IDPS[idp].capabilities
    const rights = await tenant.rights()
    const missing = (needs: readonly Right[]) => [
      ...new Set(needs.filter((right) => rights[right] === 'no').flatMap((right) => words[right])),
    ]
    return {
      idp,
      issuer: tenant.issuer,
      rights: (Object.keys(RIGHTS) as Right[]).map((right) => ({
        right,
        meaning: RIGHTS[right],
        held: rights[right],
        needs: words[right].join(', '),
      })),
      commands: Object.entries(NEEDS).map(([command, needs]) => ({
        command,
        can: weakest(needs.map((right) => rights[right])),
        missing: missing(needs).join(', '),
      })),
    }
  },
})

function weakest(held: readonly Held[]): Held {
  return held.includes('no') ? 'no' : held.includes('unknown') ? 'unknown' : 'yes'
}
