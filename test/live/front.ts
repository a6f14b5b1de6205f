/** A server that stands before the real one and passes on what it is asked, except where a test lets it misbehave. */
import { createServer, type IncomingMessage, type ServerResponse, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream'

export interface Asked {
  readonly method: string
  readonly path: string
  /** Who asks: every login has a token of its own. Empty without one. */
  readonly authorization: string
}

/**
 * Ends or holds the answer itself, or passes the request on and hands the real answer to `deliver`. The answer's `finish`
 * is the moment at which whoever asked has it.
 */
export type Misbehaviour = (asked: Asked, answer: ServerResponse, passOn: (deliver: boolean) => void) => void

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
    const { method = '', url = '', headers } = incoming
    const asked = { method, path: url.split('?', 1)[0] ?? '', authorization: headers.authorization ?? '' }
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

/** Whether it may change something at Keycloak: any request below `/admin/` that is no GET. */
export function isWrite({ method, path }: Pick<Asked, 'method' | 'path'>): boolean {
  return method !== 'GET' && path.startsWith('/admin/')
}

/** The host stays as asked, so that the server behind calls itself by our name. What breaks off on one side does so on the other. */
function passOn(target: string, incoming: IncomingMessage, answer: ServerResponse, deliver: boolean): void {
  const { method, url, headers } = incoming
  const onward = send(new URL(url ?? '/', target), { method, headers }, (real) => {
    if (deliver) pipeline(real, answer.writeHead(real.statusCode ?? 502, real.headers), () => {})
    else real.resume().once('end', () => answer.emit('swallowed'))
  })
  pipeline(incoming, onward, () => {})
  onward.once('error', () => answer.destroy())
}
