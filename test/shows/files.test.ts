/**
 * Files with secrets: never open to others, not for a moment; never torn; never through what somebody planted; never lost,
 * whether the disk is full or the process is killed. Every writer of ours, counted.
 */
import { execFileSync } from 'node:child_process'
import { createHash, randomInt } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, test } from 'vitest'
import { isToolkitError } from '../../core/errors.js'
import { savePrivateFile } from '../../core/private-file.js'
import { Secret } from '../../core/secret.js'
import { secretFile } from '../../core/secret-file.js'
import { at, type Child, runChild } from '../fakes/child.js'
import { temporaryFolder } from '../fakes/folder.js'
import { modules } from '../house/sources.js'
import { CREATORS, type Refused, SAVERS, type Writer } from './files.js'
import { mountWords, unshareFlags } from './small-disk.js'

const MINUTE = 60_000
const facts = { identity_name: 'agent', auth_provider: 'keycloak' }
const octal = (path: string) => (lstatSync(path).mode & 0o7777).toString(8)
const isRoot = process.getuid?.() === 0
const counts = { modes: 0, folders: 0, rewrites: 0, looks: 0, wide: 0, torn: 0, plantings: 0, slowest: 0, full: 0, kills: 0, stale: 0 }
/** `FILES_SEED` repeats the moments of an earlier run's kills. */
const seed = Number(process.env['FILES_SEED'] ?? randomInt(2 ** 31))
let disk = ''

afterAll(() => {
  const { modes, folders, rewrites, looks, wide, torn, plantings, slowest, full, kills, stale } = counts
  console.log(`files: ${modes} writes under three umasks, all 0600; ${folders} new folders, all 0700`)
  console.log(`files: ${looks} looks during ${rewrites} rewrites: ${wide} wider than 0600, ${torn} torn`)
  console.log(`files: ${plantings} plantings refused, the slowest after ${Math.round(slowest)} ms; ${full} writes on a full disk (${disk})`)
  console.log(`files: ${kills} kills (seed ${seed}), ${stale} temporaries left by them and removed`)
})

describe('every writer', () => {
  test('of the product is in this show', () => {
    const callers = modules.filter(({ path, text }) => path !== 'core/private-file.ts' && /\b(?:save|create)PrivateFile\b/.test(text))
    // Its one file is `.gitignore`, which holds no secret.
    const expected = new Set(['cli/world.ts', ...[...Object.values(SAVERS), ...Object.values(CREATORS)].map(({ module }) => module)])
    expect(callers.map(({ path }) => path).sort()).toEqual([...expected].sort())
  })

  test.for(['000', '022', '077'])(
    'makes 0600 files in 0700 folders under umask %s, whatever was there',
    { timeout: MINUTE },
    async (umask) => {
      const folder = temporaryFolder()
      const befores = ['nothing', '644', '600']
      const cases = befores.flatMap((before) => Object.entries(SAVERS).map(([name, writer]) => ({ before, name, writer })))
      const fresh = Object.entries(CREATORS).map(([name, writer]) => ({ before: 'nothing', name, writer }))
      const table = [...cases, ...fresh].map(({ before, name, writer }, index) => {
        const place = join(folder, String(index), 'new')
        const path = join(place, writer.file)
        if (before !== 'nothing') {
          mkdirSync(dirname(path), { recursive: true })
          writeFileSync(path, 'A=0')
          chmodSync(path, Number.parseInt(before, 8))
        }
        return { before, name, place, path, ino: before === 'nothing' ? undefined : lstatSync(path).ino }
      })
      const { status, stderr } = await runChild(
        `
      const { SAVERS, CREATORS } = await import(${at('test/shows/files.ts')})
      const writers = { ...SAVERS, ...CREATORS }
      for (const { name, place } of ${JSON.stringify(table)}) await writers[name].write(place)
      `,
        `umask ${umask};`,
      ).ended
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
      expect(table.length).toBeGreaterThanOrEqual(3 * 8 + 4)
      for (const { before, name, place, path, ino } of table) {
        const made = readdirSync(dirname(path), { withFileTypes: true }).filter((entry) => entry.isFile())
        expect({ name, before, modes: made.map((entry) => octal(join(dirname(path), entry.name))) }).toEqual({
          name,
          before,
          modes: made.map(() => '600'),
        })
        expect({ name, before, isNew: lstatSync(path).ino !== ino }).toEqual({ name, before, isNew: true })
        counts.modes++
        if (before !== 'nothing') continue
        for (let made = dirname(path); made !== folder; made = dirname(made)) {
          expect({ name, folder: made, mode: octal(made) }).toEqual({ name, folder: made, mode: '700' })
          counts.folders++
        }
        expect(octal(place)).toBe('700')
      }
    },
  )
})

