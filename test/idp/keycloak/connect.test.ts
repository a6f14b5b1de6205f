/** Connecting to a realm that may have to be made first, at a stand-in Keycloak that counts what it is asked. */
import { afterEach, describe, expect, test } from 'vitest'
import { connectRealm, type Realm } from '../../../idp/keycloak/connect.js'
import { doorTo, type TestDoor } from '../../fakes/door.js'
import { answerJson, type FakeServer, serve } from '../../fakes/server.js'

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()))
})

interface Standing {
  readonly server: FakeServer
  /** What the realm calls itself from now on; undefined while it is not there. */
  call(issuer: string | undefined): void
  asked(): number
  connect(bootstrap?: boolean, settings?: Readonly<Record<string, string>>): Promise<Realm>
}

async function standing(claims: object = {}): Promise<Standing> {
  let issuer: string | undefined
  const token = `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.`
  const server = await serve(({ path }, response) => {
    if (path.endsWith('/token')) return answerJson(response, 200, { access_token: token, token_type: 'Bearer', expires_in: 60 })
    answerJson(response, issuer === undefined ? 404 : 200, issuer === undefined ? { error: 'Realm does not exist' } : { issuer })
  })
  const door: TestDoor = doorTo([server.origin], { isRead: () => true })
  closing.push(door.close, server.close)
  return {
    server,
    call(next) {
      issuer = next
    },
    asked: () => server.requests.filter(({ path }) => path.startsWith('/realms/made/.well-known/')).length,
    connect(bootstrap, settings = {}) {
      const values: Readonly<Record<string, string | undefined>> = {
        KEYCLOAK_URL: server.origin,
        KEYCLOAK_REALM: 'made',
        KEYCLOAK_ADMIN_PASSWORD: 'the password of admin',
        ...settings,
      }
      return connectRealm({
        settings: (name) => values[name],
        profile: 'default',
        home: '',
        open: () => door,
        ...(bootstrap === undefined ? {} : { bootstrap }),
      })
    },
  }
}

describe('a realm that is missing', () => {
  test('is not found unless it may be made', async () => {
    const idp = await standing()
    for (const bootstrap of [undefined, false]) await expect(idp.connect(bootstrap)).rejects.toMatchObject({ code: 'not_found' })
  })

  test('has the issuer that its URL foretells, and is asked for until it is there, then never again', async () => {
    const idp = await standing()
    const realm = await idp.connect(true)
    const issuer = `${idp.server.origin}/realms/made`
    expect(realm.issuer).toBe(issuer)
    expect(await realm.exists()).toBe(false)
    expect(await realm.exists()).toBe(false)
    idp.call(issuer)
    expect(await realm.exists()).toBe(true)
    const asked = idp.asked()
    expect(await realm.exists()).toBe(true)
    expect([asked, idp.asked()]).toEqual([4, 4])
  })

  test('is asked for once by all who ask at the same time', async () => {
    const idp = await standing()
    const realm = await idp.connect(true)
    const before = idp.asked()
    expect(await Promise.all(Array.from({ length: 6 }, () => realm.exists()))).toEqual(Array(6).fill(false))
    expect(idp.asked()).toBe(before + 1)
  })

  test('that calls itself otherwise once it is there is refused, with both names', async () => {
    const idp = await standing()
    const realm = await idp.connect(true)
    idp.call('https://login.example.com/realms/made')
    await expect(realm.exists()).rejects.toMatchObject({
      code: 'unexpected_response',
      message: expect.stringMatching(/https:\/\/login\.example\.com\/realms\/made, not http:\/\/127\.0\.0\.1:\d+\/realms\/made/),
      hint: 'run again',
    })
  })
})

test('a realm that is there is called as it calls itself, and is not asked for again', async () => {
  const idp = await standing()
  idp.call('https://login.example.com/realms/made')
  for (const bootstrap of [true, false]) {
    const realm = await idp.connect(bootstrap)
    const before = idp.asked()
    expect([realm.issuer, await realm.exists(), idp.asked()]).toEqual(['https://login.example.com/realms/made', true, before])
  }
})

