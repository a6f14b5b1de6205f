/** An MCP server as a process: frames as they are on its pipes, nothing between. */
import type { Running } from '../cli/built.js'

/** A JSON-RPC message, as loose as JSON. */
export interface Frame {
  readonly jsonrpc?: string
  readonly id?: number | string | null
  readonly method?: string
  readonly result?: Record<string, unknown>
  readonly error?: { code: number; message: string }
}

export function frames({ child, ended }: Running) {
  const lines: string[] = []
  const waiting = new Set<() => void>()
  let rest = ''
  child.stdout?.on('data', (text: string) => {
    const parts = (rest + text).split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts)
    for (const look of [...waiting]) look()
  })
  let next = 1
  const raw = (text: string) => void child.stdin?.write(text)
  const send = (message: object) => raw(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
  const parsed = () =>
    lines.flatMap((line): Frame[] => {
      try {
        return [JSON.parse(line) as Frame]
      } catch {
        return []
      }
    })
  const received = (fits: (frame: Frame) => boolean): Promise<Frame> =>
    new Promise((found, fail) => {
      const look = () => {
        const frame = parsed().find(fits)
        if (!frame) return
        waiting.delete(look)
        found(frame)
      }
      waiting.add(look)
      void ended.then(({ stderr }) => fail(new Error(`the server ended: ${stderr.slice(0, 1000)}`)))
      look()
    })
  const request = (method: string, params: object = {}) => {
    const id = next++
    send({ id, method, params })
    return received((frame) => frame.id === id && frame.method === undefined)
  }
  return {
    ...{ lines, raw, send, received, request },
    /** What is left on stdout without an end of line. */
    rest: () => rest,
    /** @returns the answer to `initialize` */
    async initialize(capabilities: object = {}) {
      const answer = await request('initialize', {
        protocolVersion: '2025-06-18',
        capabilities,
        clientInfo: { name: 'test', version: '0' },
      })
      send({ method: 'notifications/initialized' })
      return answer
    },
    call: (name: string, args: object = {}) => request('tools/call', { name, arguments: args }),
    async end() {
      child.stdin?.end()
      return ended
    },
  }
}
