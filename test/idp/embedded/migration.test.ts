/** A provider.db of the first schema, opened by what we ship now. */
import { once } from 'node:events'
import { mkdir, stat, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import Libsql from 'libsql'
import { expect, test } from 'vitest'
import { hashPassword } from '../../../idp/embedded/passwords.js'
import { startEmbeddedProvider } from '../../../idp/embedded/server.js'
import { openStore } from '../../../idp/embedded/store.js'
import { temporaryFolder } from '../../fakes/folder.js'
import { admin, logIn, registerClient, SEED, type TestProvider } from './provider.js'

/** Word for word what the first version wrote. */
const FIRST_SCHEMA = `
create table if not exists objects (key text primary key, payload text not null, grant_id text, uid text, expires_at integer) strict;
create index if not exists objects_by_grant on objects (grant_id) where grant_id is not null;
create index if not exists objects_by_uid on objects (uid) where uid is not null;
create index if not exists objects_by_expiry on objects (expires_at) where expires_at is not null;
create table if not exists groups (name text primary key, owner text) strict;
create table if not exists people (username text primary key, name text not null, email text not null, salt text not null, hash text not null) strict;
create table if not exists memberships (username text not null references people on delete cascade,
  group_name text not null references groups on delete cascade, primary key (username, group_name)) strict;
`

/** A folder as the first version left it: ada with a password, two groups, a group of a profile. */
async function oldFolder(): Promise<string> {
  const folder = join(temporaryFolder(), 'provider')
  await mkdir(folder, { mode: 0o700 })
  await writeFile(join(folder, 'provider.db'), '', { mode: 0o600 })
  await writeFile(join(folder, 'demo-people.json'), JSON.stringify({ ada: 'the-password-of-the-first-version' }), { mode: 0o600 })
  const { salt, hash } = await hashPassword('the-password-of-the-first-version')
  const old = new Libsql(join(folder, 'provider.db'))
  old.exec('pragma journal_mode = wal')
  old.exec(FIRST_SCHEMA)
  for (const [name, owner] of [
    ['demo-readers', null],
    ['registry-admins', null],
    ['ours', 'default'],
  ])
    old.prepare('insert into groups values (?, ?)').run(name, owner)
  old.prepare('insert into people values (?, ?, ?, ?, ?)').run('ada', 'Ada Demo', 'ada@demo.example', salt, hash)
  old.prepare('insert into memberships values (?, ?)').run('ada', 'demo-readers')
  old.close()
  return folder
}

test('keeps groups, people, memberships and passwords, and holds what is new beside them', async () => {
  const folder = await oldFolder()
  const running = await startEmbeddedProvider({ folder, port: 0, seed: { ...SEED, people: SEED.people.slice(0, 1) } })
  const password = async () => 'the-password-of-the-first-version'
  const provider: TestProvider = { running, folder, log: [], password, restart: () => Promise.reject(), stop: () => running.close() }
  try {
    expect((await admin(provider, 'GET', '/groups')).json).toEqual({
      groups: [{ name: 'demo-readers' }, { name: 'ours', mcp_gateway_idp: 'default' }, { name: 'registry-admins' }],
    })
    const ada = { username: 'ada', email: 'ada@demo.example', enabled: true, groups: ['demo-readers'] }
    expect((await admin(provider, 'GET', '/users')).json).toEqual({ users: [ada] })
    const client_id = String((await registerClient(provider))['client_id'])
    expect(await logIn(provider, { client_id })).toHaveProperty('code')
    expect((await admin(provider, 'POST', '/groups', { body: { name: 'ours/inner', description: 'new' } })).status).toBe(201)
    const body = { given_name: 'Ada', enabled: false, groups: ['ours/inner'] }
    expect((await admin(provider, 'PATCH', '/users/ada', { body })).json).toEqual({ ...ada, ...body })
  } finally {
    await provider.stop()
  }
})

test('has the columns of a new file, however often and by however many it is opened', async () => {
  const columnsIn = (folder: string) => {
    const file = new Libsql(join(folder, 'provider.db'))
    const found = ['objects', 'groups', 'people', 'memberships'].map((table) => file.prepare(`pragma table_info(${table})`).all())
    file.close()
    return found
  }
  const [old, fresh] = [await oldFolder(), join(temporaryFolder(), 'provider')]
  await (await openStore(fresh)).destroy()
  for (const store of await Promise.all([openStore(old), openStore(old)])) await store.destroy()
  await (await openStore(old)).destroy()
  expect(columnsIn(old)).toEqual(columnsIn(fresh))
  expect(columnsIn(fresh).flat().length).toBe(20)
  expect((await stat(join(old, 'provider.db'))).mode & 0o777).toBe(0o600)
})

test('waits for another start that is at the same work', async () => {
  const folder = await oldFolder()
  // Another thread: SQLite blocks this one while it waits.
  const other = new Worker(
    `const { workerData, parentPort } = require('node:worker_threads')
     const file = new (require(workerData.libsql))(workerData.path)
     file.exec('begin immediate')
     file.exec('alter table people add column owner text')
     parentPort.postMessage('begun')
     setTimeout(() => { file.exec('commit'); file.close() }, 500)`,
    { eval: true, workerData: { libsql: createRequire(import.meta.url).resolve('libsql'), path: join(folder, 'provider.db') } },
  )
  const ended = once(other, 'exit')
  await once(other, 'message')
  const store = await openStore(folder)
  expect(await store.selectFrom('people').select(['username', 'owner', 'enabled']).execute()).toEqual([
    { username: 'ada', owner: null, enabled: 1 },
  ])
  await store.destroy()
  expect(await ended).toEqual([0])
})
