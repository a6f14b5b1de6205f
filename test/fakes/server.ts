/**
 * A loopback server that answers as a test says and remembers who called.
 * `connections` counts sockets, so "nothing was sent" can be told from "nothing was understood".
 */
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { createServer as createTcpServer, type Socket } from 'node:net'

export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export interface FakeServer {
  readonly origin: string
  readonly port: number
  readonly requests: readonly SeenRequest[]
  readonly connections: number
  close(): Promise<void>
}

/** Answers a request whose body has been read. */
export type Answering = (request: SeenRequest, response: ServerResponse) => void

/** Serves on a port the system gives; with a key and a certificate over TLS. */
export async function serve(answer: Answering, tls?: { key: string; cert: string }): Promise<FakeServer> {
  const requests: SeenRequest[] = []
  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const seen = {
        method: request.method ?? '',
        path: request.url ?? '',
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
      }
      requests.push(seen)
      answer(seen, response)
    })
  }
  const server = tls ? createTlsServer(tls, listener) : createServer(listener)
  return await listening(server, tls ? 'https' : 'http', requests)
}

/** Speaks raw bytes: whatever `talk` writes to the socket once the first bytes of a request have come. */
export async function serveBytes(talk: (socket: Socket) => void): Promise<FakeServer> {
  const server = createTcpServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => talk(socket))
  })
  return await listening(server, 'http', [])
}

/** A JSON answer. */
export function answerJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

async function listening(
  server: Server | ReturnType<typeof createTcpServer>,
  scheme: string,
  requests: SeenRequest[],
): Promise<FakeServer> {
  const sockets = new Set<Socket>()
  let connections = 0
  server.on('connection', (socket: Socket) => {
    connections++
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('the fake server has no port')
  return {
    origin: `${scheme}://127.0.0.1:${address.port}`,
    port: address.port,
    requests,
    get connections() {
      return connections
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}
