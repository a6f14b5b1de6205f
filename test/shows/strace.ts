/** System calls of a process and all its threads, by strace: seen, made to fail, or the moment of its death. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Ran, startProcess, type Variables } from '../cli/built.js'
import { temporaryFolder } from '../fakes/folder.js'

export interface Call {
  readonly thread: string
  readonly name: string
  /** Its arguments and what it returned, as strace writes them; file descriptors with their paths. */
  readonly text: string
  /** Lines of the log where it was entered and where it returned; one that never did returned after all others. */
  readonly began: number
  readonly ended: number
}

export interface Tracing {
  /** Only calls on exactly these paths. */
  readonly paths?: readonly string[]
  /** A set of calls as strace names them: `openat,rename`, `%file`. */
  readonly calls?: string
  /** `fsync:error=EIO:when=1` */
  readonly inject?: string
  readonly umask?: string
  readonly variables?: Variables
}

/** Said where it is missing: a test that cannot trace is skipped by `npm test` and fails its show. */
export const HOW_TO_TRACE = 'needs strace and the right to trace: apt-get install strace (Debian package strace)'

export function canTrace(): boolean {
  try {
    execFileSync('strace', ['-o', '/dev/null', 'true'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Runs Node under strace. One thread does all file work of Node, so that the calls of two runs come in the same order. */
export async function traced(
  args: readonly string[],
  { paths = [], calls, inject, umask = '077', variables = {} }: Tracing,
): Promise<Ran & { readonly calls: Call[] }> {
  const log = join(temporaryFolder(), 'strace.log')
  const options = [
    ...['-f', '-y', '-s', '64', '-o', log],
    ...paths.flatMap((path) => ['-P', path]),
    ...(calls === undefined ? [] : ['-e', `trace=${calls}`]),
    ...(inject === undefined ? [] : ['-e', `inject=${inject}`]),
  ]
  const ran = await startProcess('/bin/sh', ['-c', `umask ${umask}; exec "$@"`, 'sh', 'strace', ...options, process.execPath, ...args], {
    UV_THREADPOOL_SIZE: '1',
    ...variables,
  }).ended
  return { ...ran, calls: callsIn(readFileSync(log, 'utf8')) }
}

/** A call that another thread's interrupts in the log is written in two parts. */
export function callsIn(log: string): Call[] {
  const calls: Call[] = []
  const open = new Map<string, Omit<Call, 'ended'>>()
  for (const [line, content] of log.split('\n').entries()) {
    const [, thread = '', rest = ''] = /^(\d+) +(.*)$/.exec(content) ?? []
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest)
    const entered = /^(\w+)\((.*)$/.exec(rest)
    if (resumed) {
      const before = open.get(thread)
      open.delete(thread)
      if (before) calls.push({ ...before, text: before.text + (resumed[1] ?? ''), ended: line })
    } else if (entered) {
      const [, name = '', text = ''] = entered
      const cut = text.replace(/ ?<unfinished \.\.\.>$/, '')
      if (cut === text) calls.push({ thread, name, text, began: line, ended: line })
      else open.set(thread, { thread, name, text: cut, began: line })
    }
  }
  for (const call of open.values()) calls.push({ ...call, ended: Number.POSITIVE_INFINITY })
  return calls.sort((one, other) => one.began - other.began)
}

/** Each call of a run as strace counts them for `when=`: by name, thread by thread. */
export function moments(calls: readonly Call[]): string[] {
  const counts = new Map<string, number>()
  const all = calls.map(({ thread, name }) => {
    const count = (counts.get(`${thread} ${name}`) ?? 0) + 1
    counts.set(`${thread} ${name}`, count)
    return `${name}:signal=SIGKILL:when=${count}`
  })
  return [...new Set(all)]
}
