/** `bench credentials`: tokens for many identities beside the documented pattern, and small starts beside bare `node`. */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Goal } from './figures.js'
import { atLeast, atMost, type Timing, timingsOf } from './pairs.js'
import { BARE, type Pair, pairsOf, type Start, startTime } from './starts.js'
import { type EndpointCounts, REALM, startTokenEndpoint, type TokenEndpoint } from './token-endpoint.js'

const CLI = resolve(import.meta.dirname, '..', 'dist', 'cli', 'main.js')
const DOCUMENTED = resolve(import.meta.dirname, 'documented-pattern.mjs')
/** Requests at once to one issuer, as `credentials generate` has it by default. */
const CONCURRENCY = 32
/** Pairs of small starts. */
const STARTS = 21

export interface MeasuringCredentials {
  readonly identities: number
  readonly rounds: number
  /** Between a request and its answer, milliseconds. */
  readonly delayMs: number
  readonly say: (line: string) => void
}

export interface MeasuredCredentials {
  readonly identities: number
  readonly delay_ms: number
  readonly generate: readonly (Pair & EndpointCounts)[]
  readonly fresh: readonly (Pair & EndpointCounts)[]
  readonly helper: readonly (Pair & EndpointCounts)[]
  readonly timings: readonly Timing[]
  readonly goals: readonly Goal[]
}

/** A folder with one identities file, and the endpoint that it names. */
interface Scene {
  readonly folder: string
  readonly file: string
  readonly ca: string
  readonly endpoint: TokenEndpoint
  readonly identities: number
}

/** @throws Error when a run did not do the work that it is measured for */
export async function measureCredentials({ identities, rounds, delayMs, say }: MeasuringCredentials): Promise<MeasuredCredentials> {
  if (!existsSync(CLI)) throw new Error(`there is no ${CLI}; run npm run build first`)
  const folder = await mkdtemp(join(tmpdir(), 'mcp-idp-bench-'))
  const endpoint = await startTokenEndpoint(delayMs)
  try {
    const scene = await sceneIn(folder, endpoint, identities)
    const generate = await generatePairs(scene, rounds, say)
    const fresh = await counted(scene, STARTS, () => startTime(generateIn(scene, 'ours-0')).ms)
    say(`all fresh: ${STARTS} pairs`)
    const helper = await counted(scene, STARTS, () => helperTime(scene))
    say(`the helper: ${STARTS} pairs`)
    const timings = [
      ...timingsOf(generate, 'credentials generate, ours', 'documented pattern'),
      ...timingsOf(fresh, 'credentials generate, all fresh', 'bare node'),
      ...timingsOf(helper, 'credentials get --format headers', 'bare node'),
    ]
    const most = (pairs: readonly EndpointCounts[], field: keyof EndpointCounts) => Math.max(...pairs.map((pair) => pair[field]))
    const goals: Goal[] = [
      atLeast('documented pattern / ours', 15, generate, ({ ours, other }) => other / ours),
      count('requests for them all', identities, most(generate, 'requests')),
      count('connections opened', CONCURRENCY, most(generate, 'connections')),
      count('requests when all is fresh', 0, most(fresh, 'requests')),
      atMost('ms more than bare node when all is fresh', 250, fresh, ({ ours, other }) => ours - other),
      count('requests of the helper', 0, most(helper, 'requests')),
      atMost('ms more than bare node for the helper', 30, helper, ({ ours, other }) => ours - other),
    ]
    return { identities, delay_ms: delayMs, generate, fresh, helper, timings, goals }
  } finally {
    await endpoint.close()
    await rm(folder, { recursive: true, force: true })
  }
}

async function sceneIn(folder: string, endpoint: TokenEndpoint, identities: number): Promise<Scene> {
  const [file, ca] = [join(folder, 'identities.json'), join(folder, 'ca.pem')]
  const entries = Array.from({ length: identities }, (_, index) => ({
    identity_name: nameOf(index),
    auth_provider: 'keycloak',
    client_id: `client-${index}`,
    client_secret: `bench-secret-${index}-of-thirty-two-characters`,
    keycloak_url: endpoint.url,
    keycloak_realm: REALM,
  }))
  await writeFile(file, JSON.stringify(entries, undefined, 2), { mode: 0o600 })
  await writeFile(ca, endpoint.ca)
  return { folder, file, ca, endpoint, identities }
}

const nameOf = (index: number) => `agent-${String(index).padStart(4, '0')}`

/** Each run has a home and an output folder of its own; the first of ours are used again for what is fresh. */
async function generatePairs(scene: Scene, rounds: number, say: (line: string) => void): Promise<(Pair & EndpointCounts)[]> {
  const { folder, file, ca, endpoint } = scene
  const counts: EndpointCounts[] = []
  const pairs = await pairsOf(
    rounds,
    async (index) => {
      await endpoint.counts()
      const { ms } = startTime(generateIn(scene, `ours-${index}`))
      counts.push(await endpoint.counts())
      await refuseMissing(scene, `ours-${index}`)
      return ms
    },
    async (index) => {
      const name = `documented-${index}`
      await mkdir(join(folder, name))
      const { ms } = startTime({ args: [DOCUMENTED, file, join(folder, name), ca] })
      await refuseMissing(scene, name)
      say(`round ${index + 1} of ${rounds}: the documented pattern took ${(ms / 1000).toFixed(2)} s`)
      return ms
    },
  )
  return pairs.map((pair, index) => ({ ...pair, ...(counts[index] ?? { connections: 0, requests: 0 }) }))
}

/** Of ours beside bare `node`; requests and connections are those of all pairs, told with each. */
async function counted(scene: Scene, count: number, ours: () => number): Promise<(Pair & EndpointCounts)[]> {
  await scene.endpoint.counts()
  const pairs = await pairsOf(count, ours, () => startTime(BARE).ms)
  const counts = await scene.endpoint.counts()
  return pairs.map((pair) => ({ ...pair, ...counts }))
}

function generateIn({ folder, file, ca }: Scene, name: string): Start {
  const output = join(folder, name)
  return {
    args: [CLI, 'credentials', 'generate', '--identities-file', file, '--output-dir', output, '--ca-file', ca, '--json'],
    env: { MCP_IDP_HOME: join(folder, `${name}-home`), HOME: folder },
  }
}

/** As an MCP client would start it; where authorities are named by a variable, nothing but the token is asked for. */
function helperTime({ folder, file, ca }: Scene): number {
  const args = ['credentials', 'get', nameOf(0), '--identities-file', file, '--output-dir', join(folder, 'ours-0'), '--format', 'headers']
  const env = { MCP_IDP_HOME: join(folder, 'ours-0-home'), MCP_IDP_CA_FILE: ca, HOME: folder }
  const { ms, stdout } = startTime({ args: [CLI, ...args], env })
  if (!/"?Authorization"?: ?"?Bearer /.test(stdout)) throw new Error('the helper printed no header')
  return ms
}

/** A run that left a token out would be fast for nothing. */
async function refuseMissing({ folder, identities }: Scene, name: string): Promise<void> {
  const files = (await readdir(join(folder, name))).filter((file) => file.endsWith('-token.json'))
  if (files.length !== identities) throw new Error(`${name} has ${files.length} token files, not ${identities}`)
}

function count(what: string, limit: number, found: number): Goal {
  return { what, limit, found, is_met: found <= limit, is_count: true }
}
