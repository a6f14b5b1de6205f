/** The token endpoint of the bench counts what it is asked, waits as long as it says, and signs what it answers. */
import { Agent, request } from 'node:https'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { REALM, startTokenEndpoint, type TokenEndpoint } from '../../bench/token-endpoint.js'

const DELAY_MS = 20
let endpoint: TokenEndpoint
beforeAll(async () => {
  endpoint = await startTokenEndpoint(DELAY_MS)
})
afterAll(() => endpoint.close())

function ask(agent: Agent, path = `/realms/${REALM}/protocol/openid-connect/token`): Promise<{ status: number; text: string }> {
  return new Promise((done, fail) => {
    const asked = request(endpoint.url + path, { agent, method: 'POST' }, (answer) => {
      let text = ''
      answer.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      answer.once('error', fail).once('end', () => done({ status: answer.statusCode ?? 0, text }))
    })
    asked.once('error', fail).end('grant_type=client_credentials')
  })
}

test('it tells connections and requests since the last look', async () => {
  await endpoint.counts()
  const kept = new Agent({ ca: endpoint.ca, keepAlive: true, maxSockets: 1 })
  for (let index = 0; index < 3; index++) await ask(kept)
  kept.destroy()
  expect(await endpoint.counts()).toEqual({ connections: 1, requests: 3 })
  const anew = new Agent({ ca: endpoint.ca, keepAlive: false })
  for (let index = 0; index < 2; index++) await ask(anew)
  expect(await endpoint.counts()).toEqual({ connections: 2, requests: 2 })
  expect(await endpoint.counts()).toEqual({ connections: 0, requests: 0 })
})

test('an answer takes as long as the network that it stands for, and is a token of its own', async () => {
  const agent = new Agent({ ca: endpoint.ca, keepAlive: true })
  const started = performance.now()
  const { status, text } = await ask(agent)
  expect(performance.now() - started).toBeGreaterThanOrEqual(DELAY_MS - 1)
  const token = JSON.parse(text) as { access_token: string; token_type: string; expires_in: number }
  expect(token).toMatchObject({ token_type: 'Bearer', expires_in: 86_400 })
  // 2048 bits are 256 bytes.
  expect(Buffer.from(token.access_token.split('.')[2] ?? '', 'base64url')).toHaveLength(256)
  expect(status).toBe(200)
  expect((await ask(agent)).text).not.toBe(text)
  agent.destroy()
})

test('any other path is not a token endpoint', async () => {
  const agent = new Agent({ ca: endpoint.ca })
  expect((await ask(agent, '/realms/other/token')).status).toBe(404)
  agent.destroy()
})
