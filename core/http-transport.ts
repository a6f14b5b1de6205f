/** Connections of the outbound door: how many, through which proxy, trusting whom. Of the HTTP library this and the door alone know. */
import { rootCertificates } from 'node:tls'
import { Agent, type Dispatcher, EnvHttpProxyAgent } from 'undici'

/** Where connections go through; a proxy sees the host name of an https server, and all of a plain http one. */
export interface ProxySettings {
  /** For https URLs, as `HTTPS_PROXY` has it. */
  readonly https?: string
  /** For http URLs, as `HTTP_PROXY` has it. */
  readonly http?: string
  /** Hosts that are reached directly, as `NO_PROXY` has them; those of this machine always are. */
  readonly except?: string
}

export interface TransportOptions {
  /** Connections at once to one origin. */
  readonly connections: number
  readonly connectMs: number
  /** PEM of certificate authorities besides the well-known ones. */
  readonly ca?: string
  readonly proxy?: ProxySettings
}

/** Never proxied: what runs on this machine is not the proxy's business. */
const THIS_MACHINE = 'localhost,127.0.0.1,[::1]'

export function createTransport({ connections, connectMs, ca, proxy }: TransportOptions): Dispatcher {
  const connect = { timeout: connectMs, ...(ca === undefined ? {} : { ca: [...rootCertificates, ca] }) }
  // The deadline of a request covers its headers and its body; a second clock would only race it.
  const options = { connections, headersTimeout: 0, bodyTimeout: 0, connect }
  if (proxy?.https === undefined && proxy?.http === undefined) return new Agent(options)
  // What is left out here the library would take from the environment by itself.
  return new EnvHttpProxyAgent({
    ...options,
    httpProxy: proxy.http ?? '',
    httpsProxy: proxy.https ?? '',
    noProxy: proxy.except === '*' ? '*' : [THIS_MACHINE, proxy.except ?? ''].join(','),
    requestTls: connect,
  })
}
