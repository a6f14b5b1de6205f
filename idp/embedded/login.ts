/**
 * Login and consent in one page and one post (`/login/<uid>`): checks the password, grants what the client may have, and
 * hands the person back to oidc-provider. The interaction cookie, bound to that path, says whose login it is.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Provider } from 'oidc-provider'
import { DEFAULT_RESOURCE, SCOPES } from './configuration.js'
import { type Exchange, readBody, sendPage } from './exchange.js'
import { errorPage, type LoginPage, loginPage } from './login-page.js'
import type { LoginThrottle } from './login-throttle.js'
import type { Directory } from './people.js'

export interface LoginParts {
  readonly provider: Provider
  readonly directory: Directory
  readonly throttle: LoginThrottle
  /** Makes the form's guard; 32 random bytes of this process. */
  readonly csrfKey: Buffer
}

type Interaction = Awaited<ReturnType<Provider['interactionDetails']>>

const PATH = /^\/login\/([\w-]{1,64})$/
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
  if (!isSame(form.get('csrf') ?? '', csrfFor(parts, interaction.uid))) {
    return sendPage(exchange, 403, errorPage('foreign_form', 'The form did not come from this page.'))
  }
  const action = form.get('action')
  if (action === 'cancel') return finish(parts, exchange, { error: 'access_denied', error_description: 'the person cancelled the login' })
  const current = continuable(interaction)
  if (action === 'continue' && current !== undefined) {
    return finish(parts, exchange, { consent: { grantId: await grant(parts, interaction, current) } })
  }
  return logIn(parts, exchange, interaction, form)
}

async function logIn(parts: LoginParts, exchange: Exchange, interaction: Interaction, form: URLSearchParams): Promise<void> {
  const { directory, throttle } = parts
  const username = (form.get('username') ?? '').trim().slice(0, 256)
  const again = async (status: number, problem: string) =>
    sendPage(exchange, status, await pageFor(parts, interaction, { username, problem }))
  if (!throttle.admit(username)) return again(429, 'Too many tries. Wait a minute, then try again.')
  if (!(await directory.isPassword(username, (form.get('password') ?? '').slice(0, 1024)))) return again(200, WRONG)
  throttle.forgive(username)
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
    csrf: csrfFor(parts, interaction.uid),
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

function csrfFor({ csrfKey }: LoginParts, uid: string): string {
  return createHmac('sha256', csrfKey).update(uid).digest('base64url')
}

function isSame(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)]
  return a.length === b.length && timingSafeEqual(a, b)
}
