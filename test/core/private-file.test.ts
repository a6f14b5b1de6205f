/** Files that only their owner may read: private from their first moment, whole or absent, and never through a link. */
import { execFileSync } from 'node:child_process'
import { existsSync, linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createPrivateFile, readSmallFile, removeFile, savePrivateFile } from '../../core/private-file.js'
import { Secret } from '../../core/secret.js'
import { secretFile } from '../../core/secret-file.js'
import { at, runChild } from '../fakes/child.js'
import { failureOf } from '../fakes/door.js'
import { temporaryFolder } from '../fakes/folder.js'

const mode = (path: string) => (statSync(path).mode & 0o777).toString(8)

/** Records mode and path of every file at the moment it is opened for writing, and every chmod. */
const WATCH = `
  import fs from 'node:fs'
  import { syncBuiltinESMExports } from 'node:module'
  const seen = []
  const open = fs.promises.open
  fs.promises.open = async (path, flags, ...rest) => {
    const file = await open(path, flags, ...rest)
    const stat = await file.stat()
    if ((flags & 3) !== 0) seen.push({ opened: (stat.mode & 0o777).toString(8), size: stat.size, exclusive: (flags & fs.constants.O_EXCL) !== 0 })
    return file
  }
  for (const name of ['chmod', 'writeFile', 'appendFile', 'copyFile']) fs.promises[name] = async () => { seen.push({ called: name }) }
  syncBuiltinESMExports()
  const { savePrivateFile, createPrivateFile } = await import(${at('core/private-file.ts')})
`

describe('a private file', () => {
  const table = ['000', '022', '077'].flatMap((umask) =>
    [undefined, 0o644, 0o600].map((before) => ({ umask, before: before?.toString(8) ?? 'nothing' })),
  )
  test.for(table)('is 0600 from its first byte under umask $umask where there was $before', async ({ umask, before }) => {
    const folder = temporaryFolder()
    const path = join(folder, 'new', 'token.json')
    if (before !== 'nothing') {
      mkdirSync(dirname(path))
      writeFileSync(path, 'old', { mode: Number.parseInt(before, 8) })
    }
    const child = runChild(
      `${WATCH} await savePrivateFile(${JSON.stringify(path)}, 'planted'); console.log(JSON.stringify(seen))`,
      `umask ${umask};`,
    )
    const { status, stdout, stderr } = await child.ended
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(JSON.parse(stdout)).toEqual([{ opened: '600', size: 0, exclusive: true }])
    expect([mode(path), readFileSync(path, 'utf8'), readdirSync(dirname(path))]).toEqual(['600', 'planted', ['token.json']])
    if (before === 'nothing') expect(mode(dirname(path))).toBe('700')
  })

  test('is replaced as a whole: a reader that has the old one open still reads the old one', async () => {
    const path = join(temporaryFolder(), 'token.json')
    await savePrivateFile(path, 'old')
    const before = statSync(path).ino
    await savePrivateFile(path, 'new')
    expect(statSync(path).ino).not.toBe(before)
    expect(readFileSync(path, 'utf8')).toBe('new')
  })

  test('gives a receipt that says where it is and who may read it', async () => {
    const path = join(temporaryFolder(), 'token.json')
    expect(await savePrivateFile(path, 'x')).toEqual({ saved_to: path, mode: '0600' })
  })

  test('is created only once, and the second attempt changes nothing', async () => {
    const path = join(temporaryFolder(), 'pending')
    expect(await createPrivateFile(path, 'first')).toBe(true)
    expect(await createPrivateFile(path, 'second')).toBe(false)
    expect([readFileSync(path, 'utf8'), mode(path)]).toEqual(['first', '600'])
  })

  test('is created by one of many that try at the same time', async () => {
    const path = join(temporaryFolder(), 'pending')
    const won = await Promise.all(Array.from({ length: 20 }, (_, index) => createPrivateFile(path, String(index))))
    expect(won.filter(Boolean)).toHaveLength(1)
    expect(readFileSync(path, 'utf8')).toBe(String(won.indexOf(true)))
  })

  test('can be removed twice', async () => {
    const path = join(temporaryFolder(), 'x')
    await createPrivateFile(path, 'x')
    await removeFile(path)
    await removeFile(path)
    expect(existsSync(path)).toBe(false)
  })
})

