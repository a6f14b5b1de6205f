/**
 * The pattern of the gateway's documented token scripts as a plain program: one identity after the other, a new TLS
 * connection each, no retry, a plain write. `node documented-pattern.mjs <identities file> <output folder> <CA file>`
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { join } from 'node:path'

const [file, folder, caFile] = process.argv.slice(2)
const ca = readFileSync(caFile)
// Each of the scripts' requests is a program's first: there is no session to resume.
const agent = new Agent({ ca, keepAlive: false, maxCachedSessions: 0 })

for (const { identity_name, client_id, client_secret, keycloak_url, keycloak_realm } of JSON.parse(readFileSync(file, 'utf8'))) {
  const form = new URLSearchParams({ grant_type: 'client_credentials', client_id, client_secret, scope: 'openid email profile' })
  const answer = await post(`${keycloak_url}/realms/${keycloak_realm}/protocol/openid-connect/token`, form.toString())
  const generated = Date.now()
  const times = {
    generated_at: new Date(generated).toISOString(),
    expires_at: new Date(generated + answer.expires_in * 1000).toISOString(),
  }
  const saved = { agent_name: `agent-${identity_name}`, ...answer, ...times, provider: 'keycloak', keycloak_url, keycloak_realm, client_id }
  writeFileSync(join(folder, `agent-${identity_name}-token.json`), JSON.stringify(saved, undefined, 2), { mode: 0o600 })
}

function post(url, body) {
  return new Promise((done, fail) => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': Buffer.byteLength(body) }
    const asked = request(url, { agent, method: 'POST', headers }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part) => {
        text += part
      })
      response.once('error', fail).once('end', () => {
        if (response.statusCode === 200) done(JSON.parse(text))
        else fail(new Error(`${url} answers ${response.statusCode}`))
      })
    })
    asked.once('error', fail).end(body)
  })
}
