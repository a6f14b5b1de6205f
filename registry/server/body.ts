/** Request bodies and queries: read up to 1 MB, then parsed as the media type says. */
import type { Context } from 'hono'
import { invalid, refusal } from './answers.js'
import { JsonProblem, parseJson } from './json.js'

const MAX_BYTES = 1_000_000

/**
 * The body of a JSON route: `undefined` when empty, the bare text when its media type is not JSON (so that a form posted
 * by another site is never read as JSON).
 * @throws HTTPException 413 over 1 MB, 422 when it is not JSON
 */
export async function readJson(c: Context): Promise<unknown> {
  const text = new TextDecoder().decode(await readBytes(c))
  const type = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase()
  if (text === '') return undefined
  if (type !== undefined && !/^application\/(?:[a-z0-9.+-]+\+)?json$/.test(type)) return text
  try {
    return parseJson(text)
  } catch (error) {
    if (!(error instanceof JsonProblem)) throw error
    const { position, reason } = error
    throw invalid([{ type: 'json_invalid', loc: ['body', position], msg: 'JSON decode error', input: {}, ctx: { error: reason } }])
  }
}

/** The text fields of a form, urlencoded or multipart. A name that is there twice keeps its last value, an empty one counts. */
export async function readForm(c: Context): Promise<Record<string, string>> {
  const bytes = await readBytes(c)
  const type = c.req.header('content-type') ?? ''
  if (!/^(?:application\/x-www-form-urlencoded|multipart\/form-data)\b/i.test(type)) return Object.create(null)
  const form = await new Response(bytes, { headers: { 'content-type': type } }).formData().catch(() => {
    throw refusal(400, { detail: 'There was an error parsing the body' })
  })
  const fields: Record<string, string> = Object.create(null)
  for (const [name, value] of form) if (typeof value === 'string') fields[name] = value
  return fields
}

/** The query; a name that is there twice keeps its last value. */
export function readQuery(c: Context): Record<string, string> {
  const fields: Record<string, string> = Object.create(null)
  for (const [name, value] of new URL(c.req.url).searchParams) fields[name] = value
  return fields
}

async function readBytes(c: Context): Promise<Uint8Array<ArrayBuffer>> {
  const tooLarge = () => refusal(413, { detail: `The body is larger than ${MAX_BYTES} bytes` }, { connection: 'close' })
  if (Number(c.req.header('content-length') ?? 0) > MAX_BYTES) throw tooLarge()
  const stream = c.req.raw.body as ReadableStream<Uint8Array> | null
  if (stream === null) return new Uint8Array()
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of stream) {
    size += chunk.byteLength
    if (size > MAX_BYTES) throw tooLarge()
    chunks.push(chunk)
  }
  return new Uint8Array(Buffer.concat(chunks))
}
