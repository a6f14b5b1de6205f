/** A front that passes everything on and writes down what the server was asked and how it answered: the witness of docs/evidence.md. */
import type { Answered } from '../docs/evidence.js'
import { startFront } from './front.js'

/** Every request that `work` makes of the server behind `target` by way of the address it is given, in no order of meaning. */
export async function witnessed(target: string, work: (url: string) => Promise<void>): Promise<readonly Answered[]> {
  const record: Answered[] = []
  const front = await startFront(target, ({ method, path, authorization }, answer, passOn) => {
    const scheme = authorization === '' ? 'none' : (authorization.split(' ', 1)[0] ?? '')
    // Closed is also what broke off, and that has no status.
    answer.once('close', () => record.push({ method, path, scheme, status: answer.writableFinished ? answer.statusCode : undefined }))
    passOn(true)
  })
  try {
    await work(front.url)
  } finally {
    await front.close()
  }
  return record
}
