/** The files of a client's secret and of a person's password: one set of promises, two shapes. */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { passwordFile } from '../../core/password-file.js'
import { Secret } from '../../core/secret.js'
import { secretFile } from '../../core/secret-file.js'
import type { SecretSink } from '../../core/sink.js'
import { failureOf } from '../fakes/door.js'
import { temporaryFolder } from '../fakes/folder.js'

const mode = (path: string) => (statSync(path).mode & 0o777).toString(8)
const facts = { identity_name: 'agent', auth_provider: 'keycloak', keycloak_url: 'http://127.0.0.1:1' }
const person = { username: 'ada', issuer: 'http://127.0.0.1:1/realms/x' }

interface Kind {
  readonly name: string
  readonly sink: (path: string) => SecretSink
  readonly subject: string
  /** The saved file, and the pending one. */
  readonly file: object
  readonly pending: object
  readonly wrong: readonly string[]
}
const kinds: readonly Kind[] = [
  {
    name: 'a secret file',
    sink: (path) => secretFile(path, facts),
    subject: 'agent-id',
    file: { ...facts, client_id: 'agent-id', client_secret: 'planted-4711' },
    pending: { ...facts, client_id: '', client_secret: 'planted-4711' },
    wrong: ['{"client_id":"a"}', '{"client_id":"a","client_secret":""}', '{"client_id":1,"client_secret":"planted-4711"}'],
  },
  {
    name: 'a password file',
    sink: (path) => passwordFile(path, person),
    subject: 'ada',
    file: { ...person, password: 'planted-4711', temporary: true },
    pending: { ...person, password: 'planted-4711', temporary: true },
    wrong: ['{"username":"ada"}', '{"username":"ada","password":""}', '{"username":"","password":"planted-4711"}'],
  },
]
const secret = () => new Secret('planted-4711')

