/** Four processes read one token file without a pause while two others rewrite it: nobody ever sees half of a token, or a loose one. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type BuiltCli, buildCli, startProcess } from '../cli/built.js'
import { temporaryFolder } from '../fakes/folder.js'
import { EXHAUSTIVE } from '../scale.js'

const REWRITES = EXHAUSTIVE ? 10_000 : 2_000
const READS = 100_000
const [WRITERS, READERS] = [2, 4]
const MINUTE = 60_000
const lines: string[] = []

let built: BuiltCli
const script = { write: '', read: '' }
beforeAll(() => {
  built = buildCli()
  const module = (path: string) => JSON.stringify(pathToFileURL(join(built.folder, 'dist', path)).href)
  // A token is one letter, of another length each time: of two that are mixed, one of both would tell.
  script.write = `
    import { writeSync } from 'node:fs'
    import { Secret } from ${module('core/secret.js')}
    import { saveToken } from ${module('credentials-provider/token-file.js')}
    import { tokenRequest } from ${module('idp/tokens.js')}
    const [path, letter, rewrites] = process.argv.slice(1)
    const identity = { identity_name: letter, auth_provider: 'oidc', client_id: letter, fields: { issuer: 'https://idp.example.com' } }
    const request = tokenRequest(identity, { client_secret: true })
    let isOver = false
    process.on('SIGTERM', () => { isOver = true })
    let count = 0
    while (count < Number(rewrites) || !isOver) {
      count++
      const access_token = new Secret(letter.repeat(1_000 + (count % 7) * 1_000))
      await saveToken(path, identity, request, { access_token, token_type: 'Bearer', expires_in: access_token.reveal().length }, Date.now() / 1000)
      if (count === 1) writeSync(1, 'first\\n')
      if (count === Number(rewrites)) writeSync(1, 'enough\\n')
    }
    writeSync(1, count + '\\n')`
  script.read = `
    import { lstatSync, readdirSync, readFileSync } from 'node:fs'
    import { dirname, join } from 'node:path'
    import { readTokenFile } from ${module('credentials-provider/saved-token.js')}
    const [path] = process.argv.slice(1)
    const seen = { reads: 0, torn: 0, wide: 0, missing: 0, temporaries: 0, tokens: {} }
    let [isOver, hasTold] = [false, false]
    process.on('SIGTERM', () => { isOver = true })
    const mode = (one) => { try { return lstatSync(one).mode & 0o7177 } catch (error) { if (error.code === 'ENOENT') return 0; throw error } }
    const isWhole = (text, name, lifetime) => (name === 'a' || name === 'b') && text === name.repeat(lifetime)
    const read = () => {
      try {
        const { access_token, identity_name, expires_in } = JSON.parse(readFileSync(path, 'utf8'))
        if (!isWhole(access_token, identity_name, expires_in)) seen.torn++
        else seen.tokens[identity_name] = (seen.tokens[identity_name] ?? 0) + 1
      } catch (error) {
        if (error.code === 'ENOENT') seen.missing++
        else seen.torn++
      }
      seen.reads++
    }
    while (!isOver) {
      for (let burst = 0; burst < 50; burst++) {
        read()
        if (mode(path) & 0o177) seen.wide++
      }
      for (const name of readdirSync(dirname(path))) {
        if (!name.endsWith('.tmp')) continue
        seen.temporaries++
        if (mode(join(dirname(path), name)) & 0o177) seen.wide++
      }
      // As the product reads it.
      const saved = await readTokenFile(path)
      seen.reads++
      if (saved === undefined || !isWhole(saved.token.reveal(), saved.identity_name, saved.lifetime)) seen.torn++
      if (seen.reads >= ${READS / READERS} && !hasTold) console.log('enough')
      hasTold ||= seen.reads >= ${READS / READERS}
      await new Promise(setImmediate)
    }
    console.log(JSON.stringify(seen))`
})
afterAll(async () => {
  await built?.remove()
  for (const line of lines) console.log(`readers: ${line}`)
})

interface Seen {
  readonly reads: number
  readonly torn: number
  readonly wide: number
  readonly missing: number
  readonly temporaries: number
  readonly tokens: Readonly<Record<string, number>>
}

const run = (code: string, args: readonly string[]) => startProcess(process.execPath, ['--input-type=module', '--eval', code, ...args], {})

/** Readers and writers until all have had enough, the writers ending first; what the readers saw in all, and how much was written. */
async function watched(path: string, writers: readonly (readonly [code: string, args: readonly string[]])[]) {
  const writing = writers.map(([code, args]) => run(code, args))
  await Promise.all(writing.map(({ line }) => line((text) => text === 'first')))
  const reading = Array.from({ length: READERS }, () => run(script.read, [path]))
  await Promise.all([...writing, ...reading].map(({ line }) => line((text) => text === 'enough')))
  for (const { child } of writing) child.kill('SIGTERM')
  const wrote = await Promise.all(writing.map(({ ended }) => ended))
  expect(wrote.map(({ exit, stderr }) => [exit, stderr])).toEqual(writers.map(() => [0, '']))
  for (const { child } of reading) child.kill('SIGTERM')
  const lastLine = (text: string) => text.trimEnd().split('\n').at(-1) ?? ''
  const seen = (await Promise.all(reading.map(({ ended }) => ended))).map(({ stdout }) => JSON.parse(lastLine(stdout)) as Seen)
  const sum = (of: (one: Seen) => number) => seen.reduce((total, one) => total + of(one), 0)
  return {
    rewrites: wrote.reduce((total, { stdout }) => total + Number(lastLine(stdout)), 0),
    reads: sum(({ reads }) => reads),
    torn: sum(({ torn }) => torn),
    wide: sum(({ wide }) => wide),
    missing: sum(({ missing }) => missing),
    temporaries: sum(({ temporaries }) => temporaries),
    tokens: ['a', 'b'].map((letter) => sum(({ tokens }) => tokens[letter] ?? 0)),
  }
}

