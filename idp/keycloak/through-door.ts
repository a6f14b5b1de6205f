/** The vendor's SDK behind our door: a dispatcher that hands every request of the built-in fetch to it. */
import { Agent, type Dispatcher } from 'undici'
import type { Door } from '../../core/http.js'

/** `compose` adapts the handlers of all Node versions. */
export function throughDoor(door: Door): Dispatcher {
  return new Agent().compose(() => (options, handler) => {
    void relay(door, options, handler)
    return true
  })
}

async function relay(door: Door, options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): Promise<void> {
  const controller = {
    aborted: false,
    paused: false,
    reason: null,
    abort() {},
    pause() {},
    resume() {},
  } as unknown as Dispatcher.DispatchController
  try {
    handler.onRequestStart?.(controller, {})
    const body = options.body === undefined || options.body === null ? undefined : await collected(options.body)
    const response = await door.fetch(`${options.origin}${options.path}`, {
      method: options.method,
      headers: options.headers as Record<string, string>,
      ...(body === undefined ? {} : { body }),
    })
    handler.onResponseStart?.(controller, response.status, Object.fromEntries(response.headers), response.statusText)
    const bytes = Buffer.from(await response.arrayBuffer())
    if (bytes.byteLength > 0) handler.onResponseData?.(controller, bytes)
    handler.onResponseEnd?.(controller, {})
  } catch (error) {
    handler.onResponseError?.(controller, error as Error)
  }
}

async function collected(body: unknown): Promise<string | Buffer<ArrayBuffer>> {
  if (typeof body === 'string') return body
  const chunks: Uint8Array[] = []
  for await (const chunk of body as AsyncIterable<Uint8Array>) chunks.push(chunk)
  return Buffer.from(Buffer.concat(chunks))
}
