/**
 * What is written for a shell to source is data, whatever is in it: the shell has the exact value afterwards, and nothing
 * else happened. The same search finds what a naive writer lets through.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { renderDotenv } from '../../credentials-provider/dotenv.js'
import { temporaryFolder } from '../fakes/folder.js'
import { scaled } from '../scale.js'

const VALUES = scaled(5000)
const BATCH = 100
/** zsh where somebody has it; the other two are wherever this runs. */
const SHELLS = ['dash', 'bash', ...(onPath('zsh') ? ['zsh'] : [])]
/** `FC_SEED` repeats the values of an earlier run. */
const seed = Number(process.env['FC_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const EVERY_BYTE = String.fromCharCode(...Array.from({ length: 255 }, (_, index) => index + 1))
const counts = { values: 0, exact: 0, programs: 0 }

/** Every byte but NUL, each as the character of its number; words that a shell would act on are as likely as bytes. */
const bytes = fc.array(
  fc.oneof(
    fc.integer({ min: 1, max: 255 }).map((byte) => String.fromCharCode(byte)),
    fc.constantFrom('$(touch run)', '`touch run`', "'; touch run; '", '>run', '\n. ./x\n', '$IFS', '\\', "'", '"', '!!', '\r\n', '#', '~'),
  ),
  { maxLength: 40 },
)
const values = bytes.map((parts) => parts.join(''))

let samples: readonly string[]
beforeAll(() => {
  console.log(`sourced: seed ${seed}`)
  samples = [EVERY_BYTE, ...fc.sample(values, { numRuns: VALUES - 1, seed })]
})
afterAll(() => {
  const { exact, programs } = counts
  console.log(
    `sourced: ${counts.values} values, ${exact} read back exactly by ${SHELLS.join(', ')}; ${programs} programs started by sourcing`,
  )
  expect(counts.values).toBeGreaterThan(0)
})

describe('values for a shell', () => {
  test('hold every byte but NUL', () => {
    expect(new Set(samples.join('')).size).toBe(255)
  })

  test.each(SHELLS)('are in %s what they were, and sourcing them leaves an empty folder empty', async (shell) => {
    for (let start = 0; start < samples.length; start += BATCH) {
      const batch = samples.slice(start, start + BATCH)
      expect(await sourced(shell, batch, renderDotenv(named(batch), { isExported: start % 200 === 0 }))).toEqual({
        values: batch,
        left: [],
      })
      counts.exact += batch.length
      if (shell === SHELLS[0]) counts.values += batch.length
    }
    expect(samples.length).toBe(VALUES)
  })

  test.each(SHELLS)('start no program while %s sources them', async (shell) => {
    const started = await startedBy(shell, renderDotenv(named(samples.slice(0, BATCH))))
    expect(started).toEqual([])
    counts.programs += started.length
  })
})

test('a writer that quotes like a programming language is caught by the same search', async () => {
  const batch = ['$(touch run)', 'plain']
  const naive = Object.entries(named(batch)).map(([name, value]) => `${name}=${JSON.stringify(value)}\n`)
  const found = await sourced('dash', batch, naive.join(''))
  expect(found.left).toEqual(['run'])
  expect(found.values).not.toEqual(batch)
  expect(await startedBy('dash', naive.join(''))).toEqual([expect.stringContaining('touch')])
})

function named(batch: readonly string[]): Record<string, string> {
  return Object.fromEntries(batch.map((value, index) => [`V${index}`, value]))
}

/** What a shell has in its variables after sourcing the text in an empty folder, and what is in the folder then. */
async function sourced(shell: string, batch: readonly string[], text: string): Promise<{ values: string[]; left: string[] }> {
  const folder = temporaryFolder()
  const cwd = emptyIn(folder)
  const words = batch.map((_, index) => `"$V${index}"`).join(' ')
  const stdout = await run(shell, ['-c', `. "$1"; printf '%s\\0' ${words}`, 'sh', plant(folder, text)], cwd)
  return { values: stdout.split('\0').slice(0, -1), left: readdirSync(cwd) }
}

/** The programs that a shell starts while it sources the text, a line of the trace each. */
async function startedBy(shell: string, text: string): Promise<string[]> {
  const folder = temporaryFolder()
  const trace = join(folder, 'trace')
  const words = ['-f', '-qq', '-e', 'trace=execve,execveat', '-o', trace, shell, '-c', '. "$1"', 'sh', plant(folder, text)]
  await run('strace', words, emptyIn(folder))
  const [itself, ...started] = readFileSync(trace, 'utf8').match(/execve(?:at)?\(.*= 0$/gm) ?? []
  expect(itself).toContain(shell)
  return started
}

/** As bytes, so that what is no UTF-8 is there, too. */
function plant(folder: string, text: string): string {
  const file = join(folder, 'variables.env')
  writeFileSync(file, Buffer.from(text, 'latin1'))
  return file
}

function emptyIn(folder: string): string {
  const cwd = join(folder, 'empty')
  mkdirSync(cwd)
  return cwd
}

/**
 * What it printed, a character a byte. The programs of this machine can be found, no locale says which bytes are characters,
 * and stdin is no socket: bash would take itself for a remote login and read its own files.
 */
async function run(program: string, words: readonly string[], cwd: string): Promise<string> {
  const env = { PATH: process.env['PATH'] ?? '', LC_ALL: 'C' }
  const child = spawn(program, words, { cwd, env, stdio: ['ignore', 'pipe', 'inherit'], timeout: 30_000 })
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  await new Promise((done, fail) => child.once('error', fail).once('close', done))
  return Buffer.concat(chunks).toString('latin1')
}

function onPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, program)))
}
