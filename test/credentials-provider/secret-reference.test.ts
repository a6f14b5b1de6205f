/** References to secrets: what is one, where it is looked for, and that nothing of what was found is told. */
import { execFileSync } from 'node:child_process'
import { existsSync, linkSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { outputOf } from '../../credentials-provider/secret-command.js'
import { holdsSecrets, isReference, type Opening, openSecret, secretValue } from '../../credentials-provider/secret-reference.js'
import { failureOf } from '../fakes/door.js'
import { temporaryFolder } from '../fakes/folder.js'

const PLANTED = 'sqFaOkF8un1tAfKXjlgm2xjGQBfLlNS3'
const ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: '/usr/bin:/bin',
  HOME: '/nowhere',
  OWN: PLANTED,
  EMPTY: '',
  VAULT_TOKEN: 'of the vault',
  KEYCLOAK_ADMIN_PASSWORD: 'of the administrator',
}

function opening(folder = '/nowhere', signal?: AbortSignal): Opening {
  return { place: 'identities.json:3:5', folder, env: (name) => ENVIRONMENT[name], ...(signal ? { signal } : {}) }
}

const shell = (script: string) => ({ exec: ['/bin/sh', '-c', script] as [string, ...string[]] })
const opened = async (value: Parameters<typeof openSecret>[0], folder?: string) => (await openSecret(value, opening(folder))).reveal()

function hasNone(error: Error): void {
  expect(`${error.message} ${JSON.stringify(error)} ${error.stack}`).not.toContain(PLANTED.slice(0, 8))
}

describe('a value', () => {
  test.for(['plain', 'p@ss word:x', '-----BEGIN X-----\nabc\n-----END X-----\n', 'environment'])(
    'is the secret itself: %j',
    async (value) => {
      expect(secretValue.safeParse(value).success).toBe(true)
      expect(isReference(value)).toBe(false)
      expect(await opened(value)).toBe(value)
    },
  )
  test.for(['env:', 'env:1X', 'env:A-B', 'env: A', 'file:', 'exec:pass show x', 'env:A\n', 'a\0b', ''])(
    'that begins like a reference and is none is refused, not sent: %j',
    (value) => {
      expect(secretValue.safeParse(value).success).toBe(false)
    },
  )
  test.for([
    {},
    { exec: [] },
    { exec: 'ls' },
    { exec: [''] },
    { exec: ['ls', 1] },
    { exec: ['ls'], shell: true },
    { exec: ['a\0'] },
    7,
    null,
  ])('of another shape is refused: %j', (value) => {
    expect(secretValue.safeParse(value).success).toBe(false)
  })
})

describe('a file', () => {
  test.for([
    [true, [{ client_secret: PLANTED }]],
    [true, [{ client_secret: 'env:A' }, { client_secret: PLANTED }]],
    [true, [{ client_secret: 'env:A', private_key: PLANTED }]],
    [true, [{ client_secrt: PLANTED }]],
    [true, [{ client_secret: 'env:?' }]],
    [true, ['text']],
    [false, [{ client_secret: 'env:A' }, { private_key: 'file:b' }, { client_secret: { exec: ['c'] } }]],
    [false, []],
  ] as const)('holds secrets: %s for %j', ([holds, rows]) => {
    expect(holdsSecrets(rows)).toBe(holds)
  })
})

describe('env:', () => {
  test('is the value of the variable', async () => {
    expect(await opened('env:OWN')).toBe(PLANTED)
  })
  test.for(['env:MISSING', 'env:EMPTY'])('%s is told by its name and the place', async (value) => {
    const error = await failureOf(openSecret(value, opening()))
    expect(error.code).toBe('invalid_input')
    expect(error.message).toContain('identities.json:3:5')
    expect(error.message).toContain(value.slice(4))
  })
})

describe('file:', () => {
  test('counts from the folder of the identities file, and drops one line end', async () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'one'), `${PLANTED}\n`, { mode: 0o600 })
    writeFileSync(join(folder, 'two'), `${PLANTED}\n\r\n`, { mode: 0o600 })
    expect(await opened('file:one', folder)).toBe(PLANTED)
    expect(await opened(`file:${join(folder, 'one')}`)).toBe(PLANTED)
    expect(await opened('file:two', folder)).toBe(`${PLANTED}\n`)
  })
  test('is refused when it is missing, empty, open to others, a link, a second name, a folder or a pipe, within two seconds', async () => {
    const folder = temporaryFolder()
    const at = (name: string) => join(folder, name)
    writeFileSync(at('empty'), '\n', { mode: 0o600 })
    writeFileSync(at('open'), PLANTED, { mode: 0o644 })
    writeFileSync(at('own'), PLANTED, { mode: 0o600 })
    symlinkSync(at('own'), at('link'))
    writeFileSync(at('twice'), PLANTED, { mode: 0o600 })
    linkSync(at('twice'), at('second'))
    execFileSync('mkfifo', ['-m', '600', at('pipe')])
    const start = performance.now()
    for (const name of ['missing', 'empty', 'open', 'link', 'second', '.', 'pipe']) {
      const error = await failureOf(openSecret(`file:${name}`, opening(folder)))
      expect([name, error.code]).toEqual([name, 'invalid_input'])
      hasNone(error)
      if (name === 'open') expect(error.hint).toBe(`chmod 600 ${at('open')}`)
    }
    expect(performance.now() - start).toBeLessThan(2000)
  })
})