describe('a second process that looks all the time', () => {
  /** Looks at the file, and at whatever else is in its folder, until it is told to end. A whole file is 50,000 times one letter. */
  const WATCH = (path: string) => `
    import { lstatSync, readdirSync, readFileSync } from 'node:fs'
    import { dirname, join } from 'node:path'
    const path = ${JSON.stringify(path)}
    const whole = new Set(['a'.repeat(50_000), 'b'.repeat(50_000)])
    const seen = { looks: 0, wide: 0, torn: 0, temporaries: 0 }
    const end = Date.now() + 50_000
    let isOver = false
    process.on('SIGTERM', () => { isOver = true })
    const missing = (work) => { try { return work() } catch (error) { if (error.code !== 'ENOENT') throw error } }
    while (!isOver && Date.now() < end) {
      for (let burst = 0; burst < 20; burst++) {
        const stat = missing(() => lstatSync(path))
        if (stat === undefined) continue
        seen.looks++
        if ((stat.mode & 0o177) !== 0) seen.wide++
        const text = missing(() => readFileSync(path, 'utf8'))
        if (text !== undefined && !whole.has(text)) seen.torn++
        for (const name of readdirSync(dirname(path))) {
          const other = missing(() => lstatSync(join(dirname(path), name)))
          if (other !== undefined && name.endsWith('.tmp')) seen.temporaries++
          if (other !== undefined && name.endsWith('.tmp') && (other.mode & 0o177) !== 0) seen.wide++
        }
      }
      if (seen.looks >= 1000) console.log('seen enough')
      await new Promise(setImmediate)
    }
    console.log('\\n' + JSON.stringify(seen))
  `
  interface Seen {
    looks: number
    wide: number
    torn: number
    temporaries: number
  }

  /** Rewrites at least 200 times, and until the watch has looked 1,000 times. */
  async function watched(path: string, rewrite: (text: string) => Promise<unknown>): Promise<Seen & { rewrites: number }> {
    await rewrite('a'.repeat(50_000))
    const watch = runChild(WATCH(path))
    let hasEnough = false
    const enough = watch.printed('seen enough').then(() => {
      hasEnough = true
    })
    let rewrites = 0
    for (; rewrites < 200 || !hasEnough; rewrites++) {
      await rewrite((rewrites % 2 ? 'a' : 'b').repeat(50_000))
      if (watch.process.exitCode !== null) await enough
    }
    watch.process.kill('SIGTERM')
    const { stdout, stderr } = await watch.ended
    expect(stderr).toBe('')
    return { ...(JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Seen), rewrites }
  }

  test('never sees a file open to others, nor half of one', { timeout: 2 * MINUTE }, async () => {
    const path = join(temporaryFolder(), 'agent.json')
    const seen = await watched(path, (text) => savePrivateFile(path, text))
    expect(seen).toMatchObject({ wide: 0, torn: 0 })
    expect(seen.rewrites).toBeGreaterThanOrEqual(200)
    expect(seen.looks).toBeGreaterThanOrEqual(1_000)
    expect(seen.temporaries).toBeGreaterThan(0)
    Object.assign(counts, { rewrites: seen.rewrites, looks: seen.looks, wide: seen.wide, torn: seen.torn })
  })

  test('would see both: a writer that writes in place and closes the file afterwards is caught', { timeout: 2 * MINUTE }, async () => {
    const path = join(temporaryFolder(), 'agent.json')
    const seen = await watched(path, async (text) => {
      rmSync(path, { force: true })
      writeFileSync(path, text.slice(0, 25_000), { mode: 0o644 })
      await sleep(1)
      writeFileSync(path, text.slice(25_000), { flag: 'a' })
      chmodSync(path, 0o600)
      await sleep(1)
    })
    expect([seen.wide > 0, seen.torn > 0]).toEqual([true, true])
  })
})

