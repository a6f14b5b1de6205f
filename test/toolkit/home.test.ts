/** The home folder: nobody else may write it, the environment beats the profile, secrets are referred to. */
import { chmodSync, chownSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { homeFolder, readProfile, saveProfile, settingSource } from '../../toolkit/home.js'
import { failureOf } from '../fakes/door.js'
import { temporaryFolder } from '../fakes/folder.js'

const profileOf = (settings: Record<string, string>) => ({ profile: 'default', settings })
const settingsOf = async (home: string, settings: Record<string, string>, env: Record<string, string> = {}) =>
  settingSource(home, profileOf(settings), env)
function homeWith(profile: unknown): string {
  const home = temporaryFolder()
  writeFileSync(join(home, 'profile.json'), typeof profile === 'string' ? profile : JSON.stringify(profile), { mode: 0o600 })
  return home
}

describe('which home', () => {
  test('the flag wins over the variable, the variable over the configuration folder', () => {
    const env = { MCP_IDP_HOME: '/by/variable', XDG_CONFIG_HOME: '/by/xdg' }
    expect(homeFolder('/by/flag', env)).toBe('/by/flag')
    expect(homeFolder(undefined, env)).toBe('/by/variable')
    expect(homeFolder(undefined, { XDG_CONFIG_HOME: '/by/xdg' })).toBe('/by/xdg/mcp-idp')
    expect(homeFolder(undefined, {})).toBe(join(homedir(), '.config', 'mcp-idp'))
  })
  test('an empty variable and a relative configuration folder count as unset', () => {
    const standard = join(homedir(), '.config', 'mcp-idp')
    expect(homeFolder(undefined, { MCP_IDP_HOME: '' })).toBe(standard)
    expect(homeFolder(undefined, { XDG_CONFIG_HOME: 'relative' })).toBe(standard)
  })
  test('a relative flag is meant from the current folder', () => {
    expect(homeFolder('./demo', {})).toBe(resolve('demo'))
  })
})

describe('a profile', () => {
  test('that is not there is empty', async () => {
    expect(await readProfile(join(temporaryFolder(), 'none'))).toEqual({ profile: 'default', settings: {} })
  })
  test('is read as it was saved, and private', async () => {
    const home = join(temporaryFolder(), 'home')
    await saveProfile(home, { profile: 'team-a', settings: { REGISTRY_URL: 'http://127.0.0.1:7860' } })
    expect(await readProfile(home)).toEqual({ profile: 'team-a', settings: { REGISTRY_URL: 'http://127.0.0.1:7860' } })
    expect((statSync(join(home, 'profile.json')).mode & 0o777).toString(8)).toBe('600')
  })
  test.for([
    ['not JSON', '{'],
    ['an unknown setting', { settings: { REGISTRY_URLS: 'x' } }],
    ['an unknown key', { setting: {} }],
    ['a setting that is no text', { settings: { REGISTRY_URL: 7 } }],
    ['a name that is no word', { profile: '../other' }],
  ] as const)('with %s is refused', async ([, profile]) => {
    expect((await failureOf(readProfile(homeWith(profile)))).code).toBe('invalid_input')
  })
  test('tells every problem at once, with its place', async () => {
    const failure = await failureOf(readProfile(homeWith({ profile: 'NO', settings: { REGISTRY_URL: 7, KEYCLOAK_URL: false } })))
    expect(failure.details).toMatchObject({
      problems: [{ path: 'profile' }, { path: 'settings.REGISTRY_URL' }, { path: 'settings.KEYCLOAK_URL' }],
    })
  })
  test('gains nothing from a key called __proto__', async () => {
    await readProfile(homeWith('{"settings":{"__proto__":{"isAdmin":true}}}')).catch(() => undefined)
    expect({}).not.toHaveProperty('isAdmin')
  })
})

describe('a home that others may write', () => {
  test.for([0o770, 0o707, 0o777, 0o720, 0o702])('of mode %o is refused, since whoever writes it sets every URL', async (mode) => {
    const home = homeWith({})
    chmodSync(home, mode)
    const failure = await failureOf(readProfile(home))
    expect(failure).toMatchObject({ code: 'invalid_input', hint: `chmod go-w ${home}` })
  })
  test.for([0o700, 0o750, 0o755])('of mode %o is accepted', async (mode) => {
    const home = homeWith({ profile: 'team-a' })
    chmodSync(home, mode)
    expect((await readProfile(home)).profile).toBe('team-a')
  })
  test.for([0o620, 0o602, 0o666])('a profile of mode %o is refused', async (mode) => {
    const home = homeWith({})
    chmodSync(join(home, 'profile.json'), mode)
    expect((await failureOf(readProfile(home))).code).toBe('invalid_input')
  })
  test.skipIf(process.getuid?.() !== 0)('a home of another user is refused (needs root to make one)', async () => {
    const home = homeWith({})
    chownSync(home, 65_534, 65_534)
    expect((await failureOf(readProfile(home))).details).toMatchObject({ problems: [{ path: home, expected: 'owned by you' }] })
  })
  test('a profile that is a link to elsewhere is refused', async () => {
    const home = temporaryFolder()
    writeFileSync(join(home, 'elsewhere.json'), '{}', { mode: 0o600 })
    symlinkSync(join(home, 'elsewhere.json'), join(home, 'profile.json'))
    expect((await failureOf(readProfile(home))).code).toBe('invalid_input')
  })
})

describe('settings', () => {
  test('of the environment beat those of the profile', async () => {
    const settings = await settingsOf('/nonexistent', { REGISTRY_URL: 'profile', KEYCLOAK_URL: 'profile' }, { REGISTRY_URL: 'environment' })
    expect([settings('REGISTRY_URL'), settings('KEYCLOAK_URL'), settings('KEYCLOAK_REALM')]).toEqual(['environment', 'profile', undefined])
  })
  test('that are empty in the environment are taken from the profile', async () => {
    const settings = await settingsOf('/nonexistent', { REGISTRY_URL: 'profile' }, { REGISTRY_URL: '' })
    expect(settings('REGISTRY_URL')).toBe('profile')
  })
  test('may refer to a variable', async () => {
    const settings = await settingsOf(
      '/nonexistent',
      { KEYCLOAK_ADMIN_PASSWORD: 'env:OTHER_NAME', KEYCLOAK_URL: 'env:UNSET' },
      { OTHER_NAME: 'planted' },
    )
    expect([settings('KEYCLOAK_ADMIN_PASSWORD'), settings('KEYCLOAK_URL')]).toEqual(['planted', undefined])
  })
  test('may refer to a file, from the home, without the line break at its end', async () => {
    const home = temporaryFolder()
    mkdirSync(join(home, 'provider'))
    writeFileSync(join(home, 'provider', 'token'), 'planted\n', { mode: 0o600 })
    const settings = await settingsOf(home, {
      EMBEDDED_ADMIN_TOKEN: 'file:provider/token',
      EMBEDDED_INITIAL_ACCESS_TOKEN: `file:${join(home, 'provider', 'token')}`,
      KEYCLOAK_ADMIN_PASSWORD: 'file:none',
    })
    expect([settings('EMBEDDED_ADMIN_TOKEN'), settings('EMBEDDED_INITIAL_ACCESS_TOKEN'), settings('KEYCLOAK_ADMIN_PASSWORD')]).toEqual([
      'planted',
      'planted',
      undefined,
    ])
  })
  test('that refer to a link are refused', async () => {
    const home = temporaryFolder()
    writeFileSync(join(home, 'token'), 'planted')
    symlinkSync(join(home, 'token'), join(home, 'link'))
    expect((await failureOf(settingsOf(home, { EMBEDDED_ADMIN_TOKEN: 'file:link' }))).code).toBe('invalid_input')
  })
  test('of the environment are not followed: a reference there is plain text', async () => {
    const settings = await settingsOf('/nonexistent', {}, { REGISTRY_URL: 'file:/etc/hostname' })
    expect(settings('REGISTRY_URL')).toBe('file:/etc/hostname')
  })
})
