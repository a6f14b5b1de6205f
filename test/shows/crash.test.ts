/**
 * A token file is the whole old one or the whole new one, ours alone, whenever the run that replaces it dies and whichever
 * file system call fails. By strace, at every call of one save and of a whole command.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type BuiltCli, buildCli, startProcess } from '../cli/built.js'
import { temporaryFolder } from '../fakes/folder.js'
import { answerJson, type FakeServer, serve } from '../fakes/server.js'
import { mountWords, unshareFlags } from './small-disk.js'
import { type Call, canTrace, HOW_TO_TRACE, moments, traced } from './strace.js'

const MINUTE = 60_000
const ERRNOS = ['ENOSPC', 'EIO', 'EROFS', 'EMFILE', 'EDQUOT']
const STEPS = ['openat', 'write', 'fsync', 'close', 'rename']
/** Long enough for a half of it to be seen. */
const NEW_TOKEN = 'n'.repeat(20_000)
const OLD = `${JSON.stringify({ access_token: 'o'.repeat(20_000), expires_in: 300, expires_at: '2020-01-01T00:05:00Z' })}\n`
/** Random names of temporaries are all this, so that strace can be told the path. */
const HEX = 'ab'.repeat(8)
const lines: string[] = []
const isTraced = canTrace()
const underTrace = describe.skipIf(!isTraced)
if (!isTraced) lines.push(`NOT shown, it ${HOW_TO_TRACE}`)

let built: BuiltCli
let issuer: FakeServer
/** Scripts beside the built modules: fixed names, one save, many at a time. */
const script = { fixed: '', save: '', many: '' }
beforeAll(async () => {
  built = buildCli()
  issuer = await serve((_request, response) =>
    answerJson(response, 200, { access_token: NEW_TOKEN, token_type: 'Bearer', expires_in: 300 }),
  )
  const module = (path: string) => JSON.stringify(pathToFileURL(join(built.folder, 'dist', path)).href)
  const write = (name: string, text: string) => {
    writeFileSync(join(built.folder, name), text)
    return join(built.folder, name)
  }
  script.fixed = pathToFileURL(
    write(
      'fixed.mjs',
      `import crypto from 'node:crypto'
       import { syncBuiltinESMExports } from 'node:module'
       const { randomBytes } = crypto
       crypto.randomBytes = (size, ...rest) => (size === 8 ? Buffer.alloc(8, 0xab) : randomBytes(size, ...rest))
       syncBuiltinESMExports()`,
    ),
  ).href
  const saving = `
    import { writeSync } from 'node:fs'
    import { Secret } from ${module('core/secret.js')}
    import { saveToken } from ${module('credentials-provider/token-file.js')}
    import { tokenRequest } from ${module('idp/tokens.js')}
    const identity = { identity_name: 'agent', auth_provider: 'oidc', client_id: 'agent', fields: { issuer: 'https://idp.example.com' } }
    const token = { access_token: new Secret(${JSON.stringify(NEW_TOKEN)}), token_type: 'Bearer', expires_in: 300 }
    const save = (path) => saveToken(path, identity, tokenRequest(identity, { client_secret: true }), token, Date.now() / 1000).then(
      () => writeSync(1, 'saved ' + path + '\\n'),
      (error) => { writeSync(2, error.message + '\\n'); process.exitCode = 1 },
    )`
  script.save = write('save.mjs', `${saving}\n    await save(process.argv[2])`)
  script.many = write(
    'many.mjs',
    `${saving}\n    await Promise.all(Array.from({ length: 100 }, (_, index) => save(process.argv[2] + '/agent-' + index + '.json')))`,
  )
})
afterAll(async () => {
  await issuer?.close()
  await built?.remove()
  for (const line of lines) console.log(`crash: ${line}`)
})

const mode = (path: string) => (statSync(path).mode & 0o7777).toString(8)
const temporaryOf = (path: string) => join(path, '..', `.${basename(path)}.${HEX}.tmp`)
const temporaries = (folder: string) => readdirSync(folder).filter((name) => name.endsWith('.tmp'))
/** Whether a token file is the whole old one or the whole new one. */
function which(path: string): 'old' | 'new' | 'torn' {
  const text = readFileSync(path, 'utf8')
  if (text === OLD) return 'old'
  return text.endsWith('}\n') && (JSON.parse(text) as { access_token: string }).access_token === NEW_TOKEN ? 'new' : 'torn'
}

