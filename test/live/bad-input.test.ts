/**
 * What goes wrong in front of a real Keycloak: wrong credentials, missing rights, answers that are none, and a person who
 * presses Ctrl-C. Each ends in time, with its code and exit status, with nothing written that was not agreed to and
 * nothing lost that was.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startFront } from './front.js'
import {
  administrator,
  askToken,
  claimsOf,
  cli,
  clientOf,
  makeFolder,
  type Ran,
  type Running,
  start,
  startCli,
  type Variables,
} from './product.js'
import { keycloak, makeRealm, type Realm } from './rig/keycloak.js'

const IDE = ['setup', 'ide-client', '--idp', 'keycloak']
const machine = (name: string) => ['setup', 'm2m-app', '--idp', 'keycloak', '--name', name, '--groups', 'data-readers']
/** The door gives up after 3 s where it is told to; the rest is starting and ending. */
const DEADLINE_MS = 60_000
/** An answer of 100 MB is left long before its end. */
const MOST_READ = 20_000_000

let realm: Realm
let home: Awaited<ReturnType<typeof makeFolder>>
beforeAll(async () => {
  home = await makeFolder()
  realm = await makeRealm({ groups: ['data-readers'] })
})
afterAll(async () => {
  await realm?.remove()
  await home?.remove()
})

/** Runs it with `--plan` and with `--yes`: both must end so, without a plan and without a write. */
async function refused(
  words: readonly string[],
  variables: Variables,
  wanted: { exit: number; code: string; says?: string },
): Promise<void> {
  const before = await realm.writes()
  for (const flag of ['--plan', '--yes']) {
    const { exit, stdout, stderr } = await cli([...words, flag], variables)
    expect({ flag, exit, stdout }).toEqual({ flag, exit: wanted.exit, stdout: '' })
    expect(stderr).toContain(`error (${wanted.code})`)
    expect(stderr).toContain(wanted.says ?? '')
    expect(stderr).not.toMatch(/^[+~-] /m)
  }
  expect(await realm.writes()).toBe(before)
}

describe('a credential or a realm that is wrong', () => {
  test('a wrong password is unauthenticated, and is not repeated', async () => {
    const variables = { ...administrator(realm, home.path), KEYCLOAK_ADMIN_PASSWORD: 'not-the-password' }
    await refused(IDE, variables, { exit: 4, code: 'unauthenticated', says: 'administrator admin' })
    const { stdout, stderr } = await cli([...IDE, '--yes', '--json'], variables)
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'unauthenticated', details: { vendor_code: 'invalid_grant' } } })
    expect(stdout + stderr).not.toContain('not-the-password')
  })

  test('a missing realm is not found', async () => {
    await refused(IDE, administrator({ realm: 'no-such-realm' }, home.path), { exit: 3, code: 'not_found', says: 'realm no-such-realm' })
  })

  test('a wrong secret of a service account is unauthenticated', async () => {
    const account = await serviceAccount(['manage-clients'])
    await refused(IDE, { ...account, KEYCLOAK_ADMIN_CLIENT_SECRET: 'not-the-secret' }, { exit: 4, code: 'unauthenticated' })
  })
})

describe('a service account with too few roles', () => {
  test('that may only query clients is told what it needs, not that the realm is empty', async () => {
    await refused(IDE, await serviceAccount(['query-clients']), {
      exit: 4,
      code: 'forbidden',
      says: 'no client at all (needs manage-clients)',
    })
  })

  test('that may only query groups is told what it needs for machines', async () => {
    const account = await serviceAccount(['manage-clients', 'query-groups'])
    await refused(machine('reader'), account, { exit: 4, code: 'forbidden', says: 'needs manage-users' })
  })

  test('that may only look is refused before the question when there is something to write', async () => {
    const account = await serviceAccount(['view-clients', 'view-users'])
    await refused(IDE, account, { exit: 4, code: 'forbidden', says: 'manage-clients' })
    await refused(machine('looker'), account, { exit: 4, code: 'forbidden', says: 'manage-' })
  })

  test('that may only look is enough where all is as it should be', async () => {
    const words = [...IDE, '--client-id', 'already-there']
    expect(await cli([...words, '--yes'], administrator(realm, home.path))).toMatchObject({ exit: 0 })
    const account = await serviceAccount(['view-clients'])
    expect(await cli([...words, '--plan'], account)).toMatchObject({ exit: 0, stdout: expect.stringContaining('0 changes') })
  })

  test('whose own client has no full scope hears of that', async () => {
    await refused(IDE, await serviceAccount(['manage-clients'], false), { exit: 4, code: 'forbidden', says: 'full scope' })
  })

  test('with the roles that the capability table names can do everything', async () => {
    const account = await serviceAccount(['manage-clients', 'manage-users', 'view-realm'])
    expect(await cli([...IDE, '--client-id', 'least-privilege', '--yes'], account)).toMatchObject({ exit: 0 })
    expect(await cli([...machine('least-privilege-agent'), '--yes'], account)).toMatchObject({ exit: 0 })
  })
})