describe('what is planted at the place of a private file', () => {
  const plantings: [string, (path: string, victim: string) => void][] = [
    ['a symbolic link to a file', (path, victim) => symlinkSync(victim, path)],
    ['a symbolic link to nothing', (path) => symlinkSync('/nonexistent/mcp-idp', path)],
    ['a symbolic link to itself', (path) => symlinkSync(path, path)],
    ['a hard link', (path, victim) => linkSync(victim, path)],
    ['a pipe', (path) => execFileSync('mkfifo', [path])],
    ['a folder', (path) => mkdirSync(path)],
    ['a folder with something in it', (path) => mkdirSync(join(path, 'inside'), { recursive: true })],
  ]
  const doings: [string, (path: string) => Promise<unknown>][] = [
    ['save', (path) => savePrivateFile(path, 'planted')],
    ['save a secret', (path) => secretFile(path, { identity_name: 'a', auth_provider: 'keycloak' }).save(new Secret('planted-4711'), 'a')],
    ['read a secret', (path) => secretFile(path, { identity_name: 'a', auth_provider: 'keycloak' }).read()],
  ]
  const table = plantings.flatMap(([planting, plant]) => doings.map(([doing, work]) => ({ planting, plant, doing, work })))
  test.for(table)(
    '$planting is refused within two seconds by "$doing", and nothing is touched',
    { timeout: 2_000 },
    async ({ plant, work }) => {
      const folder = temporaryFolder()
      const [path, victim] = [join(folder, 'token.json'), join(folder, 'victim')]
      writeFileSync(victim, 'untouched', { mode: 0o644 })
      plant(path, victim)
      const before = [lstatSync(path).ino, readdirSync(folder)]
      const failure = await failureOf(work(path))
      expect(failure).toMatchObject({ code: 'invalid_input', details: { problems: [{ path }] } })
      expect([lstatSync(path).ino, readdirSync(folder)]).toEqual(before)
      expect([readFileSync(victim, 'utf8'), mode(victim)]).toEqual(['untouched', '644'])
    },
  )

  const unreadable = plantings.filter(([planting]) => planting !== 'a hard link')
  test.for(unreadable)('%s is not read', { timeout: 2_000 }, async ([, plant]) => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'victim'), 'secret of somebody')
    plant(join(folder, 'f'), join(folder, 'victim'))
    expect((await failureOf(readSmallFile(join(folder, 'f')))).code).toBe('invalid_input')
  })

  test.for(plantings)('%s at the place of a pending secret is left alone, and no secret is made', { timeout: 2_000 }, async ([, plant]) => {
    const folder = temporaryFolder()
    const [path, victim] = [join(folder, 'agent.json'), join(folder, 'victim')]
    writeFileSync(victim, 'untouched')
    plant(`${path}.pending`, victim)
    const sink = secretFile(path, { identity_name: 'a', auth_provider: 'keycloak' })
    expect((await failureOf(sink.savePending(new Secret('planted-4711')))).code).toBe('conflict')
    expect(readFileSync(victim, 'utf8')).toBe('untouched')
    expect(existsSync(path)).toBe(false)
  })
})

