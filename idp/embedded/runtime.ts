/**
 * The `oidc-provider` package, loaded on first use and without one line: on Node 20 its import warns that only Node 22 is
 * supported. It was measured on 20 and works; every other line it may print stays.
 */
type OidcProvider = typeof import('oidc-provider')

const UNWANTED = 'oidc-provider WARNING: Unsupported runtime.'

let loaded: Promise<OidcProvider> | undefined

/** One import a process; the console is whole again before it resolves. */
export function loadOidcProvider(): Promise<OidcProvider> {
  loaded ??= withoutRuntimeWarning(() => import('oidc-provider'))
  return loaded
}

async function withoutRuntimeWarning<T>(work: () => Promise<T>): Promise<T> {
  const { warn } = console
  const filtered = (...args: unknown[]) => {
    // On a terminal the line begins with a colour.
    if (!String(args[0]).includes(UNWANTED)) warn.apply(console, args)
  }
  console.warn = filtered
  try {
    return await work()
  } finally {
    // Whoever replaced it meanwhile keeps what they put there.
    if (console.warn === filtered) console.warn = warn
  }
}
