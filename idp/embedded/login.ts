/**
 * Login and consent in one page and one post (`/login/<uid>`): checks the password, grants what the client may have, and
 * hands the person back to oidc-provider; a temporary password is changed on a page in between. The interaction cookie, bound to that path, says whose login it is.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Provider } from 'oidc-provider'
import { DEFAULT_RESOURCE, SCOPES } from './configuration.js'
import { type Exchange, readBody, sendPage } from './exchange.js'
import { errorPage, type LoginPage, loginPage, type NewPasswordPage, newPasswordPage } from './login-page.js'
import type { LoginThrottle } from './login-throttle.js'
import type { Logins } from './logins.js'
import { PASSWORD } from './passwords.js'

export interface LoginParts {
  readonly provider: Provider
  readonly logins: Logins
  readonly throttle: LoginThrottle
  /** Makes the forms' guards; 32 random bytes of this process. */
  readonly csrfKey: Buffer
}

type Interaction = Awaited<ReturnType<Provider['interactionDetails']>>

const PATH = /^\/login\/([\w-]{1,64})$/
/** What somebody chose in place of a temporary password. */
interface Choice {
  readonly username: string
  readonly ticket: string
  readonly password: string
  readonly again: string
}

const WRONG = 'User name or password is wrong.'

/** Answers `GET` and `POST /login/<uid>`. */
export async function handleLogin(parts: LoginParts, exchange: Exchange): Promise<void> {
  const { request } = exchange
  const uid = PATH.exec(request.url ?? '')?.[1]
  const interaction = uid === undefined ? undefined : await interactionOf(parts.provider, exchange)
  if (interaction === undefined || interaction.uid !== uid) {
    return sendPage(exchange, 400, errorPage('login_expired', 'This login is over or belongs to another browser.'))
  }
  if (request.method === 'GET') return sendPage(exchange, 200, await pageFor(parts, interaction))
  if (request.method === 'POST') return answerForm(parts, exchange, interaction)
  exchange.response.setHeader('allow', 'GET, POST')
  return sendPage(exchange, 405, errorPage('method_not_allowed'))
}

async function answerForm(parts: LoginParts, exchange: Exchange, interaction: Interaction): Promise<void> {
  const body = await readBody(exchange.request)
  if (body === undefined) return sendPage(exchange, 413, errorPage('too_large'))
  const form = new URLSearchParams(body)
  if (!isSame(form.get('csrf') ?? '', guardFor(parts, interaction.uid))) {
    return sendPage(exchange, 403, errorPage('foreign_form', 'The form did not come from this page.'))
  }
  const action = form.get('action')
  if (action === 'cancel') return finish(parts, exchange, { error: 'access_denied', error_description: 'the person cancelled the login' })
  if (action === 'change') return changePassword(parts, exchange, interaction, form)
  const current = continuable(interaction)
  if (action === 'continue' && current !== undefined) {
    return finish(parts, exchange, { consent: { grantId: await grant(parts, interaction, current) } })
  }
  return logIn(parts, exchange, interaction, form)
}

async function logIn(parts: LoginParts, exchange: Exchange, interaction: Interaction, form: URLSearchParams): Promise<void> {
  const { logins, throttle } = parts
  const username = (form.get('username') ?? '').trim().slice(0, 256)
  const again = async (status: number, problem: string) =>
    sendPage(exchange, status, await pageFor(parts, interaction, { username, problem }))
  if (!throttle.admit(username)) return again(429, 'Too many tries. Wait a minute, then try again.')
  const outcome = await logins.check(username, (form.get('password') ?? '').slice(0, PASSWORD.longest))
  if (outcome.is === 'wrong') return again(200, WRONG)
  throttle.forgive(username)
  if (outcome.is === 'temporary') return askNewPassword(parts, exchange, interaction, { username, ticket: outcome.ticket })
  return letIn(parts, exchange, interaction, username)
}

