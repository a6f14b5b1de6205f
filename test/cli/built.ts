/**
 * The CLI built from the sources as they are, in a folder that goes away, and run as people run it: a process of its own,
 * with an environment of its own. `npm test` needs no build before it, and a stale `dist` can prove nothing.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import ts from 'typescript'

const ROOT = resolve(import.meta.dirname, '../..')
/** What tsconfig.build.json compiles. */
const SOURCES = ['core', 'idp', 'ide', 'registry', 'setup', 'credentials-provider', 'mcp-server', 'cli', 'toolkit']
/** A world that a whole test file uses lives longest. */
const RUN_MS = 600_000

export type Variables = Readonly<Record<string, string>>

export interface Ran {
  /** Null when a signal ended it. */
  readonly exit: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<Ran>
  /** The first line of stdout that fits. @throws Error when the process ends before */
  line(fits: (line: string) => boolean): Promise<string>
}

export interface BuiltCli {
  readonly folder: string
  /** Absolute path of `cli/main.js`. */
  readonly main: string
  /** Runs to the end, whatever that is. */
  run(args: readonly string[], variables?: Variables, node?: readonly string[]): Promise<Ran>
  start(args: readonly string[], variables?: Variables, node?: readonly string[]): Running
  /** Ends what still runs and removes everything. */
  remove(): Promise<void>
}

/** Types are stripped file by file; `npm run types` checks them. */
export function buildCli(): BuiltCli {
  const folder = mkdtempSync(join(tmpdir(), 'mcp-idp-built-'))
  for (const source of SOURCES) {
    for (const file of readdirSync(join(ROOT, source), { recursive: true, encoding: 'utf8' })) {
      if (file.endsWith('.ts')) transpile(join(source, file), join(folder, 'dist'))
    }
  }
  writeFileSync(join(folder, 'package.json'), readFileSync(join(ROOT, 'package.json')))
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  const main = join(folder, 'dist/cli/main.js')
  const running = new Set<Running>()
  const start: BuiltCli['start'] = (args, variables = {}, node = []) => {
    const one = startProcess(process.execPath, [...node, main, ...args], variables)
    running.add(one)
    void one.ended.finally(() => running.delete(one))
    return one
  }
  return {
    ...{ folder, main, start },
    run: (args, variables, node) => start(args, variables, node).ended,
    async remove() {
      const left = [...running]
      for (const { child } of left) child.kill('SIGKILL')
      await Promise.all(left.map(({ ended }) => ended))
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function transpile(file: string, to: string): void {
  const { outputText } = ts.transpileModule(readFileSync(join(ROOT, file), 'utf8'), {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023, verbatimModuleSyntax: true },
  })
  const path = join(to, file.replace(/\.ts$/, '.js'))
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, outputText)
}

/** Nothing of this process's environment reaches it but what a program needs to start. */
export function startProcess(command: string, args: readonly string[], variables: Variables, cwd = tmpdir()): Running {
  const { PATH = '' } = process.env
  const child = spawn(command, args, {
    cwd,
    env: { PATH, HOME: '/nonexistent', ...variables },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: RUN_MS,
  })
  const text = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text.stdout += part
  })
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    text.stderr += part
  })
  const ended = new Promise<Ran>((done, fail) => {
    child.once('error', fail).once('close', (exit) => done({ exit, ...text }))
  })
  return {
    child,
    ended,
    line: (fits) =>
      new Promise((found, fail) => {
        const look = () => {
          const line = text.stdout.split('\n').slice(0, -1).find(fits)
          if (line !== undefined) found(line)
        }
        child.stdout.on('data', look)
        void ended.then(({ exit, stderr }) => fail(new Error(`ended with ${exit} before that line: ${stderr.slice(0, 2000)}`)), fail)
        look()
      }),
  }
}
