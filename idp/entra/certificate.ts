/**
 * A machine that proves itself to Entra with a certificate. MSAL signs and sends, through the door; the answer is read as
 * every other token answer. Loaded for identities with a certificate only.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { ConfidentialClientApplication, type Configuration, type INetworkModule } from '@azure/msal-node'
import { invalidInput, toolkitErrorIn } from '../../core/errors.js'
import type { Secret } from '../../core/secret.js'
import { tokenError, tokenIn } from '../token-answer.js'
import type { Mint } from '../token-source.js'

/** @throws ToolkitError invalid_input for what is no certificate with its RSA key, and what `tokenIn` throws */
export const mintByCertificate: Mint = async ({ client_id, request, credential, door }) => {
  const { issuer, token_endpoint = issuer, scope = '' } = request
  const clientCertificate = certificateIn(credential.client_certificate)
  try {
    // An application remembers its assertion, and one assertion is good for one request: each try has an application of its own.
    const response = await door.patiently(token_endpoint, async () => {
      let answer: Response | undefined
      let noAnswer: unknown
      const post: INetworkModule['sendPostRequestAsync'] = async <T>(url: string, { headers = {}, body = '' } = {}) => {
        answer = await door.fetch(url, { method: 'POST', headers, body }).catch((error: unknown) => {
          noAnswer = error
          throw error
        })
        const said: unknown = await readable(answer)
        return { headers: {}, status: answer.status, body: said as T }
      }
      const application = new ConfidentialClientApplication(configurationOf({ client_id, issuer, token_endpoint, clientCertificate, post }))
      // What MSAL makes of an answer is not asked: it is read below.
      const failure: unknown = await application.acquireTokenByClientCredential({ scopes: scope.split(' ') }).then(
        () => undefined,
        (error: unknown) => error,
      )
      if (answer === undefined) throw noAnswer ?? failure
      return answer
    })
    return await tokenIn(response, { issuer, token_endpoint }, { client_id })
  } catch (error) {
    throw toolkitErrorIn(error) ?? tokenError(error, issuer)
  }
}

/** What MSAL sees of an answer, which stays to be read; an empty object where it is no JSON. */
function readable(answer: Response): Promise<unknown> {
  return answer
    .clone()
    .json()
    .catch(() => ({}))
}

type ClientCertificate = NonNullable<Configuration['auth']['clientCertificate']>

function configurationOf({
  client_id,
  issuer,
  token_endpoint,
  clientCertificate,
  post,
}: {
  client_id: string
  issuer: string
  token_endpoint: string
  clientCertificate: ClientCertificate
  post: INetworkModule['sendPostRequestAsync']
}): Configuration {
  const authority = issuer.replace(/\/v2\.0$/, '')
  const authorization_endpoint = token_endpoint.replace(/token$/, 'authorize')
  return {
    auth: {
      clientId: client_id,
      authority,
      clientCertificate,
      // Without these two it would first ask Microsoft's own servers what this authority is.
      knownAuthorities: [new URL(authority).host],
      authorityMetadata: JSON.stringify({ issuer, token_endpoint, authorization_endpoint, jwks_uri: `${authority}/discovery/v2.0/keys` }),
    },
    system: {
      disableInternalRetries: true,
      networkClient: {
        sendPostRequestAsync: post,
        sendGetRequestAsync: () => Promise.reject(new Error('nothing is left to be asked')),
      },
    },
  }
}

/** The first certificate of a PEM file, with its thumbprint, and the key that stands beside it. */
function certificateIn(pem: Secret | undefined): ClientCertificate {
  const text = pem?.reveal() ?? ''
  try {
    const certificate = new X509Certificate(text)
    const key = createPrivateKey(text)
    if (!certificate.checkPrivateKey(key) || key.asymmetricKeyType !== 'rsa') throw notCertificate()
    return {
      thumbprintSha256: certificate.fingerprint256.replaceAll(':', ''),
      privateKey: key.export({ format: 'pem', type: 'pkcs8' }).toString(),
    }
  } catch {
    // What the library says may quote the key.
    throw notCertificate()
  }
}

function notCertificate() {
  const expected = 'PEM with a certificate and its RSA private key, one after the other'
  return invalidInput('the identity', [{ path: 'client_certificate', expected }])
}