test('no read is torn and nothing is left', { timeout: 10 * MINUTE }, async () => {
  const folder = temporaryFolder()
  const path = join(folder, 'agent.json')
  const letters = ['a', 'b'].slice(0, WRITERS)
  const seen = await watched(
    path,
    letters.map((letter) => [script.write, [path, letter, String(REWRITES / WRITERS)]]),
  )
  expect(seen).toMatchObject({ torn: 0, wide: 0, missing: 0 })
  expect(seen.reads).toBeGreaterThanOrEqual(READS)
  expect(seen.rewrites).toBeGreaterThanOrEqual(REWRITES)
  // Both writers' tokens were read, and a temporary was there to be seen.
  expect([...seen.tokens, seen.temporaries].every((count) => count > 0)).toBe(true)
  expect([readdirSync(folder), (statSync(path).mode & 0o777).toString(8)]).toEqual([['agent.json'], '600'])
  expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ provider: 'oidc' })
  lines.push(
    `${seen.rewrites} rewrites by ${WRITERS} processes, ${seen.reads} reads by ${READERS}: ${seen.torn} torn, ${seen.wide} wider than 0600`,
  )
  lines.push(`${seen.missing} times no file, 0 temporaries left over (${seen.temporaries} seen on the way)`)
})

test('a writer that writes in place would be caught', { timeout: 2 * MINUTE }, async () => {
  const path = join(temporaryFolder(), 'agent.json')
  const inPlace = `
    import { writeFileSync, writeSync } from 'node:fs'
    const [path] = process.argv.slice(1)
    writeFileSync(path, JSON.stringify({ access_token: 'a', identity_name: 'a', expires_in: 1, expires_at: 1 }), { mode: 0o644 })
    writeSync(1, 'first\\n')
    let isOver = false
    process.on('SIGTERM', () => { isOver = true })
    let count = 0
    while (!isOver) {
      count++
      const text = JSON.stringify({ access_token: 'a'.repeat(7_000), identity_name: 'a', expires_in: 7_000, expires_at: 1 })
      writeFileSync(path, text.slice(0, 3_000))
      writeFileSync(path, text.slice(3_000), { flag: 'a' })
      if (count === 100) writeSync(1, 'enough\\n')
      await new Promise(setImmediate)
    }
    writeSync(1, count + '\\n')`
  const seen = await watched(path, [[inPlace, [path]]])
  expect([seen.torn > 0, seen.wide > 0]).toEqual([true, true])
  lines.push(`a writer in place under the same readers: ${seen.torn} of ${seen.reads} reads torn, ${seen.wide} looks at a loose file`)
})
