/**
 * The registry's environment as a resource: a 0600 file of `NAME=value` lines with the provider's settings and the secrets
 * of the gateway's own clients, taken from their files. Lines of others stay as they are.
 */
import { ToolkitError } from '../core/errors.js'
import type { Observed, Reconciler } from '../core/plan.js'
import { readSmallFile, savePrivateFile } from '../core/private-file.js'
import type { Resources } from '../core/resources.js'
import { Secret } from '../core/secret.js'
import type { SecretSink } from '../core/sink.js'
import { quotePosix } from '../ide/quote.js'

type Spec = Resources['registry-environment']

/** Shown for a variable that does not hold what its file does; what it holds instead is never shown. */
const ELSE = '(another value)'
const MISSING = '(missing)'

/** A reconciler for the one file that `wanted` describes; `sinks` are the files of its secrets. */
export function registryEnvironment(wanted: Spec, sinks: readonly SecretSink[]): Reconciler<'registry-environment'> {
  const sinkAt = (place: string) => sinks.find((sink) => sink.place === place)
  const secretAt = async (place: string) => (await sinkAt(place)?.read())?.secret

  async function save(): Promise<void> {
    const held = Object.entries(wanted.secrets).map(async ([name, place]) => {
      const secret = await secretAt(place)
      if (secret) return [name, secret.reveal()] as const
      throw new ToolkitError('not_found', `${place} holds no secret yet`, { kind: 'file', key: place }, 'run again')
    })
    const ours = new Map([...Object.entries(wanted.settings), ...(await Promise.all(held))])
    const before = await linesOf(wanted.path)
    const kept = before.filter((line) => !ours.has(nameOf(line)))
    const lines = [...kept, ...[...ours].map(([name, value]) => `${name}=${quotePosix([value])}`)]
    await savePrivateFile(wanted.path, `${lines.join('\n')}\n`)
  }

  return {
    async observe(): Promise<Map<string, Observed<'registry-environment'>>> {
      const lines = await linesOf(wanted.path)
      if (lines.length === 0) return new Map()
      const values = new Map(lines.map((line) => [nameOf(line), unquoted(line.slice(line.indexOf('=') + 1))]))
      const settings = Object.keys(wanted.settings).map((name) => [name, values.get(name) ?? MISSING])
      const secrets = Object.entries(wanted.secrets).map(async ([name, place]) => {
        const value = values.get(name)
        const isSame = value !== undefined && (await secretAt(place))?.equals(new Secret(value)) === true
        return [name, isSame ? place : value === undefined ? MISSING : ELSE]
      })
      const spec = { path: wanted.path, settings: Object.fromEntries(settings), secrets: Object.fromEntries(await Promise.all(secrets)) }
      return new Map([[wanted.path, { id: wanted.path, owner: 'us', spec }]])
    },
    async create() {
      await save()
      return {}
    },
    update: save,
    remove() {
      const why = 'a registry may be running with it'
      throw new ToolkitError(
        'unsupported',
        `${wanted.path} is left alone`,
        { system: 'file system', capability: 'removal', why },
        'remove it by hand',
      )
    },
  }
}

async function linesOf(path: string): Promise<string[]> {
  return ((await readSmallFile(path)) ?? '').split('\n').filter((line) => line !== '')
}

function nameOf(line: string): string {
  return line.slice(0, Math.max(0, line.indexOf('=')))
}

/** What a POSIX shell makes of the value as we write it. */
function unquoted(value: string): string {
  return value.startsWith("'") ? value.slice(1, -1).replaceAll("'\\''", "'") : value
}
