/** Files that only their owner may read: private from their first moment, whole or absent, and never through a link. */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createPrivateFile, readSmallFile, removeFile, removeStale, savePrivateFile } from '../../core/private-file.js'
import { at, runChild } from '../fakes/child.js'
import { failureOf } from '../fakes/door.js'
import { temporaryFolder } from '../fakes/folder.js'

const mode = (path: string) => (statSync(path).mode & 0o777).toString(8)

/** Records mode and path of every file at the moment it is opened for writing, and every chmod. */
const WATCH = `
  import fs from 'node:fs'
  import { syncBuiltinESMExports } from 'node:module'
  const seen = []
  const open = fs.openSync
  fs.openSync = (path, flags, ...rest) => {
    const file = open(path, flags, ...rest)
    const stat = fs.fstatSync(file)
    if ((flags & 3) !== 0) seen.push({ opened: (stat.mode & 0o777).toString(8), size: stat.size, exclusive: (flags & fs.constants.O_EXCL) !== 0 })
    return file
  }
  for (const name of ['chmod', 'fchmod', 'appendFile', 'copyFile']) {
    fs.promises[name] = async () => { seen.push({ called: name }) }
    fs[name + 'Sync'] = () => { seen.push({ called: name }) }
  }
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
    ['read what is ours alone', (path) => readSmallFile(path, { isPrivate: true })],
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
    expect((await failureOf(savePrivateFile(join(folder, 'file', 'token.json'), 'x'))).code).toBe('invalid_input')
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
  test.for([0o600, 0o400])('a file of mode %o is ours alone', async (loose) => {
    const path = join(temporaryFolder(), 'secret')
    writeFileSync(path, 'planted')
    chmodSync(path, loose)
    expect(await readSmallFile(path, { isPrivate: true })).toBe('planted')
  })
  test.for([0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o644, 0o666])(
    'a file of mode %o is refused where it must be ours alone, with the chmod to type',
    async (loose) => {
      const path = join(temporaryFolder(), 'secret')
      writeFileSync(path, 'planted')
      chmodSync(path, loose)
      expect(await failureOf(readSmallFile(path, { isPrivate: true }))).toMatchObject({
        code: 'invalid_input',
        details: { problems: [{ path, found: loose.toString(8) }] },
        hint: `chmod 600 ${path}`,
      })
      expect(await readSmallFile(path)).toBe('planted')
    },
  )
})

const writers = [savePrivateFile, createPrivateFile].map((work) => ({ name: work.name, work }))

describe('the folder of a private file', () => {
  const folders: [string, (folder: string, victim: string) => void][] = [
    ['a file', (folder) => writeFileSync(folder, '')],
    ['a pipe', (folder) => execFileSync('mkfifo', [folder])],
    ['a link to nothing', (folder) => symlinkSync('/nonexistent/mcp-idp', folder)],
    ['a link to itself', (folder) => symlinkSync(folder, folder)],
    ['a link to a file', (folder, victim) => symlinkSync(victim, folder)],
  ]
  test.for(folders.flatMap(([what, plant]) => writers.map((writer) => ({ what, plant, ...writer }))))(
    'that is $what is refused by $name',
    { timeout: 2_000 },
    async ({ plant, work }) => {
      const around = temporaryFolder()
      const [folder, victim] = [join(around, 'folder'), join(around, 'victim')]
      writeFileSync(victim, 'untouched')
      plant(folder, victim)
      expect(await failureOf(work(join(folder, 'token.json'), 'planted'))).toMatchObject({
        code: 'invalid_input',
        details: { problems: [{ path: folder }] },
      })
      expect(readFileSync(victim, 'utf8')).toBe('untouched')
    },
  )
  test.for(writers)('that everybody may write is refused by $name with the chmod to type', async ({ work }) => {
    const folder = temporaryFolder()
    chmodSync(folder, 0o777)
    const failure = await failureOf(work(join(folder, 'token.json'), 'planted'))
    expect(failure).toMatchObject({
      code: 'invalid_input',
      details: { problems: [{ path: folder, found: '777' }] },
      hint: `chmod go-w ${folder}`,
    })
    expect(readdirSync(folder)).toEqual([])
  })
  test('may be sticky, as /tmp is', async () => {
    const folder = temporaryFolder()
    chmodSync(folder, 0o1777)
    await savePrivateFile(join(folder, 'token.json'), 'x')
    expect(mode(join(folder, 'token.json'))).toBe('600')
  })
  test('may be a link to a folder of ours', async () => {
    const around = temporaryFolder()
    mkdirSync(join(around, 'real'))
    symlinkSync('real', join(around, 'link'))
    await savePrivateFile(join(around, 'link', 'token.json'), 'x')
    expect(readFileSync(join(around, 'real', 'token.json'), 'utf8')).toBe('x')
  })
  // Only root can give a folder away.
  test.runIf(process.getuid?.() === 0)('is refused when it is of another user, and so is a file', async () => {
    const around = temporaryFolder()
    const [folder, file] = [join(around, 'folder'), join(around, 'file')]
    mkdirSync(folder)
    writeFileSync(file, 'old')
    chownSync(folder, 65_534, 65_534)
    chownSync(file, 65_534, 65_534)
    symlinkSync('folder', join(around, 'link'))
    for (const path of [join(folder, 'token.json'), join(around, 'link', 'token.json'), file])
      expect((await failureOf(savePrivateFile(path, 'x'))).code).toBe('invalid_input')
    expect([readdirSync(folder), readFileSync(file, 'utf8')]).toEqual([[], 'old'])
  })
})

describe('what a killed run left', () => {
  const HEX = '0123456789abcdef'
  const old = (path: string) => utimesSync(path, new Date(), new Date(Date.now() - 61_000))

  test.for(writers)('is removed by the next $name of that name, and nothing else is', async ({ work }) => {
    const folder = temporaryFolder()
    const path = join(folder, 'token.json')
    const stay = [
      `.token.json.${HEX}.tmp~`,
      `.token.json.${HEX.toUpperCase()}.tmp`,
      `.token.json.${HEX.slice(1)}.tmp`,
      `.token.json.0${HEX}.tmp`,
      `.token.json.pending.${HEX}.tmp`,
      `.other.json.${HEX}.tmp`,
      `.token_json.${HEX}.tmp`,
      `token.json.${HEX}.tmp`,
      `.x.token.json.${HEX}.tmp`,
    ]
    for (const name of [...stay, `.token.json.${HEX}.tmp`, `.token.json.${HEX.replaceAll('0', 'f')}.tmp`]) {
      writeFileSync(join(folder, name), name)
      old(join(folder, name))
    }
    const young = `.token.json.${HEX.replaceAll('0', 'a')}.tmp`
    writeFileSync(join(folder, young), '')
    await work(path, 'x')
    expect(readdirSync(folder).sort()).toEqual([...stay, young, 'token.json'].sort())
  })

  test('is not removed when it is a link, a pipe, a folder or has a second name', async () => {
    const folder = temporaryFolder()
    const temporary = (digit: string) => join(folder, `.token.json.${digit.repeat(16)}.tmp`)
    writeFileSync(join(folder, 'victim'), 'untouched')
    symlinkSync('victim', temporary('1'))
    execFileSync('mkfifo', [temporary('2')])
    mkdirSync(temporary('3'))
    linkSync(join(folder, 'victim'), temporary('4'))
    for (const digit of '234') old(temporary(digit))
    execFileSync('touch', ['-h', '-d', '2 minutes ago', temporary('1')])
    const before = readdirSync(folder)
    await removeStale(join(folder, 'token.json'))
    expect(readdirSync(folder)).toEqual(before)
    expect(readFileSync(join(folder, 'victim'), 'utf8')).toBe('untouched')
  })

  test('between the two names of a new file does not make it a hard link for ever', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'pending')
    await createPrivateFile(path, 'planted')
    linkSync(path, join(folder, `.pending.${HEX}.tmp`))
    expect((await failureOf(readSmallFile(path, { isPrivate: true }))).code).toBe('invalid_input')
    await removeStale(path)
    expect([readdirSync(folder), await readSmallFile(path, { isPrivate: true })]).toEqual([['pending'], 'planted'])
  })
})

describe('a run that is killed in the middle of its write', () => {
  const table = [
    { name: 'savePrivateFile', before: 'old' },
    { name: 'createPrivateFile', before: undefined },
  ]
  test.for(table)('leaves no half of a file under the name that $name was given', async ({ name, before }) => {
    const path = join(temporaryFolder(), 'token.json')
    if (before !== undefined) writeFileSync(path, before, { mode: 0o600 })
    const code = `
      import fs from 'node:fs'
      import { syncBuiltinESMExports } from 'node:module'
      const writeFile = fs.writeFileSync
      fs.writeFileSync = (file, text) => {
        writeFile(file, text.slice(0, text.length / 2))
        process.kill(process.pid, 'SIGKILL')
      }
      syncBuiltinESMExports()
      const files = await import(${at('core/private-file.ts')})
      await files.${name}(${JSON.stringify(path)}, 'planted, first half; planted, second half')
    `
    const child = runChild(code)
    expect((await child.ended).stderr).toBe('')
    expect(child.process.signalCode).toBe('SIGKILL')
    expect(existsSync(path) ? readFileSync(path, 'utf8') : undefined).toBe(before)
    expect(readdirSync(dirname(path)).filter((one) => one.endsWith('.tmp'))).toHaveLength(1)
  })
})

describe('a file system that gives every file one mode', () => {
  test.for(['savePrivateFile', 'createPrivateFile'])('gets not a byte from %s', async (name) => {
    const folder = temporaryFolder()
    const code = `
      import fs from 'node:fs'
      import { syncBuiltinESMExports } from 'node:module'
      const open = fs.openSync
      let written = 0
      fs.openSync = (path, flags, mode) => {
        const file = open(path, flags, mode)
        if (mode !== undefined) fs.fchmodSync(file, 0o755)
        return file
      }
      const writeFile = fs.writeFileSync
      fs.writeFileSync = (file, text) => { written += text.length; writeFile(file, text) }
      syncBuiltinESMExports()
      const files = await import(${at('core/private-file.ts')})
      await files.${name}(${JSON.stringify(join(folder, 'token.json'))}, 'planted').catch((error) => console.log(error.code, written))
    `
    const { stdout, stderr } = await runChild(code).ended
    expect({ stdout, stderr, left: readdirSync(folder) }).toEqual({ stdout: 'invalid_input 0\n', stderr: '', left: [] })
  })
})
