/**
 * `oidc-provider` with the token endpoint, the parameters and the audience of a vendor's documents: all that stands behind
 * what we say of Entra and Auth0. It knows one way to prove oneself, the secret in the form, and issues signed tokens.
 */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import Provider from 'oidc-provider'

export interface ShapedClient {
  readonly client_id: string
  readonly client_secret: string
}

export interface Shape {
  /** Below the server's URL: `/tenant/oauth2/v2.0/token`. */
  readonly tokenPath: string
  /** Below the server's URL: `/tenant/v2.0`. */
  readonly issuerPath: string
  /** Seconds. */
  readonly lifetime: number
  readonly clients: readonly ShapedClient[]
  /** The audience and the scopes of a token for these parameters; undefined refuses the request. */
  grant(form: URLSearchParams): { readonly audience: string; readonly scope: string } | undefined
}

/** A token request as it came. */
export interface TokenAsked {
  readonly path: string
  readonly authorization: string | undefined
  readonly contentType: string | undefined
  readonly form: Readonly<Record<string, string>>
}

export interface ShapedProvider {
  readonly url: string
  readonly issuer: string
  readonly jwksUri: string
  readonly asked: readonly TokenAsked[]
  close(): Promise<void>
}

const RESOURCE = 'urn:shaped:resource'

export async function startShapedProvider(shape: Shape): Promise<ShapedProvider> {
  const asked: TokenAsked[] = []
  let handler: RequestListener = (_request, response) => response.writeHead(503).end()
  const server = createServer((request, response) => handler(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const issuer = `${url}${shape.issuerPath}`
  const provider = new Provider(issuer, {
    clients: shape.clients.map((client) => ({
      ...client,
      ...{ grant_types: ['client_credentials'], redirect_uris: [], response_types: [], token_endpoint_auth_method: 'client_secret_post' },
    })),
    routes: { token: shape.tokenPath, jwks: '/keys' },
    ttl: { ClientCredentials: shape.lifetime },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => RESOURCE,
        getResourceServerInfo(ctx) {
          const granted = shape.grant(new URLSearchParams(ctx.oidc.body as Record<string, string>))
          if (granted === undefined) throw new Error('a request that the documents do not know')
          return { ...granted, accessTokenFormat: 'jwt', accessTokenTTL: shape.lifetime, jwt: { sign: { alg: 'RS256' } } }
        },
      },
    },
  })
  provider.use(async (context, next) => {
    await next()
    const { path, method } = context
    if (method !== 'POST') return
    const form = Object.fromEntries(Object.entries({ ...context.oidc?.body }).map(([name, value]) => [name, String(value)]))
    asked.push({
      path,
      authorization: context.get('authorization') || undefined,
      contentType: context.get('content-type') || undefined,
      form,
    })
  })
  handler = provider.callback()
  return {
    ...{ url, issuer, asked, jwksUri: `${url}/keys` },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
