/** Where secrets go: a port. The file sinks are in `core/secret-file.ts` and `core/password-file.ts`; results carry receipts only. */
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
 * The secret of one client or person at rest. A chosen secret is saved as pending before the create and committed after
 * it, so that no lost answer can lose it; an issued one is saved before the next request.
 */
export interface SecretSink {
  /** Shown in plans and errors. */
  readonly place: string
  /** The committed secret and its subject: the client id or user name that the secret belongs to. */
  read(): Promise<{ secret: Secret; subject: string } | undefined>
  /** A secret whose create was not seen to succeed. */
  readPending(): Promise<Secret | undefined>
  savePending(secret: Secret): Promise<void>
  /** Forgets a pending secret whose create was refused. */
  discardPending(): Promise<void>
  /** Saves the secret with its subject; a pending copy is gone afterwards. */
  save(secret: Secret, subject: string): Promise<Receipt>
}