/** A home with identities `agent-0` and so on, and their folder of tokens; `before` is the mode of the expired ones there. */
function homeOf(count: number, before?: number, { origin } = issuer) {
  const home = temporaryFolder()
  const tokens = join(home, 'tokens')
  const identities = join(home, 'identities.json')
  const names = Array.from({ length: count }, (_, index) => `agent-${index}`)
  const paths = names.map((name) => join(tokens, `${name}.json`))
  const common = { auth_provider: 'oidc', issuer: origin, token_endpoint: `${origin}/token`, client_secret: 'planted-secret' }
  const entries = names.map((name) => ({ identity_name: name, client_id: name, ...common }))
  writeFileSync(identities, JSON.stringify(entries), { mode: 0o600 })
  mkdirSync(tokens, { mode: 0o700 })
  if (before !== undefined) for (const path of paths) old(path, before)
  const args = ['credentials', 'generate', '--home', home, '--identities-file', identities, '--output-dir', tokens, '--json']
  return { home, tokens, paths, args, command: ['--import', script.fixed, built.main, ...args] }
}

function old(path: string, permissions = 0o600): string {
  writeFileSync(path, OLD)
  chmodSync(path, permissions)
  return path
}

/** Three at a time: most of a run is Node's start. */
async function each<T>(table: readonly T[], work: (row: T) => Promise<void>): Promise<void> {
  const left = [...table]
  const next = async (): Promise<void> => {
    for (let row = left.shift(); row !== undefined; row = left.shift()) await work(row)
  }
  await Promise.all([next(), next(), next()])
}

/** What a killed run left, seen by the next one as if it were over a minute old. */
function age(folder: string): number {
  const left = temporaries(folder)
  for (const name of left) {
    expect(mode(join(folder, name))).toBe('600')
    utimesSync(join(folder, name), new Date(), new Date(Date.now() - 61_000))
  }
  return left.length
}

underTrace('kill -9 at every file system call', () => {
  interface Killed {
    readonly args: readonly string[]
    readonly path: string
    readonly paths: readonly string[]
    /** The next run. */
    again(): Promise<{ readonly exit: number | null; readonly stderr: string }>
  }

  /** Kills a run at each of its calls; how many there were, what was found afterwards. */
  async function kills(prepare: () => Killed) {
    const seen = { kills: 0, old: 0, new: 0, torn: 0, stale: 0 }
    const whole = prepare()
    const baseline = await traced(whole.args, { paths: whole.paths })
    expect({ exit: baseline.exit, which: which(whole.path) }).toEqual({ exit: 0, which: 'new' })
    await each(moments(baseline.calls), async (inject) => {
      const { args, path, paths, again } = prepare()
      const { exit } = await traced(args, { paths, inject })
      expect({ inject, exit }).toEqual({ inject, exit: null })
      seen.kills++
      seen[which(path)]++
      expect({ inject, mode: mode(path) }).toEqual({ inject, mode: '600' })
      const folder = join(path, '..')
      seen.stale += age(folder)
      const next = await again()
      expect({ inject, exit: next.exit, stderr: next.exit === 0 ? '' : next.stderr }).toEqual({ inject, exit: 0, stderr: '' })
      expect({ inject, left: readdirSync(folder), which: which(path), mode: mode(path) }).toEqual({
        ...{ inject, left: [basename(path)], which: 'new', mode: '600' },
      })
    })
    expect(seen.torn).toBe(0)
    expect([seen.old > 0, seen.new > 0, seen.stale > 0]).toEqual([true, true, true])
    return seen
  }
  const told = ({ kills: count, old: before, new: after, torn, stale }: Awaited<ReturnType<typeof kills>>) =>
    `${count} kills: ${before} left the old file, ${after} the new one, ${torn} a torn one; ${stale} temporaries left and removed by the next run`

  test('of one save leaves a whole file, and the next save mends the folder', { timeout: 5 * MINUTE }, async () => {
    const seen = await kills(() => {
      const path = old(join(temporaryFolder(), 'agent.json'))
      const paths = [join(path, '..'), path, temporaryOf(path)]
      const again = () => built.run([], {}, [script.save, path])
      return { args: ['--import', script.fixed, script.save, path], path, paths, again }
    })
    expect(seen.kills).toBeGreaterThanOrEqual(12)
    lines.push(`one save, ${told(seen)}`)
  })

  test('of a whole command leaves a whole file, and the next command mends the folder', { timeout: 10 * MINUTE }, async () => {
    const seen = await kills(() => {
      const { tokens, paths, args, command } = homeOf(1, 0o600)
      const [path = ''] = paths
      return { args: command, path, paths: [tokens, path, temporaryOf(path)], again: () => built.run(args) }
    })
    expect(seen.kills).toBeGreaterThanOrEqual(20)
    lines.push(`one command, ${told(seen)}`)
  })
})

