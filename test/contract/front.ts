/** A server before the real one that fails as it is told, counts what may have written, and remembers every credential. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { startFront } from '../live/front.js'
import type { Fault } from './tenant.js'

export interface FaultyFront {
  readonly url: string
  writes(): number
  credentials(): readonly string[]
  fault(fault: Fault | undefined, on?: 'reads' | 'writes'): void
  close(): Promise<void>
}

const HUGE = 100_000_000

/** Token requests are let through, whatever fails: they are not the adapter's. */
export async function faultyFront(target: string): Promise<FaultyFront> {
  let current: { readonly fault: Fault; readonly on: 'reads' | 'writes' } | undefined
  let writes = 0
  const credentials = new Set<string>()
  const front = await startFront(target, ({ method, path, authorization }, answer, passOn) => {
    const isToken = path.endsWith('/token')
    const isWrite = method !== 'GET' && !isToken
    if (authorization !== '' && !isToken) credentials.add(authorization.replace(/^Bearer /, ''))
    if (isToken || current?.on !== (isWrite ? 'writes' : 'reads')) {
      if (isWrite) writes += 1
      return passOn(true)
    }
    misbehave(current.fault, answer, (bytes) => front.pour(answer, bytes))
  })
  return {
    url: front.url,
    writes: () => writes,
    credentials: () => [...credentials],
    fault(fault, on = 'reads') {
      current = fault && { fault, on }
    },
    close: front.close,
  }
}

function misbehave(fault: Fault, answer: ServerResponse<IncomingMessage>, pour: (bytes: number) => void): void {
  const json = (status: number, text: string) => answer.writeHead(status, { 'content-type': 'application/json' }).end(text)
  if (fault === 'hang') return
  if (fault === 'html') return void answer.writeHead(200, { 'content-type': 'text/html' }).end('<html>Please log in</html>')
  if (fault === 'truncated') return void json(200, '[{"id": "1", "na')
  if (fault === '100 MB') {
    answer.writeHead(200, { 'content-type': 'application/json' })
    pour(HUGE)
    return
  }
  if (fault !== 'echo') return void json(Number(fault.replace('status ', '')), '{"error":"failing"}')
  const { req } = answer
  const parts: Buffer[] = []
  req.on('data', (part: Buffer) => parts.push(part))
  req.on('end', () => {
    const body = Buffer.concat(parts).toString()
    const sent = { error: wordIn(body), errorMessage: body, error_description: `${req.headers.authorization} ${body}` }
    json(400, JSON.stringify(sent))
  })
}

/** The secret itself where an error code is due, as far as the request has one. */
function wordIn(body: string): string {
  return /"(?:secret|client_secret|password)":\s*"([^"]+)"/.exec(body)?.[1] ?? 'refused'
}