/** The proof says that the temporary password was given, in this login and for this very password; so it need not be given twice. */
async function changePassword(parts: LoginParts, exchange: Exchange, interaction: Interaction, form: URLSearchParams): Promise<void> {
  const username = (form.get('username') ?? '').slice(0, 256)
  const ticket = await parts.logins.ticket(username)
  if (ticket === undefined || !isSame(form.get('proof') ?? '', guardFor(parts, interaction.uid, username, ticket))) {
    return sendPage(exchange, 200, await pageFor(parts, interaction, { username, problem: 'Log in with your current password.' }))
  }
  const password = form.get('new_password') ?? ''
  const problem = await problemOf(parts, { username, ticket, password, again: form.get('new_password_again') ?? '' })
  if (problem !== undefined) return askNewPassword(parts, exchange, interaction, { username, ticket, problem })
  return letIn(parts, exchange, interaction, username)
}

/** Replaces the password. What is wrong with the choice, in words for the page; undefined when it was taken. */
async function problemOf({ logins }: LoginParts, { username, ticket, password, again }: Choice): Promise<string | undefined> {
  const length = [...password].length
  if (length < PASSWORD.shortest || password.length > PASSWORD.longest)
    return `It needs ${PASSWORD.shortest} to ${PASSWORD.longest} characters.`
  if (password !== again) return 'The two are not the same.'
  const outcome = await logins.replaceTemporary(username, ticket, password)
  if (outcome === 'same') return 'It is the old one. Choose another.'
  return outcome === 'over' ? 'Somebody else changed it. Start again from your MCP client.' : undefined
}

function askNewPassword(
  parts: LoginParts,
  exchange: Exchange,
  { uid, params }: Interaction,
  { ticket, ...shown }: Pick<NewPasswordPage, 'username' | 'problem'> & { ticket: string },
): void {
  const proof = guardFor(parts, uid, shown.username, ticket)
  sendPage(exchange, 200, newPasswordPage({ redirect_uri: String(params['redirect_uri']), csrf: guardFor(parts, uid), proof, ...shown }))
}

async function letIn(parts: LoginParts, exchange: Exchange, interaction: Interaction, username: string): Promise<void> {
  const grantId = await grant(parts, interaction, username)
  return finish(parts, exchange, { login: { accountId: username, remember: false }, consent: { grantId } })
}

/** A login as someone else starts over: what an earlier submission said must not be merged in. */
function finish(
  { provider }: LoginParts,
  { request, response }: Exchange,
  result: Parameters<Provider['interactionFinished']>[2],
): Promise<void> {
  return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false })
}

/** All scopes, for the client itself and for each resource that it asked for. */
async function grant({ provider }: LoginParts, { params }: Interaction, accountId: string): Promise<string> {
  const granted = new provider.Grant({ accountId, clientId: String(params['client_id']) })
  granted.addOIDCScope(SCOPES.join(' '))
  for (const resource of [params['resource'] ?? DEFAULT_RESOURCE].flat()) granted.addResourceScope(String(resource), SCOPES.join(' '))
  return granted.save()
}

async function pageFor(parts: LoginParts, interaction: Interaction, more: Pick<LoginPage, 'username' | 'problem'> = {}) {
  const { params } = interaction
  const client_id = String(params['client_id'])
  const client = await parts.provider.Client.find(client_id)
  const current = continuable(interaction)
  return loginPage({
    client_name: client?.clientName ?? client_id,
    redirect_uri: String(params['redirect_uri']),
    csrf: guardFor(parts, interaction.uid),
    ...(current === undefined ? {} : { continueAs: current }),
    ...more,
  })
}

/** Who is logged in, unless the client or the age of the session asks for the password again. */
function continuable({ prompt, session }: Interaction): string | undefined {
  return prompt.name === 'consent' ? session?.accountId : undefined
}

/** Undefined when the cookie is missing, forged or for a login that ended. */
async function interactionOf(provider: Provider, { request, response }: Exchange): Promise<Interaction | undefined> {
  try {
    return await provider.interactionDetails(request, response)
  } catch (error) {
    if (error instanceof Error && error.name === 'SessionNotFound') return undefined
    throw error
  }
}

/** Ties a form to one login, and to whatever else is said. */
function guardFor({ csrfKey }: LoginParts, uid: string, ...more: readonly string[]): string {
  return createHmac('sha256', csrfKey)
    .update(JSON.stringify([uid, ...more]))
    .digest('base64url')
}

function isSame(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)]
  return a.length === b.length && timingSafeEqual(a, b)
}
