/** The project's own sources as text, and as code without comments, for tests that read them. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import ts from 'typescript'

export const project = resolve(import.meta.dirname, '..', '..')
/** The folders of the product (house, section 1). */
export const ROOMS = [
  'core',
  'idp',
  'ide',
  'registry',
  'setup',
  'credentials-provider',
  'mcp-server',
  'cli',
  'toolkit',
  'examples',
] as const
const NOT_OURS = new Set(['node_modules', 'dist', '.git', 'coverage', '.mcp-idp'])

export interface Source {
  /** From the root of the project, with slashes. */
  readonly path: string
  readonly text: string
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (NOT_OURS.has(entry.name)) return []
    const path = join(folder, entry.name)
    return entry.isDirectory() ? filesBelow(path) : entry.isFile() ? [path] : []
  })
}

const read = (path: string): Source => ({ path: relative(project, path).replaceAll('\\', '/'), text: readFileSync(path, 'utf8') })

/** Every text file of the project, tests and documents too. */
export const everyFile: readonly Source[] = filesBelow(project)
  .filter((path) => /\.(?:ts|cjs|mjs|js|json|md|sh|ya?ml|toml|html|css|snap)$|\/(?:run|LICENSE|\.npmrc|\.gitignore)$/.test(path))
  .map(read)

/** Every module of the product. */
export const modules: readonly Source[] = everyFile.filter(
  ({ path }) => path.endsWith('.ts') && ROOMS.some((room) => path.startsWith(`${room}/`)),
)

/** The code of a module without comments, types and the text between quotes kept. */
export function codeOf({ path, text }: Source): string {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, false)
  return ts.createPrinter({ removeComments: true }).printFile(file)
}
