/** First logins with a temporary password, and people who are switched off or removed, through the pages that a person sees. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { asksPassword, filled, formsOf } from '../../live/rig/form.js'
import {
  admin,
  authorizationUrl,
  browser,
  logIn,
  newPerson,
  providerInTemporaryFolder,
  registerClient,
  type TestProvider,
  tokenRequest,
  tokensFor,
  verified,
} from './provider.js'

let provider: TestProvider
let client_id: string

beforeAll(async () => {
  provider = await providerInTemporaryFolder()
  client_id = String((await registerClient(provider))['client_id'])
})
afterAll(() => provider.stop())

type Tab = ReturnType<typeof browser>
type Page = Awaited<ReturnType<Tab['follow']>>
const CHOSEN = 'chosen by its owner, 42'

/** Fills the page's form as a person would and presses its button; `over` replaces what the form would send. */
function submit(tab: Tab, page: Page, login: { username: string; password: string }, over: Record<string, string> = {}): Promise<Page> {
  const form = formsOf(page.html).find(asksPassword)
  if (!form) throw new Error(`no form: ${page.html.slice(0, 200)}`)
  return tab.follow(new URL(form.action, page.url), { ...Object.fromEntries(filled(form, login)), ...over })
}

/** A tab that stands at the page for a new password. */
async function atNewPassword(username: string, password: string, tab = browser()): Promise<{ tab: Tab; page: Page }> {
  const page = await submit(tab, await tab.follow(authorizationUrl(provider, client_id)), { username, password })
  expect(page).toMatchObject({ status: 200, next: undefined })
  expect(page.html).toContain('Choose a new password')
  return { tab, page }
}

const codeOf = ({ next }: Page) => next?.searchParams.get('code') ?? undefined