describe.concurrent('a server in front that answers something else', () => {
  const ANSWERS = [
    { what: 'a page with status 200', code: 'unexpected_response', says: 'text/html' },
    { what: 'nothing, forever', code: 'unavailable', says: 'within 3 s' },
    { what: '100 MB', code: 'unexpected_response', says: '1000000 bytes' },
  ] as const
  const PLACES = [
    { where: 'from the start', path: '/realms/' },
    { where: 'after the login', path: '/admin/' },
  ] as const
  const CASES = ANSWERS.flatMap((answer) => PLACES.map((place) => ({ ...answer, ...place })))

  test.each(CASES)('$what, $where, ends as $code in time', async ({ what, path, code, says }) => {
    const apart = await makeRealm({})
    const front = await startFront(keycloak().url, (asked, answer, passOn) => {
      if (!asked.path.startsWith(path)) return passOn(true)
      if (what === 'a page with status 200') answer.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Sign in</h1>')
      if (what === '100 MB') front.pour(answer.writeHead(200, { 'content-type': 'application/json' }), 100_000_000)
    })
    try {
      const variables = { ...administrator(apart, home.path, front.url), ...(code === 'unavailable' ? { MCP_IDP_TIMEOUT: '3' } : {}) }
      const ran = await cli([...IDE, '--yes'], variables)
      expect(ran).toMatchObject({ exit: 5, stdout: '', stderr: expect.stringContaining(`error (${code})`) })
      expect(ran.stderr).toContain(says)
      expect(ran.ms).toBeLessThan(DEADLINE_MS)
      if (what === '100 MB') expect(front.poured).toBeGreaterThan(1_000_000)
      expect(front.poured).toBeLessThan(MOST_READ)
      expect(await apart.writes()).toBe(0)
    } finally {
      await front.close()
      await apart.remove()
    }
  })
})

describe('an answer that is lost', () => {
  test('does not lose the client or its secret: the tool looks again', async () => {
    const front = await startFront(keycloak().url, ({ method, path }, answer, passOn) => {
      if (!isCreate(method, path)) return passOn(true)
      answer.once('swallowed', () => answer.destroy())
      passOn(false)
    })
    try {
      const ran = await cli([...machine('lost-answer'), '--yes'], administrator(realm, home.path, front.url))
      expect(ran).toMatchObject({ exit: 0, stderr: expect.stringMatching(/(?:found|updated) machine-client lost-answer/) })
      await expectWhole(['lost-answer'], ['data-readers'])
    } finally {
      await front.close()
    }
  })
})

