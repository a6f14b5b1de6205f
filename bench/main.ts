/** `npm run bench -- <benchmark>`: side-by-side measurements on real servers. No test and no CI job runs them. */
import { parseArgs } from 'node:util'
import { EXIT_INTERRUPTED } from '../core/errors.js'
import { type Measured, measureConverge } from './converge.js'
import { goalText, tableOf } from './figures.js'
import { benchServer } from './realms.js'
import { givenTools, missingTools } from './tools.js'

const HELP = `npm run bench -- converge [--n <machines>]... [--pairs <rounds>] [--json]

Converges N machine clients with two memberships each, 20 groups and one IDE client on a real Keycloak: our first apply and
our no-op, beside the rate at which the same server takes the same bodies from a bare loop (the floor), round by round on
fresh realms. Up to 100 machines also beside the documented scripts' request pattern and other tools.

  --n <machines>    how many machine clients, 1 to 10000; may be repeated (default: 100 and 1000)
  --pairs <rounds>  rounds of ours and floor, 1 to 99 (default: 5)
  --json            print one JSON document instead of tables
  --help            this text

A Keycloak is started for it, unless RIG_KEYCLOAK_URL, RIG_KEYCLOAK_USER and RIG_KEYCLOAK_PASSWORD name one. Other tools
are measured where BENCH_TERRAFORM, BENCH_KEYCLOAK_CONFIG_CLI and BENCH_KCADM name their programs. Progress goes to stderr.
The exit status is 1 when a run writes or reads more than it may; ratios are told and never decide it.

Examples
  npm run bench -- converge
  npm run bench -- converge --n 100 --pairs 9
  npm run --silent bench -- converge --n 1000 --json > converge.json
`

interface Asked {
  readonly sizes: readonly number[]
  readonly rounds: number
  readonly json: boolean
}

/** Undefined when only the help is asked for. @throws TypeError for words that mean nothing here */
function asked(): Asked | undefined {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      n: { type: 'string', multiple: true, default: ['100', '1000'] },
      pairs: { type: 'string', default: '5' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  if (positionals.length !== 1 || positionals[0] !== 'converge') throw new TypeError('name one benchmark: converge')
  const sizes = values.n.map((text) => wholeNumber('--n', text, 10_000))
  return { sizes, rounds: wholeNumber('--pairs', values.pairs, 99), json: values.json }
}

async function bench({ sizes, rounds, json }: Asked): Promise<number> {
  const say = (line: string) => void process.stderr.write(`${line}\n`)
  const { server, stop } = await benchServer()
  try {
    const results: Measured[] = []
    for (const machines of sizes) {
      const result = await measureConverge({ server, machines, rounds, tools: givenTools(process.env), say })
      results.push(result)
      if (json) continue
      const { rows, goals, connections } = result
      const title = `${machines} machines, medians of ${rounds}; floor at ${connections} connections`
      process.stdout.write([title, ...tableOf(rows), ...goals.map(goalText), '', ''].join('\n'))
    }
    if (json) process.stdout.write(`${JSON.stringify({ benchmark: 'converge', keycloak: server.version, results }, undefined, 2)}\n`)
    for (const line of missingTools(process.env)) say(line)
    return results.every(({ goals }) => goals.every(({ is_met, is_count }) => is_met || !is_count)) ? 0 : 1
  } finally {
    await stop()
  }
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
  // An exit by process.exit ends the server, too; one by the signal itself would leave it running.
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => process.exit(EXIT_INTERRUPTED))
  process.exitCode = await bench(wanted)
}
