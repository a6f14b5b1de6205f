/**
 * `npm run docs` writes the generated tables into README.md; `npm run docs:check` fails when one is stale. A table stands
 * between `<!-- name:begin -->` and `<!-- name:end -->`; everything outside the markers is left as it is.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { SECTIONS, type SectionName } from './tables.js'

export interface Generated {
  readonly text: string
  /** Sections whose table was not what the code says. */
  readonly stale: readonly SectionName[]
}

const README = resolve(import.meta.dirname, '..', '..', 'README.md')

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
  if (stale.length === 0) {
    console.log('README.md is up to date')
    return 0
  }
  if (write) {
    writeFileSync(README, text)
    console.log(`README.md: wrote ${stale.join(', ')}`)
    return 0
  }
  console.error(`README.md is stale: ${stale.join(', ')}\nrun: npm run docs`)
  return 1
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) process.exitCode = await main(process.argv.includes('--write'))
