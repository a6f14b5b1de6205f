/** How one MCP client connects to one server: the registry's facts in the client's own syntax. */
import { z } from 'zod'
import { queryOperation } from '../../core/operation.js'
import { serverPath } from '../../core/vocabulary.js'
import { MCP_CLIENTS } from '../../ide/catalogue.js'
import { renderConnect } from '../../ide/render.js'
import { connectTarget } from '../../registry/connect-config.js'
import type { ToolkitContext } from '../context.js'

const rendering = z.strictObject({ title: z.string(), language: z.string(), text: z.string() })

export const getConnectConfig = queryOperation({
  summary:
    'Show what a person pastes so that their MCP client (Claude Code, Codex, Cursor) connects to a server of the registry and logs in. Holds no secret: without a login client a token is referenced by a variable, never embedded.',
  input: z.strictObject({
    server_path: serverPath.describe('path of the server in the registry: /demo'),
    client: z.enum(MCP_CLIENTS).describe('MCP client'),
  }),
  output: z.strictObject({
    title: z.string(),
    server: z.string(),
    url: z.string(),
    client_id: z.string().nullable(),
    callback_port: z.number().int().nullable(),
    kind: z.enum(['command', 'file']),
    language: z.string(),
    path: z.string().nullable().describe('file that the text belongs into'),
    text: z.string(),
    alternatives: z.array(rendering),
    notes: z.array(z.string()),
  }),
  positionals: ['server_path'],
  examples: [{ server_path: '/demo', client: 'claude-code' }],
  async handler({ server_path, client }, context: ToolkitContext) {
    const registry = await context.registry()
    const [config, server] = await Promise.all([registry.connectConfig(server_path), registry.getServer(server_path)])
    const target = connectTarget(config, server, { registryUrl: context.settings('REGISTRY_URL') ?? '' })
    const { title, kind, language, path, text, alternatives, notes } = renderConnect(client, { ...target, dcr: null })
    return {
      title,
      server: server_path,
      url: target.url,
      client_id: target.client_id,
      callback_port: target.callback_port,
      kind,
      language,
      path: path ?? null,
      text,
      alternatives: alternatives.map((one) => ({ title: one.title, language: one.language, text: one.text })),
      notes: [...notes],
    }
  },
})
