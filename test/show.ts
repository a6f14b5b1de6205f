/**
 * `npm run show -- <name>`: one of the things this project promises, shown by the tests that hold it.
 * A show fails when a test fails, when none ran and when one was skipped. `npm run show` alone lists them.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Counts } from './reporter.js'

interface Show {
  readonly title: string
  /** Vitest paths; none means the whole project. */
  readonly files: readonly string[]
  /** `both` for files of both, which run one project after the other: those in test/live/ and the others. */
  readonly project: Project | 'both'
}
type Project = 'node' | 'live'

/** One line a show. A row comes with its test file: test/live/<name>.test.ts, or test/shows/<name>.test.ts without servers. */
export const SHOWS: Readonly<Record<string, Show>> = {
  tests: { title: 'Everything that needs nothing but Node', files: [], project: 'node' },
  'main-job': {
    title: 'npm start: nine steps from nothing, none left to do the second time, no secret out of place, every kill mended',
    files: ['test/shows/main-job.test.ts', 'test/shows/main-job-kills.test.ts'],
    project: 'node',
  },
  'real-claude': {
    title: 'A real Claude Code takes the printed line, logs in, calls the demo tool, stays logged in over a restart and a refresh',
    files: ['test/live/real-claude.test.ts'],
    project: 'live',
  },
  'real-codex': {
    title: 'A real Codex logs in by the printed TOML and by the printed command, calls the demo tool, and refreshes its token',
    files: ['test/live/real-codex.test.ts'],
    project: 'live',
  },
  helper: {
    title: 'A real Claude Code and a real Codex run our helper for their headers, and run it again when the token is over',
    files: ['test/live/helper.test.ts'],
    project: 'live',
  },
  mcp: {
    title: 'The official Inspector lists and calls the MCP tools; nothing is written but what a person said yes to',
    files: ['test/live/mcp.test.ts'],
    project: 'live',
  },
  secrets: {
    title: 'No secret is anywhere but in its file, on any surface, with success and failure; the search is proved',
    files: ['test/shows/secrets.test.ts', 'test/shows/secrets-credentials.test.ts'],
    project: 'node',
  },
  tokens: {
    title: 'Tokens of two issuers: those of people and machines accepted, their forgeries not; records enrich one cell of 24',
    files: ['test/live/tokens.test.ts'],
    project: 'live',
  },
  'm2m-to-token': {
    title: 'A machine client set up, its token minted from what was saved, the registry lets it in; the same by generate-creds',
    files: ['test/live/m2m-to-token.test.ts'],
    project: 'live',
  },
  sourced: {
    title: 'Whatever a value holds, dash and bash have exactly it after sourcing our file, and nothing else happened',
    files: ['test/shows/sourced.test.ts'],
    project: 'node',
  },
  lazy: {
    title: 'What a command loads: no SDK it does not use, no schema library for help, no package at all for a token that is at hand',
    files: ['test/shows/lazy.test.ts'],
    project: 'node',
  },
  files: {
    title: 'Every file with a secret: 0600 from birth under any umask, never torn, no planting, full disk or kill -9 harms it',
    files: ['test/shows/files.test.ts'],
    project: 'node',
  },
  'one-flight': {
    title: 'A hundred processes, one expired token, one request; one more when the first is killed with its request open',
    files: ['test/shows/one-flight.test.ts'],
    project: 'node',
  },
  crash: {
    title: 'kill -9 and a failing call at every file system call of a replaced token: the old one or the new one, whole, 0600',
    files: ['test/shows/crash.test.ts'],
    project: 'node',
  },
  readers: {
    title: '2,000 rewrites of a token by two processes under four that read it: none torn, none loose, nothing left over',
    files: ['test/shows/readers.test.ts'],
    project: 'node',
  },
  bootstrap: {
    title: 'A realm from nothing to people and machines that the registry lets in; cut off anywhere, run again; every secret in its file',
    files: ['test/live/bootstrap.test.ts', 'test/live/bootstrap-cut-off.test.ts', 'test/live/bootstrap-scripts.test.ts'],
    project: 'live',
  },
  'keycloak-rig': {
    title: 'A real Keycloak is started, logged in to, and its writes counted',
    files: ['test/live/keycloak-rig.test.ts'],
    project: 'live',
  },
  'keycloak-login': {
    title: 'A person logs in through the IDE client that the CLI and the script make, at every redirect URI of an IDE and no other',
    files: ['test/live/keycloak-login.test.ts'],
    project: 'live',
  },
  'keycloak-m2m': {
    title: 'A machine client, its secret, its record and its token; and the record that switches it off',
    files: ['test/live/keycloak-m2m.test.ts'],
    project: 'live',
  },
  'keycloak-quiet': {
    title: '121 objects made in one go; a second go writes nothing, by the server’s own count, and reads at most 30 times',
    files: ['test/live/keycloak-quiet.test.ts'],
    project: 'live',
  },
  drift: {
    title:
      'Every field of the IDE client and of a machine client edited behind our back: seen alone, mended whole, nothing of others touched',
    files: ['test/live/drift.test.ts'],
    project: 'live',
  },
  foreign: {
    title: 'A hundred objects of others with names like ours: none differs after everything we do; what is ours is removed, exactly',
    files: ['test/live/foreign.test.ts'],
    project: 'live',
  },
  paging: {
    title:
      'Lists of 0, 1, 100, 101, 200, 201 and 1,001 of each kind are counted exactly; a last page that fails is an error, never a short list',
    files: ['test/live/paging.test.ts'],
    project: 'live',
  },
  rights: {
    title: 'Each command with exactly its roles, with all but one, and with those that see empty lists: doctor says what then happens',
    files: ['test/live/rights.test.ts'],
    project: 'live',
  },
  'plan-writes-nothing': {
    title: 'Every change operation, at every provider, planned where it has something to do: 0 writes at all three servers',
    files: ['test/live/plan-writes-nothing.test.ts'],
    project: 'live',
  },
  'kill-keycloak': {
    title: 'kill -9 of ours at 20 moments and of the server at 2, in thirty objects: the next run mends it, a third writes nothing',
    files: ['test/live/kill-keycloak.test.ts'],
    project: 'live',
  },
  'two-at-once': {
    title: '2, 4 and 8 processes on one machine client, with one home and with their own: one client, no secret silently wrong',
    files: ['test/live/two-at-once.test.ts'],
    project: 'live',
  },
  'lost-answers': {
    title: '500 objects through a network that loses one request and one answer in twenty: each once, then nothing to do',
    files: ['test/live/lost-answers.test.ts'],
    project: 'live',
  },
  contract: {
    title: 'One contract for every identity provider: kept by the reference, the embedded one and Keycloak; every promise can fail',
    files: [
      'test/contract/memory.test.ts',
      'test/contract/mutants.test.ts',
      'test/contract/embedded.test.ts',
      'test/live/contract.test.ts',
    ],
    project: 'both',
  },
  evidence: {
    title: 'Every request that an adapter makes of Keycloak was answered by the real server, as a proxy before it saw; 0 unproved',
    files: ['test/live/evidence.test.ts', 'test/docs/evidence.test.ts'],
    project: 'both',
  },
  documents: {
    title: 'The identities files of the documents give their token files; every provider’s request is what is documented or was recorded',
    files: ['test/live/documents.test.ts'],
    project: 'live',
  },
  weather: {
    title: 'A batch in bad weather: refusals, dropped connections, broken identities, a hanging issuer, wrong clocks; nothing too early',
    files: ['test/shows/weather.test.ts'],
    project: 'node',
  },
  'kill-exhaustive': {
    title: 'A run killed for good at every request and sink call over every kind: the next one mends it, the third writes nothing',
    files: ['test/shows/kill-exhaustive.test.ts'],
    project: 'node',
  },
  names: {
    title: 'Identity names and files at random: each accepted one is its own file, all else is refused at its place before any request',
    files: ['test/shows/names.test.ts'],
    project: 'node',
  },
}

