/**
 * What the embedded provider remembers: one SQLite file (0600) with the protocol's own objects, groups and people.
 * Tables only; oidc-provider's adapter and the directory of people are built on them beside.
 */
import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { Kysely, SqliteDialect } from 'kysely'
import Libsql from 'libsql'
import { invalidInput } from '../../core/errors.js'
import { createPrivateFile } from '../../core/private-file.js'
import { makePrivateFolder } from '../../core/private-folder.js'

export interface Tables {
  /** Clients, sessions, grants, codes and tokens, by `Model:id`. */
  objects: {
    key: string
    payload: string
    grant_id: string | null
    uid: string | null
    /** Unix seconds; null for what never expires, which clients are. */
    expires_at: number | null
  }
  /** `name` is the path; `owner` is the profile that created the group or took it over, null for seeded ones. */
  groups: { name: string; owner: string | null; description: string | null }
  people: PersonRow
  memberships: { username: string; group_name: string }
}
export type Store = Kysely<Tables>

export interface PersonRow {
  username: string
  /** Display name of a seeded person; empty when it is made of the two below. */
  name: string
  /** Empty for none. */
  email: string
  given_name: string | null
  family_name: string | null
  /** 1 or 0. */
  enabled: number
  /** 1 while the password must be changed at the next login. */
  temporary: number
  owner: string | null
  /** Both in base64url. */
  salt: string
  hash: string
}

/** As it was first shipped. What came later is in ADDED, so that a new file and an old one end up alike. */
const SCHEMA = `
create table if not exists objects (key text primary key, payload text not null, grant_id text, uid text, expires_at integer) strict;
create index if not exists objects_by_grant on objects (grant_id) where grant_id is not null;
create index if not exists objects_by_uid on objects (uid) where uid is not null;
create index if not exists objects_by_expiry on objects (expires_at) where expires_at is not null;
create table if not exists groups (name text primary key, owner text) strict;
create table if not exists people (username text primary key, name text not null, email text not null, salt text not null, hash text not null) strict;
create table if not exists memberships (username text not null references people on delete cascade,
  group_name text not null references groups on delete cascade, primary key (username, group_name)) strict;
`

const ADDED = [
  ['groups', 'description', 'text'],
  ['people', 'given_name', 'text'],
  ['people', 'family_name', 'text'],
  ['people', 'enabled', 'integer not null default 1'],
  ['people', 'temporary', 'integer not null default 0'],
  ['people', 'owner', 'text'],
] as const

/**
 * Opens `provider.db` in a folder, both made when missing (0600 in 0700), and brings one of an earlier version up to date.
 * @throws ToolkitError invalid_input when the folder is open to others
 */
export async function openStore(folder: string): Promise<Store> {
  await makePrivateFolder(folder)
  await refuseOpenFolder(folder)
  const file = join(folder, 'provider.db')
  // SQLite gives its side files the mode of the main one, which must therefore be right before SQLite sees it.
  await createPrivateFile(file, '')
  const sqlite = new Libsql(file)
  for (const pragma of ['busy_timeout = 2000', 'journal_mode = wal', 'synchronous = full', 'foreign_keys = on'])
    sqlite.exec(`pragma ${pragma}`)
  migrate(sqlite)
  return new Kysely<Tables>({ dialect: new SqliteDialect({ database: sqlite }) })
}

/** Under the lock of the file from the first look on: two starts at once would add a column twice. */
function migrate(sqlite: Libsql.Database): void {
  sqlite.exec('begin immediate')
  try {
    sqlite.exec(SCHEMA)
    for (const [table, column, type] of ADDED) {
      const there = sqlite.prepare(`select 1 from pragma_table_info('${table}') where name = '${column}'`).get()
      if (there === undefined) sqlite.exec(`alter table ${table} add column ${column} ${type}`)
    }
    sqlite.exec('commit')
  } catch (error) {
    sqlite.exec('rollback')
    throw error
  }
}

async function refuseOpenFolder(folder: string): Promise<void> {
  const { mode } = await lstat(folder)
  if ((mode & 0o077) === 0) return
  const problem = { path: folder, expected: 'a folder that only its owner may enter', found: (mode & 0o777).toString(8) }
  throw invalidInput("the identity provider's folder", [problem], `chmod 700 ${folder}`)
}
