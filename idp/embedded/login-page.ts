/**
 * The pages people see, as text: login with consent, a new password, and an error. Plain HTML that works without scripts; every value is
 * escaped, and the policy allows nothing but the one style inside.
 */
import { createHash } from 'node:crypto'
import { cleanText } from '../../core/foreign-text.js'
import { PASSWORD } from './passwords.js'

export interface Page {
  readonly html: string
  readonly headers: Readonly<Record<string, string>>
}

export interface LoginPage {
  readonly client_name: string
  /** Where the answer goes, as registered and asked for. */
  readonly redirect_uri: string
  /** Guards the form against posts from elsewhere. */
  readonly csrf: string
  /** Somebody is logged in already and may go on as they are. */
  readonly continueAs?: string
  readonly username?: string
  readonly problem?: string
}

export interface NewPasswordPage extends Pick<LoginPage, 'redirect_uri' | 'csrf' | 'problem'> {
  readonly username: string
  /** Shows that the temporary password was given. */
  readonly proof: string
}

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:3rem auto;padding:0 1rem;color:#1b1b1f;background:#fff}
h1{font-size:1.4rem}label{display:block;margin-top:.8rem;font-weight:600}
input{width:100%;box-sizing:border-box;font:inherit;padding:.5rem;border:1px solid #6b6b76;border-radius:.25rem}
button{font:inherit;margin:1rem .5rem 0 0;padding:.5rem 1rem;border:1px solid #1f4fa3;border-radius:.25rem;background:#1f4fa3;color:#fff}
button[value=cancel]{background:#fff;color:#1f4fa3}:focus-visible{outline:3px solid #c25100;outline-offset:2px}
[role=alert]{border-left:4px solid #a3271f;padding-left:.8rem}code{overflow-wrap:anywhere}`
const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64')

export function loginPage(page: LoginPage): Page {
  const { client_name, redirect_uri, csrf, continueAs, username = '', problem } = page
  const guard = hidden('csrf', csrf)
  const session =
    continueAs === undefined
      ? ''
      : `<form method="post">${guard}<button type="submit" name="action" value="continue">Continue as ${escaped(continueAs)}</button></form>
<h2>Or log in as someone else</h2>`
  const html = `<h1>Log in to <q>${escaped(client_name)}</q></h1>
<p>It will learn your name, e-mail address and groups, and may use the gateway for you. The answer goes to
<code>${escaped(destinationOf(redirect_uri))}</code>. If you did not start this, cancel.</p>
${alert(problem)}
${session}<form method="post">${guard}
<label for="username">User name</label>
<input id="username" name="username" type="text" value="${escaped(username)}" autocomplete="username" autocapitalize="none" spellcheck="false" maxlength="256" required${describedBy(problem)}>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" maxlength="1024" required>
<button type="submit" name="action" value="login">Log in and allow</button>${CANCEL}
</form>`
  return whole('Log in', html, formTargets(redirect_uri))
}

/** For a person whose password was chosen by somebody else. */
export function newPasswordPage({ redirect_uri, csrf, username, proof, problem }: NewPasswordPage): Page {
  const limits = `minlength="${PASSWORD.shortest}" maxlength="${PASSWORD.longest}" autocomplete="new-password" required`
  const html = `<h1>Choose a new password</h1>
<p>The password of <code>${escaped(username)}</code> was for the first login only. The new one needs ${PASSWORD.shortest} characters or more.</p>
${alert(problem)}
<form method="post">${hidden('csrf', csrf)}${hidden('username', username)}${hidden('proof', proof)}
<label for="new">New password</label>
<input id="new" name="new_password" type="password" ${limits}${describedBy(problem)}>
<label for="again">New password, once more</label>
<input id="again" name="new_password_again" type="password" ${limits}>
<button type="submit" name="action" value="change">Save and log in</button>${CANCEL}
</form>`
  return whole('New password', html, formTargets(redirect_uri))
}

/** What went wrong, in the words of the protocol; never a stack or a value of ours. */
export function errorPage(error: string, description = ''): Page {
  const html = `<h1>This login cannot go on</h1>
<p role="alert"><code>${escaped(error)}</code> ${escaped(description)}</p><p>Start again from your MCP client.</p>`
  return whole('Login failed', html, "'self'")
}

/** Host and port, or the whole URI of a private scheme (RFC 8252 section 7.1), which has no host to go by. */
function destinationOf(redirect_uri: string): string {
  const url = URL.canParse(redirect_uri) ? new URL(redirect_uri) : undefined
  return url !== undefined && /^https?:$/.test(url.protocol) ? url.host : redirect_uri
}

/** Browsers hold redirects after a form to `form-action`, so the client's own address must be in it. */
function formTargets(redirect_uri: string): string {
  const url = URL.canParse(redirect_uri) ? new URL(redirect_uri) : undefined
  if (url === undefined) return "'self'"
  // A source expression cannot spell an IPv6 address (CSP3 section 2.3.1).
  const isPlainHost = /^https?:$/.test(url.protocol) && !url.hostname.startsWith('[')
  return `'self' ${isPlainHost ? url.origin : url.protocol}`
}

function whole(title: string, html: string, formAction: string): Page {
  return {
    html: `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${title}</title>
<style>${STYLE}</style></head><body><main>
${html}
</main></body></html>
`,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; form-action ${formAction}; base-uri 'none'; frame-ancestors 'none'`,
      'cache-control': 'no-store',
      'referrer-policy': 'same-origin',
      'x-content-type-options': 'nosniff',
    },
  }
}

const CANCEL = '<button type="submit" name="action" value="cancel" formnovalidate>Cancel</button>'

function hidden(name: string, value: string): string {
  return `<input type="hidden" name="${name}" value="${escaped(value)}">`
}

function alert(problem: string | undefined): string {
  return problem === undefined ? '' : `<p role="alert" id="problem">${escaped(problem)}</p>`
}

function describedBy(problem: string | undefined): string {
  return problem === undefined ? '' : ' aria-describedby="problem"'
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

function escaped(text: string): string {
  return cleanText(text).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
}
