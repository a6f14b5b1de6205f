/** Where the outbound door may go: configured origins, encrypted off this machine. */
import { invalidInput, ToolkitError } from './errors.js'

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/

/** Whether what is sent to the URL could be read on its way: plain http off this machine. */
export function isExposed(url: string): boolean {
  if (url.startsWith('https://')) return false
  const { protocol, hostname } = new URL(url)
  return protocol === 'http:' && !LOOPBACK.test(hostname)
}

/** Origins of the given URLs. @throws ToolkitError invalid_input for plain http off loopback, unless allowed (RFC 6749 section 1.6 asks for TLS) */
export function configuredOrigins(urls: readonly string[], allowHttp = false): ReadonlySet<string> {
  const open = urls.filter(isExposed)
  if (open.length > 0 && !allowHttp) {
    const problems = open.map((url) => ({ path: new URL(url).origin, expected: 'https, since credentials are sent there' }))
    throw invalidInput('the configuration', problems, 'use https, or set MCP_IDP_ALLOW_HTTP=true for a network that you trust')
  }
  return new Set(urls.map((url) => new URL(url).origin))
}

/** The URL of a request. @throws ToolkitError for anything but http and https at a configured origin without userinfo */
export function allowedUrl(text: string, origins: ReadonlySet<string>): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  // A blob: URL has the origin of the URL inside it.
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new ToolkitError('unexpected_response', 'something that is not an http URL was refused; nothing was sent', {
      system: url?.protocol ?? 'no URL',
      reason: 'not_http_url',
    })
  }
  if (url.username !== '' || url.password !== '') {
    throw new ToolkitError('internal', 'a URL with a user name or password inside was refused', { where: 'http door' })
  }
  if (!origins.has(url.origin)) {
    throw new ToolkitError('unexpected_response', `${url.origin} is not a configured origin; nothing was sent to it`, {
      system: url.origin,
      reason: 'foreign_origin',
    })
  }
  return url
}