describe('a temporary password', () => {
  test('leads to a page for a new one, then to the client; later logins take the new one alone', async () => {
    const groups = ['demo-readers']
    const temporary = await newPerson(provider, 'first', { given_name: 'First', family_name: 'Person', email: 'f@demo.example', groups })
    const { tab, page } = await atNewPassword('first', temporary)
    const done = await submit(tab, page, { username: 'first', password: CHOSEN })
    expect(codeOf(done)).toMatch(/^.{43}$/)
    expect(await logIn(provider, { client_id, username: 'first', password: temporary })).toMatchObject({
      status: 200,
      page: expect.any(String),
    })
    const { access_token } = await tokensFor(provider, { client_id, username: 'first', password: CHOSEN })
    expect((await verified(provider, access_token)).claims).toMatchObject({ sub: 'first', groups: ['demo-readers'] })
  })

  test('gives no code by itself: the form driver of other tests ends on the page', async () => {
    const password = await newPerson(provider, 'stuck')
    const result = await logIn(provider, { client_id, username: 'stuck', password })
    expect(result).toMatchObject({ status: 200, page: expect.stringContaining('Choose a new password') })
  })

  test('asks for two fields with labels, and shows neither password', async () => {
    const password = await newPerson(provider, 'reader')
    const { page } = await atNewPassword('reader', password)
    const inputs = [...page.html.matchAll(/<input id="([a-z]+)"[^>]*type="password"/g)].map(([, id]) => id)
    expect(inputs).toEqual(['new', 'again'])
    for (const id of inputs) expect(page.html).toContain(`<label for="${id}">`)
    expect(page.html).not.toContain(password)
    expect(page.headers.get('content-security-policy')).toContain("form-action 'self' http://127.0.0.1:50123;")
    expect(page.headers.get('cache-control')).toBe('no-store')
  })

  test('is not replaced by a short one, two different ones, the old one or one too long; the right one then is taken', async () => {
    const username = 'careless'
    const temporary = await newPerson(provider, username)
    let { tab, page } = await atNewPassword(username, temporary)
    for (const [password, over, problem] of [
      ['eleven char', {}, 'It needs 12 to 1024 characters.'],
      ['😀😀😀😀😀😀', {}, 'It needs 12 to 1024 characters.'],
      ['x'.repeat(1025), {}, 'It needs 12 to 1024 characters.'],
      [CHOSEN, { new_password_again: `${CHOSEN} ` }, 'The two are not the same.'],
      [CHOSEN, { new_password_again: '' }, 'The two are not the same.'],
      [temporary, {}, 'It is the old one.'],
    ] as const) {
      page = await submit(tab, page, { username, password }, over)
      expect([page.status, page.next]).toEqual([200, undefined])
      expect(page.html).toContain(problem)
      expect(page.html).not.toContain(password)
    }
    expect(codeOf(await submit(tab, page, { username, password: CHOSEN }))).toBeTruthy()
  })

  test('is not changed without the proof, with that of another login, person or password, or a second time', async () => {
    const [mine, theirs] = [await newPerson(provider, 'mine'), await newPerson(provider, 'theirs')]
    const at = await atNewPassword('mine', mine)
    const other = await atNewPassword('mine', mine)
    const proofOf = ({ html }: Page) => /name="proof" value="([^"]+)"/.exec(html)?.[1] ?? ''
    expect(proofOf(at.page)).toMatch(/^[\w-]{43}$/)
    for (const over of [
      { proof: '' },
      { proof: 'x'.repeat(43) },
      { proof: proofOf(other.page) },
      { username: 'theirs' },
      { username: 'ada' },
    ]) {
      const refused = await submit(at.tab, at.page, { username: 'mine', password: CHOSEN }, over)
      expect([over, refused.status, refused.next]).toEqual([over, 200, undefined])
      expect(refused.html).toContain('Log in with your current password.')
    }
    expect((await submit(at.tab, at.page, { username: 'mine', password: CHOSEN }, { csrf: 'x'.repeat(43) })).status).toBe(403)
    for (const [username, password] of [
      ['mine', mine],
      ['theirs', theirs],
    ] as const)
      await atNewPassword(username, password)

    // The same name and a new temporary password: what was shown of the old one is worth nothing.
    await admin(provider, 'DELETE', '/users/mine')
    const again = await newPerson(provider, 'mine')
    expect(codeOf(await submit(at.tab, at.page, { username: 'mine', password: CHOSEN }))).toBeUndefined()
    const fresh = await atNewPassword('mine', again)
    const late = await atNewPassword('mine', again)
    expect(codeOf(await submit(fresh.tab, fresh.page, { username: 'mine', password: CHOSEN }))).toBeTruthy()
    expect(codeOf(await submit(late.tab, late.page, { username: 'mine', password: `${CHOSEN} by a thief` }))).toBeUndefined()
    expect(await logIn(provider, { client_id, username: 'mine', password: CHOSEN })).toHaveProperty('code')
  })

  test('changed by two at once is changed by one', async () => {
    const temporary = await newPerson(provider, 'raced')
    const tabs = [await atNewPassword('raced', temporary), await atNewPassword('raced', temporary)]
    const choices = [`${CHOSEN} one`, `${CHOSEN} two`]
    const done = await Promise.all(
      tabs.map(({ tab, page }, index) => submit(tab, page, { username: 'raced', password: choices[index] ?? '' })),
    )
    const winners = done.flatMap((page, index) => (codeOf(page) === undefined ? [] : [choices[index] ?? '']))
    expect(winners.length).toBe(1)
    for (const password of choices) {
      const result = await logIn(provider, { client_id, username: 'raced', password })
      expect('code' in result).toBe(winners.includes(password))
    }
  })

  test('can be left: cancelling tells the client access_denied and changes nothing', async () => {
    const temporary = await newPerson(provider, 'hesitant')
    const { tab, page } = await atNewPassword('hesitant', temporary)
    const done = await submit(tab, page, { username: 'hesitant', password: CHOSEN }, { action: 'cancel' })
    expect(done.next?.searchParams.get('error')).toBe('access_denied')
    await atNewPassword('hesitant', temporary)
  })
})

