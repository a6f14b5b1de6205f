import { chmod, mkdtemp, readdir, rm, stat, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import Libsql from 'libsql'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openDatabase } from '../../registry/server/store/database.js'
import { SEED_SCOPES } from '../../registry/server/store/scopes.js'
import { openStore, type Store } from '../../registry/server/store/store.js'
import { ADMIN, PRIMARY } from './fixture.js'

let parent: string
let folder: string
let store: Store | undefined
const actor = { issuer: PRIMARY, subject: 's', name: 'ada' }
const options = { allow_privileged: false }
const client = (client_id: string) => ({ client_id, name: client_id, description: null, groups: ['demo-readers'], issuer: PRIMARY })

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'store-'))
  folder = join(parent, 'registry')
})
afterEach(async () => {
  await store?.close()
  store = undefined
  await rm(parent, { recursive: true, force: true })
})

test('everything is there after a restart: records, servers, audit chain', async () => {
  store = await openStore({ folder, seed: { m2m_client: ADMIN } })
  const created = await store.m2mClients.create(actor, client('worker'), options)
  const demo = { path: '/demo', server_name: 'Demo', description: '', proxy_pass_url: null, mcp_endpoint: null }
  const server = await store.servers.save(
    actor,
    { ...demo, oauth_client_id: 'ide', append_mcp_path: false, tags: ['x'] },
    true,
    () => undefined,
  )
  const audit = await store.audit()
  await store.close()

  store = await openStore({ folder, seed: { m2m_client: ADMIN } })
  expect(await store.m2mClients.get('worker')).toEqual(created)
  expect(await store.servers.get('/demo')).toEqual(server)
  expect(await store.audit()).toEqual(audit)
  expect(await store.firstBrokenAudit()).toBeUndefined()
})

test('seeding again changes nothing, also where an administrator changed the seed', async () => {
  store = await openStore({ folder, seed: { m2m_client: ADMIN } })
  const off = await store.m2mClients.update(actor, 'gateway', { enabled: false, groups: [] }, options)
  await store.close()
  store = await openStore({ folder, seed: { m2m_client: { ...ADMIN, groups: ['registry-admins'] } } })
  expect(await store.m2mClients.get('gateway')).toEqual(off)
  expect((await store.scopes()).map(({ name }) => name).sort()).toEqual(SEED_SCOPES.map(({ name }) => name).sort())
  expect((await store.audit()).length).toBe(2)
})

test('the database is for its owner alone, side files included, whatever the umask', async () => {
  const umask = process.umask(0)
  try {
    store = await openStore({ folder, seed: { m2m_client: ADMIN } })
    expect(((await stat(folder)).mode & 0o777).toString(8)).toBe('700')
    const files = await readdir(folder)
    expect(files).toContain('registry.db-wal')
    for (const file of files) expect([file, ((await stat(join(folder, file))).mode & 0o777).toString(8)]).toEqual([file, '600'])
  } finally {
    process.umask(umask)
  }
})

test('a folder that others may enter, and a link in the place of the database, are refused', async () => {
  await (await openStore({ folder })).close()
  await chmod(folder, 0o755)
  await expect(openStore({ folder })).rejects.toMatchObject({ code: 'invalid_input', hint: `chmod 700 ${folder}` })
  await chmod(folder, 0o700)
  for (const file of await readdir(folder)) await rm(join(folder, file))
  await symlink(join(parent, 'elsewhere'), join(folder, 'registry.db'))
  await expect(openStore({ folder })).rejects.toMatchObject({ code: 'unavailable' })
})

test('commits are durable: write-ahead log and full synchronisation, and a writer waits for another', async () => {
  const db = await openDatabase(folder)
  const pragma = async (name: string) => Object.values((await sql.raw<object>(`pragma ${name}`).execute(db)).rows[0] ?? {})[0]
  expect([await pragma('journal_mode'), await pragma('synchronous'), await pragma('busy_timeout')]).toEqual(['wal', 2, 2000])
  await db.destroy()
})

test('a change and its audit row are one: when the row cannot be written the change is not made', async () => {
  store = await openStore({ folder })
  const raw = new Libsql(join(folder, 'registry.db'))
  raw.exec("create trigger no_audit before insert on audit begin select raise(abort, 'full'); end")
  await expect(store.m2mClients.create(actor, client('worker'), options)).rejects.toMatchObject({ code: 'unavailable' })
  expect(await store.m2mClients.get('worker')).toBeUndefined()
  raw.exec('drop trigger no_audit')
  raw.close()
  await expect(store.m2mClients.create(actor, client('worker'), options)).resolves.toMatchObject({ client_id: 'worker' })
})

test('audit rows carry who, what, before and after', async () => {
  store = await openStore({ folder })
  await store.m2mClients.create(actor, client('worker'), options)
  await store.m2mClients.update(actor, 'worker', { groups: [] }, options)
  await store.m2mClients.remove(actor, 'worker')
  const rows = await store.audit()
  expect(rows.map(({ action, resource }) => `${action} ${resource}`)).toEqual(
    ['create', 'update', 'delete'].map((action) => `${action} m2m_client:worker`),
  )
  expect(rows[1]).toMatchObject({ actor, before: { groups: ['demo-readers'] }, after: { groups: [] } })
  expect(rows[2]).toMatchObject({ before: { client_id: 'worker' }, after: null })
})

test('audit rows are neither edited nor deleted, and an edit past the guard is found', async () => {
  store = await openStore({ folder })
  for (const id of ['a', 'b', 'c']) await store.m2mClients.create(actor, client(id), options)
  const raw = new Libsql(join(folder, 'registry.db'))
  expect(() => raw.exec('delete from audit')).toThrow(/append-only/)
  expect(() => raw.exec("update audit set actor = 'x'")).toThrow(/append-only/)
  raw.exec('drop trigger audit_is_not_edited')
  raw.exec(`update audit set after = replace(after, 'demo-readers', 'other') where seq = 2`)
  raw.close()
  expect(await store.firstBrokenAudit()).toBe(2)
})

test('a database locked by another process is unavailable, without its texts', async () => {
  store = await openStore({ folder })
  const raw = new Libsql(join(folder, 'registry.db'))
  raw.exec('begin immediate')
  const error = await store.m2mClients.create(actor, client('worker'), options).catch((caught: unknown) => caught)
  expect(error).toMatchObject({ code: 'unavailable', details: { system: 'registry database', reason: 'SQLITE_BUSY' } })
  raw.exec('rollback')
  raw.close()
  await expect(store.m2mClients.create(actor, client('worker'), options)).resolves.toBeDefined()
})
