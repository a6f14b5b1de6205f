/** Registration files: the one state we declare. */
import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Secret } from '../../../core/secret.js'
import { type Registration, registrationsOf } from '../../../idp/dcr/registrations.js'
import { failureOf } from '../../fakes/door.js'

const ISSUER = 'https://idp.example.com/tenant'
const SHA256 = /^[0-9a-f]{64}$/

let folder: string
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'registrations-')), 'registrations')
})
afterEach(() => rm(join(folder, '..'), { recursive: true }))

function registration(client_name: string): Registration {
  const registration_access_token = new Secret(`token of ${client_name}`)
  return {
    issuer: ISSUER,
    client_name,
    client_id: 'mcp-1',
    registration_client_uri: 'https://idp.example.com/reg/mcp-1',
    registration_access_token,
  }
}

async function onlyFile(): Promise<string> {
  const [issuerFolder = ''] = await readdir(folder)
  const [file = ''] = await readdir(join(folder, issuerFolder))
  return join(folder, issuerFolder, file)
}

test('what is saved is what is read, token and all', async () => {
  const registrations = registrationsOf(ISSUER, folder)
  await registrations.save(registration('demo-agent'))
  const { registration_access_token, ...facts } = (await registrations.read('demo-agent')) ?? {}
  expect(facts).toEqual({
    issuer: ISSUER,
    client_name: 'demo-agent',
    client_id: 'mcp-1',
    registration_client_uri: 'https://idp.example.com/reg/mcp-1',
  })
  expect(registration_access_token?.reveal()).toBe('token of demo-agent')
  await registrations.remove('demo-agent')
  expect(await registrations.read('demo-agent')).toBeUndefined()
  await registrations.remove('demo-agent')
})

test('files are 0600 in 0700 folders, under a hash of the issuer, even under umask 000', async () => {
  const umask = process.umask(0)
  await registrationsOf(ISSUER, folder)
    .save(registration('demo-agent'))
    .finally(() => process.umask(umask))
  const file = await onlyFile()
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect((await stat(join(file, '..'))).mode & 0o777).toBe(0o700)
  expect((await stat(folder)).mode & 0o777).toBe(0o700)
  expect((await readdir(folder))[0]).toMatch(SHA256)
  expect(file.endsWith('/demo-agent.json')).toBe(true)
})

test('names that a file system would mix up, or that lead out of the folder, stay apart and inside', async () => {
  const names = [
    'My IDE client',
    'my ide client',
    'MY IDE CLIENT',
    'my-ide-client',
    '../../../escaped',
    '..',
    'a/b',
    'a b',
    'x'.repeat(256),
    `${'x'.repeat(255)}y`,
    'Ünïcode',
  ]
  const registrations = registrationsOf(ISSUER, folder)
  for (const name of names) await registrations.save(registration(name))
  for (const name of names) expect((await registrations.read(name))?.registration_access_token.reveal()).toBe(`token of ${name}`)
  const files = await readdir(join(await onlyFile(), '..'))
  expect(new Set(files.map((file) => file.toLowerCase())).size).toBe(names.length)
  expect(await readdir(join(folder, '..'))).toEqual(['registrations'])
})

test('another issuer does not see them', async () => {
  await registrationsOf(ISSUER, folder).save(registration('demo-agent'))
  expect(await registrationsOf('https://idp.example.com/other', folder).read('demo-agent')).toBeUndefined()
})

const whole = JSON.parse(JSON.stringify({ ...registration('demo-agent'), registration_access_token: 'planted-token' })) as Record<
  string,
  unknown
>
test.each([
  ['an unknown field', { ...whole, more: 1 }],
  ['a missing field', { ...whole, client_id: undefined }],
  ['another issuer', { ...whole, issuer: 'https://idp.example.com' }],
  ['another name', { ...whole, client_name: 'other' }],
  ['a URL at another origin', { ...whole, registration_client_uri: 'https://collector.example/reg/mcp-1' }],
  ['a URL at another port', { ...whole, registration_client_uri: 'https://idp.example.com:8443/reg/mcp-1' }],
  ['no object', 'planted-token'],
])('a file with %s is refused, and its token is not told', async (_what, content) => {
  const registrations = registrationsOf(ISSUER, folder)
  await registrations.save(registration('demo-agent'))
  await writeFile(await onlyFile(), JSON.stringify(content))
  const failure = await failureOf(registrations.read('demo-agent'))
  expect(failure.code).toBe('invalid_input')
  expect(JSON.stringify([failure.message, failure.details])).not.toContain('planted-token')
})

test('a link in the place of a file is refused', async () => {
  const registrations = registrationsOf(ISSUER, folder)
  await registrations.save(registration('demo-agent'))
  const file = await onlyFile()
  await writeFile(`${folder}.elsewhere`, await readFile(file))
  await rm(file)
  await symlink(`${folder}.elsewhere`, file)
  expect(await failureOf(registrations.read('demo-agent'))).toMatchObject({ code: 'invalid_input' })
})
