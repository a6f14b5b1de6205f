/**
 * `npm run docs` writes the generated tables into README.md, and the identities' JSON Schema; `npm run docs:check` fails when one is stale. A table stands
 * between `<!-- name:begin -->` and `<!-- name:end -->`; everything outside the markers is left as it is.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { identitiesJsonSchema } from '../../credentials-provider/identity-schema.js'
import { SECTIONS, type SectionName } from './tables.js'

export interface Generated {
  readonly text: string
  /** Sections whose table was not what the code says. */
  readonly stale: readonly SectionName[]
}

const project = resolve(import.meta.dirname, '..', '..')
const README = resolve(project, 'README.md')

/** The JSON Schema of identities files, for editors. */
export const SCHEMA = resolve(project, 'docs', 'identities.schema.json')
export const schemaText = (): string => `${JSON.stringify(identitiesJsonSchema(), null, 2)}\n`

/** The document with every section made anew. @throws Error naming each marker that is missing, twice there or out of order */
export async function generated(document: string): Promise<Generated> {
  let text = document
  const stale: SectionName[] = []
  const problems: string[] = []
  for (const name of Object.keys(SECTIONS) as SectionName[]) {
    const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`]
    const [before, inside, ...more] = text.split(begin)
    const [old, after, ...rest] = inside?.split(end) ?? []
    if (before === undefined || old === undefined || after === undefined || more.length > 0 || rest.length > 0) {
      problems.push(`README.md needs ${begin} and ${end} once each, in this order`)
      continue
    }
    const table = `\n${await SECTIONS[name]()}\n`
    if (old !== table) stale.push(name)
    text = `${before}${begin}${table}${end}${after}`
  }
  if (problems.length > 0) throw new Error(problems.join('\n'))
  return { text, stale }
}

async function main(write: boolean): Promise<number> {
  const { text, stale } = await generated(readFileSync(README, 'utf8'))
  const isSchemaFresh = existsSync(SCHEMA) && readFileSync(SCHEMA, 'utf8') === schemaText()
  const all = [...stale.map((name) => `README.md ${name}`), ...(isSchemaFresh ? [] : ['docs/identities.schema.json'])]
  if (all.length === 0) {
    console.log('README.md and docs/identities.schema.json are up to date')
    return 0
  }
  if (write) {
    if (stale.length > 0) writeFileSync(README, text)
    if (!isSchemaFresh) writeFileSync(SCHEMA, schemaText())
    console.log(`wrote ${all.join(', ')}`)
    return 0
  }
  console.error(`stale: ${all.join(', ')}\nrun: npm run docs`)
  return 1
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) process.exitCode = await main(process.argv.includes('--write'))
