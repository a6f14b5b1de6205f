/** `npm run bench -- <benchmark>`: side-by-side measurements of whole runs. No test and no CI job runs them. */
import { parseArgs } from 'node:util'
import { EXIT_INTERRUPTED } from '../core/errors.js'
import { type Measured, measureConverge } from './converge.js'
import { measureCredentials } from './credentials.js'
import { type Goal, goalText, tableOf } from './figures.js'
import { timingLines } from './pairs.js'
import { benchServer } from './realms.js'
import { givenTools, missingTools } from './tools.js'

const HELP = `npm run bench -- converge [--n <machines>]... [--pairs <rounds>] [--json]
npm run bench -- credentials [--n <identities>]... [--pairs <rounds>] [--json]

converge     N machine clients with two memberships each, 20 groups and one IDE client on a real Keycloak: our first apply
             and our no-op, beside the rate at which the same server takes the same bodies from a bare loop (the floor),
             round by round on fresh realms. Up to 100 machines also beside the documented scripts' request pattern and
             other tools.
credentials  tokens for N identities from a TLS token endpoint 20 ms away: \`mcp-idp credentials generate\` beside the
             documented pattern (one at a time, a new connection each), and again with all of them fresh; then
             \`mcp-idp credentials get\` with a cached token. The last two beside bare \`node\`, 21 pairs. It measures what
             is built: npm run build comes first.

  --n <number>      how many machines or identities, 1 to 10000; may be repeated (default: 100 and 1000 machines, or 500)
  --pairs <rounds>  rounds of ours and the other side, 1 to 99 (default: 5)
  --json            print one JSON document instead of tables
  --help            this text

For converge a Keycloak is started, unless RIG_KEYCLOAK_URL, RIG_KEYCLOAK_USER and RIG_KEYCLOAK_PASSWORD name one. Other
tools are measured where BENCH_TERRAFORM, BENCH_KEYCLOAK_CONFIG_CLI and BENCH_KCADM name their programs. Progress goes to
stderr. The exit status is 1 when a count is higher than it may be; times and ratios are told and never decide it.

Examples
  npm run bench -- converge
  npm run bench -- credentials
  npm run bench -- converge --n 100 --pairs 9
  npm run --silent bench -- converge --n 1000 --json > converge.json
`

interface Asked {
  readonly benchmark: Benchmark
  readonly sizes: readonly number[]
  readonly rounds: number
  readonly json: boolean
}

interface Result {
  readonly goals: readonly Goal[]
}

const BENCHMARKS = {
  converge: { sizes: ['100', '1000'], run: benchConverge },
  credentials: { sizes: ['500'], run: benchCredentials },
} as const satisfies Record<string, { sizes: readonly string[]; run(asked: Asked): Promise<readonly Result[]> }>
type Benchmark = keyof typeof BENCHMARKS

const DELAY_MS = 20
const say = (line: string) => void process.stderr.write(`${line}\n`)
const isBenchmark = (name: string | undefined): name is Benchmark => name !== undefined && Object.hasOwn(BENCHMARKS, name)

/** Undefined when only the help is asked for. @throws TypeError for words that mean nothing here */
function asked(): Asked | undefined {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      n: { type: 'string', multiple: true },
      pairs: { type: 'string', default: '5' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const [benchmark, ...others] = positionals
  if (!isBenchmark(benchmark) || others.length > 0) throw new TypeError(`name one benchmark: ${Object.keys(BENCHMARKS).join(' or ')}`)
  const sizes = (values.n ?? BENCHMARKS[benchmark].sizes).map((text) => wholeNumber('--n', text, 10_000))
  return { benchmark, sizes, rounds: wholeNumber('--pairs', values.pairs, 99), json: values.json }
}

async function benchConverge({ sizes, rounds, json }: Asked): Promise<readonly Result[]> {
  const { server, stop } = await benchServer()
  try {
    const results: Measured[] = []
    for (const machines of sizes) {
      const result = await measureConverge({ server, machines, rounds, tools: givenTools(process.env), say })
      results.push(result)
      const { rows, goals, connections } = result
      const title = `${machines} machines, medians of ${rounds}; floor at ${connections} connections`
      if (!json) print(title, tableOf(rows), goals)
    }
    if (json) printJson({ benchmark: 'converge', keycloak: server.version, results })
    for (const line of missingTools(process.env)) say(line)
    return results
  } finally {
    await stop()
  }
}

async function benchCredentials({ sizes, rounds, json }: Asked): Promise<readonly Result[]> {
  const results = []
  for (const identities of sizes) {
    const result = await measureCredentials({ identities, rounds, delayMs: DELAY_MS, say })
    results.push(result)
    const title = `${identities} identities, token endpoint ${DELAY_MS} ms away, ${rounds} pairs; small starts ${result.fresh.length} pairs`
    if (!json) print(title, timingLines(result.timings), result.goals)
  }
  if (json) printJson({ benchmark: 'credentials', results })
  return results
}

function print(title: string, lines: readonly string[], goals: readonly Goal[]): void {
  process.stdout.write([title, ...lines, ...goals.map(goalText), '', ''].join('\n'))
}

function printJson(document: object): void {
  process.stdout.write(`${JSON.stringify(document, undefined, 2)}\n`)
}

function wholeNumber(flag: string, text: string, most: number): number {
  if (/^[1-9]\d*$/.test(text) && Number(text) <= most) return Number(text)
  throw new TypeError(`${flag} takes a whole number from 1 to ${most}, not ${JSON.stringify(text)}`)
}

let wanted: Asked | undefined
try {
  wanted = asked()
  if (wanted === undefined) process.stdout.write(HELP)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\nsee npm run bench -- --help\n`)
  process.exitCode = 2
}
if (wanted !== undefined) {
  // An exit by process.exit ends the servers, too; one by the signal itself would leave them running.
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => process.exit(EXIT_INTERRUPTED))
  const results = await BENCHMARKS[wanted.benchmark].run(wanted)
  process.exitCode = results.every(({ goals }) => goals.every(({ is_met, is_count }) => is_met || !is_count)) ? 0 : 1
}
