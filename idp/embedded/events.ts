/** What happened at the provider, in one line each: who got what through which client, and never a token or a secret. */
import type { KoaContextWithOIDC, Provider } from 'oidc-provider'

export interface LogEntry {
  readonly event: 'authorization' | 'code_exchange' | 'refresh' | 'client_credentials' | 'registration'
  readonly client_id: string
  /** User name; absent for machines and registrations. */
  readonly account?: string
}

const GRANTS: Readonly<Record<string, LogEntry['event']>> = {
  authorization_code: 'code_exchange',
  refresh_token: 'refresh',
  client_credentials: 'client_credentials',
}

/** Calls `onLog` once for each authorization, token and registration. */
export function logEvents(provider: Provider, onLog: (entry: LogEntry) => void): void {
  const log = (event: LogEntry['event'], { oidc }: KoaContextWithOIDC) => {
    const account = oidc.session?.accountId ?? oidc.entities.Account?.accountId
    onLog({ event, client_id: oidc.client?.clientId ?? '', ...(account === undefined ? {} : { account }) })
  }
  provider.on('authorization.success', (ctx: KoaContextWithOIDC) => log('authorization', ctx))
  provider.on('registration_create.success', (ctx: KoaContextWithOIDC) => log('registration', ctx))
  provider.on('grant.success', (ctx: KoaContextWithOIDC) => {
    const event = GRANTS[String(ctx.oidc.params?.['grant_type'])]
    if (event) log(event, ctx)
  })
}
