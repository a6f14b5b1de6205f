/** docs/evidence.md: which operation of a vendor's table a request was, which were proved, and the document that says so. */

import { embeddedOperations } from '../../idp/embedded/operations.js'
import { EVIDENCE, type VendorOperation } from '../../idp/evidence.js'
import { keycloakOperations } from '../../idp/keycloak/operations.js'
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
    return `## ${version}\n\n${table(['operation', 'for', 'needs', 'held by'], rows)}`
  })
  return `${[HEAD, kinds.join('\n'), ...parts].join('\n\n')}\n`
}

const HEAD = `# What proves each vendor operation

Every request that an adapter makes, and what holds it. A proxy before each server writes down what the server is asked and how
it answers, while the live tests drive every adapter through everything that it does. An operation without a successful answer
and a request without a row here are failures. Written by \`npm run docs:evidence\`; the live tests fail when it is stale.`
