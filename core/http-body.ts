/** Bodies at the outbound door: what is sent stays in memory to be sent again, what comes back is read up to a cap. */
import { ToolkitError } from './errors.js'

/** A body as bytes, which can be sent again, and its content type among the headers, as fetch itself would set it. */
export async function bufferedBody(body: RequestInit['body'], headers: Headers): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (body === undefined || body === null) return undefined
  const wrapped = new Response(body)
  const type = wrapped.headers.get('content-type')
  if (type !== null && !headers.has('content-type')) headers.set('content-type', type)
  return new Uint8Array(await wrapped.arrayBuffer())
}

/** The whole body. @throws ToolkitError unexpected_response once it is larger than allowed */
export async function cappedBody(
  stream: ReadableStream<Uint8Array> | null,
  maxBytes: number,
  system: string,
): Promise<Uint8Array<ArrayBuffer>> {
  if (stream === null) return new Uint8Array()
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of stream) {
    size += chunk.byteLength
    if (size > maxBytes) {
      throw new ToolkitError('unexpected_response', `${system} sent more than ${maxBytes} bytes`, { system, reason: 'too_large' })
    }
    chunks.push(chunk)
  }
  return new Uint8Array(Buffer.concat(chunks))
}
