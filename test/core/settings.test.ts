/** Settings: all that is missing at once, empty counts as unset, aliases and fallbacks, URLs that are URLs. */
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { isToolkitError, type ToolkitError } from '../../core/errors.js'
import { SETTINGS, type Setting, type SettingName, SettingsReader } from '../../core/settings.js'

const reader = (values: Readonly<Record<string, string>>) => new SettingsReader((name) => values[name])
const rows = Object.entries(SETTINGS) as [SettingName, Setting][]

function problemOf(work: () => void): ToolkitError {
  try {
    work()
  } catch (error) {
    if (isToolkitError(error)) return error
    throw error
  }
  throw new Error('nothing was wrong')
}

describe('the table', () => {
  test.for(rows)('%s is an environment variable with a meaning', ([name, { meaning }]) => {
    expect(name).toMatch(/^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$/)
    expect(meaning.length).toBeGreaterThan(8)
  })
  test('no name or alias is used twice', () => {
    const names = rows.flatMap(([name, { aliases = [] }]) => [name, ...aliases])
    expect(new Set(names).size).toBe(names.length)
  })
  test('whatever is called secret, password or token is marked secret, and has no fallback', () => {
    const suspects = rows.filter(([name]) => /SECRET|PASSWORD|TOKEN$/.test(name))
    expect(suspects.length).toBeGreaterThan(3)
    for (const [name, row] of suspects) expect({ name, secret: row.secret, fallback: row.fallback }).toEqual({ name, secret: true })
  })
})

describe('reading', () => {
  test('everything that is missing is told at once, with what it means', () => {
    const settings = reader({})
    settings.required('KEYCLOAK_URL')
    settings.secret('KEYCLOAK_ADMIN_PASSWORD')
    settings.required('REGISTRY_URL')
    const error = problemOf(() => settings.check('Keycloak'))
    expect(error).toMatchObject({
      code: 'not_configured',
      details: { missing: ['KEYCLOAK_URL', 'KEYCLOAK_ADMIN_PASSWORD', 'REGISTRY_URL'] },
    })
    expect(error.message).toContain(SETTINGS.REGISTRY_URL.meaning)
    expect(error.hint).toMatch(/set them/)
  })
  test('nothing is thrown when all that is required is there', () => {
    const settings = reader({ KEYCLOAK_URL: 'http://127.0.0.1:8080' })
    expect(settings.required('KEYCLOAK_URL')).toBe('http://127.0.0.1:8080')
    expect(() => settings.check('Keycloak')).not.toThrow()
  })
  test('an empty value counts as unset', () => {
    const settings = reader({ KEYCLOAK_URL: '', KEYCLOAK_REALM: '', REGISTRY_TOKEN_FILE: '' })
    expect(settings.optional('REGISTRY_TOKEN_FILE')).toBeUndefined()
    expect(settings.optional('KEYCLOAK_REALM')).toBe('mcp-gateway')
    settings.required('KEYCLOAK_URL')
    expect(problemOf(() => settings.check('Keycloak')).details).toEqual({ missing: ['KEYCLOAK_URL'] })
  })
  test.for(rows.flatMap(([name, { aliases = [] }]) => aliases.map((alias) => ({ name, alias }))))(
    '$alias is read as $name',
    ({ name, alias }) => {
      expect(reader({ [alias]: 'by-alias' }).optional(name)).toBe('by-alias')
    },
  )
  test('the name itself wins over its alias, unless it is empty', () => {
    expect(reader({ KEYCLOAK_URL: 'a', KEYCLOAK_ADMIN_URL: 'b' }).optional('KEYCLOAK_URL')).toBe('a')
    expect(reader({ KEYCLOAK_URL: '', KEYCLOAK_ADMIN_URL: 'b' }).optional('KEYCLOAK_URL')).toBe('b')
  })
  test('a secret setting does not print', () => {
    expect(inspect(reader({ KEYCLOAK_ADMIN_PASSWORD: 'planted-4711' }).secret('KEYCLOAK_ADMIN_PASSWORD'))).toBe('[secret]')
  })
})

describe('URLs', () => {
  test.for([
    ['http://127.0.0.1:8080/', 'http://127.0.0.1:8080'],
    ['https://idp.example.com/auth//', 'https://idp.example.com/auth'],
    ['https://idp.example.com', 'https://idp.example.com'],
  ] as const)('%s is read as %s', ([given, expected]) => {
    const settings = reader({ REGISTRY_URL: given })
    expect(settings.url('REGISTRY_URL')).toBe(expected)
    expect(() => settings.check('the registry')).not.toThrow()
  })
  test.for(['registry', 'ftp://127.0.0.1/', '/relative', 'http://', 'javascript:alert(1)', 'https://user:planted@idp.example.com'])(
    '%s is refused with the name of the setting, and not repeated',
    (given) => {
      const settings = reader({ REGISTRY_URL: given })
      settings.url('REGISTRY_URL')
      const error = problemOf(() => settings.check('the registry'))
      expect(error).toMatchObject({ code: 'invalid_input', details: { problems: [{ path: 'REGISTRY_URL' }] } })
      expect(error.message).not.toContain('planted')
    },
  )
})
