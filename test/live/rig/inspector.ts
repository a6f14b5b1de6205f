/**
 * The official MCP Inspector's command line, from the package registry, in the cache folder of the rig: installed once,
 * outside the project, whose dependencies stay its own.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** What npm resolves on Node 20; later ones want Node 22. */
export const INSPECTOR = '@modelcontextprotocol/inspector@0.15.0'
const INSTALL_MS = 300_000
const CALL_MS = 60_000

/** Installs it when it is absent. @returns its command line's file */
export async function inspector(): Promise<string> {
  const rig = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'mcp-idp-rig')
  const folder = join(rig, 'inspector-0.15.0')
  const main = join(folder, 'node_modules/@modelcontextprotocol/inspector/cli/build/cli.js')
  if (existsSync(main)) return main
  await mkdir(rig, { recursive: true })
  // Whole or absent: another run may install it at the same time, and either may be cut off.
  const half = await mkdtemp(`${folder}.`)
  const words = ['install', '--prefix', half, '--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--omit=dev', INSPECTOR]
  await promisify(execFile)('npm', words, { cwd: half, timeout: INSTALL_MS })
  await rename(half, folder).catch(() => rm(half, { recursive: true, force: true }))
  if (!existsSync(main)) throw new Error(`${INSPECTOR} was installed and has no ${main}`)
  return main
}

/** Asks a stdio server one thing. @returns the result, parsed; @throws Error with what was printed when it is no JSON */
export async function inspect(
  server: readonly string[],
  method: readonly string[],
  variables: Readonly<Record<string, string>>,
): Promise<Record<string, unknown>> {
  const { PATH = '', HOME = '' } = process.env
  const words = [await inspector(), '--cli', ...server, '--method', ...method]
  const { stdout, stderr } = await promisify(execFile)(process.execPath, words, {
    env: { PATH, HOME, ...variables },
    timeout: CALL_MS,
    maxBuffer: 10_000_000,
  })
  try {
    return JSON.parse(stdout) as Record<string, unknown>
  } catch {
    throw new Error(`the inspector printed no JSON: ${stdout.slice(0, 500)} ${stderr.slice(0, 500)}`)
  }
}
