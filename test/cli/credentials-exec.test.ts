/** `credentials exec`: a program gets a token in its environment and nowhere else, and ends as it ends. */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type BuiltCli, buildCli } from './built.js'
import { startIssuer, type TokenIssuer } from './token-issuer.js'

let built: BuiltCli
let issuer: TokenIssuer
beforeAll(() => {
  built = buildCli()
})
afterAll(() => built.remove())
beforeEach(async () => {
  issuer = await startIssuer()
  issuer.identity()
})
afterEach(() => issuer.close())

const exec = (words: readonly string[], flags: readonly string[] = []) =>
  built.run(['credentials', 'exec', 'reporter', ...flags, '--', ...words], { MCP_IDP_HOME: issuer.home })
const node = (code: string) => [process.execPath, '-e', code]

describe('the token', () => {
  test('is in the environment of the program, in no file, in no argument list', async () => {
    const code = `const { readFileSync } = require('node:fs')
      const words = [process.pid, process.ppid].map((pid) => readFileSync('/proc/' + pid + '/cmdline', 'utf8'))
      console.log(JSON.stringify([process.env.ACCESS_TOKEN, words.some((text) => text.includes(process.env.ACCESS_TOKEN))]))`
    const { exit, stdout, stderr } = await exec(node(code))
    expect({ exit, stderr, told: JSON.parse(stdout) }).toEqual({ exit: 0, stderr: '', told: [issuer.tokens[0], false] })
    expect(existsSync(join(issuer.home, '.oauth-tokens'))).toBe(false)
  })

  test('has the name that is asked for, beside the variables that are there', async () => {
    const { stdout } = await exec(node('console.log(process.env.TOKEN, process.env.HOME, process.env.ACCESS_TOKEN)'), [
      '--env-var',
      'TOKEN',
    ])
    expect(stdout).toBe(`${issuer.tokens[0]} /nonexistent undefined\n`)
  })

  test('is the saved one when that is fresh', async () => {
    await built.run(['credentials', 'generate'], { MCP_IDP_HOME: issuer.home })
    expect((await exec(['printenv', 'ACCESS_TOKEN'])).stdout).toBe(`${issuer.tokens[0]}\n`)
    expect(issuer.tokens).toHaveLength(1)
  })
})

describe('the program', () => {
  test('gets its words as they are: no shell reads them, and flags behind -- are its own', async () => {
    const words = ['$(echo no)', '--json', '*', 'a b', '--debug', '']
    const { stdout } = await exec([...node('console.log(JSON.stringify(process.argv.slice(1)))'), '--', ...words])
    expect(JSON.parse(stdout)).toEqual(words)
  })

  test.each([
    ['its own status', ['sh', '-c', 'exit 7'], 7],
    ['0', ['true'], 0],
    ['128 and the signal that ended it', ['sh', '-c', 'kill -TERM $$'], 143],
    ['127 where there is no such program', ['no-such-program'], 127],
    ['126 where it is none', ['/'], 126],
  ])('ends with %s', async (_, words, exit) => {
    expect((await exec(words)).exit).toBe(exit)
  })

  test.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const)('gets a %s that is sent to us', async (signal) => {
    const file = join(issuer.home, 'caught.js')
    writeFileSync(file, `process.on('${signal}', () => process.exit(42)); setInterval(() => {}, 1000); console.log('ready')`)
    const running = built.start(['credentials', 'exec', 'reporter', '--', process.execPath, file], { MCP_IDP_HOME: issuer.home })
    await running.line((line) => line === 'ready')
    running.child.kill(signal)
    expect((await running.ended).exit).toBe(42)
  })

  test('is not started when there is no token', async () => {
    issuer.status = 401
    expect(await exec(['echo', 'started'])).toMatchObject({ exit: 4, stdout: '' })
  })

  test('is not started with a variable that is none', async () => {
    expect(await exec(['echo', 'started'], ['--env-var', 'A B'])).toMatchObject({ exit: 2, stdout: '' })
    expect(issuer.tokens).toEqual([])
  })
})