describe('exec:', () => {
  test('is what the program prints, without the line end', async () => {
    expect(await opened(shell(`printf '%s\\n' ${PLANTED}`))).toBe(PLANTED)
  })
  test('goes through no shell', async () => {
    expect(await opened({ exec: ['/bin/echo', '$HOME; rm -rf x', '`id`', '*'] })).toBe('$HOME; rm -rf x `id` *')
  })
  test('gets PATH and HOME and the variables that the entry names, and no other', async () => {
    const printed = await opened({ exec: ['/usr/bin/env'], env: ['VAULT_TOKEN', 'MISSING'] })
    expect(printed.split('\n').sort()).toEqual(['HOME=/nowhere', 'PATH=/usr/bin:/bin', 'VAULT_TOKEN=of the vault'])
  })
  test('finds the program by PATH', async () => {
    expect(await opened({ exec: ['echo', 'x'] })).toBe('x')
  })
  test('has no input to wait for', async () => {
    expect(await opened(shell('cat; echo end'))).toBe('end')
  })
  test.for([
    ['exit_3', shell(`echo ${PLANTED}; echo ${PLANTED} >&2; exit 3`)],
    ['killed_SIGTERM', shell('kill -TERM $$')],
    ['ENOENT', { exec: ['/nowhere/program'] as [string] }],
    ['EACCES', { exec: ['/etc/passwd'] as [string] }],
    ['too_long', shell(`while :; do echo ${PLANTED}; done`)],
    ['not_text', shell("printf '\\377\\376'")],
    ['not_text', shell("printf 'a\\000b'")],
  ] as const)('that fails says %s, and nothing that the program printed', async ([reason, value]) => {
    const error = await failureOf(openSecret(value, opening()))
    expect(error).toMatchObject({ code: 'unavailable', details: { reason, system: value.exec[0] } })
    expect(error.message).toContain('identities.json:3:5')
    hasNone(error)
  })
  test('that prints nothing is told', async () => {
    expect((await failureOf(openSecret(shell(':'), opening()))).code).toBe('invalid_input')
  })
  test('that hangs is killed with all that it started', async () => {
    const folder = temporaryFolder()
    const pids = join(folder, 'pids')
    const words = ['/bin/sh', '-c', `sleep 60 & echo $! > ${pids}; echo $$ >> ${pids}; wait`]
    const start = performance.now()
    const error = await failureOf(outputOf(words, { place: 'p', environment: ENVIRONMENT, deadlineMs: 1500 }))
    expect(error).toMatchObject({ code: 'unavailable', details: { reason: 'deadline' } })
    expect(performance.now() - start).toBeLessThan(10_000)
    await expectGone(pids, 2)
  })
  test('ends, with all that it started, when the run is stopped', async () => {
    const pids = join(temporaryFolder(), 'pids')
    const stop = new AbortController()
    const running = openSecret(shell(`sleep 60 & echo $! > ${pids}; echo $$ >> ${pids}; wait`), opening('/nowhere', stop.signal))
    const ended = running.catch((error: unknown) => error)
    for (let turn = 0; turn < 200 && (!existsSync(pids) || lines(pids).length < 2); turn++) await sleep(25)
    stop.abort(new Error('stopped'))
    expect(await ended).toMatchObject({ message: 'stopped' })
    await expectGone(pids, 2)
  })
  test('is not started once the run is stopped', async () => {
    const folder = temporaryFolder()
    const value = shell(`touch ${join(folder, 'started')}`)
    await expect(openSecret(value, opening(folder, AbortSignal.abort(new Error('stopped'))))).rejects.toThrow('stopped')
    expect(existsSync(join(folder, 'started'))).toBe(false)
  })
})

const lines = (path: string) => readFileSync(path, 'utf8').trim().split('\n')

/** A process that was killed may stay as a zombie until somebody asks for it. */
async function expectGone(pids: string, count: number): Promise<void> {
  const all = lines(pids)
  expect(all).toHaveLength(count)
  const isAlive = (pid: string) => {
    try {
      return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
    } catch {
      return false
    }
  }
  for (let turn = 0; turn < 100 && all.some(isAlive); turn++) await sleep(25)
  expect(all.filter(isAlive)).toEqual([])
}
