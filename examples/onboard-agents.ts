/**
 * Onboards several agents at once: one plan, one yes, secrets in files.
 * Run it while `npm start` is up:  MCP_IDP_HOME=.mcp-idp npx tsx examples/onboard-agents.ts
 */
import { join } from 'node:path'
import { IDPS, openToolkit, recipes, renderPlan, secretFile, type Wanted } from '../toolkit/index.js'

const AGENTS = ['billing-agent', 'search-agent']
const groups = ['demo-readers']

const toolkit = await openToolkit({
  env: process.env,
  approve: async (plan) => {
    console.log(renderPlan(plan).join('\n'))
    return true
  },
})
try {
  const { context } = toolkit
  const tenant = await context.tenant('embedded')
  const registry = await context.requireRegistryRows({ allow_privileged: false })
  const { capabilities } = IDPS.embedded

  const wanted: Wanted[] = AGENTS.flatMap((client_name) => [
    recipes.machineClient(capabilities, {
      client_name,
      groups,
      sink: secretFile(join(context.home, 'identities', `${client_name}.json`), tenant.identityFacts(client_name)),
    }),
    recipes.m2mRecord(capabilities, { client_name, groups, issuer: tenant.issuer }),
  ])
  const { applied, receipts } = await context.converge({
    wanted: [...recipes.namedGroups(groups, false), ...wanted],
    reconcilers: { ...tenant.reconcilers, ...registry.reconcilers },
    tenants: [tenant.lock, registry.lock],
  })
  console.log(applied ? `saved ${receipts.map(({ saved_to }) => saved_to).join(', ')}` : 'nothing to do')
} finally {
  await toolkit.close()
}
