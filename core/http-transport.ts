/** Connections of the outbound door: how many, through which proxy, trusting whom. Of the HTTP library this and the door alone know. */
import { createSecureContext, type SecureContext } from 'node:tls'
import type { Dispatcher, request } from 'undici'

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

export interface Connections {
  readonly request: typeof request
  readonly dispatcher: Dispatcher
}

export interface Transport {
  /** Loads the HTTP library the first time: most commands send nothing. */
  open(): Promise<Connections>
  /** Ends every connection; requests from then on fail with `UND_ERR_DESTROYED`. */
  close(): Promise<void>
}

export function createTransport(options: TransportOptions): Transport {
  let connections: Promise<Connections> | undefined
  let isClosed = false
  return {
    async open() {
      connections ??= connectionsOf(options)
      const opened = await connections
      if (isClosed) await opened.dispatcher.destroy()
      return opened
    },
    async close() {
      isClosed = true
      await (await connections)?.dispatcher.destroy()
    },
  }
}

async function connectionsOf({ connections, connectMs, ca, proxy }: TransportOptions): Promise<Connections> {
  const { Agent, EnvHttpProxyAgent, request } = await import('undici')
  const connect = { timeout: connectMs, ...(ca === undefined ? {} : { secureContext: trusting(ca) }) }
  // The deadline of a request covers its headers and its body; a second clock would only race it.
  const options = { connections, headersTimeout: 0, bodyTimeout: 0, connect }
  if (proxy?.https === undefined && proxy?.http === undefined) return { request, dispatcher: new Agent(options) }
  // What is left out here the library would take from the environment by itself.
  const dispatcher = new EnvHttpProxyAgent({
    ...options,
    httpProxy: proxy.http ?? '',
    httpsProxy: proxy.https ?? '',
    noProxy: proxy.except === '*' ? '*' : [THIS_MACHINE, proxy.except ?? ''].join(','),
    requestTls: connect,
  })
  return { request, dispatcher }
}

/**
 * Made once for all connections. Node keeps the well-known authorities read; naming them once more beside ours, as its
 * documented option wants it, takes longer than all handshakes of a run together.
 */
function trusting(ca: string): SecureContext {
  const trusted = createSecureContext()
  trusted.context.addCACert(ca)
  return trusted
}