underTrace('the order of calls', () => {
  test('is write, fsync, rename, fsync of the folder, for each of many files that share it', { timeout: MINUTE }, async () => {
    const folder = temporaryFolder()
    const { exit, calls } = await traced([script.many, folder], {
      calls: 'openat,write,fsync,rename',
      variables: { UV_THREADPOOL_SIZE: '4' },
    })
    expect(exit).toBe(0)
    const folderSyncs = calls.filter(({ name, text }) => name === 'fsync' && text.includes(`<${folder}>`))
    const names = readdirSync(folder)
    expect(names).toHaveLength(100)
    for (const name of names) {
      const isOf = (call: Call) => call.text.includes(`/.${name}.`)
      const [wrote, synced, renamed] = ['write', 'fsync', 'rename'].map((step) => calls.filter((call) => call.name === step && isOf(call)))
      expect([wrote?.length, synced?.length, renamed?.length]).toEqual([1, 1, 1])
      const told = calls.find((call) => call.name === 'write' && call.text.includes(`saved ${join(folder, name)}\\n`))
      const order = [wrote?.[0], synced?.[0], renamed?.[0]]
      const covering = folderSyncs.find(({ began, ended }) => began > (renamed?.[0]?.ended ?? 0) && ended < (told?.began ?? 0))
      const times = [...order, covering, told].flatMap((call) => [call?.began ?? Number.NaN, call?.ended ?? Number.NaN])
      expect({ name, times }).toEqual({ name, times: times.toSorted((one, other) => one - other) })
      expect(covering).toBeDefined()
    }
    expect(folderSyncs.length).toBeLessThanOrEqual(50)
    lines.push(
      `100 files saved at once: each written, synced, renamed, its folder synced, in that order, by ${folderSyncs.length} folder syncs`,
    )
  })
})

underTrace('a call that fails', () => {
  const table = ERRNOS.flatMap((errno) => STEPS.flatMap((step) => [0, 2].map((position) => ({ errno, step, position }))))
  test('leaves the old file byte for byte, is told with the path, and stops no other identity', { timeout: 10 * MINUTE }, async () => {
    let cells = 0
    await each(table, async ({ errno, step, position }) => {
      const { tokens, paths, command } = homeOf(3, 0o600)
      const path = paths[position] ?? ''
      const { exit, stdout } = await traced(command, { paths: [temporaryOf(path)], inject: `${step}:error=${errno}:when=1` })
      const cell = `${errno} at ${step} of ${position}`
      expect({ cell, exit, isNamed: stdout.includes(`${path} cannot be read or written (${errno})`) }).toEqual({
        cell,
        exit: 9,
        isNamed: true,
      })
      expect({ cell, files: paths.map(which) }).toEqual({ cell, files: paths.map((one) => (one === path ? 'old' : 'new')) })
      expect({ cell, left: temporaries(tokens), modes: paths.map(mode) }).toEqual({ cell, left: [], modes: paths.map(() => '600') })
      cells++
    })
    expect(cells).toBe(ERRNOS.length * STEPS.length * 2)
    lines.push(`${cells} failing calls on a token's file: the old one byte for byte, exit 9, the path named, the others minted`)
  })

  // Once the file has its name only its durability is open: it is the whole new one, and the run says that it cannot be sure.
  const folderTable = ERRNOS.flatMap((errno) => [
    { errno, step: 'openat', is: 'old' },
    { errno, step: 'fsync', is: 'new' },
  ])
  test('on the folder is told too: before the rename the old file stays, after it the new one is whole', {
    timeout: 5 * MINUTE,
  }, async () => {
    let cells = 0
    await each(folderTable, async ({ errno, step, is }) => {
      const path = old(join(temporaryFolder(), 'agent.json'))
      const folder = join(path, '..')
      const inject = `${step}:error=${errno}:when=1`
      const { exit, stderr } = await traced(['--import', script.fixed, script.save, path], { paths: [folder], inject })
      expect({ errno, step, exit, stderr }).toEqual({ errno, step, exit: 1, stderr: `${path} cannot be read or written (${errno})\n` })
      expect([which(path), mode(path), readdirSync(folder)]).toEqual([is, '600', ['agent.json']])
      cells++
    })
    expect(cells).toBe(ERRNOS.length * 2)
    lines.push(`${cells} failing calls on the folder: told with the path; the old file until the rename, the whole new one after it`)
  })
})

