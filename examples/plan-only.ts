/**
 * Shows what setting up the IDE client would change, and changes nothing.
 * Run it while `npm start` is up:  MCP_IDP_HOME=.mcp-idp npx tsx examples/plan-only.ts
 */
import { isToolkitError, openToolkit } from '../toolkit/index.js'

const toolkit = await openToolkit({ env: process.env, planOnly: true })
try {
  const { changes, applied } = await toolkit.run('setup_ide_client', { idp: 'embedded', name: 'Another IDE client' })
  console.log(JSON.stringify({ changes, applied }, null, 2))
} catch (error) {
  if (!isToolkitError(error)) throw error
  console.error(`${error.code}: ${error.message}`)
  process.exitCode = 1
} finally {
  await toolkit.close()
}