describe('roles that the token tells', () => {
  const claims = {
    realm_access: { roles: ['create-realm'] },
    resource_access: {
      'made-realm': { roles: ['view-clients'] },
      'realm-management': { roles: ['manage-clients'] },
      account: { roles: ['x'] },
    },
  }
  const account = { KEYCLOAK_ADMIN_CLIENT_ID: 'Tool', KEYCLOAK_ADMIN_CLIENT_SECRET: 'the secret of Tool' }

  test('are those of the realm itself when we log in there, and those that master keeps of it when we log in at master', async () => {
    const idp = await standing(claims)
    idp.call(`${idp.server.origin}/realms/made`)
    const atMaster = await idp.connect(false, account)
    expect([await atMaster.roles(), await atMaster.loginRoles()]).toEqual([['view-clients'], ['create-realm']])
    expect(atMaster.login).toEqual({ realm: 'master', username: 'service-account-tool' })
    const inRealm = await idp.connect(false, { ...account, KEYCLOAK_ADMIN_REALM: 'made' })
    expect(await inRealm.roles()).toEqual(['manage-clients'])
  })

  test('of another realm that we log in to are nobody’s here', async () => {
    const idp = await standing({ resource_access: { 'realm-management': { roles: ['realm-admin'] } } })
    idp.call(`${idp.server.origin}/realms/made`)
    expect(await (await idp.connect(false, { ...account, KEYCLOAK_ADMIN_REALM: 'other' })).roles()).toBeUndefined()
  })

  test.each([{}, { resource_access: 'none' }, { resource_access: { 'made-realm': { roles: 'all' } } }])(
    'are unknown where the claims are %j',
    async (odd) => {
      const idp = await standing(odd)
      idp.call(`${idp.server.origin}/realms/made`)
      const realm = await idp.connect()
      expect([await realm.roles(), await realm.loginRoles(), realm.login.username]).toEqual([undefined, undefined, 'admin'])
    },
  )
})

describe('a token that the server has forgotten, as one that was killed does', () => {
  /** A Keycloak whose `n`-th login gives token `n`, and that knows the tokens from `known` on. */
  async function forgetful(known: number) {
    let logins = 0
    const asked: string[] = []
    const server = await serve(({ path, headers }, response) => {
      if (path.endsWith('/token')) {
        logins += 1
        return answerJson(response, 200, { access_token: `e30.${'e30'}.${logins}`, token_type: 'Bearer', expires_in: 60 })
      }
      if (path.includes('/.well-known/')) return answerJson(response, 200, { issuer: `${server.origin}/realms/made` })
      const token = Number(/\.(\d+)$/.exec(String(headers['authorization']))?.[1])
      asked.push(`${token}`)
      answerJson(response, token >= known ? 200 : 401, token >= known ? [] : { error: 'HTTP 401 Unauthorized' })
    })
    const door: TestDoor = doorTo([server.origin], { isRead: () => true })
    closing.push(door.close, server.close)
    const settings: Readonly<Record<string, string>> = {
      KEYCLOAK_URL: server.origin,
      KEYCLOAK_REALM: 'made',
      KEYCLOAK_ADMIN_PASSWORD: 'x-password',
    }
    const realm = await connectRealm({ settings: (name) => settings[name], profile: 'default', home: '', open: () => door })
    return { realm, asked, logins: () => logins }
  }

  test('is replaced by a new login, and the request is sent once more; the next ones use the new token', async () => {
    const { realm, asked, logins } = await forgetful(2)
    expect(await realm.api.groups.find({ realm: 'made' })).toEqual([])
    expect(await realm.api.groups.find({ realm: 'made' })).toEqual([])
    expect([asked, logins()]).toEqual([['1', '2', '2'], 2])
  })
  test('is replaced once by all who meet the refusal together', async () => {
    const { realm, asked, logins } = await forgetful(2)
    await Promise.all(Array.from({ length: 6 }, () => realm.api.groups.find({ realm: 'made' })))
    expect([asked.filter((token) => token === '2').length, logins()]).toEqual([6, 2])
  })
  test('is replaced no more than once a request: who is refused for good hears it', async () => {
    const { realm, asked } = await forgetful(Number.POSITIVE_INFINITY)
    await expect(realm.api.groups.find({ realm: 'made' })).rejects.toMatchObject({ response: { status: 401 } })
    expect(asked).toEqual(['1', '2'])
  })
})
