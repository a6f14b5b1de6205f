/**
 * A model on loopback that speaks as much of the Anthropic Messages API as Claude Code asks for. It has one idea: call the
 * tool once when it is offered, then say what came back. It is also the proxy to everywhere else, and lets nothing through.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { z } from 'zod'

const MAX_BODY = 10_000_000

const toolResult = z.object({ type: z.literal('tool_result'), content: z.unknown(), is_error: z.boolean().optional() })
const request = z.object({
  model: z.string(),
  stream: z.boolean().default(false),
  tools: z.array(z.object({ name: z.string() })).default([]),
  messages: z.array(z.object({ content: z.union([z.string(), z.array(z.looseObject({ type: z.string() }))]) })),
})
type Request = z.infer<typeof request>

type Block = { type: 'text'; text: string } | { type: 'tool_use'; id: string; name: string; input: object }

export interface StandInModel {
  readonly url: string
  /** Which tools each question offered. */
  readonly questions: readonly (readonly string[])[]
  /** Results of tools that it was told. */
  readonly results: readonly z.infer<typeof toolResult>[]
  /** Whatever else was asked of it or through it: method and target. */
  readonly strayed: readonly string[]
  close(): Promise<void>
}

/** Starts it; `tool` is the name that it calls. */
export async function startModel(tool: string): Promise<StandInModel> {
  const questions: string[][] = []
  const results: z.infer<typeof toolResult>[] = []
  const strayed: string[] = []
  const server = createServer(async (incoming, response) => {
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > MAX_BODY) return void incoming.destroy()
      chunks.push(chunk)
    }
    const { method = '', url = '' } = incoming
    if (method !== 'POST' || url.split('?')[0] !== '/v1/messages') {
      strayed.push(`${method} ${url}`)
      return void response.writeHead(404, { 'content-type': 'application/json' }).end('{}')
    }
    const asked = request.parse(JSON.parse(Buffer.concat(chunks).toString()))
    questions.push(asked.tools.map(({ name }) => name))
    const result = lastResult(asked)
    if (result) results.push(result)
    const body = asked.stream ? streamed(asked.model, answerTo(asked, result, tool)) : whole(asked.model, answerTo(asked, result, tool))
    response.writeHead(200, { 'content-type': asked.stream ? 'text/event-stream' : 'application/json' }).end(body)
  })
  server.on('connect', ({ url = '' }, socket) => {
    strayed.push(`CONNECT ${url}`)
    socket.on('error', () => undefined).end('HTTP/1.1 403 Forbidden\r\n\r\n')
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    questions,
    results,
    strayed,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed())
        server.closeAllConnections()
      }),
  }
}

function lastResult({ messages }: Request): z.infer<typeof toolResult> | undefined {
  const blocks = messages.flatMap(({ content }) => (typeof content === 'string' ? [] : content))
  const found = blocks.findLast(({ type }) => type === 'tool_result')
  return found === undefined ? undefined : toolResult.parse(found)
}

function answerTo({ tools }: Request, result: z.infer<typeof toolResult> | undefined, tool: string): Block {
  if (result) return { type: 'text', text: `The tool said ${JSON.stringify(result.content)}` }
  if (tools.some(({ name }) => name === tool)) return { type: 'tool_use', id: 'toolu_1', name: tool, input: {} }
  return { type: 'text', text: `There is no ${tool}` }
}

function message(model: string, content: Block[], stop_reason: string | null) {
  const usage = { input_tokens: 1, output_tokens: 1 }
  return { id: 'msg_1', type: 'message', role: 'assistant', model, content, stop_reason, stop_sequence: null, usage }
}

function whole(model: string, block: Block): string {
  return JSON.stringify(message(model, [block], stopReason(block)))
}

/** The same as server-sent events: a block begins empty and its text or input follows. */
function streamed(model: string, block: Block): string {
  const isText = block.type === 'text'
  const events = [
    { type: 'message_start', message: message(model, [], null) },
    { type: 'content_block_start', index: 0, content_block: isText ? { ...block, text: '' } : block },
    {
      type: 'content_block_delta',
      index: 0,
      delta: isText ? { type: 'text_delta', text: block.text } : { type: 'input_json_delta', partial_json: JSON.stringify(block.input) },
    },
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: stopReason(block), stop_sequence: null }, usage: { output_tokens: 1 } },
    { type: 'message_stop' },
  ]
  return events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join('')
}

function stopReason({ type }: Block): string {
  return type === 'text' ? 'end_turn' : 'tool_use'
}
