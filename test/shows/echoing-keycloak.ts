/**
 * A stand-in Keycloak that gives away what it can: lists carry secrets (as Keycloak's do, issue 49220), and every refusal
 * repeats what was submitted, in every field that an error may have.
 */
import { answerJson, type FakeServer, type SeenRequest, serve } from '../fakes/server.js'
import { type RealmSecrets, realmAnswer } from './echoing-realm.js'

/** Where it refuses: at the administrator's login, at reads, at writes, at a machine's token; and how. */
export interface Refusing {
  readonly at: 'login' | 'read' | 'write' | 'token' | 'nothing'
  readonly status: number
  readonly as: 'json' | 'html'
}

export interface EchoingKeycloak extends FakeServer {
  refuse(how: Refusing): void
  /** Every password, secret and token that was sent to it. */
  readonly submitted: ReadonlySet<string>
  /** How often it refused as it was told to. */
  readonly refusals: () => number
}

export interface Planted extends RealmSecrets {
  readonly adminToken: string
  /** What a machine gets for its secret. */
  readonly mintedToken: string
  /** The vendor's own, told in its errors; nobody sent it. */
  readonly vendorSecret: string
}

export async function echoingKeycloak(planted: Planted): Promise<EchoingKeycloak> {
  let refusing: Refusing = { at: 'nothing', status: 200, as: 'json' }
  const submitted = new Set<string>()
  let refusals = 0
  const server = await serve((request, response) => {
    const secrets = secretsIn(request)
    for (const secret of secrets) submitted.add(secret)
    const [pathname = ''] = request.path.split('?', 1)
    if (kindOf(request.method, pathname) === refusing.at) {
      refusals += 1
      const text = [...secrets, `(database password ${planted.vendorSecret})`].join(' ')
      const words = {
        error_description: `wrong: ${text}`,
        errorMessage: `cannot use ${text}`,
        field: text,
        params: secrets,
        trace: request.body,
      }
      const headers: Record<string, string> = {
        'www-authenticate': `Bearer error="invalid_token", error_description="${secrets[0] ?? ''}"`,
        'x-request-id': text,
      }
      // Where it stands it is believed first, and the body is not looked at.
      if (refusing.status !== 401) delete headers['www-authenticate']
      if (refusing.as === 'json') {
        response.writeHead(refusing.status, { 'content-type': 'application/json', ...headers })
        response.end(JSON.stringify({ error: secrets[0] ?? 'refused', ...words }))
      } else response.writeHead(refusing.status, { 'content-type': 'text/html' }).end(`<p>${text}</p>`)
      return
    }
    if (pathname.endsWith('/.well-known/openid-configuration')) {
      const issuer = `http://${request.headers.host}${pathname.replace('/.well-known/openid-configuration', '')}`
      return answerJson(response, 200, { issuer, token_endpoint: `${issuer}/protocol/openid-connect/token` })
    }
    if (pathname.endsWith('/token')) {
      const access_token = pathname.startsWith('/realms/master/') ? planted.adminToken : planted.mintedToken
      return answerJson(response, 200, { access_token, token_type: 'Bearer', expires_in: 300 })
    }
    const answer = realmAnswer(request, planted)
    const location = `${pathname.replace(/\/$/, '')}/made`
    if (answer?.body !== undefined) return answerJson(response, answer.status, answer.body)
    if (answer) return void response.writeHead(answer.status, { location }).end()
    answerJson(response, 404, { error: 'unknown', secret: planted.clientSecret })
  })
  return Object.assign(server, {
    submitted,
    refusals: () => refusals,
    refuse(how: Refusing) {
      refusing = how
    },
  })
}

function kindOf(method: string, path: string): Refusing['at'] | 'metadata' {
  if (path.endsWith('/token')) return path.startsWith('/realms/master/') ? 'login' : 'token'
  if (path.endsWith('/.well-known/openid-configuration')) return 'metadata'
  return method === 'GET' ? 'read' : 'write'
}

/** In the order of what a vendor would most likely repeat: body fields, then the header's credential. */
function secretsIn({ headers, body }: SeenRequest): string[] {
  const form = new URLSearchParams(headers['content-type']?.includes('form') ? body : '')
  const json = headers['content-type']?.includes('json') ? body : ''
  // A client's secret, and a person's password.
  const sent = [...json.matchAll(/"secret":"([^"]+)"|"type":"password","value":"([^"]+)"/g)].map(
    ([, secret, password]) => secret ?? password,
  )
  const [, scheme = '', credential = ''] = /^(Basic|Bearer) (.+)$/.exec(headers.authorization ?? '') ?? []
  const [, basic = ''] = scheme === 'Basic' ? Buffer.from(credential, 'base64').toString().split(':') : []
  const candidates = [
    form.get('password'),
    form.get('client_secret'),
    ...sent,
    decodeURIComponent(basic.replaceAll('+', '%20')),
    scheme === 'Bearer' ? credential : '',
  ]
  return candidates.filter((one): one is string => typeof one === 'string' && one !== '')
}