describe('a disabled person', () => {
  const enable = (username: string, enabled: boolean) => admin(provider, 'PATCH', `/users/${username}`, { body: { enabled } })
  const refreshed = (refresh_token = '') => tokenRequest(provider, { grant_type: 'refresh_token', refresh_token, client_id })
  const gone = { status: 400, body: { error: 'invalid_grant' } }

  test('cannot log in, refresh or use a code, and can again once enabled', async () => {
    const { refresh_token } = await tokensFor(provider, { client_id })
    const pending = await logIn(provider, { client_id })
    if (!('code' in pending)) throw new Error('no code')
    expect((await refreshed(refresh_token)).status).toBe(200)
    expect((await enable('ada', false)).status).toBe(200)
    const { code, verifier = '' } = pending
    const redirect_uri = 'http://127.0.0.1:50123/callback'
    const form = { grant_type: 'authorization_code', code, redirect_uri, client_id, code_verifier: verifier }
    expect(await tokenRequest(provider, form)).toMatchObject(gone)
    expect(await refreshed(refresh_token)).toMatchObject(gone)
    const refused = await logIn(provider, { client_id })
    expect(refused).toMatchObject({ page: expect.stringContaining('User name or password is wrong.') })
    await enable('ada', true)
    expect(await logIn(provider, { client_id })).toHaveProperty('code')
    expect((await refreshed(refresh_token)).status).toBe(200)
  })

  test('is asked to log in where they could continue, and the form of an earlier page leads there too', async () => {
    const tab = browser()
    const login = { username: 'grace', password: await provider.password('grace') }
    expect(codeOf(await submit(tab, await tab.follow(authorizationUrl(provider, client_id)), login))).toBeTruthy()
    const before = await tab.follow(authorizationUrl(provider, client_id))
    expect(before.html).toContain('Continue as grace')
    await enable('grace', false)
    const csrf = /name="csrf" value="([^"]+)"/.exec(before.html)?.[1] ?? ''
    for (const page of [
      await tab.follow(before.url, { csrf, action: 'continue' }),
      await tab.follow(authorizationUrl(provider, client_id)),
    ]) {
      expect([page.status, page.next]).toEqual([200, undefined])
      expect(page.html).toContain('<label for="password">')
      expect(page.html).not.toContain('Continue as')
    }
    await enable('grace', true)
    expect((await tab.follow(authorizationUrl(provider, client_id))).html).toContain('Continue as grace')
  })

  test('cannot change a temporary password either', async () => {
    const temporary = await newPerson(provider, 'paused')
    const { tab, page } = await atNewPassword('paused', temporary)
    await enable('paused', false)
    expect(codeOf(await submit(tab, page, { username: 'paused', password: CHOSEN }))).toBeUndefined()
    await enable('paused', true)
    await atNewPassword('paused', temporary)
  })

  test('who is removed leaves nothing to the next one of that name', async () => {
    const first = await newPerson(provider, 'reused')
    const { tab, page } = await atNewPassword('reused', first)
    expect(codeOf(await submit(tab, page, { username: 'reused', password: CHOSEN }))).toBeTruthy()
    const { refresh_token } = await tokensFor(provider, { client_id, username: 'reused', password: CHOSEN })
    await admin(provider, 'DELETE', '/users/reused')
    await newPerson(provider, 'reused')
    expect(await refreshed(refresh_token)).toMatchObject(gone)
    const later = await tab.follow(authorizationUrl(provider, client_id))
    expect(later.html).toContain('<label for="password">')
    expect(later.html).not.toContain('Continue as')
  })
})

test('tokens carry the last part of a nested group’s path, once', async () => {
  for (const name of ['eng', 'eng/platform', 'ops', 'ops/platform']) await admin(provider, 'POST', '/groups', { body: { name } })
  await admin(provider, 'PATCH', '/users/grace', { body: { groups: ['eng/platform', 'ops', 'ops/platform', 'registry-admins'] } })
  const { access_token } = await tokensFor(provider, { client_id, username: 'grace', scope: 'openid groups' })
  expect((await verified(provider, access_token)).claims['groups']).toEqual(['ops', 'platform', 'registry-admins'])
})