describe.for(kinds)('$name', ({ sink: sinkAt, subject, file, pending, wrong }) => {
  test('is written in its documented shape, 0600', async () => {
    const path = join(temporaryFolder(), 'agent.json')
    expect(await sinkAt(path).save(secret(), subject)).toEqual({ saved_to: path, mode: '0600' })
    expect([JSON.parse(readFileSync(path, 'utf8')), mode(path)]).toEqual([file, '600'])
  })
  test('gives back the secret and whom it belongs to', async () => {
    const sink = sinkAt(join(temporaryFolder(), 'agent.json'))
    expect(await sink.read()).toBeUndefined()
    await sink.save(secret(), subject)
    const saved = await sink.read()
    expect([saved?.subject, saved?.secret.reveal()]).toEqual([subject, 'planted-4711'])
  })
  test('keeps a pending secret beside itself until it is saved', async () => {
    const folder = temporaryFolder()
    const sink = sinkAt(join(folder, 'agent.json'))
    expect(await sink.readPending()).toBeUndefined()
    await sink.savePending(secret())
    expect([readdirSync(folder), mode(join(folder, 'agent.json.pending'))]).toEqual([['agent.json.pending'], '600'])
    expect(JSON.parse(readFileSync(join(folder, 'agent.json.pending'), 'utf8'))).toEqual(pending)
    expect((await sink.readPending())?.reveal()).toBe('planted-4711')
    expect((await failureOf(sink.savePending(new Secret('another-4711')))).code).toBe('conflict')
    expect((await sink.readPending())?.reveal()).toBe('planted-4711')
    await sink.save(secret(), subject)
    expect(readdirSync(folder)).toEqual(['agent.json'])
  })
  test('forgets a pending secret that is discarded, even twice', async () => {
    const folder = temporaryFolder()
    const sink = sinkAt(join(folder, 'agent.json'))
    await sink.savePending(secret())
    await sink.discardPending()
    await sink.discardPending()
    expect([await sink.readPending(), readdirSync(folder)]).toEqual([undefined, []])
  })
  test.for(['', '{', '[]', 'null', ...wrong])('that holds %s is refused without repeating it', async (text) => {
    const path = join(temporaryFolder(), 'agent.json')
    writeFileSync(path, text, { mode: 0o600 })
    const failure = await failureOf(sinkAt(path).read())
    expect(failure).toMatchObject({ code: 'invalid_input', details: { problems: [{ path }] } })
    expect(failure.message).not.toContain('planted')
  })
  test.for([0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o644, 0o666])(
    'of mode %o is refused with the chmod to type, and so is its pending copy',
    async (loose) => {
      const path = join(temporaryFolder(), 'agent.json')
      const sink = sinkAt(path)
      await sink.save(secret(), subject)
      await sink.savePending(secret())
      chmodSync(path, loose)
      chmodSync(`${path}.pending`, loose)
      expect(await failureOf(sink.read())).toMatchObject({ code: 'invalid_input', hint: `chmod 600 ${path}` })
      expect(await failureOf(sink.readPending())).toMatchObject({ code: 'invalid_input', hint: `chmod 600 ${path}.pending` })
    },
  )
  test.for([0o644, 0o600])('replaces an older one of mode %o as a whole, 0600', async (before) => {
    const path = join(temporaryFolder(), 'agent.json')
    writeFileSync(path, 'old', { mode: before })
    const { ino } = lstatSync(path)
    await sinkAt(path).save(secret(), subject)
    expect([lstatSync(path).ino === ino, mode(path)]).toEqual([false, '600'])
  })

  test('loses what a killed save left beside it once that is a minute old, though nothing is saved again', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'agent.json')
    const sink = sinkAt(path)
    await sink.save(secret(), subject)
    const left = ['.agent.json.', '.agent.json.pending.'].map((start) => join(folder, `${start}0123456789abcdef.tmp`))
    for (const file of left) writeFileSync(file, 'half of a', { mode: 0o600 })
    await sink.readPending()
    expect(readdirSync(folder)).toHaveLength(3)
    for (const file of left) execFileSync('touch', ['-d', '2 minutes ago', file])
    await sink.readPending()
    expect(readdirSync(folder)).toEqual(['agent.json'])
  })

  const plantings: [string, (path: string, victim: string) => void][] = [
    ['a symbolic link to a file', (path, victim) => symlinkSync(victim, path)],
    ['a symbolic link to nothing', (path) => symlinkSync('/nonexistent/mcp-idp', path)],
    ['a hard link', (path, victim) => linkSync(victim, path)],
    ['a pipe', (path) => execFileSync('mkfifo', [path])],
    ['a folder', (path) => mkdirSync(path)],
  ]
  const doings: [string, string, (sink: SecretSink) => Promise<unknown>][] = [
    ['reading', '', (sink) => sink.read()],
    ['saving', '', (sink) => sink.save(secret(), subject)],
    ['reading a pending one', '.pending', (sink) => sink.readPending()],
    ['saving a pending one', '.pending', (sink) => sink.savePending(secret())],
  ]
  const table = plantings.flatMap(([planting, plant]) => doings.map(([doing, suffix, work]) => ({ planting, plant, doing, suffix, work })))
  test.for(table)(
    '$doing where $planting is planted is refused, and nothing is touched',
    { timeout: 2_000 },
    async ({ plant, suffix, work }) => {
      const folder = temporaryFolder()
      const [path, victim] = [join(folder, 'agent.json'), join(folder, 'victim')]
      writeFileSync(victim, 'untouched', { mode: 0o600 })
      plant(`${path}${suffix}`, victim)
      const before = readdirSync(folder)
      expect(await failureOf(work(sinkAt(path)))).toMatchObject({
        code: 'invalid_input',
        details: { problems: [{ path: `${path}${suffix}` }] },
      })
      expect([readdirSync(folder), readFileSync(victim, 'utf8')]).toEqual([before, 'untouched'])
      if (suffix !== '') expect(existsSync(path)).toBe(false)
    },
  )
})
