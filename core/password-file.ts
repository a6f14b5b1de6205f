/** The file of a person's initial password, which its owner must change at the first login. */
import { z } from 'zod'
import { jsonSink } from './secret-file.js'
import type { SecretSink } from './sink.js'

/** Whose password it is, and where it is good. */
export interface PasswordFacts {
  readonly username: string
  readonly issuer: string
}

const password = z
  .object({ username: z.string().min(1), password: z.string().min(1) })
  .transform((file) => ({ subject: file.username, secret: file.password }))

/**
 * A sink whose file is `{ username, issuer, password, temporary: true }`. The user name is known before the person exists, so
 * the pending copy carries it too, and `save` goes by it whatever its subject.
 */
export function passwordFile(path: string, { username, issuer }: PasswordFacts): SecretSink {
  return jsonSink(path, {
    render: (secret) => ({ username, issuer, password: secret, temporary: true }),
    shape: password,
    expected: 'one user name with its password, as this tool writes it',
  })
}
