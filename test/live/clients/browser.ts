/**
 * A person at a browser, as a program: `browser.ts URL` opens an authorization request, logs in by the form that comes, sends
 * its hidden fields along, and follows every redirect to the client's own callback. It leaves this machine for nobody.
 */
import { readFile } from 'node:fs/promises'
import { cookieJar } from '../rig/cookies.js'
import { asksPassword, type Form, filled, formsOf } from '../rig/form.js'

const MOST_STEPS = 12
const CALL_MS = 20_000
const LOOPBACK = ['127.0.0.1', 'localhost', '[::1]']

async function visit(start: URL, login: { username: string; password: string }): Promise<void> {
  const jar = cookieJar()
  let next: { url: URL; form?: URLSearchParams } = { url: start }
  let isLoggedIn = false
  for (let step = 0; step < MOST_STEPS; step++) {
    const { url, form } = next
    if (!LOOPBACK.includes(url.hostname)) throw new Error(`this browser does not go to ${url.origin}`)
    const response = await fetch(url, {
      method: form ? 'POST' : 'GET',
      redirect: 'manual',
      headers: { accept: 'text/html', cookie: jar.header(url) },
      signal: AbortSignal.timeout(CALL_MS),
      ...(form ? { body: form } : {}),
    })
    jar.keep(url, response.headers)
    const location = response.headers.get('location')
    const page = await response.text()
    if (location !== null) {
      next = { url: new URL(location, url) }
      continue
    }
    // Away from the provider the login is done: this is the client's own page.
    if (url.origin !== start.origin) return
    const shown = formToSubmit(page)
    if (response.status !== 200 || shown === undefined || (isLoggedIn && asksPassword(shown)))
      throw new Error(`no way on from ${url.pathname} (${response.status}): ${page.replace(/<[^>]*>/g, ' ').slice(-300)}`)
    isLoggedIn ||= asksPassword(shown)
    next = { url: new URL(shown.action, url), form: filled(shown, login) }
  }
  throw new Error(`no end after ${MOST_STEPS} steps`)
}

/** The password form when there is one, else one that submits itself, such as that of a logout on the way. */
function formToSubmit(page: string): Form | undefined {
  const forms = formsOf(page).filter(({ method }) => method === 'POST')
  return forms.find(asksPassword) ?? forms[0]
}

const { STAND_IN_PERSON: username = '', STAND_IN_PEOPLE_FILE: file = '' } = process.env
const passwords = JSON.parse(await readFile(file, 'utf8')) as Record<string, string>
await visit(new URL(process.argv[2] ?? ''), { username, password: passwords[username] ?? '' })
