/**
 * Redirect URIs that no MCP client can be served with, or that would hand an authorization code to somebody else. For
 * URIs that a person or a file names; those of `redirects.ts` are made and need no check.
 */
import { invalidInput, type Problem } from '../core/errors.js'

const LONGEST = 2048
const LOOPBACK = ['localhost', '127.0.0.1', '[::1]']
/** Schemes that a browser runs, opens as a document of the page that asked, or hands to another protocol. */
const NO_APP = ['about:', 'blob:', 'data:', 'file:', 'filesystem:', 'ftp:', 'javascript:', 'vbscript:', 'view-source:', 'ws:', 'wss:']

/**
 * Refuses redirect URIs that never work or are dangerous (RFC 6749 section 3.1.2, RFC 8252 section 7, RFC 9700 section 2.1).
 * `wildcard` allows a final `/*` after a loopback host (Keycloak only).
 * @throws ToolkitError invalid_input with every reason against every URI, each at `redirect_uris[n]`
 */
export function checkRedirectUris(uris: readonly string[], { wildcard = false }: { readonly wildcard?: boolean } = {}): void {
  const problems = uris.flatMap((uri, index): Problem[] => {
    const found = JSON.stringify(uri.slice(0, 200))
    return reasonsAgainst(uri, wildcard).map((expected) => ({ path: `redirect_uris[${index}]`, expected, found }))
  })
  if (problems.length > 0) throw invalidInput('the set of redirect URIs', problems)
}

function reasonsAgainst(uri: string, wildcard: boolean): string[] {
  if (uri.length > LONGEST) return [`at most ${LONGEST} characters`]
  if (/[\s\p{C}]/u.test(uri)) return ['no white space and no control characters']
  if (!/^[A-Za-z][A-Za-z0-9+.-]*:/.test(uri)) return ['an absolute URI: a relative one means another place on every server']
  // Not a URL at all, so it is told apart before parsing.
  if (/^[^/]*\/\/[^/?#]*:\*/.test(uri)) return ['no * as port: no identity provider matches it; leave the port out where ports are ignored']
  if (!URL.canParse(uri)) return ['a URI that can be parsed']
  const url = new URL(uri)
  if (NO_APP.includes(url.protocol)) return [`no ${url.protocol} URI: a browser would not hand the answer to an application`]
  return [...reasonsOfParts(uri, url), ...(uri.includes('*') ? reasonsOfWildcard(url, wildcard) : [])]
}

function reasonsOfParts(uri: string, url: URL): string[] {
  const authority = /^[^:]*:\/\/([^/?#]*)/.exec(uri)?.[1] ?? ''
  const reasons: string[] = []
  if (uri.includes('#')) reasons.push('no fragment (RFC 6749 section 3.1.2)')
  if (authority.includes('@')) reasons.push('no user name or password: it hides the real host')
  if (/[A-Z]/.test(authority)) reasons.push('a host in lower case: servers compare the text, browsers send lower case')
  if (url.protocol === 'http:' && !LOOPBACK.includes(url.hostname)) {
    reasons.push('https, or http on localhost, 127.0.0.1 or [::1]: over plain http the code can be read on the way')
  }
  // Default ports, dot segments, backslashes, other spellings of an address: what is sent differs from what is registered.
  const written = [url.href, url.href.replace(/\/$/, '')]
  if (reasons.length === 0 && !written.includes(uri)) reasons.push(`the spelling that clients send: ${url.href}`)
  return reasons
}

function reasonsOfWildcard(url: URL, allowed: boolean): string[] {
  if (!allowed) return ['no wildcard: it lets the code go to any path; name the URIs that the MCP clients send']
  const inPlace = url.protocol === 'http:' && LOOPBACK.includes(url.hostname) && url.pathname === '/*' && url.search === ''
  return inPlace ? [] : ['a wildcard only as /* right after a loopback host']
}
