/** Run as a program of its own: everything the provider does, once. It prints one line of its own at the end; any other is the provider's. */
import { authorizationUrl, browser, logIn, providerInTemporaryFolder, registerClient, tokenRequest, tokensFor } from './provider.js'

const provider = await providerInTemporaryFolder()
const { running } = provider
const client = await registerClient(provider)
const client_id = String(client['client_id'])
const tokens = await tokensFor(provider, { client_id })
await tokenRequest(provider, { grant_type: 'refresh_token', refresh_token: tokens['refresh_token'] ?? '', client_id })
await tokenRequest(
  provider,
  { grant_type: 'client_credentials' },
  { client_id: running.machine.client_id, secret: running.machine.client_secret.reveal() },
)
for (const token of [tokens['refresh_token'] ?? '', tokens['access_token'] ?? '', 'unknown']) {
  await fetch(`${running.issuer}/token/revocation`, { method: 'POST', body: new URLSearchParams({ token, client_id }) })
}
await logIn(provider, { client_id, pkce: 'plain' })
await logIn(provider, { client_id, password: 'wrong' })
await browser().visit(authorizationUrl(provider, client_id, { redirect_uri: 'http://elsewhere.example/' }))
await browser().visit(authorizationUrl(provider, 'nobody'))
for (const origin of ['http://127.0.0.1:3000', 'null']) {
  await fetch(`${running.issuer}/token`, {
    method: 'POST',
    headers: { origin },
    body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: 'x', client_id }),
  })
  await fetch(`${running.issuer}/me`, { headers: { origin, authorization: `Bearer ${tokens['access_token']}` } })
}
for (const path of ['/.well-known/openid-configuration', '/jwks', '/me', '/nothing', '/session/end', '/login/x', '/reg/x'])
  await fetch(`${running.issuer}${path}`, { headers: { accept: 'text/html' } })
for (const method of ['GET', 'DELETE']) {
  await fetch(String(client['registration_client_uri']), {
    method,
    headers: { authorization: `Bearer ${String(client['registration_access_token'])}` },
  })
}
await fetch(`${running.issuer}/session/end/confirm`, { method: 'POST', body: new URLSearchParams({ xsrf: 'x' }) })
await provider.stop()
console.log('lived')
