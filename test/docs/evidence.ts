/** docs/evidence.md: which operation of a vendor's table a request was, which were proved, and the document that says so. */

import { auth0TokenOperations } from '../../idp/auth0/operations.js'
import { cognitoTokenOperations } from '../../idp/cognito/operations.js'
import { embeddedOperations } from '../../idp/embedded/operations.js'
import { entraTokenOperations } from '../../idp/entra/operations.js'
import { EVIDENCE, type VendorOperation } from '../../idp/evidence.js'
import { keycloakOperations } from '../../idp/keycloak/operations.js'
import { oktaTokenOperations } from '../../idp/okta/operations.js'
import { table } from './tables.js'

/** A request as the server saw it; `path` has no query. */
export interface Asked {
  readonly method: string
  readonly path: string
  readonly scheme: string
}
/** Undefined when the connection broke before there was an answer. */
export type Answered = Asked & { readonly status: number | undefined }

/** A vendor's table, and how the document calls the product without its version. */
export interface Vendor {
  readonly product: string
  readonly operations: readonly VendorOperation[]
}
export const VENDORS = {
  keycloak: { product: 'Keycloak', operations: keycloakOperations },
  embedded: { product: 'embedded oidc-provider', operations: embeddedOperations },
} as const satisfies Record<string, Vendor>
export type VendorName = keyof typeof VENDORS

/** Vendors of which nothing but tokens is asked: no server of theirs is within reach of the tests. */
export const TOKEN_VENDORS = {
  okta: {
    product: 'Okta',
    operations: oktaTokenOperations,
    held: 'What we send to the org authorization server is compared with a recorded request of Okta’s own SDK. That request was refused for want of DPoP, and the recorded token was bound by DPoP: the test changes its `token_type`, since no recording shows a bearer token.',
  },
  entra: {
    product: 'Microsoft Entra ID',
    operations: entraTokenOperations,
    held: 'No tenant was ever asked: `oidc-provider`, shaped after Microsoft’s documents, is all that stands behind the secret, and a TLS server of our own behind the certificate.',
  },
  auth0: {
    product: 'Auth0',
    operations: auth0TokenOperations,
    held: 'No tenant was ever asked: `oidc-provider`, shaped after Auth0’s documents, is all that stands behind this.',
  },
  cognito: {
    product: 'Amazon Cognito',
    operations: cognitoTokenOperations,
    held: 'The emulator is ministack 1.5.33. It has no hosts of its own, so that the rule for a user pool’s domain is held by unit tests alone.',
  },
} as const satisfies Record<string, Vendor & { readonly held: string }>

/** The row that a request is: of several, the one that spells out most of the path (`/users/count` is no `/users/{id}`). */
export function operationOf<Row extends Pick<VendorOperation, 'method' | 'path' | 'scheme'>>(
  operations: readonly Row[],
  { method, path, scheme }: Asked,
): Row | undefined {
  const fits = (row: Row) => row.method === method && row.scheme === scheme && patternOf(row.path).test(path)
  return operations.filter(fits).toSorted((a, b) => placeholders(a.path) - placeholders(b.path))[0]
}

function patternOf(template: string): RegExp {
  const segments = template.split('/').map((part) => (isPlaceholder(part) ? '[^/]+' : part.replace(/[^\w-]/g, '\\$&')))
  // Keycloak's own client asks for its lists with a slash at the end.
  return new RegExp(`^${segments.join('/')}/?$`)
}

const isPlaceholder = (part: string) => /^\{\w+\}$/.test(part)
const placeholders = (template: string) => template.split('/').filter(isPlaceholder).length

export interface Standing {
  readonly proved: readonly VendorOperation[]
  /** Said to be held by a real server, which never answered it with a success. */
  readonly unproved: readonly string[]
  /** Requests that are in no row. */
  readonly unknown: readonly string[]
}

/** What a server's own record says of a table. */
export function standing(operations: readonly VendorOperation[], record: readonly Answered[]): Standing {
  const isSuccess = ({ status = 0 }: Answered) => status >= 200 && status < 300
  const seen = new Set(record.filter(isSuccess).map((one) => operationOf(operations, one)))
  return {
    proved: operations.filter((one) => seen.has(one)),
    unproved: operations.filter((one) => one.evidence === 'real server' && !seen.has(one)).map(textOf),
    unknown: [...new Set(record.filter((one) => operationOf(operations, one) === undefined).map(textOf))],
  }
}

/** An operation on one line, as failures and shows tell it. */
export function textOf({ method, path, scheme }: Asked): string {
  return `${method} ${path}${scheme === 'Bearer' ? '' : ` (${scheme === 'none' ? 'no credential in a header' : scheme})`}`
}

/** The whole document; nothing in it depends on when and in which order something was asked. */
export function evidenceDocument(versions: Readonly<Record<VendorName, string>>): string {
  const kinds = Object.entries(EVIDENCE).map(([kind, meaning]) => `- **${kind}**: ${meaning}.`)
  const parts = Object.entries(VENDORS).map(([name, { product, operations }]) => {
    const version = `${product} ${versions[name as VendorName]}`
    const rows = operations.map(({ method, path, purpose, needs, evidence }) => [
      `\`${method} ${path}\``,
      purpose,
      needs.join(' and ') || 'nothing',
      evidence === 'real server' ? `${evidence}, ${version}` : evidence,
    ])
    return `## ${version}\n\n${table(COLUMNS, rows)}`
  })
  const tokens = Object.values(TOKEN_VENDORS).map(({ product, operations, held }) => {
    const rows = operations.map(({ method, path, purpose, needs, evidence }) => [
      `\`${method} ${path}\``,
      purpose,
      needs.join(' and ') || 'nothing',
      evidence,
    ])
    return `## ${product}: tokens\n\n${held}\n\n${table(COLUMNS, rows)}`
  })
  return `${[HEAD, kinds.join('\n'), ...parts, TOKENS_HEAD, ...tokens].join('\n\n')}\n`
}

const COLUMNS = ['operation', 'for', 'needs', 'held by']

const HEAD = `# What proves each vendor operation

Every request that an adapter makes, and what holds it. A proxy before each server writes down what the server is asked and how
it answers, while the live tests drive every adapter through everything that it does. An operation without a successful answer
and a request without a row here are failures. Written by \`npm run docs:evidence\`; the live tests fail when it is stale.`

const TOKENS_HEAD = `# What stands behind the token requests of other vendors

Of these vendors nothing is asked but tokens for identities. No proxy saw their servers; the show \`documents\` and the tests of
\`idp/\` are what holds each row, at what its last column names.`
