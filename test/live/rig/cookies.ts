/**
 * A cookie jar for one login at one origin: names, paths and deletion.
 * Secure cookies are kept on plain http, as browsers do for loopback addresses.
 */

export interface CookieJar {
  /** The Cookie header for this URL; empty when there is none. */
  header(url: URL): string
  /** Takes over what an answer to this URL sets. */
  keep(url: URL, headers: Headers): void
}

export function cookieJar(): CookieJar {
  const kept = new Map<string, { name: string; path: string; value: string }>()
  return {
    header(url) {
      const fitting = [...kept.values()].filter(({ path }) => covers(path, url.pathname))
      // Longer paths first (RFC 6265 section 5.4).
      return fitting
        .sort((a, b) => b.path.length - a.path.length)
        .map(({ name, value }) => `${name}=${value}`)
        .join('; ')
    },
    keep(url, headers) {
      for (const line of headers.getSetCookie()) {
        const [pair = '', ...attributes] = line.split(';').map((part) => part.trim())
        const name = pair.slice(0, pair.indexOf('='))
        const value = pair.slice(pair.indexOf('=') + 1)
        const attribute = (wanted: string) => attributes.find((one) => one.toLowerCase().startsWith(`${wanted}=`))?.slice(wanted.length + 1)
        const path = attribute('path') ?? url.pathname.replace(/\/[^/]*$/, '/')
        const maxAge = attribute('max-age')
        const expires = attribute('expires')
        const isGone = maxAge === undefined ? expires !== undefined && Date.parse(expires) <= Date.now() : Number(maxAge) <= 0
        if (isGone) kept.delete(`${name} ${path}`)
        else kept.set(`${name} ${path}`, { name, path, value })
      }
    },
  }
}

/** RFC 6265 section 5.1.4. */
function covers(path: string, pathname: string): boolean {
  return pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`)
}
