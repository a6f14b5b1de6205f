/** Module code run in a Node process of its own, for what belongs to a process: umask, limits, locks, death. */
import { type ChildProcess, spawn } from 'node:child_process'
import { resolve } from 'node:path'
import { onTestFinished } from 'vitest'

const project = resolve(import.meta.dirname, '..', '..')

export interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Child {
  readonly process: ChildProcess
  readonly ended: Promise<Ended>
  /** Resolves once the process has printed this line. */
  printed(line: string): Promise<void>
}

/** Runs `code` (an ES module; `#core/...` is not known, import by `at('core/x.ts')`) after the shell words of `before`. */
export function runChild(code: string, before = ''): Child {
  const script = `${before} exec "$0" --import tsx --input-type=module --eval "$1"`
  const child = spawn('/bin/sh', ['-c', script, process.execPath, code], { cwd: project, stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const ended = new Promise<Ended>((settle) => child.once('close', (status) => settle({ status, stdout, stderr })))
  onTestFinished(() => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
  })
  const printed = (line: string) =>
    new Promise<void>((settle, fail) => {
      const look = () => {
        if (stdout.split('\n').includes(line)) settle()
      }
      child.stdout.on('data', look)
      void ended.then(() => fail(new Error(`the child ended without printing ${line}: ${stderr}`)))
      look()
    })
  return { process: child, ended, printed }
}

/** A module of the project as an import specifier for `runChild`. */
export function at(path: string): string {
  return JSON.stringify(resolve(project, path))
}
