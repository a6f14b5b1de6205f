/** Identities listed and their tokens judged from files alone: no secret is opened, no server is asked. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { CredentialsContext } from '../../credentials-provider/operations.js'
import { listIdentities, tokenStatus } from '../../credentials-provider/status.js'
import { temporaryFolder } from '../fakes/folder.js'

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
const now = () => Math.floor(Date.now() / 1000)
const good = (client: string) => ({ aud: 'mcp-gateway', sub: client, client_id: client, groups: ['data'], iat: now() - 60 })
const jwt = (claims: object) => `${part({ alg: 'RS256', typ: 'at+jwt' })}.${part(claims)}.c2lnbmF0dXJl`
const NAMES = ['fresh', 'due', 'expired', 'none', 'other', 'linked'] as const

/** A home with an identity in each state; whatever asks a server or opens a secret fails. */
function home(): { folder: string; context: CredentialsContext } {
  const folder = temporaryFolder()
  const tokens = join(folder, '.oauth-tokens')
  mkdirSync(tokens, { mode: 0o700 })
  const identity = (name: string) => ({
    ...{ identity_name: name, auth_provider: 'oidc', client_id: `client-${name}`, issuer: 'https://idp.example.com', scope: 'mcp' },
    client_secret: name === 'none' ? 'env:NOT_SET_ANYWHERE' : `secret-of-${name}`,
  })
  writeFileSync(join(folder, 'identities.json'), JSON.stringify(NAMES.map(identity), null, 1), { mode: 0o600 })
  const save = (name: string, expires_at: number, client_id = `client-${name}`) =>
    writeFileSync(
      join(tokens, `${name}.json`),
      JSON.stringify({ access_token: jwt(good(client_id)), expires_in: 3600, expires_at, client_id, generated_at: now() - 60 }),
      { mode: 0o600 },
    )
  save('fresh', now() + 3000)
  save('due', now() + 300)
  save('expired', now() - 7200)
  save('other', now() + 3000, 'client-before')
  symlinkSync(join(tokens, 'fresh.json'), join(tokens, 'linked.json'))
  const refuse = () => {
    throw new Error('a server was asked')
  }
  const context = { home: folder, profile: 'default', settings: () => undefined, env: refuse, doorTo: refuse, tryLock: refuse }
  return { folder, context: context as unknown as CredentialsContext }
}

describe('the list', () => {
  test('names each identity, what it asks for, its token file and its place, and no secret', async () => {
    const { folder, context } = home()
    const listed = await listIdentities.run({}, context)
    expect(listed).toMatchObject({ total: 6 })
    expect((listed['identities'] as unknown[])[1]).toEqual({
      ...{ identity_name: 'due', auth_provider: 'oidc', issuer: 'https://idp.example.com', client_id: 'client-due', scope: 'mcp' },
      ...{ token_file: join(folder, '.oauth-tokens/due.json'), place: expect.stringMatching(/\/identities\.json:\d+:\d+$/) },
    })
    expect(JSON.stringify(listed)).not.toMatch(/secret-of|NOT_SET/)
  })
})

describe('the standing', () => {
  test('of each token is told with its minutes and its findings', async () => {
    const { folder, context } = home()
    const { counts, identities } = (await tokenStatus.run({}, context)) as { counts: object; identities: Record<string, unknown>[] }
    expect(counts).toEqual({ fresh: 1, due: 2, expired: 1, none: 2 })
    const one = (name: string) => identities.find(({ identity_name }) => identity_name === name)
    expect(one('fresh')).toMatchObject({
      state: 'fresh',
      minutes_left: 49,
      findings: [],
      token_file: join(folder, '.oauth-tokens/fresh.json'),
    })
    expect(one('due')).toMatchObject({ state: 'due', findings: [expect.stringMatching(/^expires in 4 min: run/)] })
    expect(one('expired')).toMatchObject({ state: 'expired', minutes_left: 0, findings: [expect.stringMatching(/^expired 2 h ago: run/)] })
    expect(one('none')).toEqual({
      ...{ identity_name: 'none', state: 'none', expires_at: null, minutes_left: null },
      ...{ token_file: join(folder, '.oauth-tokens/none.json'), findings: [] },
    })
    expect(one('other')).toMatchObject({
      state: 'due',
      findings: ['the identity asks for another token now: run mcp-idp credentials generate'],
    })
  })
  test('of a file that is none spoils its own row only', async () => {
    const { context } = home()
    const { identities } = (await tokenStatus.run({}, context)) as {
      identities: { identity_name: string; state: string; findings: string[] }[]
    }
    const linked = identities.find(({ identity_name }) => identity_name === 'linked')
    expect(linked).toMatchObject({ state: 'none', findings: [expect.stringContaining('a symbolic link')] })
  })
  test('never shows a token', async () => {
    const { context } = home()
    expect(JSON.stringify(await tokenStatus.run({}, context))).not.toMatch(/eyJ|c2lnbmF0dXJl|secret-of/)
  })
})
