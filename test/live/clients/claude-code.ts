/**
 * A real Claude Code of one version, in a cache outside the project: fetched once by npm, without running its scripts, and
 * run as a person would who has nothing but it: a home and a folder of its own, a browser, and no way off this machine.
 */
import { execFile } from 'node:child_process'
import { access, chmod, mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { type Ran, start } from '../product.js'

export const CLAUDE_CODE = '2.1.329'
const PACKAGE = `@anthropic-ai/claude-code@${CLAUDE_CODE}`
/** 80 MB compressed. */
const INSTALL_MS = 600_000

export interface Claude {
  /** Its home, for what it keeps there. */
  readonly home: string
  /** Runs a line of shell with `claude` on the path. */
  sh(line: string): Promise<Ran>
  /** Runs `claude` at a terminal, which is what a login asks for. */
  atTerminal(words: string): Promise<Ran>
}

export interface ClaudeOptions {
  /** An empty folder; holds its home, its working folder and its path. */
  readonly folder: string
  /** Base URL of the model, and a proxy for whatever else it wants. */
  readonly modelUrl: string
  readonly proxyUrl: string
  /** Port that its login listens on. */
  readonly callbackPort: number
  /** Who sits at the browser: user name, and the file of passwords by user name. */
  readonly person: string
  readonly peopleFile: string
}

/** The program file; installs it when it is not there. @throws Error with npm's words when that fails */
export async function installClaudeCode(): Promise<string> {
  const base = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache')
  const folder = join(base, 'mcp-idp-rig', `claude-code-${CLAUDE_CODE}`)
  if (!(await exists(folder))) await install(folder)
  // npm has chosen the package of this platform; the one with the name of the client alone is a wrapper that copies it.
  const packages = join(folder, 'node_modules/@anthropic-ai')
  for (const name of await readdir(packages)) {
    const program = join(packages, name, 'claude')
    if (await exists(program)) return program
  }
  throw new Error(`${folder} holds no claude for ${process.platform} ${process.arch}; remove it to install again`)
}

/** Whole or absent, also when two runs install at once. */
async function install(folder: string): Promise<void> {
  await mkdir(dirname(folder), { recursive: true })
  const unfinished = await mkdtemp(`${folder}.`)
  try {
    const words = ['install', '--prefix', unfinished, '--ignore-scripts', '--no-audit', '--no-fund', '--no-save', PACKAGE]
    await promisify(execFile)('npm', words, { cwd: unfinished, timeout: INSTALL_MS })
    await rename(unfinished, folder).catch(async (error: unknown) => {
      if (!(await exists(folder))) throw error
    })
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
}

/** Claude Code for one person. */
export async function claudeCode(program: string, options: ClaudeOptions): Promise<Claude> {
  const { folder, modelUrl, proxyUrl, callbackPort, person, peopleFile } = options
  const [bin, home, work] = ['bin', 'home', 'work'].map((name) => join(folder, name)) as [string, string, string]
  await Promise.all([bin, home, work].map((one) => mkdir(one)))
  await symlink(program, join(bin, 'claude'))
  const browser = join(bin, 'xdg-open')
  const script = resolve(import.meta.dirname, 'browser.ts')
  await writeFile(
    browser,
    `#!/bin/sh\nexec '${process.execPath}' --import '${import.meta.resolve('tsx')}' '${script}' "$1" 2>>'${home}/browser.log'\n`,
  )
  await chmod(browser, 0o755)
  const variables = {
    HOME: home,
    PATH: `${bin}:${process.env['PATH'] ?? ''}`,
    TERM: 'xterm',
    LANG: 'C.UTF-8',
    DISPLAY: ':99',
    BROWSER: browser,
    STAND_IN_PERSON: person,
    STAND_IN_PEOPLE_FILE: peopleFile,
    MCP_OAUTH_CALLBACK_PORT: String(callbackPort),
    ANTHROPIC_BASE_URL: modelUrl,
    ANTHROPIC_API_KEY: 'placeholder',
    // Else tools are looked for by a call of the model before they are offered to it.
    ENABLE_TOOL_SEARCH: 'false',
    DISABLE_AUTOUPDATER: '1',
    DISABLE_TELEMETRY: '1',
    DISABLE_ERROR_REPORTING: '1',
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    HTTP_PROXY: proxyUrl,
    HTTPS_PROXY: proxyUrl,
    NO_PROXY: '127.0.0.1,localhost',
  }
  // Its configuration is by working folder.
  const sh = (line: string) => start('sh', ['-c', `cd "$1" && eval "$2"`, 'sh', work, line], variables).ended
  return { home, sh, atTerminal: (words) => sh(`exec script -qefc 'claude ${words}' /dev/null`) }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
