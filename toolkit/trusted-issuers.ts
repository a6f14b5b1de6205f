/** `REGISTRY_ISSUERS` as the issuers that the embedded registry trusts. */
import { invalidInput, type Problem } from '../core/errors.js'
import { IDP_NAMES, type IdpName } from '../core/vocabulary.js'
import { IDPS, type TokenRules } from '../idp/index.js'

export interface NamedIssuer {
  readonly name: IdpName
  readonly issuer: string
  readonly rules: TokenRules
}

/** `keycloak=<issuer>,embedded=<issuer>`; the first is primary. @throws ToolkitError invalid_input with every problem */
export function parseIssuers(text: string): NamedIssuer[] {
  const problems: Problem[] = []
  const issuers = text.split(',').flatMap((part, index) => {
    const [name = '', ...rest] = part.trim().split('=')
    const issuer = rest.join('=')
    const known = IDP_NAMES.find((one) => one === name)
    const path = `REGISTRY_ISSUERS[${index}]`
    if (known === undefined)
      problems.push({ path, expected: `<provider>=<issuer> with a provider of ${IDP_NAMES.join(', ')}`, found: part.trim().slice(0, 80) })
    if (!URL.canParse(issuer) || !/^https?:/.test(issuer)) problems.push({ path, expected: 'an issuer URL' })
    return known === undefined ? [] : [trusted(known, issuer)]
  })
  if (problems.length > 0) throw invalidInput('the configuration', problems)
  return issuers
}

/** One issuer with the token rules of its provider. */
export function trusted(name: IdpName, issuer: string): NamedIssuer {
  return { name, issuer, rules: IDPS[name].capabilities.token }
}