describe('a disk that refuses', () => {
  test.for(['savePrivateFile', 'createPrivateFile'])('%s leaves nothing behind and tells the path', async (name) => {
    const folder = temporaryFolder()
    const path = join(folder, 'token.json')
    const code = `
      const files = await import(${at('core/private-file.ts')})
      try { await files.${name}(${JSON.stringify(path)}, 'x'.repeat(4096)); console.log('written') } catch (error) { console.log(error.code + ' ' + error.message) }
    `
    const { stdout } = await runChild(code, 'ulimit -f 0;').ended
    expect(stdout).toBe(`unavailable ${path} cannot be read or written (EFBIG)\n`)
    expect(readdirSync(folder)).toEqual([])
  })
  test('an old file survives a write that fails', async () => {
    const path = join(temporaryFolder(), 'token.json')
    await savePrivateFile(path, 'old')
    const code = `
      const { savePrivateFile } = await import(${at('core/private-file.ts')})
      await savePrivateFile(${JSON.stringify(path)}, 'x'.repeat(4096)).catch((error) => console.log(error.code))
    `
    const { stdout } = await runChild(code, 'ulimit -f 0;').ended
    expect([stdout, readFileSync(path, 'utf8'), readdirSync(dirname(path))]).toEqual(['unavailable\n', 'old', ['token.json']])
  })
  test('a folder that is a file is told as such', async () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'file'), '')
    expect((await failureOf(savePrivateFile(join(folder, 'file', 'token.json'), 'x'))).code).toBe('unavailable')
    expect(await readSmallFile(join(folder, 'file', 'token.json'))).toBeUndefined()
  })
})

describe('reading', () => {
  test('a file that is not there is undefined, not an error', async () => {
    expect(await readSmallFile(join(temporaryFolder(), 'none'))).toBeUndefined()
  })
  test('a megabyte is read, one byte more is refused', async () => {
    const path = join(temporaryFolder(), 'big')
    writeFileSync(path, 'x'.repeat(1_000_000))
    expect(await readSmallFile(path)).toHaveLength(1_000_000)
    writeFileSync(path, 'x'.repeat(1_000_001))
    expect((await failureOf(readSmallFile(path))).code).toBe('invalid_input')
  })
})

describe('a secret file', () => {
  const facts = { identity_name: 'agent', auth_provider: 'keycloak', keycloak_url: 'http://127.0.0.1:1' }
  test('is an identity as `credentials generate` reads it', async () => {
    const path = join(temporaryFolder(), 'agent.json')
    await secretFile(path, facts).save(new Secret('planted-4711'), 'agent-id')
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ ...facts, client_id: 'agent-id', client_secret: 'planted-4711' })
  })
  test('gives back the secret and the client it belongs to', async () => {
    const sink = secretFile(join(temporaryFolder(), 'agent.json'), facts)
    expect(await sink.read()).toBeUndefined()
    await sink.save(new Secret('planted-4711'), 'agent-id')
    const saved = await sink.read()
    expect([saved?.subject, saved?.secret.reveal()]).toEqual(['agent-id', 'planted-4711'])
  })
  test('keeps a pending secret beside itself until it is saved', async () => {
    const folder = temporaryFolder()
    const sink = secretFile(join(folder, 'agent.json'), facts)
    await sink.savePending(new Secret('planted-4711'))
    expect([readdirSync(folder), mode(join(folder, 'agent.json.pending'))]).toEqual([['agent.json.pending'], '600'])
    expect((await sink.readPending())?.reveal()).toBe('planted-4711')
    expect((await failureOf(sink.savePending(new Secret('another-4711')))).code).toBe('conflict')
    await sink.save(new Secret('planted-4711'), 'agent-id')
    expect(readdirSync(folder)).toEqual(['agent.json'])
  })
  test.for(['', '{', '[]', '{"client_id":"a"}', '{"client_id":"a","client_secret":""}', '{"client_id":1,"client_secret":"planted-4711"}'])(
    'that holds %s is refused without repeating it',
    async (text) => {
      const path = join(temporaryFolder(), 'agent.json')
      writeFileSync(path, text)
      const failure = await failureOf(secretFile(path, facts).read())
      expect(failure).toMatchObject({ code: 'invalid_input', details: { problems: [{ path }] } })
      expect(failure.message).not.toContain('planted')
    },
  )
})