/** Plants something at a path; `victim` is a file, `room` a folder of ours. */
type Planting = (path: string, victim: string, room: string) => unknown
const give = (path: string) => chownSync(path, 65_534, 65_534)
const socket: Planting = async (path) => {
  // The address of a socket is short; where it lies afterwards may be long.
  const address = join(tmpdir(), `mcp-idp-${process.pid}-${Math.round(performance.now() * 1000)}.sock`)
  const server = createServer()
  await new Promise<void>((done) => server.listen(address, done))
  linkSync(address, path)
  await new Promise((done) => server.close(done))
  rmSync(address, { force: true })
}
const anywhere: Readonly<Record<string, Planting>> = {
  'a link to a file': (path, victim) => symlinkSync(victim, path),
  'a link to nothing': (path) => symlinkSync('/nonexistent/mcp-idp', path),
  'a link to itself': (path) => symlinkSync(path, path),
  'a link to /dev/full': (path) => symlinkSync('/dev/full', path),
  'a link to /dev/zero': (path) => symlinkSync('/dev/zero', path),
  'a pipe': (path) => execFileSync('mkfifo', [path]),
  'a socket': socket,
}
const atFile: Readonly<Record<string, Planting>> = {
  ...anywhere,
  'a link to a folder': (path, _, room) => symlinkSync(room, path),
  'a folder': (path) => mkdirSync(path),
  'a hard link': (path, victim) => linkSync(victim, path),
  ...(isRoot
    ? {
        'a file of another user': (path: string) => {
          writeFileSync(path, '')
          give(path)
        },
      }
    : {}),
}
const atFolder: Readonly<Record<string, Planting>> = {
  ...anywhere,
  'a file': (path) => writeFileSync(path, ''),
  'a folder that everybody may write': (path) => {
    mkdirSync(path)
    chmodSync(path, 0o777)
  },
  'a link to such a folder': (path, _, room) => {
    chmodSync(room, 0o777)
    symlinkSync(room, path)
  },
  ...(isRoot
    ? {
        'a folder of another user': (path: string) => {
          mkdirSync(path)
          give(path)
        },
      }
    : {}),
}

/** How the work ends, and after how many milliseconds; what blocks for two seconds counts as ended then. */
async function timed(work: Promise<unknown>): Promise<{ end: unknown; ms: number }> {
  const start = performance.now()
  const end = await Promise.race([
    work.then(
      () => 'it was written',
      (error: unknown) => error,
    ),
    sleep(2_000, 'it blocks'),
  ])
  return { end, ms: performance.now() - start }
}

/** Plants, works, and looks whether anything was touched. */
async function refused(folder: string, path: string, plant: Planting, work: () => Promise<unknown>): Promise<void> {
  const [victim, room] = [join(folder, 'victim'), join(folder, 'room')]
  writeFileSync(victim, 'untouched', { mode: 0o644 })
  mkdirSync(room)
  mkdirSync(dirname(path), { recursive: true })
  await plant(path, victim, room)
  const before = lstatSync(path)
  const { end, ms } = await timed(work())
  expect(isToolkitError(end, 'invalid_input') ? end.message : end).toContain(path)
  expect(ms).toBeLessThan(2_000)
  const after = lstatSync(path)
  expect([after.ino, after.mode, after.mtimeMs]).toEqual([before.ino, before.mode, before.mtimeMs])
  expect([readFileSync(victim, 'utf8'), octal(victim), readdirSync(room)]).toEqual(['untouched', '644', []])
  counts.plantings++
  counts.slowest = Math.max(counts.slowest, ms)
}

