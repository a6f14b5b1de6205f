/** Where secrets go: a port. The file sink lives beside the token files in `core/files.ts`; results carry receipts only. */
import type { Secret } from './secret.js'

/** Proof that a secret was saved, without the secret. */
export interface Receipt {
  readonly saved_to: string
  /** Octal permission bits, `0600`. */
  readonly mode: string
  /** RFC 3339, UTC; for tokens. */
  readonly expires_at?: string
}

/**
 * One client's secret at rest. A chosen secret is saved as pending before the create and committed after it, so that no
 * lost answer can lose it; an issued one is saved before the next request.
 */
export interface SecretSink {
  /** Shown in plans and errors. */
  readonly place: string
  /** The committed secret and the client id beside it. */
  read(): Promise<{ secret: Secret; client_id: string } | undefined>
  /** A secret whose create was not seen to succeed. */
  readPending(): Promise<Secret | undefined>
  savePending(secret: Secret): Promise<void>
  /** Saves the secret with its client id; a pending copy is gone afterwards. */
  save(secret: Secret, client_id: string): Promise<Receipt>
}
