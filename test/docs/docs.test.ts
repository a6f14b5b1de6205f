/** The documents say what the code says: generated tables are fresh, links lead somewhere, commands and files exist. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { everyFile, project } from '../house/sources.js'
import { generated } from './generate.js'
import { SECTIONS, type SectionName, table } from './tables.js'

const readme = readFileSync(join(project, 'README.md'), 'utf8')
const names = Object.keys(SECTIONS) as SectionName[]
const empty = names.map((name) => `# ${name}\n<!-- ${name}:begin -->\n<!-- ${name}:end -->\n`).join('\n')

describe('the README', () => {
  test('has the tables that the code makes; if this fails, run: npm run docs', async () => {
    expect((await generated(readme)).stale).toEqual([])
  })
})

describe('the generator', () => {
  test('fills every section, and a second run changes nothing', async () => {
    const first = await generated(empty)
    expect(first.stale).toEqual(names)
    for (const name of names)
      expect(first.text).toMatch(new RegExp(`<!-- ${name}:begin -->\n\\| [^\n]+\n\\|(?:---\\|)+\n(?:\\| [^\n]+\n){2,}<!-- ${name}:end -->`))
    expect(await generated(first.text)).toEqual({ text: first.text, stale: [] })
  })
  test('finds one changed word', async () => {
    const { text } = await generated(empty)
    expect((await generated(text.replace('the named thing does not exist', 'it is gone'))).stale).toEqual(['errors'])
  })
  test('leaves what stands outside the markers as it is', async () => {
    const { text } = await generated(`before\n${empty}after\n`)
    expect(text.startsWith('before\n# operations\n')).toBe(true)
    expect(text.endsWith('after\n')).toBe(true)
  })
  test.for([
    ['a missing marker', empty.replace('<!-- errors:end -->', '')],
    ['a marker that is there twice', `${empty}<!-- errors:begin -->`],
    [
      'markers in the wrong order',
      empty.replace('<!-- errors:begin -->\n<!-- errors:end -->', '<!-- errors:end -->\n<!-- errors:begin -->'),
    ],
  ] as const)('refuses %s by name', async ([, document]) => {
    await expect(generated(document)).rejects.toThrow(/<!-- errors:begin -->/)
  })
  test('keeps a cell in its cell', () => {
    expect(table(['a'], [['x|y\nz']])).toBe('| a |\n|---|\n| x\\|y z |')
  })
  test('writes every row of every table', async () => {
    const { text } = await generated(empty)
    const { CATALOG } = await import('../../toolkit/catalog.js')
    const { ERRORS } = await import('../../core/errors.js')
    const { SETTINGS } = await import('../../core/settings.js')
    for (const { name } of CATALOG) expect(text).toContain(`| \`${name}\` |`)
    for (const code of Object.keys(ERRORS)) expect(text).toContain(`| \`${code}\` |`)
    for (const name of Object.keys(SETTINGS)) expect(text).toMatch(new RegExp(`\\| \`${name}\``))
  })
})

describe('every document', () => {
  const documents = everyFile.filter(({ path }) => path.endsWith('.md'))
  test('there are documents to look at', () => {
    expect(documents.length).toBeGreaterThan(8)
  })
  test.for(documents)('the links of $path lead to files that exist', ({ path, text }) => {
    const links = [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)(?:#[^)]*)?\)/g)].map(([, link = '']) => link)
    expect(links.filter((link) => !existsSync(join(project, dirname(path), link)))).toEqual([])
  })
  test.for(documents)('the npm scripts that $path names exist', ({ text }) => {
    const { scripts } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
    const named = [...text.matchAll(/npm run ([a-z:]+)/g)].map(([, name = '']) => name)
    expect(named.filter((name) => !(name in scripts))).toEqual([])
  })
  test.for(documents)('the commands that $path shows are there', async ({ text }) => {
    const { CATALOG } = await import('../../toolkit/catalog.js')
    const { CREDENTIALS_WORDS } = await import('../../cli/credentials-command.js')
    const own = ['start', 'mcp', 'generate-creds', 'completion', ...CREDENTIALS_WORDS.map((word) => `credentials ${word}`)]
    const ours = [...own, ...CATALOG.map(({ command }) => command.join(' '))]
    const shown = [...text.matchAll(/(?:npx|`)\s?mcp-idp ([a-z][a-z0-9-]*(?: [a-z][a-z0-9-]*)?)/g)].map(([, words = '']) => words)
    expect(shown.filter((words) => !ours.some((one) => words === one || words.startsWith(`${one} `)))).toEqual([])
  })
})
