/** A server that stands before the real one and passes on what it is asked, except where a test lets it misbehave. */
import { createServer, type IncomingMessage, type ServerResponse, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Ends or holds the answer itself, or passes the request on and hands the real answer to `deliver`. */
export type Misbehaviour = (asked: { method: string; path: string }, answer: ServerResponse, passOn: (deliver: boolean) => void) => void

export interface Front {
  readonly url: string
  /** Bytes of bodies that were written by `pour`. */
  readonly poured: number
  /** Fills an answer up to `bytes`, no faster than it is read. */
  pour(answer: ServerResponse, bytes: number): void
  close(): Promise<void>
}

const CHUNK = Buffer.alloc(65_536, ' ')

/** Stands before `target` at a port that the system gives. */
export async function startFront(target: string, misbehave: Misbehaviour): Promise<Front> {
  let poured = 0
  const server = createServer((incoming, answer) => {
    const asked = { method: incoming.method ?? '', path: (incoming.url ?? '').split('?', 1)[0] ?? '' }
    misbehave(asked, answer, (deliver) => passOn(target, incoming, answer, deliver))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get poured() {
      return poured
    },
    pour(answer, bytes) {
      let left = bytes
      const more = () => {
        while (left > 0 && !answer.destroyed) {
          left -= CHUNK.byteLength
          poured += CHUNK.byteLength
          if (!answer.write(CHUNK)) return void answer.once('drain', more)
        }
        answer.end()
      }
      more()
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** The host stays as asked, so that the server behind calls itself by our name. */
function passOn(target: string, incoming: IncomingMessage, answer: ServerResponse, deliver: boolean): void {
  const { method, url, headers } = incoming
  const onward = send(new URL(url ?? '/', target), { method, headers }, (real) => {
    if (deliver) real.pipe(answer.writeHead(real.statusCode ?? 502, real.headers))
    else real.resume().once('end', () => answer.emit('swallowed'))
  })
  onward.once('error', () => answer.destroy())
  incoming.pipe(onward)
}
