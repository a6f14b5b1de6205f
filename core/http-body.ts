/** Bodies at the outbound door: what is sent stays in memory to be sent again, what comes back is decoded and read up to a cap. */
import { pipeline, type Readable, type Transform } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { ToolkitError } from './errors.js'
import { Secret } from './secret.js'

/** A value that may be secret; it is opened here, on its way out. */
type Field = string | Secret
export type SecretForm = { readonly [key: string]: Field | undefined }
/** A JSON value whose leaves may be secret. */
export type SecretJson =
  | string
  | number
  | boolean
  | null
  | Secret
  | readonly SecretJson[]
  | { readonly [key: string]: SecretJson | undefined }

/** Content codings that are asked for and understood (RFC 9110 section 8.4.1). */
export const ENCODINGS = 'gzip, deflate, br'
const DECODERS: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
}
/** More codings than this, one inside the other, are no answer. */
const MOST_ENCODINGS = 5

/** Fetch standard, extracting a body. */
const FORM_TYPE = 'application/x-www-form-urlencoded;charset=UTF-8'

/** A body as bytes, which can be sent again, and its content type among the headers, as fetch itself would set it. */
export async function bufferedBody(body: RequestInit['body'], headers: Headers): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (body === undefined || body === null) return undefined
  if (body instanceof URLSearchParams) {
    // Every token request is a form; a Response around each costs more than sending it.
    if (!headers.has('content-type')) headers.set('content-type', FORM_TYPE)
    return new TextEncoder().encode(body.toString())
  }
  const wrapped = new Response(body)
  const type = wrapped.headers.get('content-type')
  if (type !== null && !headers.has('content-type')) headers.set('content-type', type)
  return new Uint8Array(await wrapped.arrayBuffer())
}

/** The whole body, decoded. @throws ToolkitError unexpected_response once it is larger than allowed, or in a coding nobody asked for */
export async function decodedBody(
  stream: Readable,
  encoding: string | null,
  { maxBytes, system }: { maxBytes: number; system: string },
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of decoded(stream, encoding, system)) {
    const bytes = chunk as Uint8Array
    size += bytes.byteLength
    if (size > maxBytes) {
      throw new ToolkitError('unexpected_response', `${system} sent more than ${maxBytes} bytes`, { system, reason: 'too_large' })
    }
    chunks.push(bytes)
  }
  return new Uint8Array(Buffer.concat(chunks))
}

function decoded(stream: Readable, encoding: string | null, system: string): Readable {
  const codings = (encoding ?? '')
    .toLowerCase()
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'identity')
  const decoders = codings.map((coding) => DECODERS[coding])
  if (decoders.length > MOST_ENCODINGS || decoders.includes(undefined)) {
    stream.destroy()
    throw new ToolkitError('unexpected_response', `${system} sent something in a content coding that nobody asked for`, {
      system,
      reason: 'content_coding',
    })
  }
  // The coding that was applied last is named last. A failure anywhere ends them all, so the reader meets it.
  const chain = decoders.flatMap((make) => make?.() ?? []).reverse()
  return chain.length === 0 ? stream : (pipeline([stream, ...chain], () => undefined) as Transform)
}

/** A form or a JSON value as it is sent, its secrets opened. */
export function sentBody(json: SecretJson | undefined, form: SecretForm | undefined): URLSearchParams | string | undefined {
  if (form) return new URLSearchParams(revealedForm(form))
  return json === undefined ? undefined : JSON.stringify(revealed(json))
}

function revealedForm(form: SecretForm): Record<string, string> {
  return Object.fromEntries(
    Object.entries(form).flatMap(([key, value]) => (value === undefined ? [] : [[key, value instanceof Secret ? value.reveal() : value]])),
  )
}

function revealed(value: SecretJson): unknown {
  if (value instanceof Secret) return value.reveal()
  if (Array.isArray(value)) return value.map(revealed)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]) => (inner === undefined ? [] : [[key, revealed(inner as SecretJson)]])),
  )
}
