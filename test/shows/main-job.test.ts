/**
 * The main job as people start it: nine steps from nothing, nothing to do the second time, no secret out of place, ports and
 * home checked before anything is done. Node is all it needs. Kills are beside, in main-job-kills.test.ts.
 */
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type BuiltCli, buildCli, startProcess } from '../cli/built.js'
import { temporaryFolder } from '../fakes/folder.js'
import { isFree, mainJob, NO_CHANGES, numbered, occupy, originsIn, requestLog, sentIn, startMainJob } from './main-job.js'
import { counts, expectDiscreet, expectNineSteps, expectPrivate, expectWhole } from './promises.js'
import { leaks, secretsOf } from './secrets.js'

const MINUTE = 60_000
const ANY_PORTS = ['--port', '0', '--issuer-port', '0']
const ONCE = ['--once', ...ANY_PORTS]

let built: BuiltCli
beforeAll(() => {
  built = buildCli()
}, MINUTE)
afterAll(async () => {
  await built?.remove()
  const { runs, secrets, files, outputs } = counts
  console.log(`main-job: ${runs} runs of nine steps; ${secrets} secrets in ${files} files, all 0600; ${outputs} outputs searched for them`)
})

describe('from nothing', () => {
  test(
    'it prints nine steps, and again with nothing to do: no write, one token request at most',
    async () => {
      const home = join(temporaryFolder(), 'home')
      const first = await mainJob(built.main, home, ...ONCE)
      await expectWhole(home, first)
      const { issuer } = originsIn(first.stdout)
      const made = sentIn(await requestLog(home, 'newest'), issuer)
      expect(made).toMatchObject({ writes: 4, tokens: 2 })

      const second = await mainJob(built.main, home, '--once')
      await expectWhole(home, second)
      expect(originsIn(second.stdout)).toEqual(originsIn(first.stdout))
      expect(numbered(second.stdout)).toContain(NO_CHANGES)
      const again = sentIn(await requestLog(home, 'newest'), issuer)
      expect(again.all).toBeGreaterThan(0)
      expect(again.writes).toBe(0)
      expect(again.tokens).toBeLessThanOrEqual(1)
      console.log(
        `main-job: first run ${JSON.stringify(made)} requests in ${Math.round(first.ms)} ms, second ${JSON.stringify(again)} in ${Math.round(second.ms)} ms`,
      )

      // The very command that made it, as JSON.
      const third = await mainJob(built.main, home, ...ONCE, '--json')
      const steps = third.stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { step: number; title: string })
      expect(steps.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
      expect(`3. ${steps[2]?.title}`).toBe(NO_CHANGES)
      await expectDiscreet(home, third)
    },
    MINUTE,
  )

  test(
    'every secret lies in files that only their owner may read, under a careless umask too',
    async () => {
      const home = join(temporaryFolder(), 'home')
      await expectWhole(home, await mainJob(built.main, home, ...ONCE))
      expect(((await stat(home)).mode & 0o777).toString(8)).toBe('700')
      const names = (await secretsOf(home)).map(({ name }) => name.replace(/[0-9a-f]{64}/, '<issuer>'))
      // One of each kind, so that none is searched for in vain.
      expect(names).toEqual(
        expect.arrayContaining([
          'identities/demo-agent.json client_secret',
          'provider/initial-access-token',
          'provider/admin-token',
          'registrations/<issuer>/demo-agent.json registration_access_token',
          'provider/demo-people.json ada',
          'provider/demo-people.json grace',
          '.oauth-tokens/demo-agent.json access_token',
          'provider/jwks.json d',
          'provider/cookie-keys.json',
        ]),
      )
      // The gateway's secret is in two files; the later one read gives the name.
      expect(names.filter((name) => /^(gateway\/mcp-gateway-m2m|provider\/machine-client)\.json client_secret$/.test(name))).toHaveLength(1)
      const files = await expectPrivate(home)
      expect(files).toContain('provider/provider.db')
      expect(files).not.toContain('requests.jsonl')
    },
    MINUTE,
  )

  test('the search finds a secret as it is, in base64 at any offset, percent-encoded and in hex', () => {
    const secret = { name: 'it', value: 'wW9-_zY0aG3kQ7' }
    const base64 = ['', 'a', 'ab', 'abc'].map((before) => Buffer.from(`${before}${secret.value}:x`).toString('base64'))
    const percent = [...secret.value].map((character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`).join('')
    for (const text of [secret.value, ...base64, percent, Buffer.from(secret.value).toString('hex')])
      expect(leaks(`before ${text} after`, [secret]), text).toEqual(['it'])
    expect(leaks('wW9-_zY0aG3kQ and 7', [secret])).toEqual([])
  })
})

test(
  'npm start takes flags of one’s own, the last --home wins',
  async () => {
    const folder = temporaryFolder()
    const home = join(folder, 'home')
    const words = ['start', '--', '--home', home, ...ONCE]
    const variables = { HOME: folder, npm_config_update_notifier: 'false' }
    const ran = await startProcess('npm', words, variables, built.folder).ended
    // npm says what it starts, and on standard error what it thinks of its own configuration.
    expectNineSteps({ ...ran, stderr: ran.stderr.replace(/^npm warn .*\n/gm, '') })
    expect(ran.stdout).toContain(`secret in ${home}/identities/demo-agent.json (0600)`)
    counts.runs++
    await expectDiscreet(home, ran)
    await expectPrivate(home)
  },
  MINUTE,
)

describe('Ctrl-C', () => {
  test(
    'ends the long form with 130, and both ports are free',
    async () => {
      const home = join(temporaryFolder(), 'home')
      const job = startMainJob(built.main, home, ...ANY_PORTS)
      onTestFinished(job.stop)
      await job.until(() => job.stdout().endsWith('Ctrl-C stops it.\n'))
      const { issuer, registry } = originsIn(job.stdout())
      expect([await isFree(issuer), await isFree(registry)]).toEqual([false, false])
      // While it runs, SQLite keeps the newest rows in files of their own.
      expect(await expectPrivate(home)).toContain('provider/provider.db-wal')
      job.child.kill('SIGINT')
      const ran = await job.ended
      expect(ran).toMatchObject({ exit: 130, stderr: 'stopping\n' })
      expect([await isFree(issuer), await isFree(registry)]).toEqual([true, true])
      await expectDiscreet(home, ran)
    },
    MINUTE,
  )

  test(
    'in the middle ends with 130 too, and the next start goes on',
    async () => {
      const home = join(temporaryFolder(), 'home')
      const job = startMainJob(built.main, home, ...ONCE)
      onTestFinished(job.stop)
      await job.until(() => /^2\. /m.test(job.stdout()))
      job.child.kill('SIGINT')
      const ran = await job.ended
      expect(ran.exit).toBe(130)
      expect(numbered(ran.stdout).length).toBeLessThan(9)
      await expectWhole(home, await mainJob(built.main, home, ...ONCE))
    },
    MINUTE,
  )
})

describe('a port that is taken', () => {
  test.each(['--port', '--issuer-port'])(
    'is an error that names %s, with exit 2, and nothing stays up',
    async (flag) => {
      const home = join(temporaryFolder(), 'home')
      const other = await occupy(0)
      if (other === undefined) throw new Error('the system gave no port')
      onTestFinished(() => other.close())
      const taken = await mainJob(built.main, home, ...ONCE, flag, String(other.port))
      expect(taken).toMatchObject({ exit: 2, stderr: expect.stringContaining(`${flag}: a free port (found ${other.port})`) })
      await expectDiscreet(home, taken)
      for (const [, origin = ''] of taken.stdout.matchAll(/up: (\S+)$/gm)) expect(await isFree(origin)).toBe(true)
    },
    MINUTE,
  )

  test.each([
    ['--port', 'registry'],
    ['--issuer-port', 'issuer'],
  ] as const)(
    'is told as %s when it is the one used before',
    async (flag, server) => {
      const home = join(temporaryFolder(), 'home')
      const before = originsIn((await mainJob(built.main, home, ...ONCE)).stdout)
      const port = Number(new URL(before[server]).port)
      const other = await occupy(port)
      onTestFinished(async () => other?.close())
      expect(await mainJob(built.main, home, '--once')).toMatchObject({
        exit: 2,
        stderr: expect.stringContaining(`${flag}: a free port (found ${port})`),
      })
      await other?.close()
      await expectWhole(home, await mainJob(built.main, home, '--once'))
    },
    MINUTE,
  )

  test(
    'another issuer port is refused for a home that was set up, since everything in it names the issuer',
    async () => {
      const home = join(temporaryFolder(), 'home')
      await mainJob(built.main, home, ...ONCE)
      const other = await occupy(0)
      await other?.close()
      const ran = await mainJob(built.main, home, '--once', '--issuer-port', String(other?.port))
      expect(ran).toMatchObject({ exit: 2, stdout: '', stderr: expect.stringContaining('--issuer-port') })
    },
    MINUTE,
  )
})

describe('a home', () => {
  test.each(['770', '707', '777'])('of mode %s is refused, and nothing is written there', async (mode) => {
    const home = join(temporaryFolder(), 'home')
    await mkdir(home)
    await chmod(home, Number.parseInt(mode, 8))
    const ran = await mainJob(built.main, home, ...ONCE)
    expect(ran).toMatchObject({ exit: 2, stdout: '', stderr: expect.stringContaining('not writable by group or others') })
    expect(await readdir(home)).toEqual([])
  })

  test(
    'that is somebody’s folder keeps its own .gitignore',
    async () => {
      const home = temporaryFolder()
      await writeFile(join(home, '.gitignore'), 'mine\n')
      await expectWhole(home, await mainJob(built.main, home, ...ONCE))
      expect(await readFile(join(home, '.gitignore'), 'utf8')).toBe('mine\n')
    },
    MINUTE,
  )
})
