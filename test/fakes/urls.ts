/**
 * Spellings of URLs for the door's origin list (NW1): those that lead, or might lead, elsewhere, and those that do not.
 * `allowed` and `collector` are two ports on 127.0.0.1; only `http://127.0.0.1:<allowed>` is configured.
 */

/** Each leads to another origin than the configured one, carries a user, is no http URL, or is no URL. */
export function refusedSpellings(allowed: number, collector: number): readonly string[] {
  const a = `127.0.0.1:${allowed}`
  const c = `127.0.0.1:${collector}`
  return [
    // another port, in every spelling of the address
    `http://${c}/`,
    `HTTP://${c}/`,
    ` http://${c}/ `,
    `http:/${c}/`,
    `http:${c}/`,
    `http:\\\\${c}\\`,
    `ht\ntp://127.0.0.1:\t${collector}/`,
    `http://127.1:${collector}/`,
    `http://127.0.1:${collector}/`,
    `http://2130706433:${collector}/`,
    `http://0x7f000001:${collector}/`,
    `http://0x7f.0.0.1:${collector}/`,
    `http://0177.0.0.1:${collector}/`,
    `http://017700000001:${collector}/`,
    `http://127.0.0.1.:${collector}/`,
    `http://%31%32%37.0.0.1:${collector}/`,
    `http://１２７.０.０.１:${collector}/`,
    `http://①②⑦.⓪.⓪.①:${collector}/`,
    `http://127。0。0。1:${collector}/`,
    `http://127.0.0.1\u00ad:${collector}/`,
    // another host at the configured port
    `http://localhost:${allowed}/`,
    `http://LOCALHOST:${allowed}/`,
    `http://localhost.:${allowed}/`,
    `http://0.0.0.0:${allowed}/`,
    `http://0:${allowed}/`,
    `http://127.0.0.2:${allowed}/`,
    `http://[::1]:${allowed}/`,
    `http://[::ffff:127.0.0.1]:${allowed}/`,
    `http://[::ffff:7f00:1]:${collector}/`,
    `http://[0:0:0:0:0:ffff:7f00:0001]:${allowed}/`,
    `http://[::1%25lo]:${allowed}/`,
    `http://127.0.0.1.evil.invalid:${allowed}/`,
    `http://${a}.evil.invalid/`,
    'http://127.0.0.1/',
    // the configured origin in a part that is not the host
    `http://${a}@${c}/`,
    `http://${a}%40${c}/`,
    `http://${c}\\@${a}/`,
    `http://${c}#@${a}/`,
    `http://${c}?@${a}/`,
    `http://${c}/${a}/`,
    `http://evil.invalid/?next=http://${a}/`,
    // a user in the URL
    `http://user@${a}/`,
    `http://user:password@${a}/`,
    `http://:password@${a}/`,
    // another scheme
    `https://${a}/`,
    `ws://${a}/`,
    `ftp://${a}/`,
    `blob:http://${a}/0d1f5a3c-0000-4000-8000-000000000000`,
    `view-source:http://${a}/`,
    'file:///etc/hostname',
    'data:application/json,{}',
    'javascript:void(0)',
    'about:blank',
    // no URL
    '',
    '/realms',
    `//${c}/`,
    a,
    'http://',
    'null',
  ]
}

/** Each is the configured origin once parsed, whatever it looks like. */
export function admittedSpellings(allowed: number, collector: number): readonly string[] {
  const a = `127.0.0.1:${allowed}`
  return [
    `http://${a}`,
    `HTTP://${a}/`,
    `http://127.1:${allowed}/`,
    `http://0x7f.1:${allowed}/`,
    `http://127.0.0.1:0${allowed}/`,
    `http://${a}\\@127.0.0.1:${collector}/`,
    `http://${a}/@127.0.0.1:${collector}/`,
    `http://${a}//127.0.0.1:${collector}/`,
    `http://${a}/?url=http://127.0.0.1:${collector}/`,
    `http://${a}/#@127.0.0.1:${collector}/`,
  ]
}