describe('Ctrl-C', () => {
  test('while the answer to a create is awaited ends with 130 at once, and the next run finds client and secret', async () => {
    let swallowed = () => {}
    const created = new Promise<void>((resolve) => {
      swallowed = resolve
    })
    const front = await startFront(keycloak().url, ({ method, path }, answer, passOn) => {
      if (!isCreate(method, path)) return passOn(true)
      answer.once('swallowed', swallowed)
      passOn(false)
    })
    try {
      const { child, ended } = startCli([...machine('interrupted'), '--yes'], administrator(realm, home.path, front.url))
      await created
      const pressed = performance.now()
      child.kill('SIGINT')
      expect(await ended).toMatchObject({ exit: 130, stderr: expect.stringContaining('run it again') })
      expect(performance.now() - pressed).toBeLessThan(5_000)
    } finally {
      await front.close()
    }
    expect(await readdir(join(home.path, 'identities'))).toContain('agent-interrupted.json.pending')
    expect(await cli([...machine('interrupted'), '--yes'], administrator(realm, home.path))).toMatchObject({ exit: 0 })
    await expectWhole(['interrupted'], ['data-readers'])
  })

  test('in the middle of 30 machine clients, three times: the runs after it converge with nothing twice and no secret lost', async () => {
    const apart = await makeRealm({})
    const folder = await makeFolder()
    const begin = () => start(process.execPath, ['--import', 'tsx', 'test/live/thirty-machines.ts'], administrator(apart, folder.path))
    try {
      const stopped: Ran[] = []
      // After so many finished steps of each run; the first two are the groups.
      for (const steps of [1, 3, 3]) stopped.push(await interruptedAfter(begin(), steps))
      expect(stopped.map(({ exit }) => exit)).toEqual([130, 130, 130])
      const there = await clients(apart)
      expect(there.length).toBeGreaterThan(5)
      expect(there.length).toBeLessThan(30)

      expect(await begin().ended).toMatchObject({ exit: 0, stdout: expect.stringMatching(/converged: \d+ changes/) })
      const before = await apart.writes()
      expect(await begin().ended).toMatchObject({ exit: 0, stdout: 'converged: 0 changes\n' })
      expect(await apart.writes()).toBe(before)
      const names = Array.from({ length: 30 }, (_, index) => `machine-${index}`)
      expect((await clients(apart)).toSorted()).toEqual(names.toSorted())
      await expectWhole(names, ['data-readers', 'report-writers'], apart, folder.path)
      console.log(`bad-input: Ctrl-C 3 times (${there.length} of 30 clients there), then 30 of 30 with 30 secrets that mint a token`)
    } finally {
      await apart.remove()
      await folder.remove()
    }
  })
})

/** The one request that makes a client. */
function isCreate(method: string, path: string): boolean {
  return method === 'POST' && /\/clients\/?$/.test(path)
}

/** Presses Ctrl-C once that many steps are told. */
async function interruptedAfter({ child, ended }: Running, steps: number): Promise<Ran> {
  let seen = ''
  child.stdout?.on('data', (text: string) => {
    seen += text
    if (seen.split('\n').length > steps && !child.killed) child.kill('SIGINT')
  })
  return ended
}

/** Our machine clients, each as often as it is there. */
async function clients(at: Realm): Promise<string[]> {
  const { body } = await at.admin<{ clientId: string }[]>('GET', '/clients?max=1000')
  return body.map(({ clientId }) => clientId).filter((clientId) => clientId.startsWith('machine-'))
}

/** One client of each name, whose saved secret mints a token with these groups; nothing is pending. */
async function expectWhole(names: readonly string[], groups: readonly string[], at = realm, folder = home.path): Promise<void> {
  const identities = join(folder, 'identities')
  const files = await readdir(identities)
  expect(files.filter((file) => !file.endsWith('.json'))).toEqual([])
  for (const name of names) {
    await clientOf(at, name)
    const { client_secret } = JSON.parse(await readFile(join(identities, `agent-${name}.json`), 'utf8')) as { client_secret: string }
    const { status, access_token } = await askToken(at, { grant_type: 'client_credentials', client_id: name, client_secret })
    expect({ name, status }).toEqual({ name, status: 200 })
    expect((claimsOf(access_token)['groups'] as string[]).toSorted()).toEqual(groups.toSorted())
  }
}

/** Settings of a service account of the realm with these roles of realm-management. */
async function serviceAccount(roles: readonly string[], fullScopeAllowed = true): Promise<Variables> {
  const clientId = `account-${roles.join('-')}-${fullScopeAllowed}`
  const secret = 'a secret of a service account'
  const made = await realm.admin('POST', '/clients', {
    clientId,
    secret,
    serviceAccountsEnabled: true,
    publicClient: false,
    fullScopeAllowed,
  })
  if (made.status === 201) {
    const account = await realm.admin<{ id: string }>('GET', `/clients/${made.id}/service-account-user`)
    const { id } = await clientOf(realm, 'realm-management')
    const wanted = await Promise.all(roles.map((role) => realm.admin('GET', `/clients/${id}/roles/${role}`)))
    const mapped = await realm.admin(
      'POST',
      `/users/${account.body.id}/role-mappings/clients/${id}`,
      wanted.map(({ body }) => body),
    )
    expect(mapped.status).toBe(204)
  }
  return {
    MCP_IDP_HOME: home.path,
    KEYCLOAK_URL: keycloak().url,
    KEYCLOAK_REALM: realm.realm,
    KEYCLOAK_ADMIN_REALM: realm.realm,
    KEYCLOAK_ADMIN_CLIENT_ID: clientId,
    KEYCLOAK_ADMIN_CLIENT_SECRET: secret,
  }
}