describe('what is planted', () => {
  const savers = Object.entries(SAVERS).map(([name, writer]) => ({ name, writer }))
  const sinks = Object.entries(CREATORS).filter(([, { file }]) => file.endsWith('.pending'))
  const pendings = sinks.map(([name, writer]) => ({ name, writer }))
  const table = (plantings: Readonly<Record<string, Planting>>, rows: readonly { name: string; writer: Writer }[]) =>
    Object.entries(plantings).flatMap(([planting, plant]) => rows.map((row) => ({ planting, plant, ...row })))

  test.for(table(atFile, [...savers, ...pendings]))('$planting in the place of $name is refused', async ({ plant, writer }) => {
    const folder = temporaryFolder()
    await refused(folder, join(folder, 'home', writer.file), plant, () => writer.write(join(folder, 'home')))
  })
  test.for(table(atFile, pendings))('$planting in the place of $name is not read', async ({ plant }) => {
    const folder = temporaryFolder()
    const path = join(folder, 'agent.json')
    await refused(folder, `${path}.pending`, plant, () => secretFile(path, facts).readPending())
  })
  test.for(table(atFolder, [...savers, ...pendings]))(
    '$planting in the place of the folder of $name is refused',
    async ({ plant, writer }) => {
      const folder = temporaryFolder()
      const parent = dirname(join(folder, 'home', writer.file))
      await refused(folder, parent, plant, () => writer.write(join(folder, 'home')))
    },
  )
  test.for(savers)('a folder that is a link to one of ours is no planting: $name is written', async ({ writer }) => {
    const folder = temporaryFolder()
    const parent = dirname(join(folder, 'home', writer.file))
    mkdirSync(join(folder, 'room'))
    mkdirSync(dirname(parent), { recursive: true })
    symlinkSync(join(folder, 'room'), parent)
    await writer.write(join(folder, 'home'))
    expect(readdirSync(join(folder, 'room')).map((name) => octal(join(folder, 'room', name)))).toEqual(['600'])
  })
})

describe('a full disk', () => {
  test('leaves every old file as it is, and nothing beside it; the error names the file', { timeout: MINUTE }, async () => {
    const folder = temporaryFolder()
    const child = fullDisk(folder)
    const { status, stdout, stderr } = await child.ended
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const rows = JSON.parse(stdout) as Refused[]
    expect(rows.length).toBe(Object.keys(SAVERS).length)
    const reason = disk === 'a tmpfs of 64 KB' ? 'ENOSPC' : 'EFBIG'
    for (const row of rows)
      expect(row).toEqual({ name: row.name, message: `<path> cannot be read or written (${reason})`, isOldWhole: true, temporaries: 0 })
    counts.full = rows.length
  })
})

/** A child that rewrites every file on a disk without room: a small tmpfs where we may mount one, else a limit on file sizes. */
function fullDisk(folder: string): Child {
  const write = `for (const { write } of Object.values(files.SAVERS)) await write(folder)`
  const code = (before: string) => `
    const files = await import(${at('test/shows/files.ts')})
    const folder = ${JSON.stringify(folder)}
    ${before}
    console.log(JSON.stringify(await files.rewriteAll(folder)))
  `
  const unshare = unshareFlags()
  if (unshare !== undefined) {
    disk = 'a tmpfs of 64 KB'
    return runChild(
      code(`${write}; files.fill(folder)`),
      `exec unshare ${unshare} sh -c '${mountWords(folder)} && exec "$0" --import tsx --input-type=module --eval "$1"' "$0" "$1";`,
    )
  }
  disk = 'a limit on file sizes'
  execFileSync(process.execPath, [
    '--import',
    'tsx',
    '--input-type=module',
    '--eval',
    `const files = await import(${at('test/shows/files.ts')}); const folder = ${JSON.stringify(folder)}; ${write}`,
  ])
  return runChild(code(''), 'ulimit -f 0;')
}

