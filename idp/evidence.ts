/**
 * What an adapter asks of its vendor, as data, and what proves that the vendor answers so. Each vendor's folder has a table
 * of these in `operations.ts`; docs/evidence.md is made of them by the live tests.
 */

/** What can hold an operation, the strongest first. */
export const EVIDENCE = {
  'real server': 'the product itself was asked by the live tests, and answered with a success',
  recording: 'answers of the vendor’s own service, recorded by somebody else',
  schema: 'the vendor’s machine-readable description of its API',
  emulator: 'a stand-in for the service, made by somebody else',
  'shaped provider': '`oidc-provider` with the paths, fields and audience of the vendor’s documents: nothing stronger stands behind it',
  'own fake': 'a stand-in of our own: it proves what we send, not what the vendor does',
} as const
export type Evidence = keyof typeof EVIDENCE

/** One request that an adapter makes. */
export interface VendorOperation {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Below the server's URL, without a query; a segment in braces stands for any one segment: `/admin/realms/{realm}`. */
  readonly path: string
  /** Scheme of the `Authorization` header (RFC 9110 section 11.6.2); it tells a client at a token endpoint from a person. */
  readonly scheme: 'none' | 'Basic' | 'Bearer'
  readonly purpose: string
  /** In the vendor's words, every one of them; none where anybody may ask. */
  readonly needs: readonly string[]
  readonly evidence: Evidence
}
