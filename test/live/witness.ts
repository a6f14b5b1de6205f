/** A front that passes everything on and writes down what the server was asked and how it answered: the witness of docs/evidence.md. */
import type { Answered } from '../docs/evidence.js'
import { startFront } from './front.js'

export interface Witness {
  readonly url: string
  /** Ends it and tells every request, in no order of meaning. */
  close(): Promise<readonly Answered[]>
}

export async function startWitness(target: string): Promise<Witness> {
  const record: Answered[] = []
  const front = await startFront(target, ({ method, path, authorization }, answer, passOn) => {
    const scheme = authorization === '' ? 'none' : (authorization.split(' ', 1)[0] ?? '')
    // Closed is also what broke off, and that has no status.
    answer.once('close', () => record.push({ method, path, scheme, status: answer.writableFinished ? answer.statusCode : undefined }))
    passOn(true)
  })
  return {
    url: front.url,
    async close() {
      await front.close()
      return record
    },
  }
}