describe('kill -9', () => {
  const LONG = 'x'.repeat(100_000)
  const isWhole = (text: string) => {
    const { filler, client_secret } = JSON.parse(text) as Record<string, string>
    return filler === LONG && ['old', 'new'].includes(client_secret ?? '')
  }
  /** Milliseconds of the loop before a kill, 20 to 80. */
  const moment = (kill: string) => 20 + (createHash('sha256').update(`${seed} ${kill}`).digest().readUInt16BE() / 2 ** 16) * 60
  /** Starts the loop and kills it at a random moment. */
  async function killed(path: string, kill: string, loop: string): Promise<void> {
    const child = runChild(`
      const { secretFile } = await import(${at('core/secret-file.ts')})
      const { Secret } = await import(${at('core/secret.ts')})
      const sink = secretFile(${JSON.stringify(path)}, { identity_name: 'a', auth_provider: 'keycloak', filler: 'x'.repeat(100_000) })
      console.log('going')
      for (let round = 0; ; round++) { ${loop} }
    `)
    await child.printed('going')
    await sleep(moment(kill))
    child.process.kill('SIGKILL')
    expect((await child.ended).stderr).toBe('')
    expect(child.process.signalCode).toBe('SIGKILL')
    counts.kills++
  }
  const temporaries = (folder: string) => readdirSync(folder).filter((name) => name.endsWith('.tmp'))
  /** As if the killed run were older than a minute. */
  function age(folder: string): number {
    const left = temporaries(folder)
    for (const name of left) utimesSync(join(folder, name), new Date(), new Date(Date.now() - 61_000))
    return left.length
  }
  /** Five at a time, each in a folder of its own. */
  async function inFolders(runs: number, work: (folder: string, index: number) => Promise<void>): Promise<void> {
    const folders = Array.from({ length: runs }, temporaryFolder)
    for (let start = 0; start < runs; start += 5)
      await Promise.all(folders.slice(start, start + 5).map((folder, index) => work(folder, start + index)))
  }

  test('of a rewriting loop leaves a whole file, 0600; the next save removes what it left', { timeout: 4 * MINUTE }, async () => {
    let stale = 0
    await inFolders(50, async (folder, index) => {
      const path = join(folder, 'agent.json')
      const sink = secretFile(path, { ...facts, filler: LONG })
      await sink.save(new Secret('old'), 'a')
      await killed(path, `save ${index}`, `await sink.save(new Secret(round % 2 ? 'old' : 'new'), 'a')`)
      expect([isWhole(readFileSync(path, 'utf8')), octal(path), statSync(path).nlink]).toEqual([true, '600', 1])
      for (const name of temporaries(folder)) expect(octal(join(folder, name))).toBe('600')
      stale += age(folder)
      await sink.save(new Secret('new'), 'a')
      expect(readdirSync(folder)).toEqual(['agent.json'])
    })
    expect(stale).toBeGreaterThan(0)
    counts.stale += stale
  })

  test('of a loop of pending secrets leaves a whole one or none, and the next run goes on', { timeout: 4 * MINUTE }, async () => {
    let stale = 0
    await inFolders(20, async (folder, index) => {
      const path = join(folder, 'agent.json')
      const sink = secretFile(path, { ...facts, filler: LONG })
      await killed(path, `pending ${index}`, `await sink.savePending(new Secret('old')); await sink.discardPending()`)
      const pending = await sink.readPending()
      expect(['old', undefined]).toContain(pending?.reveal())
      stale += age(folder)
      if (pending === undefined) await sink.savePending(new Secret('new'))
      await sink.save(pending ?? new Secret('new'), 'a')
      expect([isWhole(readFileSync(path, 'utf8')), readdirSync(folder)]).toEqual([true, ['agent.json']])
    })
    counts.stale += stale
  })
})
