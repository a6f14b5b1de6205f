/** The registry's servers, as operations. */
import { z } from 'zod'
import { queryOperation } from '../../core/operation.js'
import type { RegistryContext } from './m2m-clients.js'

const row = z.strictObject({ path: z.string(), name: z.string(), description: z.string().nullable(), enabled: z.boolean().nullable() })

export const listServers = queryOperation({
  summary: 'List the MCP servers that the registry knows and this credential may see.',
  input: z.strictObject({ query: z.string().max(256).optional().describe('part of a name, description or tag') }),
  output: z.strictObject({ total: z.number().int(), servers: z.array(row) }),
  examples: [{}, { query: 'demo' }],
  async handler({ query }, context: RegistryContext) {
    const found = await (await context.registry()).listServers(query === undefined ? {} : { query })
    const servers = found.map(({ path, display_name, description, is_enabled }) => ({
      path,
      name: display_name,
      description: description ?? null,
      enabled: is_enabled ?? null,
    }))
    return { total: servers.length, servers }
  },
})