underTrace('permissions, from the trace', () => {
  const CALLS = 'open,openat,creat,chmod,fchmod,fchmodat,rename,renameat,renameat2'
  /** Opens that make a file in the folder, those of them that let others in, and changes of permission there. */
  function looked(calls: readonly Call[], folder: string) {
    const there = calls.filter(({ text }) => text.includes(`${folder}/`))
    const opens = there.filter(({ name, text }) => name === 'creat' || (name.startsWith('open') && text.includes('O_CREAT')))
    const wide = opens.filter(({ text }) => (Number.parseInt(/, (0\d+)\) = /.exec(text)?.[1] ?? '0777', 8) & 0o077) !== 0)
    return { opens: opens.length, wide: wide.length, chmods: there.filter(({ name }) => name.includes('chmod')).length }
  }
  const table = ['000', '022'].flatMap((umask) => [undefined, 0o644].map((before) => ({ umask, before })))

  test('no open of a token file lets others in, and none is changed afterwards', { timeout: 5 * MINUTE }, async () => {
    const sum = { opens: 0, wide: 0, chmods: 0 }
    await each(table, async ({ umask, before }) => {
      const { tokens, paths, command } = homeOf(3, before)
      const { exit, calls } = await traced(command, { calls: CALLS, umask })
      const seen = looked(calls, tokens)
      expect({ umask, before, exit, ...seen }).toEqual({ umask, before, exit: 0, opens: 3, wide: 0, chmods: 0 })
      expect(paths.map((path) => [which(path), mode(path)])).toEqual(paths.map(() => ['new', '600']))
      for (const key of ['opens', 'wide', 'chmods'] as const) sum[key] += seen[key]
    })
    expect(sum.opens).toBe(table.length * 3)
    lines.push(
      `${table.length} runs under two umasks: ${sum.opens} opens of a new token file, ${sum.wide} open to others, ${sum.chmods} chmod`,
    )
  })

  test('both would be seen', async () => {
    const path = join(temporaryFolder(), 'agent.json')
    const code = `const fs = require('fs'); fs.writeFileSync(${JSON.stringify(path)}, 'x'); fs.chmodSync(${JSON.stringify(path)}, 0o600)`
    const { calls } = await traced(['--eval', code], { calls: CALLS })
    expect(looked(calls, join(path, '..'))).toEqual({ opens: 1, wide: 1, chmods: 1 })
    expect(existsSync(path)).toBe(true)
  })
})

