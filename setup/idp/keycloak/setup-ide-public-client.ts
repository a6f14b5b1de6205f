#!/usr/bin/env -S npx --no -- tsx
/** Creates or mends the public client for IDEs in a Keycloak realm. Run it from the repository's root. */
import { listVariable, runScript } from '../script.js'

const usage = `setup-ide-public-client.ts [--plan]

Environment:
  KEYCLOAK_ADMIN_URL       base URL (http://localhost:8080); KEYCLOAK_URL is the same
  KEYCLOAK_REALM           realm (mcp-gateway)
  KEYCLOAK_ADMIN           administrator (admin)
  KEYCLOAK_ADMIN_PASSWORD  required
  KEYCLOAK_ADMIN_REALM     realm of the administrator (master)
  IDE_CLIENT_ID            client id (mcp-gateway-ide)
  MCP_CLIENTS              claude-code,codex,cursor
  MCP_SERVER_URLS          URLs of MCP servers, separated by commas
  IDE_CALLBACK_PORT        loopback port that the MCP clients pin

Example:
  export KEYCLOAK_ADMIN_PASSWORD=…
  ./setup/idp/keycloak/setup-ide-public-client.ts --plan
  ./setup/idp/keycloak/setup-ide-public-client.ts > ide.env && source ide.env`

await runScript({
  operation: 'setup_ide_client',
  usage,
  defaults: { KEYCLOAK_ADMIN_URL: 'http://localhost:8080' },
  input: (variable) => ({
    idp: 'keycloak',
    client_id: variable('IDE_CLIENT_ID'),
    mcp_clients: listVariable(variable('MCP_CLIENTS')),
    server_urls: listVariable(variable('MCP_SERVER_URLS')),
    callback_port: variable('IDE_CALLBACK_PORT'),
  }),
})