const root = resolve(import.meta.dirname, '..')

/** Whether the counts are a show: something ran, all of it passed. */
export function isShown({ passed, failed, skipped }: Counts): boolean {
  return passed > 0 && failed === 0 && skipped === 0
}

/** The counts of the last closing line in a run's output; nothing when there is none. */
export function countsIn(output: string): Counts | undefined {
  const last = [...output.matchAll(/^(\d+) passed, (\d+) failed, (\d+) skipped$/gm)].at(-1)
  return last && { passed: Number(last[1]), failed: Number(last[2]), skipped: Number(last[3]) }
}

interface Part {
  readonly project: Project
  readonly files: readonly string[]
}

function partsOf({ files, project }: Show): readonly Part[] {
  if (project !== 'both') return [{ project, files }]
  const isLive = (file: string) => file.startsWith('test/live/')
  return [
    { project: 'node', files: files.filter((file) => !isLive(file)) },
    { project: 'live', files: files.filter(isLive) },
  ]
}

/** The counts of one part; undefined when it did not end as a run of tests does. */
async function run({ project, files }: Part): Promise<Counts | undefined> {
  const vitest = resolve(root, 'node_modules/vitest/vitest.mjs')
  // Without interception what a test prints comes out as it is, without a heading for each line. A bare flag would take the
  // first file for its value, and everything would run.
  const child = spawn(process.execPath, [vitest, 'run', '--project', project, '--disable-console-intercept=true', ...files], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    process.stdout.write(text)
  })
  const status = await new Promise<number | null>((done, fail) => child.once('error', fail).once('close', done))
  const counts = countsIn(output)
  return status === 0 || (counts && counts.failed > 0) ? counts : undefined
}

async function show(name: string): Promise<number> {
  const row = Object.hasOwn(SHOWS, name) ? SHOWS[name] : undefined
  if (!row) {
    console.error(`there is no show ${JSON.stringify(name)}; there are: ${Object.keys(SHOWS).join(', ')}`)
    return 2
  }
  const missing = row.files.filter((file) => !existsSync(resolve(root, file)))
  if (missing.length > 0) {
    console.error(`the show ${name} names files that do not exist: ${missing.join(', ')}`)
    return 1
  }
  console.log(`${name}: ${row.title}`)
  const ends: (Counts | undefined)[] = []
  for (const part of partsOf(row)) ends.push(await run(part))
  const counts = ends.flatMap((one) => one ?? [])
  const isGood = counts.length === ends.length && counts.every(isShown)
  const total = (field: keyof Counts) => counts.reduce((sum, one) => sum + one[field], 0)
  const told = `${total('passed')} passed, ${total('failed')} failed, ${total('skipped')} skipped`
  console.log(`${name}: ${isGood ? 'shown' : 'NOT shown'} (${counts.length === ends.length ? told : 'no counts'})`)
  return isGood ? 0 : 1
}

if (process.argv[1] && resolve(process.argv[1]) === import.meta.filename) {
  const name = process.argv[2]
  if (name === undefined) for (const [one, { title }] of Object.entries(SHOWS)) console.log(`${one.padEnd(20)} ${title}`)
  else process.exitCode = await show(name)
}
