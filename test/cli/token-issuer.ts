/** An authorization server of a test's own on loopback, and a home with an identity of it: who asked for tokens, and which it gave. */
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { answerJson, type FakeServer, serve } from '../fakes/server.js'

export interface TokenIssuer {
  readonly server: FakeServer
  readonly home: string
  /** In the order that they were given. */
  readonly tokens: readonly string[]
  /** Of the tokens that it gives from now on, seconds. */
  lifetime: number
  /** What it answers with from now on: a token while it is 200. */
  status: number
  /** Writes identities/reporter.json, with these fields besides or instead. */
  identity(fields?: Readonly<Record<string, unknown>>, file?: string): string
  close(): Promise<void>
}

export const CLIENT_SECRET = `secret-${randomBytes(12).toString('hex')}`

export async function startIssuer(): Promise<TokenIssuer> {
  const home = mkdtempSync(join(tmpdir(), 'mcp-idp-issuer-'))
  mkdirSync(join(home, 'identities'), { mode: 0o700 })
  const tokens: string[] = []
  const state = { lifetime: 3600, status: 200 }
  const server = await serve(({ method, path }, response) => {
    if (method !== 'POST' || !path.endsWith('/token')) return answerJson(response, 404, {})
    if (state.status !== 200) return answerJson(response, state.status, { error: 'invalid_client' })
    const access_token = `token-${tokens.length}-${randomBytes(16).toString('hex')}`
    tokens.push(access_token)
    answerJson(response, 200, { access_token, token_type: 'Bearer', expires_in: state.lifetime })
  })
  return Object.assign(state, {
    ...{ server, home, tokens },
    identity(fields: Readonly<Record<string, unknown>> = {}, file = join(home, 'identities/reporter.json')) {
      const { origin } = server
      const client = { client_id: 'reporter-client', client_secret: CLIENT_SECRET }
      const entry = { identity_name: 'reporter', auth_provider: 'oidc', issuer: origin, token_endpoint: `${origin}/token`, ...client }
      writeFileSync(file, JSON.stringify({ ...entry, ...fields }), { mode: 0o600 })
      return file
    },
    async close() {
      await server.close()
      rmSync(home, { recursive: true, force: true })
    },
  })
}
