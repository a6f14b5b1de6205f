/**
 * Where secrets lie and whether they went elsewhere: every secret of a home by the file that is its place, every file that
 * holds one, and a search of output in the spellings that a log or a header would have used.
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'

export interface Held {
  /** Path below the home and the field, for people. */
  readonly name: string
  readonly value: string
}

/** Fields of our JSON files whose value is a secret; the private members of an RSA key are in RFC 7518 section 6.3.2. */
const SECRET_FIELDS = ['client_secret', 'password', 'access_token', 'registration_access_token', 'd', 'p', 'q', 'dp', 'dq', 'qi']
/** Files that are nothing but secrets: a token on one line, or JSON in which every text is one. */
const WHOLE = ['provider/admin-token', 'provider/initial-access-token', 'provider/cookie-keys.json', 'provider/demo-people.json']

/** Every secret that a home holds, each once. */
export async function secretsOf(home: string): Promise<Held[]> {
  const found = new Map<string, string>()
  for (const file of await filesBelow(home)) {
    const isWhole = WHOLE.includes(file)
    if (!isWhole && !file.endsWith('.json')) continue
    const text = (await readFile(join(home, file), 'utf8')).trim()
    const value: unknown = file.endsWith('.json') ? JSON.parse(text) : text
    for (const [field, secret] of texts(value, '')) {
      if (isWhole || SECRET_FIELDS.includes(field)) found.set(secret, field === '' ? file : `${file} ${field}`)
    }
  }
  return [...found].map(([value, name]) => ({ name, value }))
}

export interface Holder {
  /** Below the home. */
  readonly file: string
  /** Octal: `600`. */
  readonly mode: string
  readonly secrets: readonly string[]
}

/** Every file below the home in which one of the secrets stands as it is; SQLite and its side files are files like others. */
export async function holders(home: string, secrets: readonly Held[]): Promise<Holder[]> {
  const all = await Promise.all(
    (await filesBelow(home)).map(async (file) => {
      const bytes = await readFile(join(home, file))
      const { mode } = await stat(join(home, file))
      const inside = secrets.filter(({ value }) => bytes.includes(value)).map(({ name }) => name)
      return { file, mode: (mode & 0o777).toString(8), secrets: inside }
    }),
  )
  return all.filter(({ secrets: inside }) => inside.length > 0)
}

/** Names of the secrets that a text gives away: as they are, as JSON, in base64 at any offset, percent- or form-encoded, in hex. */
export function leaks(text: string, secrets: readonly Held[]): string[] {
  const folded = text.toLowerCase()
  const tells = ({ value }: Held) =>
    [value, ...jsonInside(value), formInside(value), ...base64Inside(value)].some((one) => text.includes(one)) ||
    hexInside(value).some((one) => folded.includes(one))
  return secrets.filter(tells).map(({ name }) => name)
}

/** What base64 makes of the bytes wherever they begin in what is encoded, without the characters that neighbours share. */
function base64Inside(value: string): string[] {
  return [0, 1, 2].flatMap((before) => {
    const bytes = Buffer.concat([Buffer.alloc(before), Buffer.from(value)])
    const [from, to] = [Math.ceil((before * 4) / 3), Math.floor((bytes.length * 4) / 3)]
    return [bytes.toString('base64').slice(from, to), bytes.toString('base64url').slice(from, to)]
  })
}

/** In a JSON text, and in one that is itself a text of another. */
function jsonInside(value: string): string[] {
  const once = JSON.stringify(value).slice(1, -1)
  return [once, JSON.stringify(once).slice(1, -1)]
}

function formInside(value: string): string {
  return new URLSearchParams({ value }).toString().slice('value='.length)
}

function hexInside(value: string): string[] {
  const hex = Buffer.from(value).toString('hex')
  return [hex, hex.replace(/../g, '%$&'), encodeURIComponent(value).toLowerCase()]
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => relative(folder, join(entry.parentPath, entry.name)))
}

/** Every text of a JSON value, with the name of the field it stands in. */
function texts(value: unknown, field: string): [string, string][] {
  if (typeof value === 'string') return [[field, value]]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => texts(inner, Array.isArray(value) ? field : key))
}
