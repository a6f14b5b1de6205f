/**
 * The registry's SQLite file: opened private to its owner, with the schema in place. Tables only; what may be written to
 * them is said beside.
 */
import { constants } from 'node:fs'
import { lstat, open } from 'node:fs/promises'
import { join } from 'node:path'
import { Kysely, SqliteAdapter, SqliteDriver, SqliteIntrospector, SqliteQueryCompiler } from 'kysely'
import Libsql from 'libsql'
import { invalidInput, ToolkitError } from '../../../core/errors.js'
import { makePrivateFolder } from '../../../core/private-folder.js'

/** Columns that hold JSON end in nothing special; each module that reads one parses it. Booleans are 0 and 1. */
export interface Tables {
  m2m_clients: {
    client_id: string
    name: string
    description: string | null
    groups: string
    enabled: number
    provider: string
    created_at: string
    updated_at: string
    idp_app_id: string | null
    created_by: string | null
    issuer: string
  }
  servers: {
    path: string
    id: string
    server_name: string
    description: string
    proxy_pass_url: string | null
    mcp_endpoint: string | null
    oauth_client_id: string | null
    append_mcp_path: number | null
    tags: string
    registered_by: string
    owner_issuer: string
    owner_subject: string
    registered_at: string
    updated_at: string
  }
  scopes: { name: string; document: string }
  audit: {
    seq: number
    at: string
    actor: string
    action: string
    resource: string
    privileged: number
    before: string | null
    after: string | null
    previous: string
    hash: string
  }
}
export type Database = Kysely<Tables>

const SCHEMA = `
create table if not exists m2m_clients (client_id text primary key, name text not null, description text, groups text not null,
  enabled integer not null, provider text not null, created_at text not null, updated_at text not null, idp_app_id text, created_by text,
  issuer text not null) strict;
create table if not exists servers (path text primary key, id text not null unique, server_name text not null, description text not null,
  proxy_pass_url text, mcp_endpoint text, oauth_client_id text, append_mcp_path integer, tags text not null, registered_by text not null,
  owner_issuer text not null, owner_subject text not null, registered_at text not null, updated_at text not null) strict;
create table if not exists scopes (name text primary key, document text not null) strict;
create table if not exists audit (seq integer primary key, at text not null, actor text not null, action text not null,
  resource text not null, privileged integer not null, before text, after text, previous text not null, hash text not null) strict;
create trigger if not exists audit_is_not_edited before update on audit begin select raise(abort, 'the audit log is append-only'); end;
create trigger if not exists audit_is_not_cut before delete on audit begin select raise(abort, 'the audit log is append-only'); end;
`

/**
 * A writer takes the lock at once; a deferred one would fail in the middle when another process writes first.
 * Through `exec`, not a prepared statement: libsql leaves one that failed (the database was locked) in progress until it
 * is collected, and every later commit fails with "SQL statements in progress".
 */
class ImmediateDriver extends SqliteDriver {
  constructor(private readonly sqlite: Libsql.Database) {
    super({ database: sqlite })
  }
  override async beginTransaction(): Promise<void> {
    this.sqlite.exec('begin immediate')
  }
  override async commitTransaction(): Promise<void> {
    this.sqlite.exec('commit')
  }
  override async rollbackTransaction(): Promise<void> {
    this.sqlite.exec('rollback')
  }
}

/**
 * Opens `registry.db` in a folder, both made when missing (0600 in 0700).
 * @throws ToolkitError invalid_input when the folder is open to others or the file is not a plain one
 */
export async function openDatabase(folder: string): Promise<Database> {
  await makePrivateFolder(folder)
  const file = join(folder, 'registry.db')
  await makePrivate(folder, file)
  const sqlite = new Libsql(file)
  sqlite.exec('pragma busy_timeout = 2000')
  sqlite.exec('pragma journal_mode = wal')
  sqlite.exec('pragma synchronous = full')
  sqlite.exec(SCHEMA)
  return new Kysely<Tables>({
    dialect: {
      createDriver: () => new ImmediateDriver(sqlite),
      createAdapter: () => new SqliteAdapter(),
      createQueryCompiler: () => new SqliteQueryCompiler(),
      createIntrospector: (db) => new SqliteIntrospector(db),
    },
  })
}

/** SQLite gives its side files the mode of the main one, which must therefore be right before SQLite sees it. */
async function makePrivate(folder: string, file: string): Promise<void> {
  const { mode } = await lstat(folder)
  if ((mode & 0o077) !== 0) {
    const problem = { path: folder, expected: 'a folder that only its owner may enter', found: (mode & 0o777).toString(8) }
    throw invalidInput("the registry's folder", [problem], `chmod 700 ${folder}`)
  }
  const handle = await open(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600).catch(
    (error: NodeJS.ErrnoException) => {
      throw new ToolkitError('unavailable', `${file} cannot be opened (${error.code})`, {
        system: 'file system',
        reason: error.code ?? 'unknown',
      })
    },
  )
  try {
    await handle.chmod(0o600)
  } finally {
    await handle.close()
  }
}
