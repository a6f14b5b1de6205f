/**
 * A first start that is killed, at twelve moments from its first file to its last write: the next start mends it, and the one
 * after that finds nothing to do.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type BuiltCli, buildCli } from '../cli/built.js'
import { temporaryFolder } from '../fakes/folder.js'
import { mainJob, NO_CHANGES, numbered, requestLog, startMainJob } from './main-job.js'
import { counts, expectDiscreet, expectPrivate, expectWhole } from './promises.js'

const MINUTE = 60_000
const ANY_PORTS = ['--port', '0', '--issuer-port', '0']

/** Where the first start is cut off: once this is so. Files are of the home; writes are those that were answered. */
const exists = (file: string) => (home: string) =>
  stat(join(home, file)).then(
    () => true,
    () => false,
  )
const printed = (step: number) => (_home: string, stdout: string) => new RegExp(`^${step}\\. `, 'm').test(stdout)
const answeredWrites = (count: number) => async (home: string) =>
  (await requestLog(home)).filter((entry) => entry.class === 'write').length >= count
const MOMENTS: Readonly<Record<string, (home: string, stdout: string) => boolean | Promise<boolean>>> = {
  'its signing key is made': exists('provider/jwks.json'),
  'its people are being written down': exists('provider/demo-people.json'),
  'the identity provider is up': printed(1),
  'the registry has a file': exists('registry/registry.db'),
  'the registry is up': printed(2),
  'the plan is shown': printed(3),
  'the first client is registered': answeredWrites(1),
  'the machine client is registered': answeredWrites(2),
  'its secret is being saved': exists('identities/demo-agent.json'),
  'its record is made': answeredWrites(3),
  'the server is recorded': answeredWrites(4),
  'all is applied and no token minted': printed(6),
}

const counted = { kills: 0, beforeStep9: 0, mended: 0 }
let built: BuiltCli
beforeAll(() => {
  built = buildCli()
}, MINUTE)
afterAll(async () => {
  await built?.remove()
  const { kills, beforeStep9, mended } = counted
  console.log(
    `main-job: ${kills} kills of a first start, ${beforeStep9} of them before step 9; ${mended} mended by the next; ${counts.runs} runs of nine steps`,
  )
})

describe('a kill -9 of the first start is mended by the next', () => {
  test.each(Object.entries(MOMENTS))(
    'when %s',
    async (_, isSo) => {
      const home = join(temporaryFolder(), 'home')
      const job = startMainJob(built.main, home, ...ANY_PORTS)
      onTestFinished(job.stop)
      await job.until(() => isSo(home, job.stdout()))
      job.child.kill('SIGKILL')
      const cut = await job.ended
      expect(cut.exit).toBeNull()
      counted.kills++
      if (numbered(cut.stdout).length < 9) counted.beforeStep9++
      await expectWhole(home, await mainJob(built.main, home, '--once', ...ANY_PORTS))
      const settled = await mainJob(built.main, home, '--once')
      await expectWhole(home, settled)
      expect(numbered(settled.stdout)).toContain(NO_CHANGES)
      await expectPrivate(home)
      await expectDiscreet(home, cut)
      counted.mended++
    },
    MINUTE,
  )

  test('most of these kills came before the last step', () => {
    expect(counted.beforeStep9).toBeGreaterThan(counted.kills / 2)
  })
})