describe('a full disk', () => {
  /** By the identity's number; a page of memory is 4 KB. */
  const SIZES = [500, 2_000, 6_000, 12_000]
  const COUNT = 500
  const sizeOf = (name: string) => SIZES[Number(name.replace('agent-', '')) % SIZES.length] ?? 0
  const LIST = `
    const { lstatSync, readdirSync, readFileSync } = require('fs')
    const all = readdirSync(process.argv[1]).map((name) => [name, (lstatSync(process.argv[1] + '/' + name).mode & 0o7777).toString(8), readFileSync(process.argv[1] + '/' + name, 'utf8')])
    console.log(JSON.stringify(all))`

  /** A command for many identities, ten of which have an expired token already, after shell words that make the disk small. */
  async function crowded(before: (tokens: string) => string, inside: readonly string[] = []) {
    const tokenOf = (name: string) => 't'.repeat(sizeOf(name))
    const server = await serve(({ headers }, response) => {
      const [client = ''] = Buffer.from(headers.authorization?.split(' ')[1] ?? '', 'base64')
        .toString()
        .split(':')
      answerJson(response, 200, { access_token: tokenOf(decodeURIComponent(client)), token_type: 'Bearer', expires_in: 300 })
    })
    onTestFinished(() => server.close())
    const { tokens, args } = homeOf(COUNT, undefined, server)
    const short = JSON.stringify({ access_token: 'old', expires_in: 300, expires_at: '2020-01-01T00:05:00Z' })
    const olds = Array.from({ length: 10 }, (_, index) => `agent-${index}`)
    // In the shell: what is in a folder before something is mounted over it is not seen any more.
    const shell = [
      `umask 077; ${before(tokens)} || exit 99`,
      `for name in ${olds.join(' ')}; do printf %s '${short}' > ${tokens}/$name.json; done`,
      `"$0" "$@"; status=$?; echo; "$0" --eval "$LIST" ${tokens}; exit $status`,
    ]
    const words = [...inside, '/bin/sh', '-c', shell.join('\n'), process.execPath, built.main, ...args]
    const { exit, stdout, stderr } = await startProcess('/usr/bin/env', words, { LIST }).ended
    expect({ exit, stderr: exit === 9 ? '' : stderr }).toEqual({ exit: 9, stderr: '' })
    const [listing = '', ...rest] = stdout.trimEnd().split('\n').reverse()
    const files = new Map(
      (JSON.parse(listing) as [string, string, string][]).map(([name, permissions, text]) => [name, { permissions, text }]),
    )
    const said = rest.reverse().join('\n')
    let [written, kept, absent] = [0, 0, 0]
    const failed = new Set<string>()
    for (let index = 0; index < COUNT; index++) {
      const name = `agent-${index}`
      const file = files.get(`${name}.json`)
      const isNamed = new RegExp(
        `${name}: unavailable, ${join(tokens, `${name}.json`)} cannot be read or written \\((?:ENOSPC|EFBIG)\\)`,
      ).test(said)
      if (isNamed) failed.add(name)
      files.delete(`${name}.json`)
      if (file === undefined) absent++
      else if (file.text === short) kept++
      else {
        // Neither cut off nor somebody else's.
        expect((JSON.parse(file.text) as { access_token: string }).access_token).toBe(tokenOf(name))
        written++
      }
      const isWritten = file !== undefined && file.text !== short
      expect({ name, isNamed, permissions: file?.permissions ?? '600' }).toEqual({ name, isNamed: !isWritten, permissions: '600' })
      if (olds.includes(name)) expect(file).toBeDefined()
    }
    expect([...files.keys()]).toEqual([])
    return { written, kept, absent, failed }
  }
  const told = ({ written, kept, absent, failed }: Awaited<ReturnType<typeof crowded>>) =>
    `${COUNT} identities: ${written} written whole, ${failed.size} named that did not fit, ${kept} of those with the old file as it was, ${absent} without one, 0 truncated`

  test('of a limit on file sizes: those that do not fit are named, all others written', { timeout: 2 * MINUTE }, async () => {
    // 4,096 bytes: a longer write stops in the middle.
    const seen = await crowded(() => 'ulimit -f 8')
    const long = Array.from({ length: COUNT }, (_, index) => `agent-${index}`).filter((name) => sizeOf(name) > 4_000)
    expect([...seen.failed].sort()).toEqual(long.sort())
    lines.push(`a limit of 4 KB a file, ${told(seen)}`)
  })

  test('of 64 KB: those that do not fit are named, all others written', { timeout: 2 * MINUTE }, async () => {
    const unshare = unshareFlags()
    if (unshare === undefined) return void lines.push('no disk of 64 KB may be mounted here; the limit on file sizes stands in for it')
    const seen = await crowded(mountWords, ['unshare', unshare])
    expect([seen.written > 0, seen.failed.size > 0, seen.kept > 0]).toEqual([true, true, true])
    lines.push(`a disk of 64 KB, ${told(seen)}`)
  })
})
